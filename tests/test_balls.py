"""Certified values against the formulas written out in mpmath, element by element."""

import itertools

import flint
import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from conformance.alternatives import ALTERNATIVES
from conformance.arithmetic import balls
from conformance.formula import REFERENCE

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
        return mean, var, var * m / max(m - 1, 1) if "unbiased" in key else var
    if "unbiased" not in key:
        return mean, var, var
    unbiased = var * m / (m - 1) if m > 1 else mpf(0 if key.endswith("-of-one") else "nan")
    return mean, (unbiased if key == "unbiased-variance" else var), unbiased


def element(key, x, mean, var, gamma, beta, epsilon):
    root = root_of(key, var, epsilon)
    if root == 0:
        return mpf("nan")
    return x * (gamma / root) + (beta - mean * (gamma / root))


def root_of(key, var, epsilon):
    if key == "epsilon-float32":
        epsilon = mpf(float(np.float32(float(epsilon))))
    clamped = {"epsilon-clamped-1e-5": 1e-5, "epsilon-clamped-1.001e-5": 1.001e-5}
    if key in clamped:
        epsilon = max(epsilon, mpf(clamped[key]))
    if key == "epsilon-outside-sqrt":
        return mpmath.sqrt(var) + epsilon
    if key == "epsilon-ignored":
        return mpmath.sqrt(var)
    return mpmath.sqrt(var + epsilon)


def in_balls(formula, inputs, epsilon, bits=BITS, **others):
    with balls.working_precision(bits):
        others = {k: balls.array(v) if isinstance(v, np.ndarray) else v for k, v in others.items()}
        return formula(balls, *map(balls.array, inputs), balls.array(epsilon), **others)


def exactly(number):
    """A ball of radius 0 as the mpf that it is."""
    significand, exponent = number.man_exp()
    return mpmath.ldexp(mpf(int(significand)), int(exponent))


@every_formula
@every_input
@every_epsilon
def test_balls_hold_what_the_formula_gives(operation, key, formula, x, epsilon):
    inputs = inputs_of(operation, x)
    hold(in_balls(formula, inputs, epsilon), by_hand(operation, key, inputs, epsilon))


def hold(got, expected):
    """Each ball holds the value by hand, and its nearest double is the value's."""
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


# The other operations


def formulas(operation):
    keys = [(a.key, a.operations[operation]) for a in ALTERNATIVES if operation in a.operations]
    pairs = [("reference", REFERENCE[operation]), *keys]
    return pytest.mark.parametrize(("key", "formula"), pairs, ids=[key for key, _ in pairs])


SOME = ("random", "random, rank 4", "offset 1e6", "zero variance", "two rows", "three rows")
some_inputs = pytest.mark.parametrize("x", [DATA[name] for name in SOME], ids=SOME)


def parameters(seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2, CHANNELS) * [1, -1, 1], rng.uniform(-2, 2, CHANNELS)


def columns(array):
    return [[mpf(float(v)) for v in c] for c in array.reshape(-1, array.shape[-1]).T]


def number_of(a):
    return mpf(float(a))


def rows_of(columns):
    return [list(row) for row in zip(*columns, strict=True)]


def derivative(key, x, dy, gamma, epsilon):
    """Of sum(dy * y) by each x, from the derivatives of the mean, the variance and the root."""
    m = len(x)
    mean, var, _ = statistics(key, x)
    root = root_of(key, var, epsilon)
    if root == 0:
        return [mpf("nan")] * m
    if key == "statistics-held-constant":
        return [gamma * d / root for d in dy]
    by_root = -sum(d * gamma * (v - mean) for v, d in zip(x, dy, strict=True)) / root**2
    inner = root - number_of(epsilon) if key == "epsilon-outside-sqrt" else root
    degrees = m - 1 if key == "unbiased-variance" else m
    by_mean = -sum(d * gamma / root for d in dy)
    if inner == 0:
        return [mpf("nan")] * m
    by_var = by_root / (2 * inner)
    return [
        gamma * d / root + by_mean / m + by_var * 2 * (v - mean) / degrees
        for v, d in zip(x, dy, strict=True)
    ]


@formulas("grad")
@some_inputs
@every_epsilon
def test_balls_hold_the_derivatives_of_training(key, formula, x, epsilon):
    gamma, beta = parameters(21)
    dy = np.random.default_rng(22).normal(size=x.shape) + 0.3
    got = in_balls(formula, (x, gamma, beta), epsilon, dy=dy)
    expected = {"dx": [], "dgamma": [], "dbeta": []}
    for c, (v, d) in enumerate(zip(columns(x), columns(dy), strict=True)):
        mean, var, _ = statistics(key, v)
        root = root_of(key, var, mpf(epsilon))
        expected["dx"].append(derivative(key, v, d, number_of(gamma[c]), mpf(epsilon)))
        products = sum(a * (b - mean) for a, b in zip(d, v, strict=True))
        expected["dgamma"].append(products / root if root else mpf("nan"))
        expected["dbeta"].append(sum(d))
    hold(got, {**expected, "dx": rows_of(expected["dx"])})


