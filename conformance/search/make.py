"""Makes a search: one process for each implementation, and what it wrote down gathered after its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conformance import run
from conformance.choice import choose
from conformance.deviations import Record, load_deviations
from conformance.environment import child_environment
from conformance.errors import UserError
from conformance.judge import CRASHED, TIMEOUT
from conformance.operations import OPERATIONS
from conformance.workers import TIME_TO_START

RIGHT = "the right kernels"
INTERRUPTED = "interrupted"
_NEEDED = {"hypothesis": "hypothesis", "flint": "python-flint"}


@dataclass(frozen=True)
class Request:
    """What the caller asks for. `right`: the right kernels as well. All operations if none is named."""

    selectors: tuple[str, ...]
    right: bool
    operations: tuple[str, ...]
    examples: int
    seed: int
    timeout: float
    device: str
    new_only: bool
    deviations: Path


@dataclass(frozen=True)
class Finding:
    """A failing case, as small as it got. `record` is the case as it stands in a file.

    `output` is the one with the largest ratio; `known`: on record, for another case.
    """

    implementation: str
    operation: str
    verdict: str
    name: str
    ratio: float | None
    output: str | None
    message: str
    record: Mapping[str, Any]
    known: bool = False


@dataclass(frozen=True)
class Search:
    """What came of one implementation. `ended` says why it ended early, `refused` why it was not made.

    `spec` names the implementation in a call; it is None for the right kernels.
    """

    name: str
    spec: str | None
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    ended: str = ""
    refused: str = ""


def make(request: Request) -> Iterator[Search]:
    """Search one implementation after another. Raises UserError for a bad call before the first.

    After a KeyboardInterrupt what the present one has found is given, and nothing after it.
    """
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise UserError(
                f"a search needs {package}; pip install 'batchnorm-conformance[search]' brings it"
            )
    if not request.selectors and not request.right:
        raise UserError("name what is to be searched: --impl NAME, or --right")
    chosen = choose(request.selectors, request.device)[0] if request.selectors else []
    recorded = {one.name: one.framework for one in chosen if one.built_in}
    deviations = load_deviations(request.deviations)
    record = Record(deviations, recorded, run.versions_of(chosen), request.device)
    subjects: list[tuple[str, str | None]] = [(one.name, one.spec) for one in chosen]
    return _searches(request, subjects + [(RIGHT, None)] * request.right, record)


def _searches(
    request: Request, subjects: list[tuple[str, str | None]], record: Record
) -> Iterator[Search]:
    for name, spec in subjects:
        known = record.known(name)
        with tempfile.TemporaryDirectory(prefix="bnconf-") as folder:
            search = _search(request, name, spec, known if request.new_only else (), Path(folder))
        findings = (replace(f, known=(f.verdict, f.name) in known) for f in search.findings)
        yield replace(search, findings=tuple(findings))
        if search.ended == INTERRUPTED:
            return


def _search(
    request: Request, name: str, spec: str | None, passed_over: Any, folder: Path
) -> Search:
    from conformance.search import hunt

    plan = hunt.Plan(
        spec=spec,
        device=request.device,
        operations=request.operations or tuple(name for name in OPERATIONS if name != "reject"),
        examples=request.examples,
        seed=request.seed,
        timeout=request.timeout,
        passed_over=tuple(sorted(passed_over)),
        folder=str(folder),
    )
    plan.write(folder / "plan.json")
    status = _run(folder)
    found = sorted(folder.glob(hunt.FOUND.format("*")))
    findings = [Finding(**_read(path)) for path in found]
    output = (folder / "output").read_text(encoding="utf-8", errors="replace").splitlines()
    if (folder / hunt.DONE).exists():
        return Search(name, spec, tuple(findings), _read(folder / hunt.DONE))
    if status is None:
        return Search(name, spec, tuple(findings), {}, ended=INTERRUPTED)
    hung = (folder / hunt.WATCH).exists() and (folder / hunt.WATCH).stat().st_size > 0
    if not (folder / hunt.ASKED).exists():
        if status == 1 and not hung:
            raise RuntimeError("the search failed:\n" + "\n".join(output))
        reason = output[-1] if output else f"the process died (exit status {status})"
        reason = f"was not started within {TIME_TO_START:g} s" if hung else reason
        return Search(name, spec, tuple(findings), {}, refused=f"{name}: {reason}")
    asked = _read(folder / hunt.ASKED)
    verdict = TIMEOUT if hung else CRASHED
    message = f"no answer within {request.timeout:g} s" if hung else "the process died"
    case = asked["record"]
    last_asked = Finding(
        asked["implementation"], case["operation"], verdict, verdict, None, None, message, case
    )
    return Search(name, spec, (*findings, last_asked), {}, ended=message)


def _run(folder: Path) -> int | None:
    """The exit status of the process that searches; None if it was interrupted."""
    command = [sys.executable, "-m", "conformance.search.hunt", str(folder / "plan.json")]
    environment = {
        **child_environment(),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
    }
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            process_group=0,
        )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return None
    finally:
        signal.signal(signal.SIGTERM, before)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
