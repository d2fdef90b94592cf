"""Random cases on which the rule that judges is known to accuse a right kernel: they are rejected.

Each is a gap in `judge` or `certify` that the right kernels brought to light, not in a kernel. The
catalogue has no such case. Where a gap is closed its line here goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.judge import limit

_NEAR_ZERO = frozenset({"underflow", "flush-to-zero"})


def is_readable(record: Mapping[str, Any]) -> bool:
    """Whether the record holds no number from 2**1023 on, which the reader of case files refuses."""
    return not any(
        isinstance(number, float) and abs(number) >= 2.0**1023
        for outputs in record["expected"].values()
        for pair in outputs.values()
        for numbers in pair.values()
        for number in numbers
    )


def why_not(case: Case) -> str | None:
    """Why the case cannot be graded, or None if it can."""
    question = case.question
    keys = set(question.expected)
    if "overflow" in keys and keys & _NEAR_ZERO:
        return "two policies in one answer: only one may explain it"
    if "overflow" in keys and case.attributes.get("activation", "identity") != "identity":
        return "beta is looked for in y, and the activation of beta stands there"
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
