"""ONNX: a node BatchNormalization of operator set 15 and its initializers, run by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations._onnx_operator import model_of
from conformance.implementations.onnxruntime import BatchNormalization15
from conformance.recipes.layer import ROLES, Called, Layer, State

_ATTRIBUTES = "epsilon and momentum are attributes of the node, and those are float32 in ONNX"


def make(state: State, rank: int, axis: int) -> Any:
    from onnx import helper, numpy_helper

    arrays = {
        "scale": state.gamma,
        "B": state.beta,
        "input_mean": state.mean,
        "input_var": state.var,
    }
    how = {"epsilon": state.epsilon, "momentum": 1 - state.rate}
    node = helper.make_node("BatchNormalization", ["x", *arrays], ["y"], **how)
    return node, [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def read(layer: Any) -> State:
    from onnx import helper, numpy_helper

    node, initializers = layer
    how = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    arrays = {one.name: numpy_helper.to_array(one) for one in initializers}
    _, scale, shift, mean, var = node.input
    return State(
        gamma=arrays[scale],
        beta=arrays[shift],
        mean=arrays[mean],
        var=arrays[var],
        epsilon=how["epsilon"],
        rate=1 - how["momentum"],
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    """ONNX Runtime does not differentiate."""
    from onnx import numpy_helper

    (node, initializers), state = layer, read(layer)
    runtime = BatchNormalization15()
    runtime.start()
    constants = {role: getattr(state, role) for role in ROLES}
    shown = ("normalized", "running_mean", "running_var")[: 3 if training else 1]
    model = model_of(
        15,
        {"x": x},
        constants,
        shown,
        training=bool(training),
        epsilon=state.epsilon,
        momentum=1 - state.rate,
    )
    y, *statistics = runtime.run(model, {"x": x})
    changed = map(numpy_helper.from_array, statistics, ("input_mean", "input_var"))
    return (node, [*initializers[:2], *(changed if training else initializers[2:])]), y, None


LAYER = Layer(
    name="onnxruntime",
    title="ONNX",
    code="BatchNormalization (opset 15, ONNX Runtime)",
    implementation=BatchNormalization15,
    names={"gamma": "scale", "beta": "B", "mean": "input_mean", "var": "input_var"},
    epsilon="epsilon",
    momentum="momentum",
    training="training_mode=1, outputs y, running_mean, running_var",
    inference="training_mode=0",
    differentiates=False,
    float64=f"float64 initializers; but {_ATTRIBUTES}",
    remains={"rows-float64": _ATTRIBUTES},
    make=make,
    read=read,
    call=call,
)
