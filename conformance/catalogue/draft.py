"""A case before its expected values are certified, and the numbers it is made from.

Numbers come from Python's Mersenne Twister, whose `random()` the standard library keeps the same
in every version, and from operations that IEEE 754 fixes: the same drafts on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.case import LAYOUTS
from conformance.generator import Random, Staircase
from conformance.precision import PRECISIONS

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Draft:
    """`inputs` are float64 arrays, rounded to their dtype when the case is built; x is in `layout`.

    `generated` says how tensors too large to write out were made; `attributes` are those of the
    case (`conformance.case.ATTRIBUTES`); `dtypes` those of tensors that differ from `dtype`.
    """

    name: str
    operation: str
    dtype: str
    layout: str
    epsilon: float
    comment: str
    inputs: Mapping[str, np.ndarray]
    generated: Mapping[str, Random | Staircase] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)

    def dtype_of(self, tensor: str) -> str:
        return self.dtypes.get(tensor, self.dtype)


@dataclass(frozen=True)
class Family:
    """`drafts` gives the family's cases in the order of its file."""

    name: str
    description: str
    drafts: Callable[[], Iterable[Draft]]


class Draw:
    """Random numbers that depend on a name alone."""

    def __init__(self, name: str) -> None:
        self._random = random.Random(name)

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape))
        values = [low + (high - low) * self._random.random() for _ in range(count)]
        return np.array(values).reshape(shape)

    def bell(self, shape: tuple[int, ...]) -> np.ndarray:
        """Mean 0, variance 1, bell-shaped: the sum of twelve uniform numbers, less six.

        The first value of each channel (the last axis) is the one nearest to 0: a kernel that
        subtracts it from all before it sums is right, and its error grows with how far out it lies.
        """
        count = int(np.prod(shape))
        values = [sum(self._random.random() for _ in range(12)) - 6 for _ in range(count)]
        rows = np.array(values).reshape(-1, shape[-1])
        for channel in range(shape[-1] if len(rows) else 0):
            nearest = int(np.argmin(np.abs(rows[:, channel])))
            rows[[0, nearest], channel] = rows[[nearest, 0], channel]
        return rows.reshape(shape)

    def affine(self, channels: int) -> dict[str, np.ndarray]:
        """gamma and beta (C,), never at their defaults; every other gamma is negative."""
        sign = np.where(np.arange(channels) % 2 == 1, -1.0, 1.0)
        return {
            "gamma": sign * self.uniform(0.6, 1.9, (channels,)),
            "beta": self.uniform(0.3, 1.7, (channels,)) * sign[::-1],
        }

    def statistics(self, channels: int) -> dict[str, np.ndarray]:
        """A running mean and variance (C,), never at their defaults."""
        return {
            "mean": self.uniform(-2.0, 2.0, (channels,)),
            "var": self.uniform(0.3, 4.0, (channels,)),
        }

    def activations(self, shape: tuple[int, ...]) -> np.ndarray:
        """Channels last; each with a mean of its own in (-2, 2) and a spread in (0.5, 3)."""
        channels = shape[-1:]
        mean, spread = self.uniform(-2, 2, channels), self.uniform(0.5, 3, channels)
        return mean + spread * self.bell(shape)


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """The array as the nearest numbers of `dtype`, in float64."""
    target = PRECISIONS[dtype].dtype if dtype in PRECISIONS else np.dtype(dtype)
    with np.errstate(over="ignore"):
        return array.astype(target).astype(np.float64)


def to_layout(channels_last: np.ndarray, layout: str) -> np.ndarray:
    return np.moveaxis(channels_last, -1, layout.index("C"))


def layouts_of(rank: int) -> tuple[str, ...]:
    return tuple(layout for layout in LAYOUTS if len(layout) == rank)
