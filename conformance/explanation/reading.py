"""One way to read the tensors: which formula, of what, along which axis, and how that departs from what was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.explanation.given import IN_LAYOUT, Given


@dataclass(frozen=True)
class Departure:
    """What a reading assumes in the place of what the user said.

    `part` is what it replaces; two departures of one part exclude each other. "agrees with `does`,
    not `rather`" is how it is told.
    """

    part: str
    name: str
    verdict: str
    does: str
    rather: str


@dataclass(frozen=True, eq=False)
class Reading:
    """An operation on tensors: x and dy in the user's layout, the others (C,), (1,), or not there.

    `axis` is the channel axis, -1 for none: all values are one channel. `precision` is that of the
    outputs; wider tensors are rounded on the way in.
    """

    operation: str
    axis: int
    epsilon: float
    precision: str
    tensors: Mapping[str, np.ndarray]
    rate: float = 0.0
    departures: tuple[Departure, ...] = ()

    def departing(self, departure: Departure, **changes: Any) -> Reading | None:
        """This reading with something else in it; None if that part departs already."""
        if any(departure.part == other.part for other in self.departures):
            return None
        return replace(self, departures=(*self.departures, departure), **changes)

    @property
    def channels(self) -> int:
        shape = self.tensors["x"].shape
        return 1 if self.axis < 0 else shape[self.axis]

    def matrix(self, array: np.ndarray) -> np.ndarray:
        """A tensor in the user's layout as (m, C)."""
        if self.axis < 0:
            return array.reshape(-1, 1)
        return np.moveaxis(array, self.axis, -1).reshape(-1, self.channels)

    def fits(self) -> bool:
        """Whether every tensor with one number a channel has as many as there are channels here."""
        others = (a.size for name, a in self.tensors.items() if name not in IN_LAYOUT)
        return all(size in (1, self.channels) for size in others)


def axes_of(given: Given) -> tuple[int, ...]:
    """The axes that may hold the channels, the likeliest first; -1 for none."""
    shape, channels = given["x"].shape, given.channels
    order = list(dict.fromkeys((1, given.rank - 1, *range(given.rank))))
    fitting = [axis for axis in order if channels is None or shape[axis] == channels]
    return (*fitting, -1) if channels is None else tuple(fitting)


def axis_text(axis: int) -> str:
    return "no channel axis, all values together" if axis < 0 else f"the channels on axis {axis}"
