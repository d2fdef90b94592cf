"""What the source would do, exactly, and how far rounding may take any layer that does the same.

The formulas of the suite, evaluated in its running error analysis through several steps of training:
the errors of one step go on into the next. Values are computed with eleven bits or more to spare.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from conformance.alternatives import unbiased_moments
from conformance.arithmetic import rounding
from conformance.errors import UserError
from conformance.formula import grad, grad_infer, infer, moments, train, update_once
from conformance.judge import Expectation, denominator, limit
from conformance.precision import PRECISIONS
from conformance.recipes.data import LEARNING_RATE, Batch, Kind
from conformance.recipes.layer import ROLES, State

Outputs = dict[str, list[Any]]
"""What each name of QUANTITIES came to, once or in each step."""

QUANTITIES = {
    "y-infer": "y in inference, right after conversion",
    "dx-infer": "its dx",
    "dgamma-infer": "its dgamma",
    "dbeta-infer": "its dbeta",
    "y": "y in training",
    "dx": "dx",
    "dgamma": "dgamma",
    "dbeta": "dbeta",
    "running_mean": "running mean",
    "running_var": "running variance",
    "y-later": "y in inference after that training",
}


def exact(state: State, unbiased: bool, batches: Sequence[Batch], kind: Kind) -> Outputs:
    """Expectations of all quantities where a layer with this state is followed: inference on the
    first batch, a step of training on each, and inference on the last.

    Raises UserError on a machine where NumPy has no wider format than float64, if that is due.
    """
    precision = PRECISIONS[kind.dtype]
    wide: Any = np.float64 if kind.dtype == "float32" else np.longdouble
    if np.finfo(wide).nmant < precision.digits + 10:
        raise UserError("recipes in float64 need a machine whose long double has 64 bits or more")
    u = precision.unit_roundoff
    model = rounding.Model(u, limit(kind.values) * u)

    def enter(array: Any) -> Any:
        return rounding.Rounded.exact(model, np.asarray(array, dtype=wide))

    def convert(number: float) -> Any:
        return rounding.Rounded.converted(model, np.asarray(number, dtype=wide))

    entered = {role: enter(getattr(state, role)) for role in ROLES}
    rounded = [Batch(enter(batch.x), enter(batch.dy)) for batch in batches]
    outputs = _follow(
        rounding,
        entered,
        convert(state.epsilon),
        convert(state.rate),
        state.batches,
        unbiased_moments if unbiased else moments,
        rounded,
    )
    return {name: [Expectation(one.value, one.error) for one in outputs[name]] for name in outputs}


def _follow(
    xp: Any,
    state: dict[str, Any],
    epsilon: Any,
    rate: Any,
    counted: int | None,
    moments: Any,
    batches: Sequence[Batch],
) -> Outputs:
    found: Outputs = {name: [] for name in QUANTITIES}
    gamma, beta, mean, var = state.values()
    parameters = (mean, var, gamma, beta, epsilon)
    found["y-infer"].append(infer(xp, batches[0].x, *parameters)["y"])
    for name, gradient in grad_infer(xp, batches[0].x, *parameters, batches[0].dy).items():
        found[f"{name}-infer"].append(gradient)
    weight = partial(_weight, rate)
    for k, batch in enumerate(batches, 1):
        found["y"].append(train(xp, batch.x, gamma, beta, epsilon)["y"])
        gradients = grad(xp, batch.x, gamma, beta, epsilon, batch.dy)
        share = rate if counted is None else rate / weight(counted + k)
        mean, var = update_once(xp, batch.x, mean, var, share, moments)
        for name, output in {**gradients, "running_mean": mean, "running_var": var}.items():
            found[name].append(output)
        gamma = gamma - LEARNING_RATE * gradients["dgamma"]
        beta = beta - LEARNING_RATE * gradients["dbeta"]
    later = infer(xp, batches[-1].x, mean, var, gamma, beta, epsilon)
    found["y-later"].append(later["y"])
    return found


def _weight(rate: Any, batches: int) -> Any:
    """1 - (1 - rate)**batches: what so many batches weigh together."""
    weight = rate
    for _ in range(batches - 1):
        weight = (1 - rate) * weight + rate
    return weight


def ratios(got: Outputs, expected: Outputs, kind: Kind) -> dict[str, float]:
    """The largest test ratio of each quantity that was given, over all steps and elements."""
    return {
        name: max(_ratio(a, b, kind) for a, b in zip(got[name], expected[name], strict=True))
        for name in QUANTITIES
        if got[name]
    }


def _ratio(got: np.ndarray, expectation: Expectation, kind: Kind) -> float:
    if got.shape != expectation.value.shape:
        return float("inf")
    value, scale = (a.astype(np.float64) for a in (expectation.value, expectation.scale))
    with np.errstate(invalid="ignore", over="ignore"):
        ratio = np.abs(got - expectation.value) / denominator(
            Expectation(value, scale), PRECISIONS[kind.dtype]
        )
    return float(np.max(np.where(np.isnan(ratio), np.inf, ratio)))


def limit_of(name: str, kind: Kind) -> float:
    """The largest ratio of `name` that rounding explains."""
    return limit(1 if name in ("y-infer", "dx-infer") else kind.values)
