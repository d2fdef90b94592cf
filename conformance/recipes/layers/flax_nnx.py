"""Flax: flax.nnx.BatchNorm."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.flax import Nnx
from conformance.recipes.layer import Called, Layer, State
from conformance.recipes.layers import _jax


def make(state: State, rank: int, axis: int) -> Any:
    import jax.numpy as jnp
    from flax import nnx

    layer = nnx.BatchNorm(
        len(state.gamma),
        epsilon=state.epsilon,
        momentum=1 - state.rate,
        axis=axis,
        rngs=nnx.Rngs(0),
    )
    layer.scale, layer.bias = (
        nnx.Param(jnp.asarray(state.gamma)),
        nnx.Param(jnp.asarray(state.beta)),
    )
    layer.mean, layer.var = (nnx.BatchStat(jnp.asarray(s)) for s in (state.mean, state.var))
    return layer


def read(layer: Any) -> State:
    return State(
        gamma=np.asarray(layer.scale[...]),
        beta=np.asarray(layer.bias[...]),
        mean=np.asarray(layer.mean[...]),
        var=np.asarray(layer.var[...]),
        epsilon=layer.epsilon,
        rate=1 - layer.momentum,
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    from flax import nnx

    graph, parameters, rest = nnx.split(layer, nnx.Param, ...)
    given = nnx.to_pure_dict(parameters)
    use_running_average = None if training is None else not training

    def forward(x: Any, scale: Any, bias: Any) -> Any:
        nnx.replace_by_pure_dict(parameters, {"scale": scale, "bias": bias})
        merged = nnx.merge(graph, parameters, rest, copy=True)
        y = merged(x, use_running_average=use_running_average)
        return y, nnx.to_pure_dict(nnx.state(merged, nnx.BatchStat))

    statistics, y, gradients = _jax.differentiated(forward, x, given["scale"], given["bias"], dy)
    nnx.replace_by_pure_dict(parameters, given)
    nnx.replace_by_pure_dict(rest, statistics)
    return nnx.merge(graph, parameters, rest), y, gradients


LAYER = Layer(
    name="flax-nnx",
    title="Flax nnx",
    code="flax.nnx.BatchNorm",
    implementation=Nnx,
    names={"beta": "bias", "gamma": "scale", "mean": "mean", "var": "var"},
    epsilon="epsilon",
    momentum="momentum",
    training="layer(x, use_running_average=False)",
    inference="layer(x, use_running_average=True)",
    axis="axis",
    float64=_jax.FLOAT64,
    start=_jax.start,
    make=make,
    read=read,
    call=call,
)
