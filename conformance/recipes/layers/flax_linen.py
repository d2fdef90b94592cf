"""Flax: flax.linen.BatchNorm, with the variables that it is given and gives back for a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.flax import Linen
from conformance.recipes.layer import Called, Layer, State
from conformance.recipes.layers import _jax


def make(state: State, rank: int, axis: int) -> Any:
    from flax import linen

    module = linen.BatchNorm(epsilon=state.epsilon, momentum=1 - state.rate, axis=axis)
    variables = {
        "params": {"scale": state.gamma, "bias": state.beta},
        "batch_stats": {"mean": state.mean, "var": state.var},
    }
    return module, variables


def read(layer: Any) -> State:
    module, variables = layer
    params, statistics = variables["params"], variables["batch_stats"]
    return State(
        gamma=np.asarray(params["scale"]),
        beta=np.asarray(params["bias"]),
        mean=np.asarray(statistics["mean"]),
        var=np.asarray(statistics["var"]),
        epsilon=module.epsilon,
        rate=1 - module.momentum,
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    module, variables = layer

    use_running_average = None if training is None else not training

    def forward(x: Any, scale: Any, bias: Any) -> Any:
        given = {**variables, "params": {"scale": scale, "bias": bias}}
        y, changed = module.apply(
            given, x, use_running_average=use_running_average, mutable=["batch_stats"]
        )
        return y, {**variables, **changed}

    params = variables["params"]
    after, y, gradients = _jax.differentiated(forward, x, params["scale"], params["bias"], dy)
    return (module, after), y, gradients


LAYER = Layer(
    name="flax-linen",
    title="Flax linen",
    code="flax.linen.BatchNorm",
    implementation=Linen,
    names={"beta": "bias", "gamma": "scale", "mean": "mean", "var": "var"},
    epsilon="epsilon",
    momentum="momentum",
    training='use_running_average=False, mutable=["batch_stats"]',
    inference="use_running_average=True",
    axis="axis",
    float64=_jax.FLOAT64,
    start=_jax.start,
    make=make,
    read=read,
    call=call,
)
