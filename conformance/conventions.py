"""The defaults of layers, which differ from library to library: as named formulas, and as declared.

A case with the attribute `layer` is put to a new layer as it comes, if the implementation has one;
the layer is held to what the implementation declares of it. Its inputs spell out the commonest
defaults (epsilon 1e-5, rate 0.1, statistics 0 and 1, gamma 1, beta 0), so that any other
implementation answers the same case as one like any other: told so, it is wrong to do otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from conformance.alternatives import Alternative, unbiased_moments
from conformance.case import Case
from conformance.formula import Outputs, infer, train, update, update_once
from conformance.implementations.base import Conventions, Implementation
from conformance.judge import CONVENTION, WRONG, Named, Question

EPSILON, RATE = 1e-5, 0.1
_EPSILONS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
_RATES = (0.5, 0.05, 0.01, 0.001)
_AFTER_ONE = "after-one-batch-rate-{:g}-{}-epsilon-{:g}"


_USUAL = Named(
    "commonest-defaults",
    "commonest-defaults",
    CONVENTION,
    "epsilon 1e-5, weight of the new batch 0.1, population variance, statistics of the layer",
)


def is_asked(implementation: Implementation, case: Case) -> bool:
    """Whether the case is put to a layer: something is declared of it, and a formula stands for that."""
    conventions, layer = implementation.conventions, case.attributes.get("layer")
    if layer is None or conventions is None or implementation.layer is None:
        return False
    if layer == "frozen" and conventions.frozen == "none":
        return False
    if case.operation == "update" or layer == "trained":
        if conventions.momentum is None:
            return False
    elif layer == "inference" and conventions.fresh == "raises":
        return True
    return key_of(conventions, case.operation, layer) in case.expected


def question_for(implementation: Implementation, case: Case) -> Question:
    """What an implementation is held to: the case's question, or that to its layer."""
    if not is_asked(implementation, case):
        return case.question
    assert implementation.conventions is not None
    return question_of(implementation.conventions, case)


def question_of(conventions: Conventions, case: Case) -> Question:
    """The case's question, with what the layer is declared to do in the place of the reference."""
    question, layer = case.question, case.attributes["layer"]
    if layer == "inference" and conventions.fresh == "raises":
        return replace(question, rejects=True)
    key = key_of(conventions, case.operation, layer)
    due: dict[str, str] = {}
    promoted: frozenset[str] = frozenset()
    if case.dtype in ("float16", "bfloat16"):
        update = case.operation == "update"
        kept = conventions.half_statistics if update else conventions.half_output
        due = dict.fromkeys(question.shapes, case.dtype if kept == "x" else kept)
        promoted = frozenset({kept} - {"x"})
    first = {"reference": question.expected[key], _USUAL.key: question.expected["reference"]}
    defaults = {a.key for a in ALTERNATIVES}
    others = {k: e for k, e in question.expected.items() if k != "reference"}
    expected = first | {k: e for k, e in others.items() if k in defaults} | others
    formulas = {**question.formulas, _USUAL.key: _USUAL} | {
        a.key: Named(a.key, a.name, CONVENTION, a.meaning) for a in ALTERNATIVES
    }
    return replace(question, expected=expected, formulas=formulas, due=due, promoted=promoted)


def key_of(conventions: Conventions, operation: str, layer: str) -> str:
    """The formula that the declaration says a layer follows where `operation` is asked of it."""
    if layer == "trained":
        parameters = (conventions.rate, conventions.running_variance, conventions.epsilon)
        return _AFTER_ONE.format(*parameters)
    normalizes = {
        "training": "batch-statistics",
        "inference": conventions.fresh,
        "frozen": conventions.frozen,
    }[layer]
    if operation == "update":
        if normalizes == "running-statistics":
            return "statistics-frozen"
        rate, unbiased = f"{conventions.rate:g}", conventions.running_variance == "unbiased"
        if rate == f"{RATE:g}":
            return "unbiased-running-variance" if unbiased else "reference"
        return f"rate-{rate}" + ("-unbiased" if unbiased else "")
    usual = "batch-statistics" if operation == "train" else "initial-statistics"
    parts: list[str] = [] if normalizes in (usual, "running-statistics") else [normalizes]
    parts += [] if conventions.epsilon == EPSILON else [f"epsilon-{conventions.epsilon:g}"]
    return "-".join(parts) or "reference"


