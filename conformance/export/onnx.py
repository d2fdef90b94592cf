"""Cases as directories of the ONNX backend tests: a model of one operator set, its inputs and outputs.

Format: https://github.com/onnx/onnx/blob/main/docs/OnnxBackendTest.md (needs the package onnx).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.errors import UserError
from conformance.export import (
    Exported,
    Inexpressible,
    bounds,
    channels_first,
    make_folder,
    refuse_what_is_called,
    write_index,
)
from conformance.operations import IN_LAYOUT
from conformance.precision import HAS_BFLOAT16

OPSET = 15
LARGEST = 2**20  # numbers of x: 4 MiB of float32
DATA = "test_data_set_0"
BOUNDS = "bounds.json"

_EXACT_IN_ONNX = {
    "train": "epsilon-float32",
    "infer": "epsilon-float32",
    "update": "rounded-weight-of-the-old",
}
"""What ONNX defines where an attribute, which is a float32 there, differs from the case's number."""

_INPUTS = ("x", "gamma", "beta", "given_mean", "given_var")
_GIVEN = {
    "mean": "given_mean",
    "var": "given_var",
    "running_mean": "given_mean",
    "running_var": "given_var",
}

_WHAT = (
    "Tests of BatchNormalization, operator set 15, in the form of the ONNX backend tests. "
    "train: training_mode 1, and momentum 0, so that the running statistics are those of the batch. "
    "update: a node for each batch; the statistics after it go out, and into the next node. "
    "Channels are the second axis. Where a case samples y, a Gather does. "
    "test_data_set_0/bounds.json has the bound of each output's elements, in C order: whoever can "
    "should accept what lies between lower and upper, and not apply one rtol and atol to all. Where "
    "both are NaN no number is due: NaN, an infinity or, in y, the channel's beta. Its policies may be "
    "followed too. Its formula is reference, or where that differs the one with a float32 attribute."
)


@dataclass(frozen=True)
class Converted:
    """A test: a model and the tensors of one call, in the order of the model's inputs and outputs.

    Outputs are named as those of the case, and follow the formula `key`.
    """

    model: Any
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    key: str


def write(cases: Mapping[str, Case], folder: Path) -> Exported:
    """Write a directory for each case that can be expressed, and an index of all.

    Raises UserError where onnx is not installed, or the folder is not empty.
    """
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(
            "--format onnx needs onnx; pip install 'batchnorm-conformance[onnx]' brings it"
        ) from None
    make_folder(folder)
    written: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for case in cases.values():
        try:
            test = convert(case)
        except Inexpressible as error:
            left_out[case.id] = str(error)
            continue
        written[case.id] = name = directory_of(case.id)
        accepted = bounds(case, test.key, partial(turned, case))
        _write_test(folder / name, test, accepted)
    exported = Exported(written, left_out)
    write_index(folder, exported, _WHAT)
    return exported


def directory_of(case: str) -> str:
    """A directory's name that is part of an identifier, as the runner of these tests wants it."""
    return "test_batch_norm_" + re.sub(r"[^0-9A-Za-z]", "_", case.replace("+", ""))


def _write_test(folder: Path, test: Converted, accepted: dict[str, Any]) -> None:
    from onnx import numpy_helper

    data = folder / DATA
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(test.model.SerializeToString(deterministic=True))
    for kind, tensors in (("input", test.inputs), ("output", test.outputs)):
        for number, (name, array) in enumerate(tensors.items()):
            tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
            (data / f"{kind}_{number}.pb").write_bytes(tensor.SerializeToString())
    (data / BOUNDS).write_text(json.dumps(accepted, allow_nan=False) + "\n", encoding="utf-8")


def convert(case: Case) -> Converted:
    """The test that a case becomes. Raises Inexpressible for one that cannot become one."""
    _refuse(case)
    graph = _Graph(_inputs(case))
    (_update if case.operation == "update" else _normalize)(graph, case)
    key = _EXACT_IN_ONNX[case.operation]
    key = key if key in case.expected else "reference"
    outputs = {}
    for name, expectation in case.question.expected[key].items():
        with np.errstate(over="ignore"):
            outputs[name] = expectation.value.astype(case.question.precision_of(name).dtype)
    outputs = turned(case, outputs)
    return Converted(graph.model(outputs), graph.inputs, outputs, key)


