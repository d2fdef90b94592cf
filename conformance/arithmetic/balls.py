"""Ball arithmetic: arrays of intervals proved to hold the exact result (needs python-flint).

The namespace functions take object arrays of `flint.arb`
(Johansson 2017, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", section 2).
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from flint import arb, ctx

from conformance.precision import PRECISIONS

sqrt = np.sqrt
square = np.square
tanh = np.tanh
exp = np.exp

MOST_VALUES = 1500
"""A channel of more is to be collapsed to its distinct values."""

_UPWARD = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
_to_ball = np.frompyfunc(lambda number: arb(float(number)), 1, 1)
_larger = np.frompyfunc(lambda a, b: arb(a).max(arb(b)), 2, 1)
_single = np.frompyfunc(lambda ball: arb(float(np.float32(float(ball.mid())))), 1, 1)
_midpoint = np.frompyfunc(lambda ball: float(ball.mid()), 1, 1)
_radius = np.frompyfunc(lambda ball: float(ball.rad()), 1, 1)
_holds_zero = np.frompyfunc(lambda ball: bool(ball.contains(0)), 1, 1)


class Uncertain(ArithmeticError):
    """A ball is too wide to fix the nearest binary64 number; more bits are needed."""


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Evaluate balls with `bits` bits inside the block."""
    before, ctx.prec = ctx.prec, bits
    try:
        yield
    finally:
        ctx.prec = before


def array(numbers: Any) -> np.ndarray:
    """Exact balls of radius 0 for an array (any shape) of floating-point numbers."""
    return np.asarray(_to_ball(np.asarray(numbers, dtype=np.float64)), dtype=object)


def sum(a: Any, axis: tuple[int, ...]) -> Any:
    return np.sum(a, axis=axis) + arb(0)  # NumPy's sum of nothing is an int


def mean(a: Any, axis: tuple[int, ...]) -> Any:
    """The sum over the count; not a number where there is nothing to sum."""
    total = sum(a, axis)
    count = np.size(a) // max(np.size(total), 1)
    return total / count if count else total + arb("nan")


def maximum(a: Any, b: Any) -> Any:
    return _larger(a, b)


def float32(a: Any) -> Any:
    """The nearest float32 numbers to exact balls."""
    return _single(a)


def midpoint(balls: Any) -> np.ndarray:
    return np.asarray(_midpoint(balls), dtype=np.float64)


def radius(balls: Any) -> np.ndarray:
    return np.asarray(_radius(balls), dtype=np.float64)


def nearest(balls: Any, magnitude: np.ndarray) -> np.ndarray:
    """The binary64 number nearest to what each ball holds; NaN where the formula has no finite value.

    `magnitude` (float64, same shape) is the size of the terms that made each value: a ball that
    holds zero and whose radius is below 2**-150 of it is taken for the zero that cancellation left.
    Raises `Uncertain` where a radius is not below 2**-20 ulp of the value.
    """
    value = midpoint(balls)
    width = radius(balls)
    finite = np.isfinite(width) & np.isfinite(value)
    zero = np.asarray(_holds_zero(balls), dtype=bool) & (width <= 2.0**-150 * magnitude)
    sharp = width <= np.ldexp(PRECISIONS["float64"].ulp(np.where(finite, value, 0.0)), -20)
    if not np.all(zero | sharp | ~finite):
        raise Uncertain("a ball is wider than 2**-20 ulp of its midpoint")
    return np.where(finite, np.where(zero, 0.0, value), np.nan)


def short(scale: np.ndarray) -> np.ndarray:
    """Scales rounded up to three decimal digits: they need no more, and files stay small."""
    return np.vectorize(_rounded_up, otypes=[np.float64])(scale)


def _rounded_up(scale: float) -> float:
    return float(_UPWARD.create_decimal_from_float(scale)) if np.isfinite(scale) else scale
