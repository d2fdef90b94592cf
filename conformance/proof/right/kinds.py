"""Other formats inside, other memory behind a result, and what a kernel may refuse."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.known import Known
from conformance.proof.right.kernel import Kernel, rows_of


class Float64Inside(Kernel):
    name = "right-float64"

    def inside(self, a: Any) -> Any:
        return a.astype(np.float64)


class LongDoubleInside(Kernel):
    name = "right-longdouble"
    channel_axis = 1

    def inside(self, a: Any) -> Any:
        return a.astype(np.longdouble)


def _flushed(a: Any) -> Any:
    return np.where(np.abs(a) < np.finfo(a.dtype).smallest_normal, a.dtype.type(0), a)


class FlushToZero(Kernel):
    """Subnormal numbers are taken for zero: inputs, epsilon, and the result of every operation."""

    name = "right-flush-to-zero"

    def inside(self, a: Any) -> Any:
        return _flushed(super().inside(a))

    def total(self, rows: Any) -> Any:
        return _flushed_total(rows)

    def root(self, var: Any, epsilon: Any) -> Any:
        return np.sqrt(_flushed(var + _flushed(np.asarray(epsilon, var.dtype))))

    def outside(self, y: Any) -> Any:
        return _flushed(y) if y.dtype.itemsize >= 4 else y

    def moments(self, x: Any) -> tuple[Any, Any]:
        rows = rows_of(x)
        mean = _flushed(_flushed_total(rows) / len(rows))
        squares = _flushed(np.square(_flushed(rows - mean)))
        return mean, _flushed(_flushed_total(squares) / len(rows))

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        scaled = _flushed(gamma * _flushed(x - mean))
        return _flushed(_flushed(scaled / self.root(var, epsilon)) + beta)


def _flushed_total(rows: Any) -> Any:
    total = np.zeros(rows.shape[1:], rows.dtype)
    for row in rows:
        total = _flushed(total + row)
    return total


def read_only(_: Kernel, y: Any) -> Any:
    y.flags.writeable = False
    return y


def strided(_: Kernel, y: Any) -> Any:
    """Every other element of a larger array, along every axis."""
    larger = np.full([2 * size for size in y.shape], np.nan, y.dtype)
    view = larger[(slice(None, None, 2),) * y.ndim]
    view[...] = y
    return view


def fortran(_: Kernel, y: Any) -> Any:
    return np.asfortranarray(y)


class RefusesOneValue(Kernel):
    """Has no statistics of one value per channel, and says so, as the flag of such cases allows."""

    name = "right-refuses-one-value"
    declines = frozenset({"one-value-per-channel"})

    def moments(self, x: Any) -> tuple[Any, Any]:
        if len(rows_of(x)) == 1:
            raise ValueError("one value per channel has no variance")
        return super().moments(x)


class NanForOneValue(Kernel):
    """The same, answered by NaN."""

    name = "right-nan-for-one-value"

    def moments(self, x: Any) -> tuple[Any, Any]:
        mean, var = super().moments(x)
        return mean, var if len(rows_of(x)) > 1 else np.full_like(var, np.nan)


class RefusesEpsilonZero(Kernel):
    name = "right-refuses-epsilon-zero"
    declines = frozenset({"epsilon-zero"})

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        if epsilon == 0:
            raise ValueError("epsilon must be positive")
        return super().normalize(x, mean, var, gamma, beta, epsilon)


class InferOnly(Kernel):
    name = "right-infer-only"
    train = update = grad = dense = None  # type: ignore[assignment]


class PlainFunction(Known):
    """A function of (m, n) rows, as a NumPy user writes it."""

    name = "right-plain-function"
    dtypes = ("float32", "float64")

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return _batch_norm(rows_of(x), gamma, beta, epsilon).reshape(x.shape)


def _batch_norm(z: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    if not len(z):
        return z
    mean = z.mean(axis=0)
    return gamma * (z - mean) / np.sqrt(((z - mean) ** 2).mean(axis=0) + epsilon) + beta
