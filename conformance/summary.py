"""What a run prints at its end: what is not as recorded first, then the verdicts counted."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

from conformance.judge import VERDICTS
from conformance.results import Result
from conformance.run import Outcome
from conformance.text import one_line


def of(outcome: Outcome, out: Path | None) -> str:
    """The summary as text; every line on a failure ends in the command that repeats it alone."""
    lines = [_failure(outcome, result) for result in outcome.not_as_recorded]
    lines += [
        f"STALE {deviation}: recorded, but matches nothing or no longer happens; "
        "remove it from the record"
        for deviation in outcome.stale
    ]
    lines += [f"not run: {line}" for line in outcome.left_out]
    lines += _counts(outcome)
    if not outcome.complete:
        lines.append(f"interrupted: {len(outcome.run.results)} results kept")
    if out is not None:
        lines.append(f"results: {out}")
    return "\n".join(lines)


def _failure(outcome: Outcome, result: Result) -> str:
    ratio = "" if result.ratio is None else f", ratio {result.ratio:.3g}"
    message = f" ({one_line(' '.join(result.message.split()), 200)})" if result.message else ""
    spec = outcome.specs[result.implementation]
    expected = outcome.record.expected(result.implementation, result.case)
    return (
        f"FAIL {result.case} on {result.implementation}: {result.verdict}, {result.name}{ratio}"
        f"{message}; on record: {expected}; repeat: "
        f"bnconf run --impl {shlex.quote(spec)} --case {shlex.quote(result.case)}"
        f"{outcome.repeat_options}"
    )


def _counts(outcome: Outcome) -> list[str]:
    width = max(len(name) for name in outcome.run.header.implementations)
    lines = []
    for name in outcome.run.header.implementations:
        counted = Counter(r.verdict for r in outcome.run.results if r.implementation == name)
        text = ", ".join(
            f"{counted[verdict]} {verdict}" for verdict in VERDICTS if counted[verdict]
        )
        lines.append(f"{name:<{width}}  {text or 'not run'}")
    failed = len(outcome.not_as_recorded)
    state = "all as recorded" if outcome.is_green else f"{failed} not as recorded"
    if outcome.stale:
        state += f", {len(outcome.stale)} stale entries in the record"
    lines.append(f"{len(outcome.run.results)} checks: {state}")
    return lines
