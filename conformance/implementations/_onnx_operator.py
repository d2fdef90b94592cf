"""The ONNX operator BatchNormalization in models made in memory: what is common to all that run them.

As in a model that a framework exported, the parameters are initializers and a model that trains
gives back y alone; running statistics are inputs and outputs of the model only where they are
asked for. Epsilon and momentum are attributes, and in ONNX an attribute is a float32.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from conformance.implementations.base import Conventions, Implementation, Unsupported

_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
_TRAINED = ("normalized", "running_mean", "running_var")


class Operator(Implementation):
    """BatchNormalization of one operator set; `run` computes a model."""

    opset: ClassVar[int]
    conventions: ClassVar[Conventions | None] = Conventions(
        epsilon=1e-5,
        momentum=0.9,
        momentum_weighs="old",
        running_variance="population",
        half_output="x",
        half_statistics="x",
        fresh="initial-statistics",
        frozen="none",
    )

    def run(self, model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The model's outputs."""
        raise NotImplementedError

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        constants = _fresh(gamma) | {"gamma": gamma, "beta": beta}
        return self._ask({"x": x}, constants, training=True, epsilon=epsilon)[0]

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        constants = {"gamma": gamma, "beta": beta, "mean": mean, "var": var}
        return self._ask({"x": x}, constants, epsilon=epsilon)[0]

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        return self._ask(
            {"x": x, "mean": mean, "var": var},
            {"gamma": np.ones(mean.shape, x.dtype), "beta": np.zeros(mean.shape, x.dtype)},
            _TRAINED,
            training=True,
            epsilon=epsilon,
            momentum=1 - rate,
        )[1:]

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        constants = _fresh(gamma) | {"w": w, "gamma": gamma, "beta": beta}
        how = {"training": True, "activation": activation, "epsilon": epsilon}
        return self._ask({"x": x}, constants, **how)[0]

    def layer(self, x: Any, modes: Any, frozen: bool) -> Any:
        if frozen:
            raise Unsupported("an operator of ONNX cannot be frozen, it is exported for inference")
        y, ones = x, np.ones(x.shape[1], x.dtype)
        constants, state = {"gamma": ones, "beta": 0 * ones}, _fresh(ones)
        for mode in modes:
            if mode == "train":
                outputs = self._ask({"x": x} | state, constants, _TRAINED, training=True)
                y, state = outputs[0], dict(zip(("mean", "var"), outputs[1:], strict=True))
            else:
                y = self._ask({"x": x}, constants | state)[0]
        return y, state["mean"], state["var"]

    def _ask(
        self, feeds: dict[str, Any], constants: Any, shown: Any = ("normalized",), **how: Any
    ) -> list[np.ndarray]:
        return self.run(model_of(self.opset, feeds, constants, shown, **how), feeds)


def model_of(
    opset: int,
    feeds: dict[str, np.ndarray],
    constants: dict[str, np.ndarray],
    shown: tuple[str, ...],
    training: bool = False,
    activation: str = "identity",
    **attributes: float,
) -> Any:
    """x, or x @ w if there is a w, through BatchNormalization and an activation; `shown` it gives."""
    from onnx import helper, numpy_helper

    outputs = [*_TRAINED, *(("saved_mean", "saved_var") if opset < 14 else ())]
    if training and opset >= 14:
        attributes["training_mode"] = 1
    source = "product" if "w" in constants else "x"
    nodes = [
        helper.make_node(
            "BatchNormalization",
            [source, "gamma", "beta", "mean", "var"],
            outputs if training else outputs[:1],
            **attributes,
        )
    ]
    if source == "product":
        nodes.insert(0, helper.make_node("MatMul", ["x", "w"], [source]))
    if activation != "identity":
        nodes.append(helper.make_node(_ACTIVATIONS[activation], ["normalized"], ["activated"]))
        shown = ("activated", *shown[1:])

    def value(name: str, like: np.ndarray) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(like.dtype)
        return helper.make_tensor_value_info(name, kind, [None] * like.ndim)

    statistics = (feeds | constants)["mean"]
    graph = helper.make_graph(
        nodes,
        "batch_normalization",
        [value(name, array) for name, array in feeds.items()],
        [value(name, statistics if "running" in name else feeds["x"]) for name in shown],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in constants.items()],
    )
    return helper.make_model_gen_version(graph, opset_imports=[helper.make_opsetid("", opset)])


def _fresh(like: np.ndarray) -> dict[str, np.ndarray]:
    """The statistics of a layer that was never trained."""
    return {"mean": np.zeros_like(like), "var": np.ones_like(like)}
