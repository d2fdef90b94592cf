"""A quick look at every element of a large y, for the places that a sample has to have."""

from __future__ import annotations

import numpy as np

from conformance.explanation.reading import Reading
from conformance.explanation.sample import Sample
from conformance.explanation.trial import inputs_of

_WORST = 256
_AT_ONCE = 2**22


def worst_places(reading: Reading, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and channels where y is furthest from the formula in plain float64, the worst first.

    Distances are in units of the rounding of the terms that make an element of y.
    """
    matrix = reading.matrix(y)
    step = max(_AT_ONCE // len(matrix), 1)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    none = (np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    for start in range(0, matrix.shape[1], step):
        channels = np.arange(start, min(start + step, matrix.shape[1]))
        part = inputs_of(reading, Sample(slice(None), channels, none))
        with np.errstate(all="ignore"):
            distance = _distance(part, reading.epsilon, matrix[:, channels])
        most = min(_WORST, distance.size)
        flat = np.argpartition(distance, -most, axis=None)[-most:]
        rows, columns = np.unravel_index(flat, distance.shape)
        found.append((distance[rows, columns], rows, channels[columns]))
    distance, rows, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(-distance)[:_WORST]
    return rows[order], columns[order]


def _distance(inputs: dict[str, np.ndarray], epsilon: float, y: np.ndarray) -> np.ndarray:
    x, gamma, beta = inputs["x"], inputs["gamma"], inputs["beta"]
    mean = inputs["mean"] if "mean" in inputs else x.mean(axis=0)
    var = inputs["var"] if "var" in inputs else np.square(x - mean).mean(axis=0)
    factor = np.abs(gamma) / np.sqrt(var + epsilon)
    value = gamma * (x - mean) / np.sqrt(var + epsilon) + beta
    size = factor * (np.abs(x) + np.abs(mean)) + np.abs(beta)
    distance = np.abs(y - value) / np.maximum(size, np.finfo(np.float64).tiny)
    both = np.isnan(y) & np.isnan(value)
    return np.where(both, 0.0, np.where(np.isnan(distance), np.inf, distance))
