"""Sums over the rows of an array (m, C), each in the dtype of the array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def sequential(rows: Any) -> Any:
    total = np.zeros(rows.shape[1:], rows.dtype)
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
    if len(rows) <= 1:
        return sequential(rows)
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
        starts = range(0, max(len(rows), 1), count)
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
    total = carried = np.zeros(rows.shape[1:], rows.dtype)
    for row in rows:
        term = row - carried
        larger = total + term
        carried = (larger - total) - term
        total = larger
    return total


def neumaier(rows: Any) -> Any:
    total = carried = np.zeros(rows.shape[1:], rows.dtype)
    for row in rows:
        larger = total + row
        lost = np.where(
            np.abs(total) >= np.abs(row), (total - larger) + row, (row - larger) + total
        )
        total, carried = larger, carried + lost
    return total + carried


def correctly_rounded(rows: Any) -> Any:
    return np.array([_fsum(column) for column in rows.T], rows.dtype)


def _fsum(column: Any) -> float:
    """The sum, which is infinite where an intermediate of it is beyond float64."""
    try:
        return math.fsum(column)
    except OverflowError:
        return math.copysign(math.inf, float(np.sum(column)))
