"""Mean and population variance of x (N, *spatial, C), each (C,)."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.right.kernel import Kernel, fma, rows_of


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
    count, mean, squares = _welford(rows_of(x))
    return mean, squares / count


def chan(_: Kernel, x: Any) -> tuple[Any, Any]:
    """Parallel merges from single rows up."""

    def parts(rows: Any) -> tuple[int, Any, Any]:
        if len(rows) == 1:
            return 1, rows[0], np.zeros_like(rows[0])
        middle = len(rows) // 2
        return _merged(parts(rows[:middle]), parts(rows[middle:]))

    count, mean, squares = parts(rows_of(x))
    return mean, squares / count


def welford_in_lanes(_: Kernel, x: Any) -> tuple[Any, Any]:
    """As cuDNN does: Welford in each of eight threads, then merges."""
    rows = rows_of(x)
    merged, *others = [_welford(rows[lane::8]) for lane in range(min(8, len(rows)))]
    for other in others:
        merged = _merged(merged, other)
    return merged[1], merged[2] / merged[0]


def shifted(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    """Two passes over deviations from the first row."""
    rows = rows_of(x)
    deviation = rows - rows[0]
    mean = kernel.total(deviation) / len(rows)
    return rows[0] + mean, kernel.total(np.square(deviation - mean)) / len(rows)


def corrected(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    """Two passes, less the square of what the mean was off by (Chan, Golub and LeVeque 1983)."""
    rows = rows_of(x)
    mean = kernel.total(rows) / len(rows)
    deviation = rows - mean
    correction = np.square(kernel.total(deviation)) / len(rows)
    return mean, (kernel.total(np.square(deviation)) - correction) / len(rows)


def by_reciprocal_count(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    rows = rows_of(x)
    share = rows.dtype.type(1) / rows.dtype.type(len(rows))
    mean = kernel.total(rows) * share
    return mean, kernel.total(np.square(rows - mean)) * share


def shares(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    """Divided before they are summed."""
    rows = rows_of(x)
    mean = kernel.total(rows / len(rows))
    return mean, kernel.total(np.square(rows - mean) / len(rows))


def means_of_means(_: Kernel, x: Any) -> tuple[Any, Any]:
    """Over the spatial axes, then over the samples; all samples are of one size."""

    def mean_of(a: Any) -> Any:
        return np.mean(np.mean(a.reshape(len(a), -1, a.shape[-1]), axis=1), axis=0)

    mean = mean_of(x)
    return mean, mean_of(np.square(x - mean))


def fused_moments(kernel: Kernel, x: Any) -> tuple[Any, Any]:
    rows = rows_of(x)
    mean = kernel.total(rows) / len(rows)
    squares = np.zeros_like(mean)
    for deviation in rows - mean:
        squares = fma(deviation, deviation, squares)
    return mean, squares / len(rows)
