"""Hypothesis strategies for the numbers in a case, which shrink to small integers and powers of two.

A channel's values are (base + k) * 2**exponent, with an integer k for each value and a base for all.
That gives ties (few different k), constant columns (k = 0), cancellation (a large base), columns
constant but for one unit in the last place, full significands, outliers, and all scales down to
subnormal numbers; and every one of these shrinks towards 0, 1, 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from conformance.generator import RANGES, Random, Staircase
from conformance.precision import Precision

EPSILONS = (2.0**-10, 1.0, 1e-3, 1e-5, 1e-8, 1e-12, 0.0)
RATES = (0.5, 0.25, 0.1, 1 / 3, 0.01, 0.99, 1.0, 0.0)
_GAMMAS = (2.0, -0.5, 3.0, -1.7, 2.0**-10, 2.0**10)
_BETAS = (1.0, -2.0, 0.3, 2.0**-10, 2.0**10)
_STEPS = (0, -1, 1, -4, 4, -10, 10, -20, 20)


@dataclass(frozen=True)
class Column:
    """What belongs to a channel. `values`, and `upstream` of dy, are repeated to the length needed.

    mean and var are those for inference: not far from the values' own, var 0 or more.
    """

    values: np.ndarray
    upstream: np.ndarray
    mean: float
    var: float
    gamma: float
    beta: float


@dataclass(frozen=True)
class Scale:
    """Exponents around which those of x and of dy lie in a case, and the range that they stay in.

    All channels share them, and one of the two is 0: where the range runs out it does so in one way,
    for an answer is explained by one policy as a whole (`judge`).
    """

    x: int
    dy: int
    lowest: int
    highest: int


@st.composite
def scales(draw: st.DrawFn, precision: Precision, digits: int) -> Scale:
    """Such that an integer of so many bits times 2**exponent is a number of the format.

    From the middle of its range outwards; at both ends, and where squares leave it.
    """
    lowest = 2 - precision.largest_exponent - precision.digits
    highest = precision.largest_exponent - digits
    half = precision.largest_exponent // 2
    wanted = (0, 0, 0, 0, -20, 20, half, -half, lowest, highest)
    scale = draw(st.sampled_from([e for e in wanted if lowest <= e <= highest]))
    of_dy = draw(st.booleans())
    return Scale(0 if of_dy else scale, scale if of_dy else 0, lowest, highest)


def _exponents(scale: Scale, middle: int, precision: Precision) -> st.SearchStrategy[int]:
    steps = st.sampled_from((*_STEPS, 1 - precision.digits))
    return steps.map(lambda step: min(max(middle + step, scale.lowest), scale.highest))


@st.composite
def columns(draw: st.DrawFn, precision: Precision, scale: Scale) -> Column:
    """A channel. Neither its length nor another channel changes what is drawn: so it shrinks well."""
    spread, base, unit, values = draw(_values(precision, _exponents(scale, scale.x, precision)))
    mean = (base + draw(st.integers(-spread, spread))) * unit
    share = draw(st.sampled_from((1.0, 4.0, 0.3, 2.0**-10, 0.0)))
    size = min(max(spread, 1) * unit, precision.largest**0.5 / 4)
    _, _, _, upstream = draw(_values(precision, _exponents(scale, scale.dy, precision)))
    gamma, beta = draw(st.sampled_from(_GAMMAS)), draw(st.sampled_from(_BETAS))
    return Column(values, upstream, mean, share * size**2, gamma, beta)


@st.composite
def _values(
    draw: st.DrawFn, precision: Precision, exponents: st.SearchStrategy[int]
) -> tuple[int, int, float, np.ndarray]:
    """The bound of k, base, 2**exponent, and the values that these make, up to twelve."""
    most = 2**precision.digits - 1
    spread = draw(st.sampled_from((1, 4, most, 0)))
    base = draw(st.just(0) | st.integers(-most, most))
    ks = draw(st.lists(st.integers(-spread, spread), min_size=1, max_size=12))
    ks[-1] += draw(st.sampled_from((0, 0, 64, 2 ** (precision.digits - 1))))
    unit = 2.0 ** draw(exponents)
    return spread, base, unit, (base + np.array(ks, dtype=np.float64)) * unit


@st.composite
def long_columns(
    draw: st.DrawFn, precision: Precision, scale: Scale, middle: int, count: int
) -> Staircase | Random:
    """A generator of so many values of which few differ: constant, by turns, in steps, or at random.

    Everything that it makes is a number of the format.
    """
    digits = min(precision.digits, 31)
    largest = 2 ** (digits - 1)
    full = st.integers(largest // 2, largest)
    offset = draw(st.integers(-largest, largest) | full)
    lowest, highest = RANGES["exponent"]
    exponent = min(max(draw(_exponents(scale, middle, precision)), lowest), highest)
    kind = draw(st.sampled_from(("constant", "constant", "turns", "blocks", "random")))
    if kind == "constant":
        return Staircase(1, 1, 1, offset, 1, exponent)
    if kind == "random":
        seed, bits = draw(st.integers(0, 99)), draw(st.integers(1, 5))
        return Random(seed=seed, bits=bits, offset=offset, exponent=exponent)
    modulus = draw(st.integers(2, 4))
    widest = 2 ** (min(digits, 20) - 3)
    step = draw(st.integers(-widest, widest))
    times, per = (1, 1) if kind == "turns" else (modulus, count)
    return Staircase(times, per, modulus, offset, step, exponent)
