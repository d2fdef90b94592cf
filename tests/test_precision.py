"""The constants of each format against NumPy's and ml_dtypes' own."""

import ml_dtypes
import numpy as np
import pytest

from conformance.precision import PRECISIONS

NAMES = tuple(PRECISIONS)


def finfo(name):
    return ml_dtypes.finfo(ml_dtypes.bfloat16) if name == "bfloat16" else np.finfo(name)


@pytest.mark.parametrize("name", NAMES)
def test_constants(name):
    precision, info = PRECISIONS[name], finfo(name)
    assert precision.name == precision.dtype.name == name
    assert precision.digits == info.nmant + 1
    assert precision.largest_exponent == info.maxexp - 1
    assert precision.unit_roundoff == float(info.eps) / 2
    assert precision.smallest_normal == float(info.smallest_normal)
    assert precision.smallest_subnormal == float(info.smallest_subnormal)
    assert precision.largest == float(info.max)


@pytest.mark.parametrize("name", NAMES)
def test_ulp_is_the_spacing_of_the_format(name):
    precision, info = PRECISIONS[name], finfo(name)
    powers = np.ldexp(1.0, np.arange(info.minexp - info.nmant, info.maxexp))
    between = np.random.default_rng(5).uniform(1, 2, powers.size) * powers
    below = np.ldexp(1.0 - precision.unit_roundoff, np.arange(info.minexp, info.maxexp))
    steps = np.arange(1, 2**info.nmant, 2**info.nmant // 97 + 1)
    values = np.concatenate([[0.0], powers, between, below, precision.smallest_subnormal * steps])
    values = np.concatenate([values, -values]).astype(precision.dtype)
    ulp = precision.ulp(values.astype(np.float64))
    np.testing.assert_array_equal(ulp, np.spacing(abs(values)).astype(np.float64))


@pytest.mark.parametrize("name", NAMES)
def test_ulp_of_the_largest_number_is_the_distance_to_the_number_below_it(name):
    precision = PRECISIONS[name]
    largest = np.array(precision.largest)
    below = np.nextafter(largest.astype(precision.dtype), precision.dtype.type(0))
    assert precision.ulp(largest) == largest - below.astype(np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_ulp_at_a_power_of_two_is_the_distance_to_the_next_larger_number(name):
    precision = PRECISIONS[name]
    one = np.array([1.0, np.nextafter(1.0, 0.0)])
    step = 2 * precision.unit_roundoff
    np.testing.assert_array_equal(precision.ulp(one), [step, step / 2])


@pytest.mark.parametrize("name", NAMES)
def test_ulp_of_zero_is_the_smallest_subnormal(name):
    precision = PRECISIONS[name]
    assert precision.ulp(np.array(0.0)) == precision.smallest_subnormal


@pytest.mark.parametrize(
    ("name", "working"),
    [
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_half_precisions_are_computed_in_float32_and_others_in_themselves(name, working):
    assert PRECISIONS[name].working is PRECISIONS[working]
    assert PRECISIONS[name].working.working is PRECISIONS[working]
