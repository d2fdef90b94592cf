"""The rules that every case of the catalogue keeps."""

import numpy as np
import pytest

from conformance.cases import cases_folder, load_cases

CASES = load_cases(cases_folder())


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_case_can_prove_something(case):
    parameters = {name: a.astype(np.float64) for name, a in case.inputs.items() if name != "x"}
    assert not np.any(parameters["gamma"] == 1)
    assert not np.any(parameters["beta"] == 0)
    y = case.question.expected["reference"]["y"]
    finite = y.value[np.isfinite(y.value)]
    assert len(set(finite.ravel().tolist())) > 1
    assert np.isfinite(y.scale[np.isfinite(y.value)]).all()


def test_no_long_column_is_constant():
    for case in CASES.values():
        x = np.moveaxis(case.inputs["x"], case.channel_axis, -1)
        rows = x.reshape(-1, x.shape[-1])
        assert len(rows) <= 100 or (rows.min(axis=0) < rows.max(axis=0)).all(), case.id


def test_few_shapes_are_compiled():
    shapes = {
        (case.dtype, np.moveaxis(case.inputs["x"], case.channel_axis, -1).shape)
        for case in CASES.values()
    }
    assert len(shapes) <= 42
