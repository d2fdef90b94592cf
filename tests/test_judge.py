"""The rule that judges, on questions of one or two numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.judge import (
    CONFORMS,
    INACCURATE,
    POLICY,
    UNSUPPORTED,
    WRONG,
    Answer,
    Expectation,
    Judgement,
    Named,
    Question,
    judge,
    limit,
)

# In float64 a value of 1 with this scale has a denominator of 2**-33: a ratio of r is 1 + r * 2**-33,
# and ratios can be told apart down to 2**-19.
SCALE = 2.0**20 - 1
ONE_RATIO = 2.0**-33
STEP = 2.0**-19

BETA = 0.25
NAN, INF = math.nan, math.inf


def expectation(value, scale=SCALE) -> Expectation:
    value = np.array(value, dtype=np.float64)
    scale = np.where(np.isnan(value), np.inf, scale)
    return Expectation(value, np.array(np.broadcast_to(scale, value.shape)))


def question(
    value,
    *alternatives,
    values=1,
    policies=(),
    scale=SCALE,
    dtype="float64",
    required=1,
    **statistics,
) -> Question:
    """One that asks for y; each alternative is (key, verdict, value of y[, scale])."""
    reference = {"y": expectation(value, scale)}
    reference |= {name: expectation(number) for name, number in statistics.items()}
    expected = {"reference": reference}
    formulas = {}
    for key, verdict, other, *its_scale in alternatives:
        expected[key] = {**reference, "y": expectation(other, *its_scale)}
        formulas[key] = Named(key, f"name of {key}", verdict, f"meaning of {key}")
    shapes = {name: one.value.shape for name, one in reference.items()}
    return Question(
        dtype=dtype,
        values_per_channel=values,
        shapes=shapes,
        required=required,
        positions=None,
        beta=np.full(np.shape(value), BETA),
        expected=expected,
        formulas=formulas,
        policies=frozenset(policies),
    )


def verdict(asked: Question, y, **others) -> tuple[str, str]:
    outputs = {"y": np.array(y, dtype=asked.dtype), **others}
    judgement = judge(asked, Answer(outputs))
    return judgement.verdict, judgement.name


def at(ratio: float) -> list[float]:
    """y of one element with that ratio against 1."""
    return [1 + ratio * ONE_RATIO]


# The bound


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("values", "ratio", "seen"),
    [
        (1, 0, (CONFORMS, "accurate")),
        (1, 4, (CONFORMS, "accurate")),
        (1, 4 + STEP, (INACCURATE, "unexplained")),
        (16, 4 + STEP, (INACCURATE, "unexplained")),
        (100, 4, (CONFORMS, "accurate")),
        (100, 4 + STEP, (CONFORMS, "stable")),
        (100, 10, (CONFORMS, "stable")),
        (100, 10 + STEP, (INACCURATE, "unexplained")),
        (17, math.sqrt(17) - STEP, (CONFORMS, "stable")),
        (17, math.sqrt(17) + STEP, (INACCURATE, "unexplained")),
    ],
)
def test_the_limits_are_4_and_the_root_of_the_values_per_channel(values, ratio, seen, sign):
    assert verdict(question([1.0], values=values), at(sign * ratio)) == seen


def test_the_limit_is_never_below_4():
    assert [limit(values) for values in (0, 1, 16, 25, 10000)] == [4, 4, 4, 5, 100]


def test_ratio_is_the_error_over_roundoff_times_scale_plus_half_an_ulp():
    asked = question([1.0, 1.0, 4.0], scale=[0.0, 3.0, 0.0], dtype="float32")
    half_ulp = 2.0**-24
    for element, denominator in enumerate([half_ulp, half_ulp + 3 * 2.0**-24, 4 * half_ulp]):
        y = np.array([1, 1, 4], dtype=np.float32)
        y[element] += 2.0**-20
        assert judge(asked, Answer({"y": y})).ratio == 2.0**-20 / denominator


def test_the_worst_element_of_any_output_decides():
    asked = question([1.0, 1.0], mean=[1.0], var=[1.0])
    right = np.array([1.0])
    assert verdict(asked, [1, 1], mean=right, var=right) == (CONFORMS, "accurate")
    assert verdict(asked, [1, *at(5)], mean=right, var=right) == (INACCURATE, "unexplained")
    assert verdict(asked, [1, 1], mean=right, var=np.array(at(5))) == (INACCURATE, "unexplained")


def test_all_errors_are_kept_with_the_judgement():
    asked = question([4.0], mean=[1.0])
    judgement = judge(asked, Answer({"y": np.array([4.5]), "mean": np.array([1.0])}))
    ratio = 0.5 / (2.0**-53 * (SCALE + 4))
    assert judgement.ratio == ratio
    assert judgement.outputs == {
        "y": {"ratio": ratio, "ulp": 0.5 * 2.0**50, "abs": 0.5, "rel": 0.125},
        "mean": {"ratio": 0, "ulp": 0, "abs": 0, "rel": 0},
    }


def test_optional_outputs_may_be_left_out():
    assert verdict(question([1.0], mean=[2.0], var=[3.0]), [1.0]) == (CONFORMS, "accurate")


def test_half_of_the_digits_right_is_inaccurate_and_fewer_is_wrong():
    asked = question([1.0], scale=1.0, dtype="float32")
    assert verdict(asked, [1 + 4096 * 2.0**-23]) == (INACCURATE, "unexplained")
    assert verdict(asked, [1 + 4097 * 2.0**-23]) == (WRONG, "unexplained")


@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_no_number_where_one_is_due_is_wrong(number):
    assert verdict(question([1.0, 1.0]), [1.0, number]) == (WRONG, "unexplained")


def test_zero_where_zero_is_due_conforms_without_a_scale():
    assert verdict(question([0.0], scale=0.0), [-0.0]) == (CONFORMS, "accurate")


def test_subnormal_errors_are_held_against_the_smallest_ulp():
    asked = question([0.0], scale=0.0)
    assert verdict(asked, [5e-324]) == (CONFORMS, "accurate")
    assert verdict(asked, [10 * 5e-324]) == (INACCURATE, "unexplained")


# Named formulas


def test_an_output_takes_the_name_and_the_verdict_of_the_formula_it_follows():
    asked = question([1.0], ("a", WRONG, [2.0]), ("b", "convention", [3.0]))
    judgement = judge(asked, Answer({"y": np.array([3.0])}))
    assert (judgement.verdict, judgement.name) == ("convention", "name of b")
    assert judgement.message == "meaning of b"
    assert judgement.ratio == 2 / ONE_RATIO


def test_the_first_formula_that_explains_the_output_is_its_name():
    asked = question([1.0], ("a", WRONG, at(10)), ("b", INACCURATE, at(11)))
    assert verdict(asked, at(12)) == (WRONG, "name of a")
    assert verdict(asked, at(15)) == (INACCURATE, "name of b")


def test_the_reference_goes_before_every_other_formula():
    assert verdict(question([1.0], ("a", WRONG, at(5))), at(4)) == (CONFORMS, "accurate")


def test_one_formula_must_explain_all_elements_and_all_outputs():
    asked = question([1.0, 1.0], ("a", WRONG, [2.0, 2.0]), ("b", WRONG, [3.0, 3.0]), mean=[1.0])
    right = np.array([1.0])
    assert verdict(asked, [2, 2], mean=right) == (WRONG, "name of a")
    assert verdict(asked, [2, 3], mean=right) == (WRONG, "unexplained")
    assert verdict(asked, [2, 1], mean=right) == (WRONG, "unexplained")
    assert verdict(asked, [2, 2], mean=right + 1) == (WRONG, "unexplained")


def test_an_inaccurate_algorithm_is_held_to_its_own_scale():
    asked = question([1.0], ("a", INACCURATE, [1.0], 1000 * SCALE))
    assert verdict(asked, at(3999)) == (INACCURATE, "name of a")
    assert verdict(asked, at(4001)) == (INACCURATE, "unexplained")


def test_an_infinite_scale_explains_any_number():
    asked = question([1.0, 1.0], ("a", INACCURATE, [1.0, 1.0], [SCALE, INF]))
    for number in (5.0, INF, NAN):
        assert verdict(asked, [1, number]) == (INACCURATE, "name of a")
    assert verdict(asked, [5, 1]) == (WRONG, "unexplained")


# Policies


def test_an_error_is_a_policy_only_where_it_is_allowed():
    answer = Answer(raised="ValueError: no")
    assert judge(question([1.0]), answer) == Judgement(WRONG, "raises", message="ValueError: no")
    for policies, seen in [(["raises"], POLICY), (["nan"], WRONG), (["nan", "raises"], POLICY)]:
        assert judge(question([1.0], policies=policies), answer).verdict == seen


def test_nan_is_a_policy_only_where_it_is_allowed():
    assert verdict(question([1.0, 1.0], policies=["nan"]), [1, NAN]) == (POLICY, "nan")
    assert verdict(question([1.0, 1.0], policies=["nan"]), [NAN, NAN]) == (POLICY, "nan")
    assert verdict(question([1.0, 1.0], policies=["nan"]), [2, NAN]) == (WRONG, "unexplained")
    assert verdict(question([1.0, 1.0], policies=["nan"]), [1, INF]) == (WRONG, "unexplained")
    assert verdict(question([1.0, 1.0], policies=["raises"]), [1, NAN]) == (WRONG, "unexplained")


@pytest.mark.parametrize(
    ("number", "name"), [(NAN, "nan"), (INF, "infinity"), (-INF, "infinity"), (BETA, "beta")]
)
def test_where_the_formula_has_no_value_nan_infinity_and_beta_are_policies(number, name):
    assert verdict(question([1.0, NAN]), [1.0, number]) == (POLICY, name)


def test_where_the_formula_has_no_value_another_number_is_wrong():
    assert verdict(question([1.0, NAN]), [1.0, 3.0]) == (WRONG, "unexplained")


@pytest.mark.parametrize("number", [NAN, INF, BETA])
def test_the_rest_of_an_undefined_output_must_be_right(number):
    assert verdict(question([1.0, NAN]), [number, number]) == (WRONG, "unexplained")


def test_beta_may_be_off_by_a_unit_in_the_last_place():
    up = np.nextafter(BETA, 1)
    assert verdict(question([1.0, NAN]), [1.0, up]) == (POLICY, "beta")
    assert verdict(question([1.0, NAN]), [1.0, np.nextafter(up, 1)]) == (WRONG, "unexplained")


def test_a_statistic_without_a_value_is_not_beta():
    asked = question([1.0], var=[NAN])
    assert verdict(asked, [1.0], var=np.array([NAN])) == (POLICY, "nan")
    assert verdict(asked, [1.0], var=np.array([BETA])) == (WRONG, "unexplained")


@pytest.mark.parametrize("number", [NAN, INF, -INF, BETA, 2.0])
def test_an_overflow_may_answer_as_ieee_arithmetic_does_or_as_the_reference(number):
    asked = question([1.0, 2.0, 2.0], ("overflow", POLICY, [1.0, NAN, NAN]))
    seen = verdict(asked, [1.0, 2.0, number])
    assert seen == ((CONFORMS, "accurate") if number == 2 else (POLICY, "name of overflow"))


def test_outside_the_channel_that_overflows_the_reference_is_due():
    asked = question([1.0, 2.0], ("overflow", POLICY, [1.0, NAN]))
    for number in (NAN, INF, BETA):
        assert verdict(asked, [number, NAN]) == (WRONG, "unexplained")
    assert verdict(asked, [1.0, 3.0]) == (WRONG, "unexplained")


def test_only_a_policy_may_be_mixed_with_the_reference():
    mixed = [1.0, 6.0]
    for its_verdict, seen in [(POLICY, (POLICY, "name of a")), (WRONG, (WRONG, "unexplained"))]:
        assert verdict(question([1.0, 2.0], ("a", its_verdict, [5.0, 6.0])), mixed) == seen


# Other answers


def test_what_is_not_offered_is_unsupported():
    judgement = judge(question([1.0]), Answer(unsupported="not here"))
    assert judgement == Judgement(UNSUPPORTED, UNSUPPORTED, message="not here")


def test_a_changed_input_is_wrong_though_the_output_is_right():
    judgement = judge(question([1.0]), Answer({"y": np.array([1.0])}, changed_input="x"))
    assert judgement == Judgement(WRONG, "input-changed", message="x was written to")


def test_a_wrong_number_of_outputs_is_wrong():
    judgement = judge(question([1.0]), Answer(malformed="gave 2 outputs"))
    assert judgement == Judgement(WRONG, "outputs", message="gave 2 outputs")


def test_an_unknown_output_is_wrong():
    right = np.array([1.0])
    judgement = judge(question([1.0]), Answer({"y": right, "z": right}))
    assert (judgement.verdict, judgement.name) == (WRONG, "outputs")


@pytest.mark.parametrize("outputs", [{}, {"mean": np.array([1.0])}], ids=["none", "mean alone"])
def test_an_answer_without_y_is_wrong(outputs):
    judgement = judge(question([1.0], mean=[1.0]), Answer(outputs))
    assert (judgement.verdict, judgement.name) == (WRONG, "outputs")


class Hostile:
    def __array__(self, *_, **__):
        raise RuntimeError


ODD = {
    "none": (None, "type"),
    "list": ([1.0, 1.0], "type"),
    "tuple": ((1.0, 1.0), "type"),
    "text": ("1.0", "type"),
    "float": (1.0, "type"),
    "dict": ({"y": 1.0}, "type"),
    "hostile": (Hostile(), "type"),
    "array type": (np.ndarray, "type"),
    "0-d": (np.array(1.0), "shape"),
    "scalar": (np.float64(1.0), "shape"),
    "row": (np.ones((1, 2)), "shape"),
    "column": (np.ones((2, 1)), "shape"),
    "too many": (np.ones(3), "shape"),
    "empty": (np.ones(0), "shape"),
    "float32": (np.ones(2, np.float32), "dtype"),
    "longdouble": (np.ones(2, np.longdouble), "dtype"),
    "integers": (np.ones(2, int), "dtype"),
    "booleans": (np.ones(2, bool), "dtype"),
    "complex": (np.ones(2, complex), "dtype"),
    "objects": (np.array([1.0, None], dtype=object), "dtype"),
    "texts": (np.array(["1.0", "one"]), "dtype"),
    "bytes": (np.array([b"1.0", b"one"]), "dtype"),
    "dates": (np.array(["2015-02-11", "NaT"], dtype="datetime64[D]"), "dtype"),
    "structured": (np.zeros(2, dtype=[("a", float), ("b", float)]), "dtype"),
}


@pytest.mark.parametrize(("odd", "name"), ODD.values(), ids=ODD)
def test_an_odd_answer_is_wrong_under_the_name_of_what_is_odd(odd, name):
    judgement = judge(question([1.0, 1.0]), Answer({"y": odd}))
    assert (judgement.verdict, judgement.name) == (WRONG, name)
    assert judgement.message.startswith("y ")


ODD_STATISTICS = {key: pair for key, pair in ODD.items() if key != "float32"}


@pytest.mark.parametrize(("odd", "name"), ODD_STATISTICS.values(), ids=ODD_STATISTICS)
def test_an_odd_statistic_is_wrong_under_the_name_of_what_is_odd(odd, name):
    judgement = judge(question([1.0], mean=[1.0, 1.0]), Answer({"y": np.ones(1), "mean": odd}))
    assert (judgement.verdict, judgement.name) == (WRONG, name)
    assert judgement.message.startswith("mean ")


def test_statistics_may_be_of_a_wider_or_narrower_dtype():
    for dtype in (np.float32, np.float64, np.float16):
        asked = question([1.0], mean=[1.0], dtype="float32")
        assert verdict(asked, [1.0], mean=np.ones(1, dtype)) == (CONFORMS, "accurate")


@pytest.mark.parametrize(
    "array",
    [
        np.ma.masked_array([1.0, 1.0], mask=[True, False]),
        np.array([1.0, 1.0], dtype=">f8"),
        np.ones(4)[::2],
        np.broadcast_to(1.0, (2,)),
    ],
    ids=["masked", "big-endian", "strided", "read-only"],
)
def test_any_kind_of_float64_array_is_judged(array):
    assert judge(question([1.0, 1.0]), Answer({"y": array})).verdict == CONFORMS


# Shapes


def test_only_the_sampled_positions_of_y_are_judged():
    asked = question([1.0, 2.0])
    asked = Question(**{**vars(asked), "shapes": {"y": (2, 3)}, "positions": np.array([1, 5])})
    assert verdict(asked, [[9, 1, 9], [9, 9, 2]]) == (CONFORMS, "accurate")
    assert verdict(asked, [[9, 2, 9], [9, 9, 1]]) == (WRONG, "unexplained")
    assert verdict(asked, [1, 2]) == (WRONG, "shape")


def test_an_empty_batch_conforms_when_nothing_comes_of_it():
    asked = question(np.empty((0, 2)), values=0, mean=[NAN, NAN])
    nothing = np.empty((0, 2))
    assert verdict(asked, nothing) == (CONFORMS, "accurate")
    assert verdict(asked, nothing, mean=np.array([NAN, NAN])) == (POLICY, "nan")
    assert verdict(asked, np.empty((2, 0))) == (WRONG, "shape")
