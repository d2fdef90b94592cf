"""MLX: mlx.nn.BatchNorm on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.mlx import BatchNorm
from conformance.recipes.layer import Called, Layer, State


def make(state: State, rank: int, axis: int) -> Any:
    import mlx.core as mx
    from mlx import nn

    layer = nn.BatchNorm(len(state.gamma), eps=state.epsilon, momentum=state.rate)
    dtype = getattr(mx, state.gamma.dtype.name)
    layer.weight, layer.bias = (mx.array(a, dtype=dtype) for a in (state.gamma, state.beta))
    layer.running_mean, layer.running_var = (
        mx.array(a, dtype=dtype) for a in (state.mean, state.var)
    )
    return layer


def read(layer: Any) -> State:
    return State(
        gamma=np.array(layer.weight),
        beta=np.array(layer.bias),
        mean=np.array(layer.running_mean),
        var=np.array(layer.running_var),
        epsilon=layer.eps,
        rate=layer.momentum,
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    import mlx.core as mx

    parameters = (layer.weight, layer.bias)
    if training is not None:
        layer.train(training)

    def forward(x: Any, weight: Any, bias: Any) -> Any:
        layer.weight, layer.bias = weight, bias
        return layer(x)

    tensor, upstream = (mx.array(a, dtype=getattr(mx, a.dtype.name)) for a in (x, dy))
    (y,), gradients = mx.vjp(forward, [tensor, *parameters], [upstream])
    layer.weight, layer.bias = parameters
    dx, dgamma, dbeta = map(np.array, gradients)
    return layer, np.array(y), (dx, dgamma, dbeta)


LAYER = Layer(
    name="mlx",
    title="MLX",
    code="mlx.nn.BatchNorm",
    implementation=BatchNorm,
    names={"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"},
    epsilon="eps",
    momentum="momentum",
    training="layer.train()",
    inference="layer.eval()",
    float64="`mx.array(..., dtype=mx.float64)`, on the CPU alone",
    start=lambda: BatchNorm().start(),
    make=make,
    read=read,
    call=call,
)
