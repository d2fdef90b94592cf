"""Correct kernels that differ in how they sum, in the order of their operations, and in what they return.

Each computes in the dtype of the case unless it says otherwise. `RIGHT` holds one class of each.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance import Implementation


class Kernel(Implementation):
    """A two-pass kernel on channels-last arrays; a right one overrides a step, and stays right."""

    framework = "numpy"
    channel_axis = -1
    statistics_too = True

    def inside(self, a: Any) -> Any:
        return a

    def total(self, rows: Any) -> Any:
        return np.add.reduce(rows)

    def moments(self, x: Any) -> tuple[Any, Any]:
        """Mean and population variance of x (N, *spatial, C): (C,), (C,)."""
        rows = x.reshape(-1, x.shape[-1])
        mean = self.total(rows) / len(rows)
        return mean, self.total(np.square(rows - mean)) / len(rows)

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return gamma * (x - mean) / np.sqrt(var + epsilon) + beta

    def normalize_batch(self, x: Any, mean: Any, var: Any, *others: Any) -> Any:
        return self.normalize(x, mean, var, *others)

    def outside(self, y: Any) -> Any:
        return y

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, *others = self._inside(x, gamma, beta)
        mean, var = self.moments(values)
        y = self._outside(self.normalize_batch(values, mean, var, *others, epsilon), x)
        return (y, mean.astype(x.dtype), var.astype(x.dtype)) if self.statistics_too else y

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._outside(self.normalize(*self._inside(x, mean, var, gamma, beta), epsilon), x)

    def _inside(self, x: Any, *others: Any) -> list[Any]:
        return [self.inside(a) for a in (np.moveaxis(x, self.channel_axis, -1), *others)]

    def _outside(self, y: Any, x: Any) -> Any:
        return self.outside(np.moveaxis(y.astype(x.dtype), -1, self.channel_axis))


# Sums over the rows of an array (m, C), each in the array's own dtype.


def sequential(rows: Any) -> Any:
    total = np.zeros_like(rows[0])
    for row in rows:
        total = total + row
    return total


def backwards(rows: Any) -> Any:
    return sequential(rows[::-1])


def scattered(rows: Any) -> Any:
    """In the order of a fixed permutation."""
    return sequential(rows[np.random.default_rng(7).permutation(len(rows))])


def ascending(rows: Any) -> Any:
    """Smallest magnitudes first."""
    return sequential(np.take_along_axis(rows, np.argsort(np.abs(rows), axis=0), axis=0))


def pairwise(rows: Any) -> Any:
    if len(rows) == 1:
        return rows[0]
    middle = len(rows) // 2
    return pairwise(rows[:middle]) + pairwise(rows[middle:])


def lanes(count: int) -> Any:
    """As vector instructions do: `count` sums side by side, then those one after another."""

    def total(rows: Any) -> Any:
        padded = np.zeros((-(-len(rows) // count) * count, rows.shape[1]), rows.dtype)
        padded[: len(rows)] = rows
        return sequential(sequential(padded.reshape(-1, count, rows.shape[1])))

    return total


def blocks(count: int) -> Any:
    """As GPUs do: blocks of `count` rows each in sequence, then a tree over the blocks."""

    def total(rows: Any) -> Any:
        starts = range(0, len(rows), count)
        return pairwise(np.array([sequential(rows[start : start + count]) for start in starts]))

    return total


def butterfly(rows: Any) -> Any:
    """As a warp of 32 threads does: strided sums, then halves onto halves."""
    sums = np.array([sequential(rows[lane::32]) for lane in range(min(32, len(rows)))])
    while len(sums) > 1:
        half = -(-len(sums) // 2)
        upper = np.zeros_like(sums[:half])
        upper[: len(sums) - half] = sums[half:]
        sums = sums[:half] + upper
    return sums[0]


def kahan(rows: Any) -> Any:
    total = carried = np.zeros_like(rows[0])
    for row in rows:
        term = row - carried
        larger = total + term
        carried = (larger - total) - term
        total = larger
    return total


def neumaier(rows: Any) -> Any:
    total = carried = np.zeros_like(rows[0])
    for row in rows:
        larger = total + row
        lost = np.where(
            np.abs(total) >= np.abs(row), (total - larger) + row, (row - larger) + total
        )
        total, carried = larger, carried + lost
    return total + carried


def correctly_rounded(rows: Any) -> Any:
    return np.array([math.fsum(column) for column in rows.T], rows.dtype)


# Moments of x (N, *spatial, C).


def _rows(x: Any) -> Any:
    return x.reshape(-1, x.shape[-1])


def from_numpy(_: Kernel, x: Any) -> tuple[Any, Any]:
    axes = tuple(range(x.ndim - 1))
    return np.mean(x, axis=axes), np.var(x, axis=axes)


def _welford(rows: Any) -> tuple[int, Any, Any]:
    """Welford 1962: the count, the mean, and the sum of squared deviations."""
    mean = squares = np.zeros_like(rows[0])
    for count, row in enumerate(rows, start=1):
        deviation = row - mean
        mean = mean + deviation / count
        squares = squares + deviation * (row - mean)
    return len(rows), mean, squares


def _merged(a: tuple[int, Any, Any], b: tuple[int, Any, Any]) -> tuple[int, Any, Any]:
    """Chan, Golub and LeVeque 1979."""
    count = a[0] + b[0]
    difference = b[1] - a[1]
    mean = a[1] + difference * (b[0] / count)
    return count, mean, a[2] + b[2] + np.square(difference) * (a[0] * b[0] / count)


def welford(_: Kernel, x: Any) -> tuple[Any, Any]:
    count, mean, squares = _welford(_rows(x))
    return mean, squares / count


def chan(_: Kernel, x: Any) -> tuple[Any, Any]:
    """Parallel merges from single rows up."""

    def parts(rows: Any) -> tuple[int, Any, Any]:
        if len(rows) == 1:
            return 1, rows[0], np.zeros_like(rows[0])
        middle = len(rows) // 2
        return _merged(parts(rows[:middle]), parts(rows[middle:]))

    count, mean, squares = parts(_rows(x))
    return mean, squares / count


def welford_in_lanes(_: Kernel, x: Any) -> tuple[Any, Any]:
    """As cuDNN does: Welford in each of eight threads, then merges."""
    rows = _rows(x)
    merged, *others = [_welford(rows[lane::8]) for lane in range(min(8, len(rows)))]
    for other in others:
        merged = _merged(merged, other)
    return merged[1], merged[2] / merged[0]


def shifted(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    """Two passes over deviations from the first row."""
    rows = _rows(x)
    deviation = rows - rows[0]
    mean = kernel.total(deviation) / len(rows)
    return rows[0] + mean, kernel.total(np.square(deviation - mean)) / len(rows)


def corrected(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    """Two passes, less the square of what the mean was off by (Chan, Golub and LeVeque 1983)."""
    rows = _rows(x)
    mean = kernel.total(rows) / len(rows)
    deviation = rows - mean
    correction = np.square(kernel.total(deviation)) / len(rows)
    return mean, (kernel.total(np.square(deviation)) - correction) / len(rows)


def by_reciprocal_count(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    rows = _rows(x)
    share = rows.dtype.type(1) / rows.dtype.type(len(rows))
    mean = kernel.total(rows) * share
    return mean, kernel.total(np.square(rows - mean)) * share


def shares(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    """Divided before they are summed."""
    rows = _rows(x)
    mean = kernel.total(rows / len(rows))
    return mean, kernel.total(np.square(rows - mean) / len(rows))


def means_of_means(_: Kernel, x: Any) -> tuple[Any, Any]:
    """Over the spatial axes, then over the samples; all samples are of one size."""

    def mean_of(a: Any) -> Any:
        return np.mean(np.mean(a.reshape(len(a), -1, a.shape[-1]), axis=1), axis=0)

    mean = mean_of(x)
    return mean, mean_of(np.square(x - mean))


# A fused multiply-add rounds once. float64 holds products of float32 numbers exactly.


def _fma(a: Any, b: Any, c: Any) -> Any:
    if a.dtype != np.float32:
        return a * b + c
    return (a.astype(np.float64) * b + c).astype(np.float32)


def fused_moments(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    rows = _rows(x)
    mean = kernel.total(rows) / len(rows)
    squares = np.zeros_like(mean)
    for deviation in rows - mean:
        squares = _fma(deviation, deviation, squares)
    return mean, squares / len(rows)


def fused(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return _fma((x - mean) * (1 / np.sqrt(var + epsilon)), gamma, beta)


# Normalizations in other orders.


def by_inverse(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return gamma * ((x - mean) * (1 / np.sqrt(var + epsilon))) + beta


def by_root_of_inverse(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return gamma * ((x - mean) * np.sqrt(1 / (var + epsilon))) + beta


def by_factor(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return gamma * (1 / np.sqrt(var + epsilon)) * (x - mean) + beta


def by_quotient(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return gamma / np.sqrt(var + epsilon) * (x - mean) + beta


def standardized_first(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return (x - mean) / np.sqrt(var + epsilon) * gamma + beta


def folded(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    factor = gamma / np.sqrt(var + epsilon)
    return x * factor + (beta - mean * factor)


def nudged(ulps: int) -> Any:
    """By a reciprocal root that is `ulps` off the nearest number, as fast instructions may be."""

    def normalize(
        _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
    ) -> Any:
        inverse = (1 / np.sqrt((var + epsilon).astype(np.longdouble))).astype(x.dtype)
        finite = np.isfinite(inverse)
        for _step in range(abs(ulps)):
            towards = np.asarray(np.inf if ulps > 0 else 0, x.dtype)
            inverse = np.where(finite, np.nextafter(inverse, towards), inverse)
        return gamma * ((x - mean) * inverse) + beta

    return normalize


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
        return _flushed(a)

    def moments(self, x: Any) -> tuple[Any, Any]:
        rows = _rows(x)
        mean = _flushed(_flushed_total(rows) / len(rows))
        squares = _flushed(np.square(_flushed(rows - mean)))
        return mean, _flushed(_flushed_total(squares) / len(rows))

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        radicand = _flushed(var + _flushed(np.asarray(epsilon, x.dtype)))
        scaled = _flushed(gamma * _flushed(x - mean))
        return _flushed(_flushed(scaled / np.sqrt(radicand)) + beta)


def _flushed_total(rows: Any) -> Any:
    total = np.zeros_like(rows[0])
    for row in rows:
        total = _flushed(total + row)
    return total


def _read_only(_: Kernel, y: Any) -> Any:
    y.flags.writeable = False
    return y


def _strided(_: Kernel, y: Any) -> Any:
    """Every other element of a larger array, along every axis."""
    larger = np.full([2 * size for size in y.shape], np.nan, y.dtype)
    view = larger[(slice(None, None, 2),) * y.ndim]
    view[...] = y
    return view


def _fortran(_: Kernel, y: Any) -> Any:
    return np.asfortranarray(y)


class InferOnly(Kernel):
    name = "right-infer-only"
    train = None  # type: ignore[assignment]


class PlainFunction(Implementation):
    """A function of (m, n) rows, as a NumPy user writes it."""

    name = "right-plain-function"
    framework = "numpy"
    channel_axis = -1

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return _batch_norm(_rows(x), gamma, beta, epsilon).reshape(x.shape)


def _batch_norm(z: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    mean = z.mean(axis=0)
    return gamma * (z - mean) / np.sqrt(((z - mean) ** 2).mean(axis=0) + epsilon) + beta


def _right(name: str, **steps: Any) -> type[Implementation]:
    if "total" in steps:
        steps["total"] = staticmethod(steps["total"])
    return type(name, (Kernel,), {"name": f"right-{name}", **steps})


RIGHT: tuple[type[Implementation], ...] = (
    _right("sequential", total=sequential),
    _right("sequential-channels-first", total=sequential, channel_axis=1),
    _right("backwards", total=backwards, channel_axis=1),
    _right("scattered", total=scattered),
    _right("ascending", total=ascending),
    _right("pairwise", total=pairwise),
    _right("lanes-4", total=lanes(4)),
    _right("lanes-8", total=lanes(8), channel_axis=1),
    _right("lanes-16", total=lanes(16)),
    _right("lanes-32", total=lanes(32), channel_axis=1),
    _right("blocks-16", total=blocks(16)),
    _right("blocks-128", total=blocks(128), channel_axis=1),
    _right("butterfly", total=butterfly),
    _right("kahan", total=kahan),
    _right("neumaier", total=neumaier, channel_axis=1),
    _right("fsum", total=correctly_rounded),
    _right("add-reduce", statistics_too=False),
    _right("numpy-mean-var", moments=from_numpy, channel_axis=1),
    _right("welford", moments=welford),
    _right("welford-lanes", moments=welford_in_lanes, channel_axis=1),
    _right("chan", moments=chan),
    _right("shifted", moments=shifted),
    _right("shifted-sequential", moments=shifted, total=sequential, channel_axis=1),
    _right("corrected", moments=corrected),
    _right("corrected-sequential", moments=corrected, total=sequential),
    _right("reciprocal-count", moments=by_reciprocal_count, channel_axis=1),
    _right("shares", moments=shares),
    _right("means-of-means", moments=means_of_means),
    _right("fused", moments=fused_moments, normalize=fused, channel_axis=1),
    _right("inverse", normalize=by_inverse, statistics_too=False),
    _right("root-of-inverse", normalize=by_root_of_inverse, channel_axis=1),
    _right("inverse-2-ulp-up", normalize=nudged(2)),
    _right("inverse-2-ulp-down", normalize=nudged(-2), total=sequential),
    _right("factor", normalize=by_factor, channel_axis=1, statistics_too=False),
    _right("quotient", normalize=by_quotient),
    _right("standardized-first", normalize=standardized_first, total=pairwise),
    _right("folded-in-training", normalize_batch=folded),
    _right("read-only", outside=_read_only, channel_axis=1),
    _right("strided", outside=_strided),
    _right("fortran", outside=_fortran, channel_axis=1),
    Float64Inside,
    LongDoubleInside,
    FlushToZero,
    InferOnly,
    PlainFunction,
)
