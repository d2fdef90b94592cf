"""Tensors too large to write out: integers that any language repeats bit for bit in a few lines.

The definition, in words, stands in `cases/README.md`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from conformance.errors import UserError


class Generator(Protocol):
    """Makes the first `count` numbers of its sequence: float64, shape (count,)."""

    def values(self, count: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Random:
    """Numbers (offset + k)**power * 2**exponent, k the top `bits` bits of SplitMix64's outputs.

    SplitMix64: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators",
    figure 16. All numbers are exact in binary64.
    """

    seed: int
    bits: int
    offset: int
    exponent: int
    power: int = 1

    def values(self, count: int) -> np.ndarray:
        with np.errstate(over="ignore"):
            steps = np.arange(1, count + 1, dtype=np.uint64)
            z = np.uint64(self.seed) + steps * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        k = (z >> np.uint64(64 - self.bits)).astype(np.int64)
        return np.ldexp(((k + self.offset) ** self.power).astype(np.float64), self.exponent)


@dataclass(frozen=True)
class Staircase:
    """Numbers (offset + step * k) * 2**exponent, k = (i * times // per) mod modulus, i from 0."""

    times: int
    per: int
    modulus: int
    offset: int
    step: int
    exponent: int

    def values(self, count: int) -> np.ndarray:
        k = np.arange(count, dtype=np.int64) * self.times // self.per % self.modulus
        return np.ldexp((self.offset + self.step * k).astype(np.float64), self.exponent)


GENERATORS: dict[str, type[Random] | type[Staircase]] = {
    "splitmix64": Random,
    "staircase": Staircase,
}

# The ranges keep every integer on the way below 2**63.
RANGES = {
    "seed": (0, 2**64 - 1),
    "bits": (1, 31),
    "power": (1, 3),
    "times": (1, 2**31),
    "per": (1, 2**31),
    "modulus": (1, 2**31),
    "step": (-(2**20), 2**20),
    "offset": (-(2**31), 2**31),
    "exponent": (-1000, 1000),
}


@dataclass(frozen=True)
class Deferred:
    """A tensor that is made when it is needed: it takes the place of an array until then.

    Raises UserError, naming `where`, if the SHA-256 of what is made is not the recorded one.
    """

    generator: Generator
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sha256: str
    where: str

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        numbers = self.generator.values(self.size)
        with np.errstate(over="ignore"):
            tensor = numbers.astype(self.dtype)
        if not np.array_equal(tensor.astype(np.float64), numbers):
            raise UserError(f"{self.where}: holds numbers that {self.dtype.name} cannot represent")
        if digest(tensor) != self.sha256:
            raise UserError(
                f"{self.where}: the generated tensor's SHA-256 is {digest(tensor)}, "
                "not the recorded one"
            )
        return tensor.reshape(self.shape).astype(dtype or self.dtype, copy=False)


def digest(array: np.ndarray) -> str:
    """SHA-256 of the array's bytes: C order, little-endian, in its own dtype."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()
