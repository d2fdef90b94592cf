"""The floating-point formats that cases are written in: their constants, and the ulp of a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

try:
    import ml_dtypes
except ModuleNotFoundError:  # a run then leaves the cases in bfloat16 out
    ml_dtypes = None

HAS_BFLOAT16 = ml_dtypes is not None


@dataclass(frozen=True)
class Precision:
    """A binary floating-point format (IEEE 754-2019, section 3.3; bfloat16 alike).

    `digits` is the length p of the significand in bits, `largest_exponent` is emax.
    """

    name: str
    digits: int
    largest_exponent: int

    @property
    def unit_roundoff(self) -> float:
        """u = 2**-p: the largest relative error of one rounding to nearest."""
        return 2.0**-self.digits

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.largest_exponent)

    @property
    def smallest_subnormal(self) -> float:
        return 2.0 ** (2 - self.largest_exponent - self.digits)

    @property
    def largest(self) -> float:
        return (2.0 - 2.0 ** (1 - self.digits)) * 2.0**self.largest_exponent

    @property
    def working(self) -> Precision:
        """What is computed in: half precisions are held to a computation in float32."""
        return PRECISIONS["float32"] if self.digits < 24 else self

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype. Without the package ml_dtypes, float32 holds the numbers of bfloat16."""
        if self.name == "bfloat16":
            return np.dtype(np.float32 if ml_dtypes is None else ml_dtypes.bfloat16)
        return np.dtype(self.name)

    def ulp(self, value: np.ndarray) -> np.ndarray:
        """Distance between neighbouring numbers of the format at `value` (float64, any shape)."""
        _, exponent = np.frexp(np.maximum(np.abs(value), self.smallest_normal))
        return np.ldexp(1.0, exponent - self.digits)


PRECISIONS = {
    p.name: p
    for p in (
        Precision("float16", 11, 15),
        Precision("bfloat16", 8, 127),
        Precision("float32", 24, 127),
        Precision("float64", 53, 1023),
    )
}
