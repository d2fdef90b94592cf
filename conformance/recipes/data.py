"""The batches that layers are trained and compared on: seeded integers, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conformance.generator import Random
from conformance.recipes.layer import State

CHANNELS = 6
LEARNING_RATE = 2.0**-4
_BITS = 12

FIRST = State(
    gamma=np.array([1.0, 0.5, -1.25, 2.0, 0.75, -0.5]),
    beta=np.array([0.0, -0.5, 1.0, 0.25, -2.0, 3.0]),
    mean=np.array([0.0, 0.125, -0.125, 0.25, -0.25, 0.0625]),
    var=np.array([1.0, 0.5, 2.0, 1.5, 0.75, 1.25]),
    epsilon=2e-3,
    rate=0.2,
)
"""What training begins with: no setting is any library's default."""


@dataclass(frozen=True)
class Kind:
    """A kind of data: x is (N, *places, C), and the layer of its dtype."""

    name: str
    title: str
    dtype: str
    rows: int
    places: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows, *self.places, CHANNELS)

    @property
    def values(self) -> int:
        """How many each channel has in a batch."""
        return int(np.prod(self.shape[:-1]))


# Images are as high and wide as they have channels: no library can tell that their axes are mistaken.
KINDS = (
    Kind("rows", "(16, 6), float32", "float32", 16),
    Kind("images", "(2, 6, 6, 6), float32", "float32", 2, (6, 6)),
    Kind("rows-float64", "(16, 6), float64", "float64", 16),
)
TRAINING, FOLLOWING = range(3), range(3, 7)
"""The batches of the source's training, and those that source and target are compared on."""


@dataclass(frozen=True)
class Batch:
    """x and the upstream gradient dy, channels last."""

    x: np.ndarray
    dy: np.ndarray


def first(kind: Kind) -> State:
    return FIRST.astype(kind.dtype)


def batches(kind: Kind, numbers: Sequence[int]) -> list[Batch]:
    """The batches with these numbers. Means are within one standard deviation of 0."""
    return [Batch(_values(kind, 2 * n, 1.0), _values(kind, 2 * n + 1, 0.25)) for n in numbers]


def _values(kind: Kind, number: int, scale: float) -> np.ndarray:
    """Of each channel another spread and mean, that move a little from batch to batch."""
    random = Random(seed=2026 + number, bits=_BITS, offset=-(2 ** (_BITS - 1)), exponent=1 - _BITS)
    values = random.values(int(np.prod(kind.shape))).reshape(kind.shape)
    channel = np.arange(CHANNELS)
    spread, mean = 2.0 ** (channel % 3), (channel - 2.5) / 8 + number / 64
    return (scale * spread * (values + mean)).astype(kind.dtype)
