"""The journal of a run: what was begun and what was found, written line by line as it happens.

Each process that runs cases has a file of its own, so that what it did outlives it. A case that was
begun and has no result took its process along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.errors import UserError
from conformance.judge import CRASHED, TIMEOUT
from conformance.results import Result, parse_result, to_line

Check = tuple[str, str]
"""(implementation, case)"""


class Journal:
    """The journal of this process in `folder`. `watch` is where the watchdog writes before it ends it."""

    def __init__(self, folder: Path) -> None:
        name = f"{os.getpid()}"
        self._file = os.open(
            folder / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        self.watch = open(folder / f"{name}.watch", "w")  # noqa: SIM115

    def begin(self, check: Check) -> None:
        self._write(json.dumps({"begin": check}))

    def end(self, result: Result) -> None:
        self._write(to_line("result", result))

    def _write(self, line: str) -> None:
        os.write(self._file, line.encode() + b"\n")


def read_journals(folder: Path, timeout: float | None) -> dict[Check, Result]:
    """All results in the folder, with `crashed` or `timeout` for a case that ended its process.

    Without a timeout, a case that was begun is left out: it was interrupted.
    """
    results: dict[Check, Result] = {}
    ended: dict[Check, bool] = {}
    for path in sorted(folder.glob("*.jsonl")):
        watch = path.with_suffix(".watch")
        hung = watch.exists() and watch.stat().st_size > 0
        last: Check | None = None
        for record in _records(path):
            if "begin" in record:
                last = (record["begin"][0], record["begin"][1])
                ended[last] = False
                continue
            record.pop("kind")
            result = parse_result(record, str(path))
            results[result.implementation, result.case] = result
        if last is not None:
            ended[last] = hung
    for check, hung in ended.items():
        if check not in results and timeout is not None:
            verdict = TIMEOUT if hung else CRASHED
            message = f"no answer within {timeout:g} s" if hung else "the process died"
            results[check] = Result(check[1], check[0], verdict, verdict, message=message)
    return results


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal; the last may have been cut off by the end of its process."""
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            yield json.loads(line)
        except ValueError:
            raise UserError(f"{path}: line {number} is damaged; remove the folder") from None
