"""Large batches of few distinct values: each value once, weighted by how often it occurs.

All formulas treat the values of a channel alike but for means and sums, so that evaluating the
distinct ones, with weighted means and sums, gives the same results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conformance.arithmetic.rounding import Rounded


class Weighted:
    """An arithmetic's namespace with means and sums over rows that occur `weights` (K, C) times."""

    def __init__(self, arithmetic: Any, weights: np.ndarray) -> None:
        self._arithmetic, self._weights = arithmetic, weights
        self.values_per_channel = int(weights[:, 0].sum())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arithmetic, name)

    def sum(self, a: Any, axis: tuple[int, ...]) -> Any:
        weights = self._weights
        if not isinstance(a, Rounded):
            return self._arithmetic.sum(a * weights, axis)
        floor = np.where(weights > 0, a.floor * np.maximum(weights, 1), 0)
        repeated = Rounded(a.model, a.value * weights, a.error * weights, floor, a.peak)
        return self._arithmetic.sum(repeated, axis)

    def mean(self, a: Any, axis: tuple[int, ...]) -> Any:
        return self.sum(a, axis) / self.values_per_channel


def collapse(
    inputs: Mapping[str, np.ndarray], places: tuple[np.ndarray, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The inputs with each distinct row of x (and dy) once, (K, C); their weights (K, C); and where
    the values at `places` (rows, channels) of the large tensors are found in the small ones."""
    large = {name: a.reshape(-1, a.shape[-1]) for name, a in inputs.items() if name in ("x", "dy")}
    channels = large["x"].shape[-1]
    distinct, counts, found = [], [], np.zeros(places[0].shape, dtype=np.int64)
    for channel in range(channels):
        columns = np.stack([a[:, channel] for a in large.values()], axis=1)
        if columns.shape[1] == 1:
            values, count = np.unique(columns[:, 0], return_counts=True)
            values = values[:, None]
        else:
            values, count = np.unique(columns, axis=0, return_counts=True)
        distinct.append(values)
        counts.append(count)
        here = places[1] == channel
        wanted = columns[places[0][here]]
        found[here] = [int(np.argmax((values == row).all(axis=1))) for row in wanted]
    most = max(map(len, counts))
    weights = np.zeros((most, channels), dtype=np.int64)
    small = {name: np.zeros((most, channels)) for name in large}
    for channel, (values, count) in enumerate(zip(distinct, counts, strict=True)):
        weights[: len(count), channel] = count
        for column, name in enumerate(large):
            small[name][:, channel] = values[0, column]
            small[name][: len(count), channel] = values[:, column]
    return {**inputs, **small}, weights, (found, places[1])


def places_of(
    positions: Sequence[int], shape: tuple[int, ...], layout: str
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and channels of flat positions in `layout`; `shape` has the channels last."""
    axis = layout.index("C")
    in_layout = list(shape[:-1])
    in_layout.insert(axis, shape[-1])
    index = list(np.unravel_index(np.asarray(positions, dtype=np.int64), in_layout))
    channel = index.pop(axis)
    return np.ravel_multi_index(index, shape[:-1]), channel
