"""The search for the reading that explains an output: what was said first, then one departure, then two.

Formulas with tight bounds come before algorithms that lose digits, as in the suite's own order: what an
algorithm loses can be much, and would otherwise explain a mistake that is smaller than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from conformance.explanation.departures import Departing
from conformance.explanation.reading import Reading
from conformance.explanation.trial import Outcome, Trials
from conformance.judge import ACCURATE_LIMIT, CONFORMS, POLICY

_NEAREST = 3
_PARTNERS = 5
_PLAINLY_BETTER = 8


@dataclass(frozen=True, eq=False)
class Found:
    """The outcome that explains the outputs or comes nearest; that of what was said; and others.

    `alike` are open choices that fit as well; `rejected` those that were tried first and do not fit.
    """

    outcome: Outcome
    said: Outcome
    alike: tuple[Outcome, ...] = ()
    rejected: tuple[Outcome, ...] = ()

    @property
    def is_explained(self) -> bool:
        return explains(self.outcome)


def search(
    trials: Trials,
    bases: Sequence[Reading],
    departures: Sequence[Departing],
    solved: Callable[[Reading], Iterable[Reading]],
) -> Found:
    """`bases` agree with all that was said; `solved` gives readings with values from the data."""
    outcomes = [trials.reference(base) for base in bases]
    fitting = [outcome for outcome in outcomes if conforms(outcome)]
    rejected = tuple(sorted((o for o in outcomes if not conforms(o)), key=_ratio))
    if fitting:
        chosen = _best(fitting)
        alike = tuple(o for o in fitting if o is not chosen and _rank(o) <= _rank(chosen))
        closer = _closer(trials, chosen, departures)
        return Found(closer or chosen, chosen, alike, rejected)
    nearest = sorted(outcomes, key=_ratio)[:_NEAREST]
    said = nearest[0]

    def found(outcome: Outcome) -> Found:
        others = (o for o in rejected if o.reading is not outcome.reading)
        return Found(outcome, said, rejected=tuple(others))

    for outcome in nearest:
        if explains(definition := trials.definitions(outcome.reading)):
            return found(definition)
    singles = _departing(trials, nearest, departures)
    sharp = [
        o for near in nearest if near.reading.channels > 1 for o in _solved(trials, near, solved)
    ]
    if fitting := [o for o in (*singles, *sharp) if conforms(o)]:
        return found(_best(fitting))
    for outcome in nearest:
        if explains(algorithm := trials.everything(outcome.reading)):
            return found(algorithm)
    better = sorted(singles, key=_ratio)[:_PARTNERS]
    pairs = _departing(trials, better, departures)
    pairs += [o for outcome in better for o in _solved(trials, outcome, solved)]
    pairs += [o for outcome in nearest for o in _solved(trials, outcome, solved)]
    if fitting := [o for o in pairs if conforms(o)]:
        return found(_best(fitting))
    for outcome in better:
        if explains(both := trials.everything(outcome.reading)):
            return found(both)
    return found(trials.everything(said.reading))


def conforms(outcome: Outcome) -> bool:
    return outcome.judgement.verdict in (CONFORMS, POLICY)


def explains(outcome: Outcome) -> bool:
    return outcome.judgement.name != "unexplained"


def _closer(trials: Trials, chosen: Outcome, departures: Sequence[Departing]) -> Outcome | None:
    """A departure that fits closely where what was said is just within the bound of a long sum."""
    if chosen.ratio <= ACCURATE_LIMIT:
        return None
    others = [
        outcome
        for outcome in _departing(trials, [chosen], departures)
        if conforms(outcome)
        and outcome.ratio <= min(ACCURATE_LIMIT, chosen.ratio / _PLAINLY_BETTER)
    ]
    return _best(others) if others else None


def _departing(
    trials: Trials, outcomes: Iterable[Outcome], departures: Iterable[Departing]
) -> list[Outcome]:
    return [
        trials.reference(reading)
        for departing in departures
        for outcome in outcomes
        for reading in departing(outcome.reading)
    ]


def _solved(
    trials: Trials, outcome: Outcome, solved: Callable[[Reading], Iterable[Reading]]
) -> list[Outcome]:
    return [trials.reference(reading) for reading in solved(outcome.reading)]


def _best(outcomes: Sequence[Outcome]) -> Outcome:
    """The first in order of likelihood, unless another fits plainly better."""
    return min(outcomes, key=_rank)


def _rank(outcome: Outcome) -> float:
    return max(outcome.ratio, ACCURATE_LIMIT / 2)


def _ratio(outcome: Outcome) -> float:
    return outcome.ratio
