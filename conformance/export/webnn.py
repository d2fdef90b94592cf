"""Cases as JSON in the shape of the web platform tests of WebNN's batchNormalization.

Shape: https://github.com/web-platform-tests/wpt/tree/master/webnn/conformance_tests
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Case, to_numbers
from conformance.export import (
    Exported,
    Inexpressible,
    bounds,
    make_folder,
    refuse_what_is_called,
    write_index,
)

FILE = "batch_normalization.json"
DTYPES = ("float16", "float32")
_NAMES = {
    "x": "bnInput",
    "mean": "bnMean",
    "var": "bnVariance",
    "gamma": "bnScale",
    "beta": "bnBias",
}
_OUTPUT = "bnOutput"

_WHAT = (
    "Tests of batchNormalization of WebNN, each in the shape of those in the web platform tests. "
    "What is not a number in JSON is written by name, which a typed array reads. "
    "Those tests allow 6 ulp everywhere, which accuses right implementations where y cancels, and "
    "lets wrong ones pass where it does not: the field bound has what should be accepted instead, from "
    "lower to upper, element by element. Where both are NaN no number is due: NaN, an infinity or the "
    "channel's bias. Its policies may be followed too."
)


def write(cases: Mapping[str, Case], folder: Path) -> Exported:
    """Write one file of all cases that can be expressed, and an index. Raises UserError."""
    make_folder(folder)
    tests: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for case in cases.values():
        try:
            tests.append(convert(case))
        except Inexpressible as error:
            left_out[case.id] = str(error)
    lines = ",\n".join(json.dumps(test, allow_nan=False) for test in tests)
    (folder / FILE).write_text(f'{{"tests": [\n{lines}\n]}}\n', encoding="utf-8")
    exported = Exported({test["bound"]["case"]: test["name"] for test in tests}, left_out)
    write_index(folder, exported, _WHAT)
    return exported


def convert(case: Case) -> dict[str, Any]:
    """The test that a case becomes. Raises Inexpressible for one that cannot become one."""
    _refuse(case)
    inputs = {}
    for name, other in _NAMES.items():
        inputs[other] = _tensor(np.asarray(case.inputs[name]), case.dtype)
        if name != "x":
            inputs[other]["constant"] = True
    value = case.question.expected["reference"]["y"].value
    with np.errstate(over="ignore"):
        expected = value.astype(case.dtype)
    options = {
        "scale": _NAMES["gamma"],
        "bias": _NAMES["beta"],
        "axis": case.channel_axis,
        "epsilon": case.epsilon,
    }
    bound = bounds(case, "reference", lambda outputs: {_OUTPUT: outputs["y"]})
    arguments = [{"input": _NAMES["x"]}, {"mean": _NAMES["mean"]}, {"variance": _NAMES["var"]}]
    return {
        "name": f"batchNormalization {case.dtype} {case.layout} {case.id}",
        "graph": {
            "inputs": inputs,
            "operators": [
                {
                    "name": "batchNormalization",
                    "arguments": [*arguments, {"options": options}],
                    "outputs": _OUTPUT,
                }
            ],
            "expectedOutputs": {_OUTPUT: _tensor(expected, case.dtype)},
        },
        "bound": bound,
    }


def _tensor(array: np.ndarray, dtype: str) -> dict[str, Any]:
    data = to_numbers(array.astype(np.float64))
    return {"data": data, "descriptor": {"shape": list(array.shape), "dataType": dtype}}


def _refuse(case: Case) -> None:
    if case.operation != "infer":
        raise Inexpressible(f"{case.operation}: WebNN has inference alone")
    refuse_what_is_called(case)
    if case.dtype not in DTYPES:
        raise Inexpressible(f"{case.dtype}: WebNN has {' and '.join(DTYPES)}")
    if len({str(array.dtype) for array in case.inputs.values()}) > 1:
        raise Inexpressible("has parameters in another dtype than x: in WebNN all have the same")
    if case.positions is not None:
        raise Inexpressible("samples y: these tests compare all of it")
    if not case.inputs["x"].size:
        raise Inexpressible("x is empty: a dimension of WebNN is at least 1")
