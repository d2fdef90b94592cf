"""Which channels and places of large tensors are looked at closely.

A statistic needs every value of its channel, so that whole channels are taken, up to a budget, and
at least one, or four that are not very long; of y and dx then places in them. Where nothing is summed, rows of all channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PLACES = 2**14
_CHANNELS = 4


@dataclass(frozen=True)
class Sample:
    """Of a tensor (m, C): `rows` and `channels` kept, and the places in what is kept, (row, channel)."""

    rows: np.ndarray | slice
    channels: np.ndarray
    places: tuple[np.ndarray, np.ndarray]
    has_worst: bool = False
    """Whether the places furthest off, of a quick look at all elements, are among them."""

    def keep(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[self.rows][:, self.channels]

    def at(self, matrix: np.ndarray) -> np.ndarray:
        """The values of a tensor (m, C) at the places."""
        return self.keep(matrix)[self.places]

    @property
    def size(self) -> int:
        return len(self.places[0])


def choose(
    shape: tuple[int, int],
    budget: int,
    sums: bool,
    urgent: tuple[np.ndarray, np.ndarray] | None = None,
) -> Sample:
    """A sample of a tensor (m, C): spread evenly, and the `urgent` places (rows, channels) first."""
    rows_in, channels_in = urgent or (np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    values, count = shape
    if sums:
        rows: np.ndarray | slice = slice(None)
        least = _CHANNELS if values <= 2 * budget else 1
        channels = _spread(count, max(budget // values, least), channels_in)
        kept = np.arange(values)
    else:
        channels = _spread(count, budget, channels_in)
        kept = _spread(values, max(budget // len(channels), 1), rows_in)
        rows = kept
    flat = _spread(len(kept) * len(channels), PLACES, np.zeros(0, dtype=int))
    if len(rows_in):
        here = np.isin(channels_in, channels) & np.isin(rows_in, kept)
        found = np.searchsorted(kept, rows_in[here]), np.searchsorted(channels, channels_in[here])
        flat = np.union1d(flat, np.ravel_multi_index(found, (len(kept), len(channels))))
    row, channel = np.unravel_index(flat, (len(kept), len(channels)))
    return Sample(rows, channels, (row, channel), urgent is not None)


def _spread(count: int, most: int, urgent: np.ndarray) -> np.ndarray:
    """Up to about `most` of 0..count-1, sorted: the urgent ones, and others evenly."""
    if count <= most:
        return np.arange(count)
    _, first = np.unique(urgent, return_index=True)
    chosen = urgent[np.sort(first)][: max((most + 1) // 2, 1)]
    even = np.linspace(0, count - 1, max(most - len(chosen), 1)).astype(int)
    return np.union1d(chosen, even) if most > 1 or not len(chosen) else chosen
