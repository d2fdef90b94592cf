"""Certified values against the formulas written out in mpmath, element by element."""

import itertools

import flint
import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from conformance.arithmetic import balls
from conformance.formula import ALTERNATIVES, REFERENCE

BITS = 256
DIGITS = 120
EPSILONS = (1e-3, 1e-12)
CHANNELS = 3


@pytest.fixture(autouse=True)
def _precision_of_mpmath():
    with mp.workdps(DIGITS):
        yield


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=(*shape, CHANNELS))


def with_a_constant_channel(x, constant):
    x[..., 1] = constant
    return x


DATA = {
    "random": random(1, 17),
    "random, rank 4": random(2, 2, 3, 2),
    "offset 1e6": random(3, 12) + 1e6,
    "zero variance": with_a_constant_channel(random(4, 7), 0.1),
    "zero variance, large": with_a_constant_channel(random(5, 9), 10000.1),
    "one row": random(6, 1),
    "two rows": random(7, 2),
    "three rows": random(8, 3),
}
FORMULAS = [
    pytest.param(operation, key, formula, id=f"{operation}-{key}")
    for operation, reference in REFERENCE.items()
    if operation in ("train", "infer")
    for key, formula in [
        ("reference", reference),
        *((a.key, a.operations[operation]) for a in ALTERNATIVES if operation in a.operations),
    ]
]
every_formula = pytest.mark.parametrize(("operation", "key", "formula"), FORMULAS)
every_input = pytest.mark.parametrize("x", DATA.values(), ids=DATA)
every_epsilon = pytest.mark.parametrize("epsilon", EPSILONS)


def inputs_of(operation, x):
    """Tensors in the order of the operation's arguments; some values lie on the running mean."""
    rng = np.random.default_rng(9)
    gamma, beta = rng.uniform(0.5, 2, CHANNELS) * [1, -1, 1], rng.uniform(-2, 2, CHANNELS)
    if operation == "train":
        return x, gamma, beta
    rows = x.reshape(-1, CHANNELS)
    var = np.where(np.ptp(rows, axis=0) == 0, 0.0, rows.var(axis=0))
    return x, rows[0], var, gamma, beta


def by_hand(operation, key, inputs, epsilon):
    """The outputs of a formula as nested lists of mpf, NaN where it has no finite value."""
    numbers = [[mpf(float(v)) for v in tensor] for tensor in inputs[1:]]
    columns = [[mpf(float(v)) for v in c] for c in inputs[0].reshape(-1, CHANNELS).T]
    outputs = {"y": [], "mean": [], "var": []}
    for c, x in enumerate(columns):
        gamma, beta = numbers[-2][c], numbers[-1][c]
        if operation == "train":
            mean, var, reported = statistics(key, x)
        else:
            mean, var = numbers[0][c], numbers[1][c]
            reported = var
        outputs["mean"].append(mean)
        outputs["var"].append(reported)
        outputs["y"].append([element(key, v, mean, var, gamma, beta, mpf(epsilon)) for v in x])
    outputs["y"] = [list(row) for row in zip(*outputs["y"], strict=True)]
    return outputs if operation == "train" else {"y": outputs["y"]}


def statistics(key, x):
    """Mean, the variance that y is normalized by, and the variance handed back."""
    m = len(x)
    mean = sum(x) / m
    var = sum((v - mean) ** 2 for v in x) / m
    if key.startswith("single-pass-variance"):
        var = sum(v * v for v in x) / m - mean * mean
        return mean, var, var
    if "unbiased" not in key:
        return mean, var, var
    unbiased = var * m / (m - 1) if m > 1 else mpf("nan")
    return mean, (unbiased if key == "unbiased-variance" else var), unbiased


def element(key, x, mean, var, gamma, beta, epsilon):
    clamped = {"epsilon-clamped-1e-5": 1e-5, "epsilon-clamped-1.001e-5": 1.001e-5}
    if key in clamped:
        epsilon = max(epsilon, mpf(clamped[key]))
    root = mpmath.sqrt(var + epsilon)
    if key == "epsilon-outside-sqrt":
        root = mpmath.sqrt(var) + epsilon
    if key == "epsilon-ignored":
        root = mpmath.sqrt(var)
    if root == 0:
        return mpf("nan")
    return x * (gamma / root) + (beta - mean * (gamma / root))


def in_balls(formula, inputs, epsilon, bits=BITS):
    with balls.working_precision(bits):
        return formula(balls, *map(balls.array, inputs), balls.array(epsilon))


def exactly(number):
    """A ball of radius 0 as the mpf that it is."""
    significand, exponent = number.man_exp()
    return mpmath.ldexp(mpf(int(significand)), int(exponent))


