"""A Markdown page of results for the summary of a CI job: what is wrong comes first.

GitHub shows $GITHUB_STEP_SUMMARY, which holds at most 1 MiB a step. What does not fit is counted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from conformance.ci.standing import Overview, Standing
from conformance.ci.text import markdown, ratio
from conformance.deviations import Deviation
from conformance.judge import CONFORMS, VERDICTS
from conformance.results import Header, Result

LIMIT = 2**20  # bytes
# Shares of the parts; what stands around them has 4 % of the limit.
_GROUPS, _CASES, _STALE, _TABLE, _DEVIATIONS, _RUNS = (
    int(LIMIT * share) for share in (0.2, 0.25, 0.05, 0.2, 0.2, 0.06)
)

_LINK = re.compile(r"https?://[^\s<>|\\]+")


def page(overview: Overview) -> str:
    """The page. The same results give the same text."""
    verdict = str(overview)
    blocks = ["# Batch normalization conformance", f"**{verdict[0].upper()}{verdict[1:]}.**"]
    failures = [(s, r) for s in overview.standings for r in s.not_as_recorded]
    if failures:
        blocks += _failures(failures)
    if overview.stale:
        blocks += ["## Stale entries of the record", _stale(overview.stale)]
    blocks += ["## Implementations", _implementations(overview.standings)]
    if overview.not_run:
        names = ", ".join(markdown(name) for name in overview.not_run)
        blocks.append(_details(f"Not run: {len(overview.not_run)}", names))
    deviations = list(_deviations(overview.standings))
    if deviations:
        title = f"On record: {len(deviations)} kinds of deviation"
        heads = ("verdict", "name", "results", "implementations", "why")
        blocks.append(_details(title, _table(heads, deviations, tuple, _DEVIATIONS)))
    headers = list({id(s.header): s.header for s in overview.standings}.values())
    heads = ("implementations", "device", "machine", "Python", "packages")
    blocks.append(_details("Where it was run", _table(heads, headers, _place, _RUNS)))
    return "\n\n".join(blocks) + "\n"


def _failures(failures: Sequence[tuple[Standing, Result]]) -> Iterator[str]:
    """A row for all that deviate alike, then every one of them."""
    groups: dict[tuple[str, ...], list[tuple[Standing, Result]]] = defaultdict(list)
    for standing, result in failures:
        expected = standing.expected(result.case)
        groups[standing.title, result.verdict, result.name, expected].append((standing, result))
    yield "## Not as recorded"
    heads = ("implementation", "verdict", "on record", "cases", "largest ratio", "for example")
    yield _table(heads, list(groups.values()), _group, _GROUPS)
    each = ("implementation", "case", "verdict", "ratio", "repeat")
    yield _details(f"Each of the {len(failures):,}", _table(each, failures, _failure, _CASES))


def _failure(failure: tuple[Standing, Result]) -> tuple[str, ...]:
    standing, result = failure
    return (
        markdown(standing.title),
        markdown(result.case),
        markdown(f"{result.verdict}, {result.name}"),
        ratio(result.ratio),
        _code(standing.repeat(result.case)),
    )


def _group(group: Sequence[tuple[Standing, Result]]) -> tuple[str, ...]:
    standing, first = group[0]
    ratios = [result.ratio for _, result in group if result.ratio is not None]
    message = f": {first.message}" if first.message else ""
    return (
        markdown(standing.title),
        markdown(f"{first.verdict}, {first.name}"),
        markdown(standing.expected(first.case)),
        str(len(group)),
        ratio(max(ratios, default=None)),
        f"{markdown(first.case + message)}<br>{_code(standing.repeat(first.case))}",
    )


def _stale(stale: Sequence[Deviation]) -> str:
    why = "matches nothing or no longer happens; remove it"
    return _table(("entry", "why"), stale, lambda entry: (markdown(f"{entry}"), why), _STALE)


def _implementations(standings: Sequence[Standing]) -> str:
    seen = [verdict for verdict in VERDICTS if any(s.counts[verdict] for s in standings)]

    def row(standing: Standing) -> tuple[str, ...]:
        failed = len(standing.not_as_recorded)
        return (
            markdown(standing.name),
            markdown(f"{standing.framework} {standing.version}"),
            markdown(standing.header.device),
            f"**{failed}**" if failed else "",
            *(str(standing.counts[verdict] or "") for verdict in seen),
        )

    heads = ("implementation", "version", "device", "not as recorded", *seen)
    return _table(heads, standings, row, _TABLE)


def _deviations(standings: Iterable[Standing]) -> Iterator[tuple[str, ...]]:
    """Each entry of the record that was seen, as often as it was; and what needs none."""
    found: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    entries: dict[int, Deviation] = {}
    for standing in standings:
        for held in standing.held:
            result = held.result
            if result.verdict == CONFORMS or not held.is_as_recorded:
                continue
            number = held.entry.number if held.entry else 0
            if held.entry:
                entries[number] = held.entry
            found[number, result.verdict, result.name].append(standing.name)
    for (number, verdict, name), names in sorted(
        found.items(), key=lambda item: (-VERDICTS.index(item[0][1]), item[0])
    ):
        entry = entries.get(number)
        several = sorted(set(names))
        more = f" and {len(several) - 3} more" if len(several) > 3 else ""
        why = "an implementation from outside has no record" if entry is None else entry.reason
        link = entry.link if entry else ""
        yield (
            verdict,
            markdown(name),
            str(len(names)),
            markdown(", ".join(several[:3]) + more),
            markdown(why, longest=600) + (f" [source](<{link}>)" if _LINK.fullmatch(link) else ""),
        )


def _place(header: Header) -> tuple[str, ...]:
    packages = ", ".join(f"{name} {version}" for name, version in header.packages.items())
    driver = f", driver {header.driver}" if header.driver else ""
    return (
        markdown(", ".join(header.implementations)),
        markdown(header.device + driver),
        markdown(header.machine),
        markdown(header.python),
        markdown(packages),
    )


def _table(
    heads: Sequence[str], items: Sequence[Any], row: Callable[[Any], Sequence[str]], budget: int
) -> str:
    """A row for each item in at most `budget` bytes; the last counts the items that found no room."""
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    room = budget
    for number, item in enumerate(items):
        line = f"| {' | '.join(row(item))} |"
        room -= len(line.encode()) + 1
        if room < 0:
            more = f"and {len(items) - number:,} more"
            lines.append(f"| {more} |{' |' * (len(heads) - 1)}")
            break
        lines.append(line)
    return "\n".join(lines)


def _details(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def _code(text: str) -> str:
    return f"<code>{markdown(text, longest=2000)}</code>"
