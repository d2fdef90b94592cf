"""Tensors too large to write out: integers that any language repeats bit for bit in a few lines.

The definition, in words, stands in `cases/README.md`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

NAME = "splitmix64"


@dataclass(frozen=True)
class Generated:
    """`count` numbers (offset + k) * 2**exponent, k the top `bits` bits of SplitMix64's outputs.

    SplitMix64: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators",
    figure 16. All numbers are exact in binary64; `bits` is at most 31.
    """

    seed: int
    bits: int
    offset: int
    exponent: int

    def values(self, count: int) -> np.ndarray:
        """The first `count` numbers, float64, shape (count,)."""
        with np.errstate(over="ignore"):
            steps = np.arange(1, count + 1, dtype=np.uint64)
            z = np.uint64(self.seed) + steps * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        top = (z >> np.uint64(64 - self.bits)).astype(np.int64)
        return np.ldexp((top + self.offset).astype(np.float64), self.exponent)


def digest(array: np.ndarray) -> str:
    """SHA-256 of the array's bytes: C order, little-endian, in its own dtype."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()
