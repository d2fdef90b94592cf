"""Running error analysis: every value carries the rounding error that may have gone into it.

Wilkinson 1986, "Error analysis revisited" (IMA Bulletin 22); Higham 2002, "Accuracy and Stability
of Numerical Algorithms", section 3.3. Errors are counted in units of the unit roundoff u, so that
`error` of a formula's output is the scale of error that rounding causes on this very input.

Two additions to the first-order rules keep the bound true where they are not:
- an operation may be off by up to `reach` (a small multiple of u), and products of two errors count
  with it: the variance of a constant column is the square of the error of its mean;
- every value carries a `floor` that rounding cannot take it below (a mean of squares is not
  negative), so that a denominator stays away from zero where the formula keeps it away.

Values and errors are arrays of anything that has Python's operators, `sqrt` and comparisons:
float64, or `flint.arb` for results that are the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Model:
    """How an operation rounds.

    unit_roundoff: u, the largest relative error of one rounding to nearest.
    reach: the largest relative error of one operation that is followed, a multiple of u.
    smallest_normal: below it errors are absolute; 0 for numbers without a smallest.
    flush: results and inputs below the smallest normal number may be taken for zero.
    unstable: a denominator may come out as small as its error allows, or zero, and what is under a
        root negative. In a two-pass variance neither happens: the error of the mean only adds to it.
    """

    unit_roundoff: float
    reach: float
    smallest_normal: float = 0.0
    flush: bool = False
    unstable: bool = False

    @property
    def underflow(self) -> float:
        """The least error of an operation, in units of u."""
        return self.smallest_normal / (self.unit_roundoff if self.flush else 1.0)


class Rounded:
    """An array that knows its accumulated rounding error, its floor, and its largest intermediate."""

    __array_ufunc__ = None

    def __init__(self, model: Model, value: Any, error: Any, floor: Any, peak: Any) -> None:
        self.model, self.value, self.error = model, value, error
        self.floor, self.peak = floor, peak

    @classmethod
    def exact(cls, model: Model, value: Any) -> Rounded:
        """A tensor that comes in as it is."""
        if not model.flush:
            return cls(model, value, value * 0, value, abs(value))
        kept = abs(value) >= model.smallest_normal
        error = np.where(kept, 0, abs(value) / model.unit_roundoff)
        return cls(model, value, error, np.where(kept, value, 0), abs(value))

    @classmethod
    def narrowed(cls, model: Model, value: Any) -> Rounded:
        """A tensor that is rounded to a narrower precision on the way in."""
        error = _largest(abs(value), model.underflow)
        return cls(model, value, error, value - model.reach * error, abs(value))

    @classmethod
    def converted(cls, model: Model, value: Any) -> Rounded:
        """A number that is rounded to the working precision on the way in, and is not negative."""
        error = _largest(abs(value), model.underflow)
        return cls(model, value, error, _largest(value - model.reach * error, 0), abs(value))

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    @property
    def ndim(self) -> int:
        return np.ndim(self.value)

    def __getitem__(self, places: slice | tuple[np.ndarray, ...]) -> Rounded:
        parts = (self.value, self.error, self.floor, self.peak)
        return Rounded(self.model, *(np.broadcast_to(part, self.shape)[places] for part in parts))

    def _result(self, value: Any, carried: Any, floor: Any, *operands: Rounded) -> Rounded:
        peak = abs(value)
        for operand in operands:
            peak = _largest(peak, operand.peak)
        error = carried + _largest(abs(value), self.model.underflow)
        return Rounded(self.model, value, error, floor, peak)

    def _operand(self, other: Any) -> Rounded:
        return other if isinstance(other, Rounded) else Rounded.exact(self.model, np.asarray(other))

    def __add__(self, other: Any) -> Rounded:
        a, b = self, self._operand(other)
        return a._result(a.value + b.value, a.error + b.error, a.floor + b.floor, a, b)

    def __sub__(self, other: Any) -> Rounded:
        a, b = self, self._operand(other)
        value = a.value - b.value
        return a._result(value, a.error + b.error, _unbounded(value), a, b)

    def __mul__(self, other: Any) -> Rounded:
        a, b = self, self._operand(other)
        value = a.value * b.value
        return a._result(value, _error_of_product(a, b), _floor_of_product(a, b), a, b)

    def __truediv__(self, other: Any) -> Rounded:
        a, b = self, self._operand(other)
        value = a.value / b.value
        smallest = abs(b.value)
        if a.model.unstable:
            smallest = _largest(smallest - a.model.reach * b.error, b.floor)
        carried = (a.error + abs(value) * b.error) / _where_positive(smallest)
        carried = np.where(smallest > 0, carried, np.inf)
        return a._result(value, carried, _floor_of_product(a, b), a, b)

    def __matmul__(self, other: Rounded) -> Rounded:
        """Each sum of products rounds once for the products and once for the sum of magnitudes."""
        value = self.value @ other.value
        magnitude = abs(self.value) @ abs(other.value)
        carried = abs(self.value) @ other.error + self.error @ abs(other.value) + 2 * magnitude
        result = self._result(value, carried, _unbounded(value))
        result.peak = magnitude
        return result

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> Rounded:
        return self._operand(other) - self

    def __rtruediv__(self, other: Any) -> Rounded:
        return self._operand(other) / self


def sum(a: Rounded, axis: tuple[int, ...]) -> Rounded:
    """Rounds once for the sum of magnitudes, however it is ordered."""
    value = np.sum(a.value, axis=axis)
    magnitude = np.sum(abs(a.value), axis=axis)
    floor = np.sum(np.broadcast_to(a.floor, a.shape), axis=axis)
    peak = _largest(np.max(np.broadcast_to(a.peak, a.shape), axis=axis, initial=0), magnitude)
    return Rounded(a.model, value, np.sum(a.error, axis=axis) + magnitude, floor, peak)


def mean(a: Rounded, axis: tuple[int, ...]) -> Rounded:
    """A sum, and a division by the count."""
    total = sum(a, axis)
    count = np.size(a.value) // max(np.size(total.value), 1)
    return total / count if count else Rounded.exact(a.model, np.full(total.shape, np.nan))


def square(a: Rounded) -> Rounded:
    value = a.value * a.value
    return a._result(value, _error_of_product(a, a), value * 0, a)


def sqrt(a: Rounded) -> Rounded:
    value = np.sqrt(a.value)
    reach = a.model.reach
    lowest = _largest(a.value - reach * a.error, a.floor)
    lowest_root = np.sqrt(np.where(lowest > 0, lowest, 0) + value * 0)
    up = (np.sqrt(a.value + reach * a.error) - value) / reach
    down = (value - lowest_root) / reach
    carried = _largest(up, down)
    if a.model.unstable:
        carried = np.where(lowest >= 0, carried, np.inf)
    return a._result(value, carried, lowest_root, a)


def maximum(a: Rounded, bound: float) -> Rounded:
    return Rounded(a.model, _largest(a.value, bound), a.error, _largest(a.floor, bound), a.peak)


def float32(a: Rounded) -> Rounded:
    """A number that is kept as a float32 one."""
    value = np.asarray(a.value)
    narrow = np.vectorize(lambda v: v * 0 + float(np.float32(float(v))), otypes=[value.dtype])
    return Rounded.converted(a.model, narrow(value))


def tanh(a: Rounded) -> Rounded:
    value = np.tanh(a.value)
    return a._result(value, _spread(np.tanh, a), value * 0 - 1, a)


def exp(a: Rounded) -> Rounded:
    value = np.exp(a.value)
    return a._result(value, _spread(np.exp, a), value * 0, a)


def _spread(function: Any, a: Rounded) -> Any:
    """How far an increasing function goes from its value, within the reach of its argument's error."""
    value, reach = function(a.value), a.model.reach
    up = function(a.value + reach * a.error) - value
    down = value - function(a.value - reach * a.error)
    return _largest(up, down) / reach


def _error_of_product(a: Rounded, b: Rounded) -> Any:
    second_order = a.model.reach * a.error * b.error
    return abs(a.value) * b.error + abs(b.value) * a.error + second_order


def _floor_of_product(a: Rounded, b: Rounded) -> Any:
    """Neither a product nor a quotient of numbers that are not negative can be."""
    return np.where((a.floor >= 0) & (b.floor >= 0), 0.0, -np.inf)


def _largest(a: Any, b: Any) -> Any:
    return np.maximum(a, b)


def _where_positive(a: Any) -> Any:
    return np.where(a > 0, a, 1)


def _unbounded(value: Any) -> Any:
    return np.full(np.shape(value), -np.inf)
