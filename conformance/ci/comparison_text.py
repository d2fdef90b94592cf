"""A comparison of two runs as text for a terminal, as Markdown, and as JSON."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from conformance.ci.comparison import DIRECTIONS, OTHER, Change, Comparison
from conformance.ci.text import markdown, printable, ratio
from conformance.results import Result

_EXAMPLES = 3  # cases named of those that changed alike
_RATIOS = 20
_TITLES = {"worse": "Worse", "better": "Better", OTHER: "Neither worse nor better"}


def as_text(comparison: Comparison) -> str:
    """Worse comes first; changes that are alike share a line."""
    return "\n".join(_lines(comparison, printable, "{}:", "  {}"))


def as_markdown(comparison: Comparison) -> str:
    lines = list(_lines(comparison, markdown, "\n## {}\n", "- {}"))
    return "\n".join([f"**{lines[0]}**", *lines[1:]]) + "\n"


def _lines(
    comparison: Comparison, fit: Callable[[str], str], heading: str, item: str
) -> Iterator[str]:
    counts = ", ".join(f"{len(comparison.of(d))} {d}" for d in DIRECTIONS)
    changed = len(comparison.verdicts)
    counts = f"{changed} changed: {counts}" if changed else "none changed"
    yield f"{comparison.compared:,} verdicts compared, {counts}"
    if comparison.different_cases:
        yield "The two were run on different cases: only those with the same id were compared."
    for direction in DIRECTIONS:
        changes = comparison.of(direction)
        yield from _section(_TITLES[direction], map(_alike, _groups(changes)), fit, heading, item)
    sections = {
        "Where it was run": list(comparison.places),
        "New implementations": list(comparison.new),
        "Implementations gone": list(comparison.gone),
        "New cases": list(_cases(comparison.new_cases)),
        "Cases gone": list(_cases(comparison.gone_cases)),
        "The same verdict by another ratio": list(_ratios(comparison.ratios)),
    }
    for title, texts in sections.items():
        yield from _section(title, texts, fit, heading, item)


def _section(
    title: str, texts: Any, fit: Callable[[str], str], heading: str, item: str
) -> Iterator[str]:
    lines = [item.format(fit(text)) for text in texts]
    if lines:
        yield heading.format(title)
        yield from lines


def _groups(changes: Sequence[Change]) -> list[list[Change]]:
    groups: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change in changes:
        key = (change.implementation, _verdict(change.old), _verdict(change.new))
        groups[key].append(change)
    return list(groups.values())


def _alike(group: Sequence[Change]) -> str:
    first = group[0]
    ratios = f"ratio {ratio(first.old.ratio) or 'none'} → {ratio(first.new.ratio) or 'none'}"
    names = [change.new.case for change in group[:_EXAMPLES]]
    more = f" and {len(group) - len(names)} more" if len(group) > len(names) else ""
    what = f"{_verdict(first.old)} → {_verdict(first.new)}"
    detail = ratios if len(group) == 1 else f"{len(group)} cases"
    return f"{first.implementation}: {what} ({detail}): {', '.join(names)}{more}"


def _verdict(result: Result) -> str:
    return f"{result.verdict}, {result.name}"


def _cases(cases: Mapping[str, int]) -> Iterator[str]:
    names = list(cases)
    if names:
        more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
        yield f"{len(names)}: {', '.join(names[:_EXAMPLES])}{more}"


def _ratios(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes[:_RATIOS]:
        ratios = f"{ratio(change.old.ratio)} → {ratio(change.new.ratio)}"
        yield f"{change.implementation}: {change.new.case}: {change.new.verdict}, ratio {ratios}"
    if len(changes) > _RATIOS:
        yield f"and {len(changes) - _RATIOS} more"


def as_json(comparison: Comparison) -> str:
    """Everything, in full."""
    record = {
        "compared": comparison.compared,
        "different_cases": comparison.different_cases,
        "places": list(comparison.places),
        **{d: list(map(_change, comparison.of(d))) for d in DIRECTIONS},
        "ratios": list(map(_change, comparison.ratios)),
        "new": list(comparison.new),
        "gone": list(comparison.gone),
        "new_cases": dict(comparison.new_cases),
        "gone_cases": dict(comparison.gone_cases),
    }
    return json.dumps(record, indent=1, allow_nan=False)


def _change(change: Change) -> dict[str, Any]:
    def side(result: Result) -> dict[str, Any]:
        number: Any = result.ratio
        if number is not None and math.isinf(number):
            number = "Infinity" if number > 0 else "-Infinity"
        return {
            "verdict": result.verdict,
            "name": result.name,
            "ratio": number,
            "message": result.message,
        }

    return {
        "implementation": change.implementation,
        "case": change.new.case,
        "old": side(change.old),
        "new": side(change.new),
    }
