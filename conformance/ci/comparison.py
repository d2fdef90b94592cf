"""What changed between two runs, as after an upgrade of a framework."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.errors import UserError
from conformance.judge import (
    CONFORMS,
    CONVENTION,
    CRASHED,
    INACCURATE,
    POLICY,
    TIMEOUT,
    UNSUPPORTED,
    WRONG,
)
from conformance.results import Header, Result, Run

WORSE, BETTER, OTHER = "worse", "better", "neither"
DIRECTIONS = (WORSE, BETTER, OTHER)

_GRAVITY = {
    CONFORMS: 0,
    CONVENTION: 1,
    POLICY: 1,
    UNSUPPORTED: 2,
    INACCURATE: 3,
    WRONG: 4,
    TIMEOUT: 5,
    CRASHED: 5,
}


@dataclass(frozen=True)
class Change:
    """One case on one implementation, then and now."""

    implementation: str
    old: Result
    new: Result

    @property
    def is_of_verdict(self) -> bool:
        return (self.old.verdict, self.old.name) != (self.new.verdict, self.new.name)

    @property
    def direction(self) -> str:
        before, after = _GRAVITY[self.old.verdict], _GRAVITY[self.new.verdict]
        return WORSE if after > before else BETTER if after < before else OTHER

    @property
    def factor(self) -> float:
        """How many times larger the ratio is, or smaller. One below 1, which is an error of less than
        a rounding at each step, counts as 1."""
        before, after = (max(r.ratio or 0.0, 1.0) for r in (self.old, self.new))
        if before == after:
            return 1.0
        return max(before / after, after / before) if math.isfinite(before + after) else math.inf


@dataclass(frozen=True)
class Comparison:
    """What differs. `verdicts` holds changes of verdict or name, `ratios` those of a larger factor
    than asked for where verdict and name are the same, the largest first.

    `places` are lines on versions and the like that differ. `new` and `gone` name implementations;
    `new_cases` and `gone_cases` give for each case that one run alone holds of an implementation in
    both, on how many.
    """

    compared: int
    different_cases: bool
    places: Sequence[str]
    verdicts: Sequence[Change]
    ratios: Sequence[Change]
    new: Sequence[str]
    gone: Sequence[str]
    new_cases: Mapping[str, int]
    gone_cases: Mapping[str, int]

    def of(self, direction: str) -> list[Change]:
        return [change for change in self.verdicts if change.direction == direction]


_Key = tuple[str, str]
_Column = tuple[Header, dict[str, Result]]


def compare(old: Sequence[Run], new: Sequence[Run], factor: float) -> Comparison:
    """Compare what both hold: implementations by name and device (by name alone where each has one
    device of it), cases by id. Raises UserError where that is nothing."""
    before, after = _columns(old), _columns(new)
    pairs = list(_paired(before, after))
    verdicts: list[Change] = []
    ratios: list[Change] = []
    places: dict[str, None] = {}
    new_cases: Counter[str] = Counter()
    gone_cases: Counter[str] = Counter()
    compared = 0
    for one, other in pairs:
        (header, olds), (new_header, news) = before[one], after[other]
        places |= dict.fromkeys(_moved(header, new_header))
        new_cases.update(news.keys() - olds.keys())
        gone_cases.update(olds.keys() - news.keys())
        title = _title(other) if one == other else other[0]
        for case in filter(olds.__contains__, news):
            compared += 1
            change = Change(title, olds[case], news[case])
            if change.is_of_verdict:
                verdicts.append(change)
            elif change.factor > factor:
                ratios.append(change)
    if not compared:
        raise UserError("the two runs have no case of an implementation in common")
    return Comparison(
        compared,
        different_cases=len({run.header.cases for run in (*old, *new)}) > 1,
        places=list(places),
        verdicts=verdicts,
        ratios=sorted(ratios, key=lambda change: -change.factor),
        new=sorted(map(_title, after.keys() - {other for _, other in pairs})),
        gone=sorted(map(_title, before.keys() - {one for one, _ in pairs})),
        new_cases=dict(sorted(new_cases.items())),
        gone_cases=dict(sorted(gone_cases.items())),
    )


def _columns(runs: Sequence[Run]) -> dict[_Key, _Column]:
    """The results of each implementation on each device, by case."""
    columns: dict[_Key, _Column] = {}
    for run in runs:
        for name in run.header.implementations:
            columns[name, run.header.device] = (run.header, {})
        for result in run.results:
            columns[result.implementation, run.header.device][1][result.case] = result
    return columns


def _paired(
    before: Mapping[_Key, _Column], after: Mapping[_Key, _Column]
) -> Iterator[tuple[_Key, _Key]]:
    for key in before:
        others = [other for other in after if other[0] == key[0]]
        own = [one for one in before if one[0] == key[0]]
        if key in after:
            yield key, key
        elif len(others) == len(own) == 1:
            yield key, others[0]


def _title(key: _Key) -> str:
    name, device = key
    return name if device == "cpu" else f"{name} on {device}"


def _moved(old: Header, new: Header) -> Iterator[str]:
    """A line for everything that is not the same of where the two took place."""
    fields = ("suite", "python", "machine", "device", "driver")
    before = {name: getattr(old, name) for name in fields} | dict(old.packages)
    after = {name: getattr(new, name) for name in fields} | dict(new.packages)
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name) or 'none'} → {after.get(name) or 'none'}"
