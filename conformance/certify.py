"""Certified expected values and their scales: the formulas in balls and in rounding (needs python-flint).

A policy here is an answer that is acceptable where the formula leaves the working precision's
range or has no finite value; the named alternatives of `conformance.formula` are the other answers.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.arithmetic import balls, rounding
from conformance.formula import ALTERNATIVES, REFERENCE, Outputs
from conformance.judge import INACCURATE, POLICY, Expectation, Named, denominator, limit
from conformance.precision import Precision

Expected = dict[str, dict[str, Expectation]]

POLICIES = (
    Named(
        "overflow",
        "overflow",
        POLICY,
        "an intermediate is larger than the largest number: NaN, an infinity or beta is answered",
    ),
    Named(
        "underflow",
        "underflow",
        POLICY,
        "epsilon or an intermediate is subnormal, and was rounded as coarsely as those are",
    ),
    Named(
        "flush-to-zero",
        "flush-to-zero",
        POLICY,
        "epsilon or an intermediate is subnormal, and was taken for zero",
    ),
    Named(
        "roundoff",
        "roundoff",
        POLICY,
        "zero variance and epsilon 0: the rounding error of the mean was normalized",
    ),
)

_BITS = (256, 512, 1024, 2048, 4096)
_UPWARD = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)


def expected(
    operation: str, precision: Precision, inputs: Mapping[str, np.ndarray], epsilon: float
) -> Expected:
    """The reference's outputs, and those of every alternative and policy that differs, by key.

    `inputs` are float64 arrays in the order of the operation's arguments, channels last:
    x (..., C), the others (C,). Outputs have the same shapes.
    Raises `balls.Uncertain` where 4096 bits do not fix a value.
    """
    for bits in _BITS:
        try:
            with balls.working_precision(bits):
                return _expected(operation, precision, inputs, epsilon)
        except balls.Uncertain:
            if bits == _BITS[-1]:
                raise
    raise AssertionError("unreachable")


def _expected(
    operation: str, precision: Precision, inputs: Mapping[str, np.ndarray], epsilon: float
) -> Expected:
    u = precision.unit_roundoff
    values = _values_per_channel(operation, inputs["x"])
    most = limit(values)
    exact = {name: balls.array(array) for name, array in inputs.items()}

    def evaluate(formula: Callable[..., Outputs], **how: Any) -> Any:
        model = rounding.Model(u, most * u, **how)
        certain = formula(balls, *exact.values(), balls.array(epsilon))
        tensors = (rounding.Rounded.exact(model, array) for array in exact.values())
        eps = rounding.Rounded.converted(model, balls.array(epsilon))
        rounded = formula(rounding, *tensors, eps)
        return {name: _expectation(certain[name], rounded[name]) for name in certain}, rounded

    formula = REFERENCE[operation]
    reference, rounded = evaluate(formula)
    found: Expected = {"reference": reference}

    overflow = _overflow(reference, rounded, precision)
    if overflow:
        found["overflow"] = overflow
    if _may_underflow(inputs, reference, epsilon, precision):
        for key, flush in (("underflow", False), ("flush-to-zero", True)):
            outputs, _ = evaluate(
                formula, smallest_normal=precision.smallest_normal, flush=flush, unstable=True
            )
            if _less_exact(outputs, reference):
                found[key] = outputs
    if operation == "train" and values > 1 and np.isnan(reference["y"].value).any():
        found["roundoff"] = _roundoff(reference, inputs, precision)

    for alternative in ALTERNATIVES:
        if operation not in alternative.operations:
            continue
        same_value = alternative.verdict == INACCURATE
        outputs, _ = evaluate(alternative.operations[operation], unstable=same_value)
        differs = _less_exact(outputs, reference)
        if differs or (not same_value and _apart(outputs, reference, precision, most)):
            found[alternative.key] = outputs
    return found


def _values_per_channel(operation: str, x: np.ndarray) -> int:
    return int(np.prod(x.shape[:-1])) if operation == "train" else 1


def _expectation(certain: Any, rounded: rounding.Rounded) -> Expectation:
    scale = np.asarray(rounded.error, dtype=np.float64)
    scale = np.where(np.isnan(scale), np.inf, scale)
    value = balls.nearest(certain, scale)
    scale = np.where(np.isnan(value), np.inf, scale)
    return Expectation(value, np.vectorize(_rounded_up, otypes=[np.float64])(scale))


def _rounded_up(scale: float) -> float:
    """Three significant decimal digits: a scale needs no more, and files stay small."""
    return float(_UPWARD.create_decimal_from_float(scale)) if np.isfinite(scale) else scale


def _overflow(
    reference: Mapping[str, Expectation],
    rounded: Mapping[str, rounding.Rounded],
    precision: Precision,
) -> dict[str, Expectation] | None:
    """No finite value is required where an intermediate is larger than the format's largest number."""
    outputs, any_over = {}, False
    for name, expectation in reference.items():
        shape = expectation.value.shape
        over = np.asarray(
            np.broadcast_to(rounded[name].peak > precision.largest, shape), dtype=bool
        )
        any_over |= bool(over.any())
        outputs[name] = Expectation(
            np.where(over, np.nan, expectation.value), np.where(over, np.inf, expectation.scale)
        )
    return outputs if any_over else None


def _may_underflow(
    inputs: Mapping[str, np.ndarray],
    reference: Mapping[str, Expectation],
    epsilon: float,
    precision: Precision,
) -> bool:
    """Whether an output or what stands under the root lies where rounding is absolute."""
    least = precision.smallest_normal / precision.unit_roundoff
    var = reference["var"].value if "var" in reference else inputs["var"]
    values = [np.abs(expectation.value).reshape(-1) for expectation in reference.values()]
    sizes = np.concatenate([*values, np.abs(np.reshape(var + epsilon, -1))])
    return bool(np.any((sizes > 0) & (sizes < least)))


def _roundoff(
    reference: Mapping[str, Expectation], inputs: Mapping[str, np.ndarray], precision: Precision
) -> dict[str, Expectation]:
    """Zero variance and epsilon 0: the rounding error of the mean is all that is left to normalize.

    It comes out as one standard deviation: y within 2 |gamma| of beta, at a ratio of 4.
    """
    y = reference["y"]
    undefined = np.isnan(y.value)
    scale = np.abs(inputs["gamma"]) / (2 * precision.unit_roundoff)
    return {
        **reference,
        "y": Expectation(
            np.where(undefined, inputs["beta"], y.value), np.where(undefined, scale, y.scale)
        ),
    }


def _less_exact(outputs: Mapping[str, Expectation], reference: Mapping[str, Expectation]) -> bool:
    """Whether the same value comes with a scale more than twice as large somewhere."""
    return any(bool(np.any(outputs[name].scale > 2 * reference[name].scale)) for name in reference)


def _apart(
    outputs: Mapping[str, Expectation],
    reference: Mapping[str, Expectation],
    precision: Precision,
    most: float,
) -> bool:
    """Whether somewhere no output lies within the bounds of both formulas."""
    for name, expectation in reference.items():
        a, b = outputs[name], expectation
        reach = most * (denominator(a, precision) + denominator(b, precision))
        with np.errstate(invalid="ignore"):
            apart = np.abs(a.value - b.value) > reach
        if np.any(apart | (np.isnan(a.value) != np.isnan(b.value))):
            return True
    return False