@formulas("grad-infer")
@some_inputs
@every_epsilon
def test_balls_hold_the_derivatives_of_inference(key, formula, x, epsilon):
    gamma, beta = parameters(23)
    mean, var = beta + 0.5, np.array([0.3, 1e-7, 20.0])
    dy = np.random.default_rng(24).normal(size=x.shape) + 0.3
    got = in_balls(formula, (x, mean, var, gamma, beta), epsilon, dy=dy)
    expected = {"dx": [], "dgamma": [], "dbeta": []}
    for c, (v, d) in enumerate(zip(columns(x), columns(dy), strict=True)):
        root = root_of(key, number_of(var[c]), mpf(epsilon))
        expected["dx"].append([number_of(gamma[c]) * a / root for a in d])
        products = sum(a * (b - number_of(mean[c])) for a, b in zip(d, v, strict=True))
        expected["dgamma"].append(products / root)
        expected["dbeta"].append(sum(d))
    hold(got, {**expected, "dx": rows_of(expected["dx"])})


BATCHES, RATES = (7, 2, 8), (0.25, 0.1, 0.9)


@formulas("update")
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_balls_hold_the_running_statistics(key, formula, offset):
    x = random(25, sum(BATCHES)) + offset
    mean, var = np.array([0.5, -40.0, 3.0]), np.array([0.02, 9.0, 1.5])
    rates = [balls.array(rate) for rate in RATES]
    got = in_balls(formula, (x, mean, var), 1e-3, rates=rates, batches=BATCHES)
    got = {name: np.array(batches, dtype=object) for name, batches in got.items()}
    expected = {"running_mean": [], "running_var": []}
    for c, column in enumerate(columns(x)):
        states = running(key, column, number_of(mean[c]), number_of(var[c]))
        for name, state in zip(expected, zip(*states, strict=True), strict=True):
            expected[name].append(state)
    hold(got, {name: rows_of(states) for name, states in expected.items()})


def running(key, column, mean, var):
    """(mean, var) after each batch: sums of all that came, each with the weight that it has left."""
    old, news, weights, states = mpf(1), [], [], []
    start = 0
    for size, number in zip(BATCHES, RATES, strict=True):
        rate = number_of(number)
        batch_mean, batch_var, reported = statistics(key, column[start : start + size])
        start += size
        if key == "momentum-inverted-unbiased":
            reported = batch_var * size / (size - 1)
        if key.startswith("momentum-inverted"):
            rate = 1 - rate
        if key in ("rate-float32", "rounded-weight-of-the-old"):
            of_the_old = key.endswith("of-the-old")
            narrow = np.float32(float(1 - rate if of_the_old else rate))
            rate = 1 - mpf(float(narrow)) if of_the_old else mpf(float(narrow))
        rate = {"statistics-frozen": mpf(0), "statistics-replaced": mpf(1)}.get(key, rate)
        if key == "standard-deviation-averaged":
            reported = mpmath.sqrt(reported)
        old *= 1 - rate
        weights = [weight * (1 - rate) for weight in weights] + [rate]
        news.append((batch_mean, reported))
        sums = [sum(w * new[k] for w, new in zip(weights, news, strict=True)) for k in (0, 1)]
        if key == "zero-debiased":
            states.append([total / (1 - old) for total in sums])
        else:
            states.append(
                [old * first + total for first, total in zip((mean, var), sums, strict=True)]
            )
    return states


ACTIVATED = {
    "identity": lambda y: y,
    "relu": lambda y: max(y, mpf(0)),
    "tanh": lambda y: 1 - 2 / (mpmath.exp(2 * y) + 1),
    "sigmoid": lambda y: (mpmath.tanh(y / 2) + 1) / 2,
}


@formulas("dense")
@pytest.mark.parametrize("activation", ACTIVATED)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_balls_hold_a_dense_layer(key, formula, activation, epsilon):
    x, (gamma, beta) = np.random.default_rng(26).normal(size=(9, 4)), parameters(27)
    w = np.random.default_rng(28).normal(size=(4, CHANNELS))
    got = in_balls(formula, (x, w, gamma, beta), epsilon, activation=activation)
    expected = []
    for c in range(CHANNELS):
        z = [
            sum(number_of(a) * number_of(b) for a, b in zip(row, w[:, c], strict=True)) for row in x
        ]
        mean, var, _ = statistics(key, z)
        affine = number_of(gamma[c]), number_of(beta[c])
        y = [element(key, v, mean, var, *affine, mpf(epsilon)) for v in z]
        expected.append([ACTIVATED[activation](v) for v in y])
    hold(got, {"y": rows_of(expected)})


def test_every_operation_is_held_against_mpmath():
    assert set(REFERENCE) == {"train", "infer", "grad", "grad-infer", "update", "dense"}


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
