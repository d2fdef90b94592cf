"""The search for the reading that explains an output: what was said first, then one departure, then two.

Formulas with tight bounds come before algorithms that lose digits, as in the suite's own order: what an
algorithm loses can be much, and would otherwise explain a mistake that is smaller than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from conformance.explanation.departures import Departing
from conformance.explanation.reading import Reading
from conformance.explanation.trial import Outcome, Trials
from conformance.judge import ACCURATE_LIMIT, CONFORMS, POLICY

Solving = Callable[[Reading], Iterable[Reading]]
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
    solved: Solving,
) -> Found:
    """`bases` agree with all that was said; `solved` gives readings with values from the data."""
    outcomes = _open_choices(trials, bases)
    fitting = [outcome for outcome in outcomes if conforms(outcome)]
    rejected = tuple(sorted((o for o in outcomes if not conforms(o)), key=_ratio))
    if fitting:
        chosen = _best(fitting)
        alike = tuple(o for o in fitting if o is not chosen and _rank(o) <= _rank(chosen))
        closer = _closer(_departing(trials, [chosen], departures), chosen)
        return Found(closer or chosen, chosen, alike, rejected)
    nearest = _nearest(outcomes)
    nearest = [nearest[0], *(o for o in nearest[1:] if trials.is_hopeful(o.reading))]

    def found(outcome: Outcome) -> Found:
        said = next((o for o in nearest if o.reading is outcome.reading), nearest[0])
        others = (o for o in rejected if o.reading is not outcome.reading)
        return Found(outcome, said, rejected=tuple(others))

    definition = next(filter(explains, map(trials.definitions, _readings(nearest))), None)
    if definition is not None and definition.own_ratio <= ACCURATE_LIMIT:
        return found(definition)
    hopeful = [o for o in nearest if trials.is_hopeful(o.reading)]
    singles = _departing(trials, nearest, departures)
    several = [outcome for outcome in hopeful if outcome.reading.channels > 1]
    sharp = [*singles, *_departing(trials, several, [solved])]
    if definition is not None:
        return found(_closer(sharp, definition) or definition)
    if fitting := [outcome for outcome in sharp if _tells(outcome)]:
        return found(_best(fitting))
    better = sorted(singles, key=_ratio)[:_PARTNERS]
    plainly = [
        o
        for o in better
        if o.ratio < min(nearest[0].ratio, o.limit * _PLAINLY_BETTER**2) / _PLAINLY_BETTER
    ]
    for reading in _readings([*plainly, *nearest]):
        if explains(algorithm := trials.everything(reading)):
            return found(algorithm)
    pairs = _departing(trials, better, (*departures, solved))
    pairs += _departing(trials, hopeful, [solved])
    if fitting := [outcome for outcome in pairs if _tells(outcome)]:
        return found(_best(fitting))
    for reading in _readings(o for o in better if o not in plainly):
        if explains(both := trials.everything(reading)):
            return found(both)
    return found(trials.everything(nearest[0].reading))


def _open_choices(trials: Trials, bases: Sequence[Reading]) -> list[Outcome]:
    """One outcome for each base, but for axes along which no choice can explain the outputs."""
    tried: dict[int, Outcome] = {}
    outcomes = []
    for base in bases:
        first = tried.get(base.axis)
        if first is None or conforms(first) or trials.is_hopeful(base):
            outcomes.append(trials.reference(base))
            tried.setdefault(base.axis, outcomes[-1])
    return outcomes


def _nearest(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The nearest few: in order of likelihood where they are equally near, one for each axis first."""
    least = min(map(_ratio, outcomes))
    near = [o for o in outcomes if o.ratio <= 2 * least] or list(outcomes)
    others = sorted((o for o in outcomes if o not in near), key=_ratio)
    ordered = [*near, *others]
    axes = {o.reading.axis: o for o in reversed(ordered)}
    first = [o for o in ordered if axes[o.reading.axis] is o]
    return [*first, *(o for o in ordered if o not in first)][:_NEAREST]


def _readings(outcomes: Iterable[Outcome]) -> Iterator[Reading]:
    return (outcome.reading for outcome in outcomes)


def conforms(outcome: Outcome) -> bool:
    return outcome.judgement.verdict in (CONFORMS, POLICY)


def _tells(outcome: Outcome) -> bool:
    """Whether it conforms, and somewhere with a number: what gives none is no explanation."""
    return conforms(outcome) and any(outcome.judgement.outputs.values())


def explains(outcome: Outcome) -> bool:
    return outcome.judgement.name != "unexplained"


def _closer(others: Iterable[Outcome], chosen: Outcome) -> Outcome | None:
    """One that fits closely where the chosen one is just within the bound of a long sum."""
    if chosen.own_ratio <= ACCURATE_LIMIT:
        return None
    most = min(ACCURATE_LIMIT, chosen.own_ratio / _PLAINLY_BETTER)
    closer = [outcome for outcome in others if _tells(outcome) and outcome.ratio <= most]
    return _best(closer) if closer else None


def _departing(
    trials: Trials, outcomes: Iterable[Outcome], departures: Iterable[Solving]
) -> list[Outcome]:
    return [
        trials.reference(reading)
        for departing in departures
        for outcome in outcomes
        for reading in departing(outcome.reading)
        if trials.is_hopeful(reading)
    ]


def _best(outcomes: Sequence[Outcome]) -> Outcome:
    """The first in order of likelihood, unless another fits plainly better."""
    return min(outcomes, key=_rank)


def _rank(outcome: Outcome) -> float:
    return max(outcome.ratio, ACCURATE_LIMIT / 2)


def _ratio(outcome: Outcome) -> float:
    return outcome.ratio
