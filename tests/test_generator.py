"""The generator against SplitMix64 in plain integers, and the digest of a tensor."""

import hashlib
import struct
from fractions import Fraction

import numpy as np
import pytest

from conformance.generator import Generated, digest

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
    values = Generated(seed=SEED, bits=31, offset=0, exponent=0).values(3)
    assert values.tolist() == [output >> 33 for output in FIRST]


@pytest.mark.parametrize("seed", [0, 1, SEED, 2**63, 2**64 - 1])
@pytest.mark.parametrize(
    ("bits", "offset", "exponent"),
    [(1, 0, 0), (8, -128, -7), (24, 10_000_000, -20), (31, -(2**30), -30), (31, 2**40, 5)],
)
def test_values_against_plain_integers(seed, bits, offset, exponent):
    values = Generated(seed, bits, offset, exponent).values(500)
    assert values.dtype == np.float64
    assert values.shape == (500,)
    expected = [
        (offset + (output >> (64 - bits))) * Fraction(2) ** exponent
        for output in splitmix64(seed, 500)
    ]
    assert [Fraction(value) for value in values] == expected


def test_fewer_values_are_the_first_of_more():
    generated = Generated(SEED, 24, -5, -10)
    np.testing.assert_array_equal(generated.values(7), generated.values(1000)[:7])
    assert generated.values(0).shape == (0,)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_digest_does_not_depend_on_the_array_in_memory(dtype):
    array = Generated(SEED, 10, -512, -4).values(24).reshape(4, 6).astype("<" + dtype)
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
