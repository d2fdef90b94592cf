"""The generator against SplitMix64 in plain integers, and the digest of a tensor."""

import hashlib
import struct
from fractions import Fraction

import numpy as np
import pytest

from conformance.errors import UserError
from conformance.generator import Deferred, Random, Staircase, digest, exactly

SEED = 1234567
FIRST = (6457827717110365317, 3203168211198807973, 9817491932198370423)
MASK = 2**64 - 1


def splitmix64(seed, count):
    outputs = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        outputs.append(z ^ (z >> 31))
    return outputs


def test_known_first_outputs():
    assert tuple(splitmix64(SEED, 3)) == FIRST
    values = Random(seed=SEED, bits=31, offset=0, exponent=0).values(3)
    assert values.tolist() == [output >> 33 for output in FIRST]


@pytest.mark.parametrize("seed", [0, 1, SEED, 2**63, 2**64 - 1])
@pytest.mark.parametrize(
    ("bits", "offset", "exponent"),
    [(1, 0, 0), (8, -128, -7), (24, 10_000_000, -20), (31, -(2**30), -30), (31, 2**40, 5)],
)
def test_values_against_plain_integers(seed, bits, offset, exponent):
    values = Random(seed, bits, offset, exponent).values(500)
    assert values.dtype == np.float64
    assert values.shape == (500,)
    expected = [
        (offset + (output >> (64 - bits))) * Fraction(2) ** exponent
        for output in splitmix64(seed, 500)
    ]
    assert [Fraction(value) for value in values] == expected


def test_fewer_values_are_the_first_of_more():
    generated = Random(SEED, 24, -5, -10)
    np.testing.assert_array_equal(generated.values(7), generated.values(1000)[:7])
    assert generated.values(0).shape == (0,)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_digest_does_not_depend_on_the_array_in_memory(dtype):
    array = Random(SEED, 10, -512, -4).values(24).reshape(4, 6).astype("<" + dtype)
    expected = hashlib.sha256(
        b"".join(struct.pack("<" + {"f2": "e", "f4": "f", "f8": "d"}[dtype], v) for v in array.flat)
    ).hexdigest()
    strided = np.repeat(array, 2, axis=1)[:, ::2]
    for same in (array, array.astype(">" + dtype), np.asfortranarray(array), strided):
        assert digest(same) == expected


def test_digest_sees_a_changed_bit_and_dtype():
    array = np.array([0.0, 1.0, 2.0])
    assert digest(array) != digest(np.array([-0.0, 1.0, 2.0]))
    assert digest(array) != digest(array.astype(np.float32))


@pytest.mark.parametrize(("offset", "power"), [(-128, 1), (-128, 2), (5, 2), (-100, 3), (7, 3)])
def test_powers_against_plain_integers(offset, power):
    values = Random(SEED, 8, offset, -7, power).values(300)
    expected = [
        Fraction((offset + (output >> 56)) ** power, 2**7) for output in splitmix64(SEED, 300)
    ]
    assert [Fraction(value) for value in values] == expected


@pytest.mark.parametrize(
    ("times", "per", "modulus", "offset", "step", "exponent"),
    [(1, 1, 7, 0, 1, 0), (2, 3, 5, -4, 3, -2), (1, 100, 2, 3, -2, 4), (2**31, 3, 2**31, 1, 9, -40)],
)
def test_a_staircase_against_plain_integers(times, per, modulus, offset, step, exponent):
    values = Staircase(times, per, modulus, offset, step, exponent).values(500)
    assert values.dtype == np.float64
    expected = [
        (offset + step * (i * times // per % modulus)) * Fraction(2) ** exponent for i in range(500)
    ]
    assert [Fraction(value) for value in values] == expected


def deferred(sha256, dtype="float32", exponent=-4):
    generator = Random(SEED, 10, -512, exponent)
    return Deferred(generator, (4, 6), np.dtype(dtype), sha256, "case a: inputs.x")


def test_a_deferred_tensor_is_what_its_generator_makes():
    numbers = Random(SEED, 10, -512, -4).values(24).reshape(4, 6).astype(np.float32)
    tensor = deferred(digest(numbers))
    assert (tensor.shape, tensor.ndim, tensor.size) == ((4, 6), 2, 24)
    made = np.asarray(tensor)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, numbers)
    assert np.asarray(tensor, dtype=np.float64).dtype == np.float64


def test_a_deferred_tensor_that_is_not_the_recorded_one_is_refused():
    with pytest.raises(UserError, match=r"^case a: inputs\.x: the generated tensor's SHA-256 is"):
        np.asarray(deferred("0" * 64))


def test_a_deferred_tensor_that_its_dtype_cannot_hold_is_refused():
    with pytest.raises(UserError, match=r"^case a: inputs\.x: holds numbers that float16 cannot"):
        np.asarray(deferred("0" * 64, "float16", 20))


@pytest.mark.parametrize(
    ("numbers", "dtype", "fits"),
    [
        ([1.0, -0.0, np.nan, np.inf], "float16", True),
        ([65520.0], "float16", False),
        ([0.1], "float32", False),
        ([2.0**-150], "float32", False),
        ([3.0, -7.0], "int32", True),
        ([0.5], "int32", False),
        ([2.0**31], "int32", False),
        ([np.nan], "int32", False),
        ([np.inf], "int64", False),
        ([2.0**53 - 1], "int64", True),
        ([2.0**53], "int64", False),
        ([2.0**63], "int64", False),
    ],
)
def test_numbers_are_taken_over_exactly_or_not_at_all(numbers, dtype, fits):
    exact = exactly(np.array(numbers), np.dtype(dtype))
    assert (exact is not None) == fits
    if exact is not None:
        assert exact.dtype == dtype
        np.testing.assert_array_equal(exact.astype(np.float64), numbers)


def test_a_deferred_tensor_of_infinite_numbers_is_refused():
    with pytest.raises(UserError, match="cannot represent"):
        np.asarray(deferred("0" * 64, "float64", 1020))


@pytest.mark.parametrize(
    "generator",
    [Random(SEED, 8, -300, -4, 3), Random(SEED, 8, 7, -4, 2), Staircase(1, 2, 9, -4, -3, 2)],
)
def test_no_number_is_larger_than_the_largest(generator):
    values = np.abs(generator.values(5000)) * 2.0**-generator.exponent
    assert generator.largest * 0.9 < values.max() <= generator.largest
