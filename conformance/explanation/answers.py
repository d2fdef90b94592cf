"""The findings on what was handed in: y and y2, the running statistics, the gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from conformance.explanation import advice, bases, defaults, departures, solve
from conformance.explanation.diagnosis import diagnose
from conformance.explanation.findings import Explanation, Finding, listed, number, worst_first
from conformance.explanation.given import Given
from conformance.explanation.reading import Departure, Reading
from conformance.explanation.search import Found, conforms, explains, search
from conformance.explanation.telling import CANCELS, finding, ratios
from conformance.explanation.trial import Trials
from conformance.explanation.whole import worst_places
from conformance.judge import CONFORMS, WRONG

_GRADIENTS = ("dx", "dgamma", "dbeta")


@np.errstate(all="ignore")
def explanation_of(given: Given) -> Explanation:
    findings: list[Finding] = []
    forward: dict[str, Found] = {}
    for name in ("y", "y2"):
        if name in given:
            forward[name] = _forward(given, name, forward.get("y"))
            findings.append(_told(name, forward[name], given))
    if "mean_after" in given or "var_after" in given:
        findings.append(_running(given))
    if any(name in given for name in _GRADIENTS):
        findings.append(_gradients(given))
    notes = [*given.notes, *_assumed(given, forward)]
    if len(forward) == 2:
        notes.insert(0, _compared(given, findings))
    return worst_first(findings, tuple(notes))


def _forward(given: Given, name: str, other: Found | None) -> Found:
    trials = Trials({"y": given[name]})
    readings = bases.forward(given, name)
    if other is not None:  # what explains y is the first thing to try on y2
        readings.sort(key=lambda r: (r.axis, r.epsilon) != _choice(other.outcome.reading))
    found = _searched(given, trials, readings)
    for _ in range(2):
        reading = found.outcome.reading
        if not conforms(found.outcome) or not _is_sampled(found):
            break
        trials.urgent[reading.axis] = worst_places(reading, given[name])
        again = trials.reference(reading)
        if conforms(again):
            return replace(
                found, outcome=again, said=again if found.said is found.outcome else found.said
            )
        found = _searched(given, trials, readings)
    return found


def _choice(reading: Reading) -> tuple[int, float]:
    return reading.axis, reading.epsilon


def _is_sampled(found: Found) -> bool:
    sample, reading = found.outcome.sample, found.outcome.reading
    return sample.size < reading.tensors["x"].size


def _searched(given: Given, trials: Trials, readings: list[Reading]) -> Found:
    def solved(reading: Reading) -> Iterator[Reading]:
        if "y" not in trials.outputs:
            return
        for epsilon in solve.epsilons(reading, trials.outputs["y"], trials.sample(reading)):
            if given.epsilon is None:
                yield replace(reading, epsilon=epsilon)
            else:
                yield from departures.with_epsilon(reading, epsilon, " (solved from the data)")

    return search(trials, readings, departures.of(given, trials.outputs), solved)


def _told(name: str, found: Found, given: Given) -> Finding:
    told = finding(name, found)
    if not found.is_explained:
        lines = diagnose(found.outcome, given[name])
        told = replace(told, details=(*lines, *told.details))
    return told


def _gradients(given: Given) -> Finding:
    names = [name for name in _GRADIENTS if name in given]
    trials = Trials({name: given[name] for name in names})
    found = _searched(given, trials, bases.gradients(given, names))
    return finding(" and ".join(names), found, plural=len(names) > 1)


def _running(given: Given) -> Finding:
    outputs = {
        f"running_{kind}": given[f"{kind}_after"]
        for kind in ("mean", "var")
        if f"{kind}_after" in given
    }
    trials = Trials(outputs)
    intended = intended_rate(given)
    found = _updated(given, trials, intended)
    told = finding("the running statistics", found, plural=True)
    judgement = found.outcome.judgement
    values = len(found.outcome.reading.matrix(given["x"]))
    if judgement.name != "unbiased-running-variance":
        return told
    if not found.outcome.reading.departures and values > 1:
        factor = f"n/(n-1) = {values / (values - 1):.6g} of the population variance, n = {values:,}"
        told = replace(
            told,
            sentence=f"the running variance is unbiased: it averages {factor} "
            f"({ratios(found.outcome, found.said)}).",
        )
    return replace(told, advice=(*told.advice, *advice.unbiased(values)))


def intended_rate(given: Given) -> float | None:
    """The weight of the new batch that was meant: of momentum and 1 - momentum it is the smaller."""
    if given.rate is not None:
        return given.rate
    return None if given.momentum is None else min(given.momentum, 1 - given.momentum)


def _updated(given: Given, trials: Trials, intended: float | None) -> Found:
    """The running statistics as was said, then with any weight that the running mean says."""
    if intended is not None:
        outcomes = [trials.everything(reading) for reading in bases.updates(given, (intended,))]
        for outcome in outcomes:
            if explains(outcome):
                return Found(outcome, outcome)
    else:
        outcomes = [trials.everything(r) for r in bases.updates(given, (0.1,))]
    said = min(outcomes, key=lambda outcome: outcome.ratio)
    tried = []
    mean_first = {k: a for k, a in trials.outputs.items() if k == "running_mean"} or trials.outputs
    by_mean = Trials(mean_first)
    for base in (outcome.reading for outcome in outcomes):
        for reading in _other_rates(given, by_mean, base, intended):
            if explains(by_mean.definitions(reading)):
                outcome = trials.everything(reading)
                if explains(outcome):
                    return Found(
                        outcome, outcome if intended is None and not reading.departures else said
                    )
                tried.append(outcome)
    return Found(min((*tried, said), key=lambda outcome: outcome.ratio), said)


def _other_rates(
    given: Given, trials: Trials, base: Reading, intended: float | None
) -> Iterator[Reading]:
    known = defaults.rates()
    if intended is not None:
        known = tuple(1 - (1 - intended) ** times for times in (2, 3)) + known
    for rate in dict.fromkeys((*known, *solve.rates(base, trials.outputs, trials.sample(base)))):
        if intended is None:
            if rate <= 0.5:
                yield replace(base, rate=rate)
                continue
            departure = Departure(
                "rate",
                "momentum-inverted",
                WRONG,
                f"weight {rate:g} for the new batch",
                f"the small weight {1 - rate:g} that is usual",
            )
            yield replace(base, rate=1 - rate).departing(departure, rate=rate) or base
            continue
        times = next((k for k in (2, 3) if rate == 1 - (1 - intended) ** k), 0)
        name = "updated-more-than-once" if times else f"rate-{rate:g}"
        does = f"weight {rate:g} for the new batch" + (
            f", as after {times} updates by it" if times else ""
        )
        departure = Departure("rate", name, WRONG, does, f"{intended:g}")
        yield base.departing(departure, rate=rate) or base


def _assumed(given: Given, forward: Mapping[str, Found]) -> Iterator[str]:
    missing = [name for name in ("gamma", "beta") if name not in given]
    if forward and missing:
        values = " and ".join(f"{name} for {1 if name == 'gamma' else 0}" for name in missing)
        yield f"Not given and taken: {values}."
    running = any(name in given for name in ("mean_after", "var_after"))
    if running and not any(n in given for n in ("mean_before", "var_before", "mean", "var")):
        yield "Running statistics from before the step are not given: 0 and 1 were taken."


def _compared(given: Given, findings: list[Finding]) -> str:
    y, y2 = (given[name].astype(np.float64) for name in ("y", "y2"))
    first, second = (next(f for f in findings if f.subject == name) for name in ("y", "y2"))
    with np.errstate(all="ignore"):
        difference = np.abs(y - y2)
        largest = float(np.nanmax(difference)) if np.isfinite(difference).any() else float("nan")
    by = f"y2 differs from y by at most {largest:.2g}"
    same_value = [f.verdict == CONFORMS or f.name in CANCELS for f in (first, second)]
    ratios_of = f"ratios {number(first.ratio)} and {number(second.ratio)}"
    if first.verdict == second.verdict == CONFORMS:
        return f"{by}, by rounding alone: both conform ({ratios_of})."
    if all(same_value):
        losing = listed([f"{f.subject} is {f.name}" for f in (first, second) if f.name in CANCELS])
        return f"{by}, by rounding alone: one formula, of which {losing} ({ratios_of})."
    if first.name == second.name:
        return f"{by}; both have the same explanation."
    return f"{by}: y is {first.name}, y2 is {second.name}."
