"""Values in wider floating-point numbers than the tensors': not proved, and quick on large tensors.

float64 for what is computed in float32, `numpy.longdouble` for float64 where it is wider. How far
off a value is follows from the running error analysis itself: at most log2(m) + 3 roundings of m
values summed in pairs, so `Extended.margin` times that in the test ratio. That is 2**-29 for float32
in float64, and 2**-11 for float64 in the 64-bit significands of x86.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.precision import Precision


class Extended:
    """The arithmetic in one format, as a namespace; `conformance.arithmetic.balls` has the same functions."""

    MOST_VALUES = np.inf
    sqrt = staticmethod(np.sqrt)
    square = staticmethod(np.square)
    maximum = staticmethod(np.maximum)
    sum = staticmethod(np.sum)

    def __init__(self, dtype: Any, precision: Precision) -> None:
        self.dtype = np.dtype(dtype)
        self.margin = float(np.finfo(self.dtype).eps) / 2 / precision.working.unit_roundoff

    def array(self, numbers: Any) -> np.ndarray:
        """Each channel's values (first axis) together in memory: NumPy then sums them in pairs."""
        return np.array(numbers, dtype=self.dtype, order="F")

    def mean(self, a: Any, axis: tuple[int, ...]) -> Any:
        """Around the first row, so that the mean of equal values is exact."""
        first = a[(0,) * len(axis)]
        return np.mean(a - first, axis=axis) + first

    def float32(self, a: Any) -> Any:
        return np.asarray(a).astype(np.float32).astype(self.dtype)

    def midpoint(self, values: Any) -> np.ndarray:
        return np.asarray(values).astype(np.float64)

    def nearest(self, values: Any, magnitude: np.ndarray) -> np.ndarray:
        """As float64; NaN where the formula has no finite value."""
        value = self.midpoint(values)
        return np.where(np.isfinite(value), value, np.nan)

    @staticmethod
    def short(scale: np.ndarray) -> np.ndarray:
        return scale


def wider_than(precision: Precision) -> Extended | None:
    """The arithmetic for tensors of a precision; None where this machine has no wider numbers."""
    if precision.working.digits < np.finfo(np.float64).nmant:
        return Extended(np.float64, precision)
    if np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant:
        return Extended(np.longdouble, precision)
    return None
