"""The rules that every case of the catalogue keeps."""

from fnmatch import fnmatchcase

import numpy as np
import pytest

from conformance.cases import cases_folder, load_cases
from conformance.operations import OPERATIONS

CASES = load_cases(cases_folder())
COMPUTED = {name: case for name, case in CASES.items() if case.operation != "reject"}

# gamma is 0 in a channel because that is what the case is about.
GAMMA_ZERO = ("affine/*-gamma-zero", "nonfinite/*-gamma-0")
DEFAULTS = "affine/*-defaults"
# Sums of nothing, and gradients that cancel because that is what the case is about.
ALL_CANCELS = ("empty/*", "gradients/grad-float??-dy-ones")


@pytest.mark.parametrize("case", COMPUTED.values(), ids=list(COMPUTED))
def test_a_case_can_prove_something(case):
    parameters = {
        name: np.asarray(a).astype(np.float64)
        for name, a in case.inputs.items()
        if name not in ("x", "dy", "w")
    }
    says_so = "layer" in case.attributes or fnmatchcase(case.id, DEFAULTS)
    if case.operation != "update" and not says_so:
        assert not np.any(parameters["gamma"] == 1)
        assert not np.any(parameters["beta"] == 0)
        zero = any(fnmatchcase(case.id, pattern) for pattern in GAMMA_ZERO)
        assert zero or not np.any(parameters["gamma"] == 0)
    reference = case.question.expected["reference"]
    for one in reference.values():
        assert np.isfinite(one.scale[np.isfinite(one.value)]).all()
    required = list(reference.values())[: OPERATIONS[case.operation].required]
    finite = [one.value[np.isfinite(one.value)].ravel().tolist() for one in required]
    assert any(fnmatchcase(case.id, pattern) for pattern in ALL_CANCELS) or any(
        len(set(values)) > 1 for values in finite
    )


@pytest.mark.parametrize(
    "case", [c for c in CASES.values() if c.operation == "reject"], ids=lambda case: case.id
)
def test_a_case_to_reject_expects_nothing_but_a_refusal(case):
    assert case.question.rejects
    assert not case.expected
    assert case.attributes["call"] in OPERATIONS


def test_rounding_errors_are_normalized_without_variance_and_epsilon_alone():
    """Elsewhere, a kernel that leaves NaN in x out of its statistics would pass for it."""
    excused = [case for case in COMPUTED.values() if "roundoff" in case.expected]
    assert excused
    for case in excused:
        assert case.epsilon == 0, case.id
        assert np.isfinite(np.asarray(case.inputs["x"], dtype=float)).all(), case.id


def test_no_long_column_is_constant():
    for case in COMPUTED.values():
        x = np.moveaxis(np.asarray(case.inputs["x"]), case.channel_axis, -1)
        rows = x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])
        assert len(rows) <= 100 or (rows.min(axis=0) < rows.max(axis=0)).all(), case.id


def test_few_shapes_are_compiled():
    """Over all operations; large batches and numbers of channels are about the shape."""
    shapes = {
        (case.dtype, shape)
        for case in COMPUTED.values()
        if case.family not in ("large-batch", "channels")
        for shape in compiled_for(case)
    }
    assert len(shapes) <= 40, shapes


def compiled_for(case):
    """Shapes of x, channels last; an update is a call for each batch."""
    shape = list(case.inputs["x"].shape)
    first, *rest = [*shape[: case.channel_axis], *shape[case.channel_axis + 1 :]]
    return {
        (rows, *rest, shape[case.channel_axis]) for rows in case.attributes.get("batches", [first])
    }


def test_what_is_just_beyond_the_bound_of_a_long_sum_is_no_convention():
    """n/(n-1) differs from 1 by far less than a sum of 2**20 values may lose."""
    case = CASES["large-batch/train-float32-rows-1048576"]
    assert "unbiased-batch-variance" not in case.expected
    assert "unbiased-batch-variance" in CASES["large-batch/train-float32-rows-70001"].expected


def test_statistics_in_float32_beside_a_half_precision_are_told_apart_in_float32():
    """The unbiased running variance of x with a spread of 0.01 is not within float32's rounding of the other."""
    case = CASES["dtypes/update-float16-NC-scale-0.01-float32-parameters"]
    assert "unbiased-running-variance" in case.expected
