"""PaddlePaddle: paddle.nn.BatchNorm1D and 2D."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from conformance.implementations.paddle import BatchNormByRank
from conformance.recipes.layer import Called, Layer, State

_ATTRIBUTES = "epsilon and momentum are attributes of its kernel, and those are float32"


def start() -> None:
    for message in ("When training, we now always track", "No ccache found"):
        warnings.filterwarnings("ignore", message=message)
    BatchNormByRank().start()


def make(state: State, rank: int, axis: int) -> Any:
    import paddle

    kind = {2: paddle.nn.BatchNorm1D, 4: paddle.nn.BatchNorm2D}[rank]
    data_format = {2: "NC", 4: "NHWC" if axis == -1 else "NCHW"}[rank]
    layer = kind(
        len(state.gamma),
        epsilon=state.epsilon,
        momentum=1 - state.rate,
        data_format=data_format,
    ).to(dtype=state.gamma.dtype.name)
    arrays = {
        "weight": state.gamma,
        "bias": state.beta,
        "_mean": state.mean,
        "_variance": state.var,
    }
    layer.set_state_dict({name: paddle.to_tensor(array) for name, array in arrays.items()})
    return layer


def read(layer: Any) -> State:
    return State(
        gamma=layer.weight.numpy(),
        beta=layer.bias.numpy(),
        mean=layer._mean.numpy(),
        var=layer._variance.numpy(),
        epsilon=float(np.float32(layer._epsilon)),  # as its kernel takes it
        rate=1 - float(np.float32(layer._momentum)),
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    import paddle

    if training is not None:
        (layer.train if training else layer.eval)()
    tensor = paddle.to_tensor(x, stop_gradient=False)
    y = layer(tensor)
    wanted = [tensor, layer.weight, layer.bias]
    dx, dgamma, dbeta = paddle.grad(y, wanted, paddle.to_tensor(dy))
    return layer, y.numpy(), (dx.numpy(), dgamma.numpy(), dbeta.numpy())


LAYER = Layer(
    name="paddle",
    title="PaddlePaddle",
    code="paddle.nn.BatchNorm2D",
    implementation=BatchNormByRank,
    names={"gamma": "weight", "beta": "bias", "mean": "_mean", "var": "_variance"},
    epsilon="epsilon",
    momentum="momentum",
    training="layer.train()",
    inference="layer.eval()",
    axis="data_format",
    float64=f'`layer.to(dtype="float64")`; but {_ATTRIBUTES}',
    remains={"rows-float64": _ATTRIBUTES},
    start=start,
    make=make,
    read=read,
    call=call,
)
