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

LARGEST_WHOLE = 2**53
"""binary64 has every whole number up to it."""
_BLOCK = 2**15  # numbers; what is computed of them stays in the processor's cache


class Generator(Protocol):
    """Makes numbers of its sequence, from the one at `start` on: float64, shape (count,).

    `largest` is a bound on the whole numbers that it makes, before the power of 2.
    """

    @property
    def largest(self) -> int: ...

    def values(self, count: int, start: int = 0) -> np.ndarray: ...


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

    @property
    def largest(self) -> int:
        return max(abs(self.offset), abs(self.offset + 2**self.bits - 1)) ** self.power

    def values(self, count: int, start: int = 0) -> np.ndarray:
        with np.errstate(over="ignore"):
            steps = np.arange(start + 1, start + count + 1, dtype=np.uint64)
            z = np.uint64(self.seed) + steps * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        k = (z >> np.uint64(64 - self.bits)).astype(np.int64) + self.offset
        powers = k if self.power == 1 else k**self.power
        return powers * 2.0**self.exponent


@dataclass(frozen=True)
class Staircase:
    """Numbers (offset + step * k) * 2**exponent, k = (i * times // per) mod modulus, i from 0."""

    times: int
    per: int
    modulus: int
    offset: int
    step: int
    exponent: int

    @property
    def largest(self) -> int:
        return abs(self.offset) + abs(self.step) * (self.modulus - 1)

    def values(self, count: int, start: int = 0) -> np.ndarray:
        i = np.arange(start, start + count, dtype=np.int64)
        k = i * self.times // self.per % self.modulus
        return (self.offset + self.step * k) * 2.0**self.exponent


GENERATORS: dict[str, type[Random] | type[Staircase]] = {
    "splitmix64": Random,
    "staircase": Staircase,
}


def record_of(generator: Generator) -> dict[str, Any]:
    """The generator as a case file writes it."""
    kind = next(name for name, kind in GENERATORS.items() if isinstance(generator, kind))
    return {"name": kind, **vars(generator)}


# The ranges keep every integer on the way below 2**63, where `largest` is below LARGEST_WHOLE.
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
    `made` is what has been made already.
    """

    generator: Generator
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sha256: str
    where: str
    made: np.ndarray | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.made is not None:
            return self.made.astype(dtype or self.dtype, copy=False)
        tensor = np.empty(self.size, self.dtype)
        for start in range(0, self.size, _BLOCK):
            block = tensor[start : start + _BLOCK]
            with np.errstate(over="ignore"):
                numbers = self.generator.values(len(block), start)
            exact = exactly(numbers, self.dtype)
            if exact is None or not np.isfinite(numbers).all():
                raise UserError(
                    f"{self.where}: holds numbers that {self.dtype.name} cannot represent"
                )
            block[:] = exact
        if digest(tensor) != self.sha256:
            raise UserError(
                f"{self.where}: the generated tensor's SHA-256 is {digest(tensor)}, "
                "not the recorded one"
            )
        return tensor.reshape(self.shape).astype(dtype or self.dtype, copy=False)


def exactly(numbers: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray | None:
    """float64 numbers in another dtype, or None if it cannot represent one of them."""
    if dtype.kind == "i" and not np.all(np.abs(numbers) < LARGEST_WHOLE):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        array = numbers.astype(dtype)
        same = np.array_equal(array.astype(np.float64), numbers, equal_nan=True)
    return array if same else None


def digest(array: np.ndarray) -> str:
    """SHA-256 of the array's bytes: C order, little-endian, in its own dtype."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).reshape(-1).view(np.uint8).data).hexdigest()
