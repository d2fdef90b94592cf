"""The kernels that are known to be right, and the columns that some of them cannot be asked.

A long column of few different values makes the roundings of a sum that goes over it one number after
another all go the same way, so that the error grows with the number of values and not with its root
(`judge.limit`). Kernels that sum so are not asked such a column; how far a plain sum of it is off
says which are.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.implementations.base import Implementation
from conformance.precision import PRECISIONS

_WHERE = "conformance.proof.right"
_SUM_IN_TREES_OR_WITH_CARE = frozenset(
    f"right-{name}"
    for name in (
        "pairwise",
        "standardized-first",
        "kahan",
        "neumaier",
        "fsum",
        "float64",
        "longdouble",
    )
)
_LONG = 100
"""Values per channel; below, the roundings of such a sum stay within the limit of 4 or sqrt(m)."""


def kernels() -> list[Implementation]:
    found: Any = importlib.import_module(_WHERE).RIGHT
    return [kernel() for kernel in found]


def is_asked(kernel: Implementation, case: Case) -> bool:
    if kernel.name in _SUM_IN_TREES_OR_WITH_CARE or case.question.values_per_channel <= _LONG:
        return True
    return not drifts(case)


def drifts(case: Case) -> bool:
    """Whether a sum that the formulas have is off by more than a quarter of the root of its length,
    in units of the unit roundoff and of the sum of magnitudes, if it is made one after another."""
    working = PRECISIONS[case.dtype].working
    for terms in _summed(case):
        with np.errstate(over="ignore"):
            plain = np.cumsum(terms.astype(working.dtype), dtype=working.dtype)[-1]
        magnitude = working.unit_roundoff * math.fsum(np.abs(terms))
        if abs(float(plain) - math.fsum(terms)) > magnitude * math.sqrt(len(terms)) / 4:
            return True
    return False


def _summed(case: Case) -> Iterator[np.ndarray]:
    """What the formulas sum, channel by channel: float64 arrays (m,) of numbers of the working format."""
    tensors = {
        name: np.moveaxis(np.asarray(case.inputs[name], np.float64), case.channel_axis, -1)
        for name in ("x", "dy")
        if name in case.inputs
    }
    dtype = PRECISIONS[case.dtype].working.dtype
    for channel in range(case.inputs["x"].shape[case.channel_axis]):
        x, *dy = (tensor[..., channel].reshape(-1) for tensor in tensors.values())
        with np.errstate(all="ignore"):
            given = case.operation == "grad-infer"
            mean = np.asarray(case.inputs["mean"])[channel] if given else x.mean()
            var = np.asarray(case.inputs["var"])[channel] if given else x.var()
            mean, var = float(mean), float(var)
            normalized = (x - mean) / np.sqrt(var + case.epsilon)
            all_terms = [x, np.square(x - mean), *dy, *(upstream * normalized for upstream in dy)]
            all_rounded = [terms.astype(dtype).astype(np.float64) for terms in all_terms]
        yield from (terms for terms in all_rounded if np.isfinite(terms).all())
