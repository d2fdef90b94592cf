"""Random cases on which the rule that judges is known to accuse a right kernel: they are rejected.

Each is a gap in `judge` or `certify` that the right kernels brought to light, not in a kernel. The
catalogue has no such case. Where a gap is closed its line here goes.
"""

from __future__ import annotations

import numpy as np

from conformance.case import Case
from conformance.judge import limit
from conformance.operations import OPERATIONS
from conformance.precision import PRECISIONS

_NEAR_ZERO = frozenset({"underflow", "flush-to-zero"})


def why_not(case: Case) -> str | None:
    """Why the case cannot be graded, or None if it can."""
    question = case.question
    keys = set(question.expected)
    if "overflow" in keys and keys & _NEAR_ZERO:
        return "two policies in one answer: only one may explain it"
    if "overflow" in keys and case.attributes.get("activation", "identity") != "identity":
        return "beta is looked for in y, and the activation of beta stands there"
    if case.epsilon == 0 and OPERATIONS[case.operation].reduces and _vanishes(case):
        return "a variance below 2**-1074: that it may be taken for 0 is not noticed"
    if not keys & _NEAR_ZERO and any(_is_subnormal(case, name) for name in case.inputs):
        return "a subnormal input: that it may be taken for 0 is not noticed"
    if "dy" in case.inputs and "overflow" not in keys and _overflows_otherwise(case):
        return "another order of the gradient's operations: that it overflows is not noticed"
    for name, reference in question.expected["reference"].items():
        precision = question.precision_of(name)
        value, scale = np.abs(reference.value), reference.scale
        if case.operation != "train" and np.isnan(value).any():
            return "0/0: what is left of the mean's rounding error is a policy of train alone"
        if (value[np.isfinite(value)] > precision.largest).any():
            return "a value is too large for its dtype: an infinity is right"
        unit = precision.working.unit_roundoff * limit(question.values_per_channel)
        if (scale[np.isfinite(value)] * unit > precision.working.largest).any():
            return "a rounding error, squared, is too large: an infinity is right"
    return None


def _vanishes(case: Case) -> bool:
    """Whether the variance of a channel that is not constant is too small for binary64."""
    if case.operation == "grad-infer":
        return False
    x = np.moveaxis(np.asarray(case.inputs["x"], np.float64), case.channel_axis, -1)
    x = x @ np.asarray(case.inputs["w"], np.float64) if "w" in case.inputs else x
    rows = x.reshape(-1, x.shape[-1])
    with np.errstate(all="ignore"):
        return bool(np.any((rows.var(axis=0) == 0) & (rows.min(axis=0) < rows.max(axis=0))))


def _overflows_otherwise(case: Case) -> bool:
    """Whether a sum of dy * (x - mean), or of gamma * dy / s, is too large for the working format."""
    named = {name: np.asarray(a, np.float64) for name, a in case.inputs.items()}
    x, dy = (np.moveaxis(named[name], case.channel_axis, -1) for name in ("x", "dy"))
    axes = tuple(range(x.ndim - 1))
    with np.errstate(all="ignore"):
        mean, var = (named.get("mean", x.mean(axis=axes)), named.get("var", x.var(axis=axes)))
        before = np.abs(dy * (x - mean)).sum(axis=axes)
        after = np.abs(named["gamma"] * dy / np.sqrt(var + case.epsilon)).sum(axis=axes)
        largest = PRECISIONS[case.dtype].working.largest
        return not bool(np.all((before <= largest) & (after <= largest)))


def _is_subnormal(case: Case, tensor: str) -> bool:
    """Whether a tensor holds a subnormal number of the working format."""
    sizes = np.abs(np.asarray(case.inputs[tensor], np.float64))
    smallest = PRECISIONS[case.dtype].working.smallest_normal
    return bool(np.any((sizes > 0) & (sizes < smallest)))
