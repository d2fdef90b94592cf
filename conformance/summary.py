"""What a run prints at its end: what is not as recorded first, then the verdicts counted."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from conformance.judge import VERDICTS
from conformance.results import Result
from conformance.run import Outcome
from conformance.text import one_line

_SCREEN = 24  # lines; what comes last fits, however much was run
_KINDS = 8


def of(outcome: Outcome, out: Path | None) -> str:
    """The summary as text: every failure in a line that ends in the command that repeats it alone, then
    what fits on a screen and leads with what is wrong."""
    failed = outcome.not_as_recorded
    lines = [_failure(outcome, result) for result in failed]
    lines += [
        f"STALE {deviation}: recorded, but matches nothing or no longer happens; "
        "remove it from the record"
        for deviation in outcome.stale
    ]
    if len(lines) > _KINDS:
        lines += ["", *_kinds(failed)]
    left_out = [f"not run: {line}" for line in outcome.left_out]
    lines += left_out if len(left_out) <= 3 else [*left_out[:3], f"and {len(left_out) - 3} more"]
    lines += _counts(outcome)
    if not outcome.complete:
        kept = f"interrupted: {len(outcome.run.results)} results kept"
        go_on = f"; bnconf run --resume {shlex.quote(str(out))} finishes the rest" if out else ""
        lines.append(kept + go_on)
    elif out is not None:
        lines.append(f"results: {out}")
    return "\n".join(lines)


def _kinds(failed: Sequence[Result]) -> list[str]:
    """What is not as recorded, by implementation and name, the most frequent first."""
    kinds = Counter((r.implementation, r.verdict, r.name) for r in failed)
    lines = ["not as recorded:"]
    for (implementation, verdict, name), count in kinds.most_common(_KINDS):
        lines.append(f"  {count} on {implementation}: {verdict}, {name}")
    if len(kinds) > _KINDS:
        lines.append(f"  and {len(kinds) - _KINDS} more kinds")
    return lines


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
    """How often there was each verdict, by implementation, or by framework where there are many."""
    rows = {name: name for name in outcome.run.header.implementations}
    if len(rows) > _SCREEN // 2:
        rows = dict(outcome.run.header.implementations)
    counted = {title: Counter[str]() for title in rows.values()}
    for result in outcome.run.results:
        counted[rows[result.implementation]][result.verdict] += 1
    width = max(map(len, counted))
    lines = []
    for title, counts in counted.items():
        text = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        lines.append(f"{title:<{width}}  {text or 'not run'}")
    failed = len(outcome.not_as_recorded)
    state = "all as recorded" if outcome.is_green else f"{failed} not as recorded"
    if outcome.stale:
        state += f", {len(outcome.stale)} stale entries in the record"
    lines.append(f"{len(outcome.run.results)} checks: {state}")
    return lines