def _inputs(case: Case) -> dict[str, np.ndarray]:
    """The model's inputs: of an update an x for each batch, else those of the operator."""
    tensors = {_GIVEN.get(name, name): np.asarray(array) for name, array in case.inputs.items()}
    tensors["x"] = channels_first(tensors["x"], case)
    if case.operation == "train":
        like = tensors["gamma"]
        tensors |= {"given_mean": np.zeros_like(like), "given_var": np.ones_like(like)}
    inputs = {name: tensors[name] for name in _INPUTS if name in tensors}
    if case.operation != "update":
        return inputs
    ends = np.cumsum(case.attributes["batches"])
    batches = np.split(inputs.pop("x"), ends[:-1])
    return {f"x_{number}": batch for number, batch in enumerate(batches)} | inputs


def turned(case: Case, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of the case as the model gives them: y (N, C, *spatial), or at the case's
    positions; and for each batch of an update the running statistics after it."""
    if case.operation == "update":
        return {
            f"{name}_{number}": row
            for number in range(len(case.attributes["batches"]))
            for name, rows in outputs.items()
            for row in [rows[number]]
        }
    if case.positions is not None:
        return dict(outputs)
    return {
        name: channels_first(array, case) if name in IN_LAYOUT else array
        for name, array in outputs.items()
    }


def _refuse(case: Case) -> None:
    if case.operation not in _EXACT_IN_ONNX:
        kind = "inference, training and running statistics"
        raise Inexpressible(f"{case.operation}: the operator has {kind}, and nothing else")
    refuse_what_is_called(case)
    if case.inputs["x"].size > LARGEST:
        raise Inexpressible(f"x has more than {LARGEST} numbers; the case file generates them")
    if case.dtype == "bfloat16" and not HAS_BFLOAT16:
        raise Inexpressible("is in bfloat16, which needs ml_dtypes; pip install it")


class _Graph:
    """The nodes of a model over the inputs, x (N, C, *spatial)."""

    def __init__(self, inputs: Mapping[str, np.ndarray]) -> None:
        self.inputs = inputs
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, inputs: Iterable[str], outputs: Iterable[str], **how: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, list(inputs), list(outputs), **how))

    def model(self, outputs: Mapping[str, np.ndarray]) -> Any:
        """The model, whose graph outputs have the names of `outputs`."""
        from onnx import helper, numpy_helper

        def value(name: str, array: np.ndarray) -> Any:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            return helper.make_tensor_value_info(name, kind, array.shape)

        graph = helper.make_graph(
            self.nodes,
            "batch_normalization",
            [value(name, array) for name, array in self.inputs.items()],
            [value(name, array) for name, array in outputs.items()],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        return helper.make_model_gen_version(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def _normalize(graph: _Graph, case: Case) -> None:
    """train and infer: y, and in training the batch's statistics, which momentum 0 leaves as they are."""
    sampled = case.positions is not None
    outputs = ["normalized" if sampled else "y"]
    how: dict[str, Any] = {"epsilon": case.epsilon}
    if case.operation == "train":
        outputs += ["mean", "var"]
        how |= {"training_mode": 1, "momentum": 0.0}
    graph.add("BatchNormalization", _INPUTS, outputs, **how)
    if sampled:
        graph.constants["flat"] = np.array([-1])
        graph.constants["positions"] = positions_of(case)
        graph.add("Reshape", ["normalized", "flat"], ["normalized_flat"])
        graph.add("Gather", ["normalized_flat", "positions"], ["y"])


def positions_of(case: Case) -> np.ndarray:
    """The case's positions as flat indices of y (N, C, *spatial), int64."""
    shape = case.inputs["x"].shape
    places = list(np.unravel_index(np.array(case.positions), shape))
    places.insert(1, places.pop(case.channel_axis))
    turned = list(shape)
    turned.insert(1, turned.pop(case.channel_axis))
    return np.ravel_multi_index(places, turned).astype(np.int64)


def _update(graph: _Graph, case: Case) -> None:
    """A node for each batch; the statistics that it gives go out, and into the next."""
    like = graph.inputs["given_mean"].astype(graph.inputs["x_0"].dtype)
    graph.constants |= {"gamma": np.ones_like(like), "beta": np.zeros_like(like)}
    before = list(_INPUTS[3:])
    for number, rate in enumerate(case.attributes["rates"]):
        after = [f"running_mean_{number}", f"running_var_{number}"]
        graph.add(
            "BatchNormalization",
            [f"x_{number}", "gamma", "beta", *before],
            [f"normalized_{number}", *after],
            epsilon=case.epsilon,
            momentum=1 - rate,
            training_mode=1,
        )
        before = after