@every_formula
@every_input
@every_epsilon
def test_balls_hold_what_the_formula_gives(operation, key, formula, x, epsilon):
    inputs = inputs_of(operation, x)
    got = in_balls(formula, inputs, epsilon)
    expected = by_hand(operation, key, inputs, epsilon)
    assert got.keys() == expected.keys()
    for name, array in got.items():
        nearest = balls.nearest(array, np.ones(array.shape))
        flat = np.array(expected[name], dtype=object).reshape(-1)
        assert nearest.dtype == np.float64
        assert nearest.shape == array.shape
        for ball, double, value in zip(array.flat, nearest.flat, flat, strict=True):
            if mpmath.isnan(value):
                assert not ball.is_finite()
                assert np.isnan(double)
                continue
            slack = mpf(10) ** -100 * max(1, abs(value))
            assert abs(exactly(ball.mid()) - value) <= exactly(ball.rad()) + slack
            # What 120 digits left of a zero is not its nearest double.
            assert double == (0.0 if abs(value) < slack else float(value))


@every_formula
@every_input
@every_epsilon
def test_radii_are_far_below_half_an_ulp(operation, key, formula, x, epsilon):
    for array in in_balls(formula, inputs_of(operation, x), epsilon).values():
        radius = balls.radius(array)
        value = balls.nearest(array, np.ones(array.shape))
        finite = np.isfinite(value)
        assert np.isfinite(radius[finite]).all()
        assert not np.isfinite(radius[~finite]).any()
        ulp = np.where(value == 0, 2.0**-53, np.spacing(np.abs(value)))
        assert (radius[finite] < 2.0**-60 * ulp[finite] / 2).all()


def test_only_what_has_no_finite_value_is_nan():
    """Zero variance without epsilon, and n - 1 of one row."""
    undefined = set()
    for (name, x), parameters in itertools.product(DATA.items(), FORMULAS):
        operation, key, formula = parameters.values
        outputs = in_balls(formula, inputs_of(operation, x), EPSILONS[0])
        if any(not ball.is_finite() for array in outputs.values() for ball in array.flat):
            undefined.add((operation, key, name))
    degenerate = ("zero variance", "zero variance, large", "one row")
    assert undefined == {
        *(("train", "epsilon-ignored", name) for name in degenerate),
        *(("infer", "epsilon-ignored", name) for name in degenerate),
        ("train", "unbiased-variance", "one row"),
        ("train", "unbiased-batch-variance", "one row"),
    }


def at_mean(mean, bits):
    x = random(10, 11) + mean
    y = in_balls(REFERENCE["train"], inputs_of("train", x), 1e-3, bits)["y"]
    return balls.nearest(y, np.ones(y.shape))


@pytest.mark.parametrize("bits", [60, 90])
def test_too_few_bits_for_the_cancellation_are_noticed(bits):
    with pytest.raises(balls.Uncertain):
        at_mean(1e9, bits)


def test_the_same_bits_suffice_where_nothing_cancels():
    np.testing.assert_array_equal(at_mean(0.0, 90), at_mean(0.0, BITS))


def test_complete_cancellation_is_zero():
    x = np.array([[0.1, 3.7, 1e6]])
    folded = next(a for a in ALTERNATIVES if a.key == "folded").operations["infer"]
    inputs = (x, x[0], np.full(3, 0.7), np.full(3, 1.3), np.zeros(3))
    y = in_balls(folded, inputs, 1e-3)["y"]
    assert (balls.radius(y) > 0).all()
    nearest = balls.nearest(y, np.abs(x))
    np.testing.assert_array_equal(nearest, 0.0)
    with pytest.raises(balls.Uncertain):
        balls.nearest(y, np.zeros(x.shape))


def test_zero_over_zero_is_nan():
    x = np.full((4, CHANNELS), 2.5)
    outputs = in_balls(REFERENCE["train"], inputs_of("train", x), 0.0)
    assert np.isnan(balls.nearest(outputs["y"], np.ones(x.shape))).all()
    np.testing.assert_array_equal(balls.nearest(outputs["mean"], np.ones(CHANNELS)), 2.5)
    np.testing.assert_array_equal(balls.nearest(outputs["var"], np.ones(CHANNELS)), 0.0)


def test_maximum_takes_the_larger_ball():
    larger = balls.maximum(balls.array([-1.0, 0.0, 2.0]), 0.5)
    np.testing.assert_array_equal(balls.nearest(larger, np.ones(3)), [0.5, 0.5, 2.0])
    assert not balls.radius(larger).any()


def test_doubles_become_balls_of_radius_zero():
    numbers = np.array([[0.1, -5e-324], [1e308, 0.0]])
    with balls.working_precision(2):
        exact = balls.array(numbers)
    assert not balls.radius(exact).any()
    np.testing.assert_array_equal(balls.nearest(exact, np.abs(numbers)), numbers)


def test_the_largest_double_is_a_value_like_any_other():
    largest = np.array([np.finfo(np.float64).max])
    np.testing.assert_array_equal(balls.nearest(balls.array(largest), largest), largest)
    with balls.working_precision(20):
        wide = balls.array(largest) * 3 / 3
    with pytest.raises(balls.Uncertain):
        balls.nearest(wide, np.zeros(1))


def test_working_precision_comes_back_after_an_exception():
    before, inside = flint.ctx.prec, None
    try:
        with balls.working_precision(before + 77):
            inside = flint.ctx.prec
            raise ArithmeticError
    except ArithmeticError:
        pass
    assert (inside, flint.ctx.prec) == (before + 77, before)