def _by_the_batch(
    xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any
) -> Outputs:
    return {"y": train(xp, x, gamma, beta, epsilon)["y"]}


def _with_epsilon(formula: Any, other: float, xp: Any, *arguments: Any, **named: Any) -> Outputs:
    return formula(xp, *arguments, **{**named, "epsilon": 0 * named["epsilon"] + other})


def _with_rate(
    other: float, moments: dict[str, Any], xp: Any, x: Any, mean: Any, var: Any, rate: Any
) -> tuple[Any, Any]:
    return update_once(xp, x, mean, var, 0 * rate + other, **moments)


def _by_nothing(
    xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any
) -> Outputs:
    return infer(xp, x, 0 * mean, 0 * var, gamma, beta, epsilon)


def _after_one(
    rate: float, moments: dict[str, Any], other: float, xp: Any, x: Any, **named: Any
) -> Outputs:
    """Inference by the running statistics that begin with 0 and 1 and hold one batch."""
    zero = 0 * named["mean"]
    one = update_once(xp, x, zero, zero + 1, 0 * named["epsilon"] + rate, **moments)
    statistics = dict(zip(("mean", "var"), one, strict=True))
    return infer(xp, x, **{**named, **statistics, "epsilon": 0 * named["epsilon"] + other})


def _alternatives() -> list[Alternative]:
    found = [
        Alternative(
            f"epsilon-{other:g}",
            f"epsilon-{other:g}",
            WRONG,
            f"the default epsilon is {other:g}",
            {
                "train": partial(_with_epsilon, train, other),
                "infer": partial(_with_epsilon, infer, other),
            },
        )
        for other in _EPSILONS
    ]
    for suffix, moments in (("", {}), ("-unbiased", {"moments": unbiased_moments})):
        found += [
            Alternative(
                f"rate-{other:g}{suffix}",
                f"rate-{other:g}{suffix}",
                WRONG,
                f"the default weight of the new batch is {other:g}",
                {"update": partial(update, step=partial(_with_rate, other, moments))},
            )
            for other in _RATES
        ]
    for name, formula in (
        ("batch-statistics", _by_the_batch),
        ("zero-mean-and-variance", _by_nothing),
    ):
        for other in (EPSILON, *_EPSILONS):
            key = name + ("" if other == EPSILON else f"-epsilon-{other:g}")
            meaning = f"normalized by {name.replace('-', ' ')}, with epsilon {other:g}"
            steps = {"infer": partial(_with_epsilon, formula, other)}
            found.append(Alternative(key, name, WRONG, meaning, steps))
    for rate in (RATE, 0.01):
        for variance, moments in (("population", {}), ("unbiased", {"moments": unbiased_moments})):
            for other in (EPSILON, 1e-3):
                key = _AFTER_ONE.format(rate, variance, other)
                meaning = f"by 0 and 1 and one batch of weight {rate:g}, {variance} variance, epsilon {other:g}"
                steps = {"infer": partial(_after_one, rate, moments, other)}
                found.append(Alternative(key, key, WRONG, meaning, steps))
    kept = partial(update, step=partial(_with_rate, 1.0, {}))
    meaning = "the first batch's statistics are the running statistics: there is nothing to average"
    found.append(
        Alternative("first-batch-kept", "first-batch-kept", WRONG, meaning, {"update": kept})
    )
    return found


ALTERNATIVES = tuple(_alternatives())
