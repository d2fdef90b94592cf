"""Haiku: hk.BatchNorm, with the parameters and state that it is given and gives back for a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.haiku import BatchNorm
from conformance.recipes.layer import LONG_AGO, Called, Layer, State
from conformance.recipes.layers import _jax


def make(state: State, rank: int, axis: int) -> Any:
    import haiku

    how = {"eps": state.epsilon, "decay_rate": 1 - state.rate}

    def batch_norm(x: Any, is_training: bool) -> Any:
        return haiku.BatchNorm(create_scale=True, create_offset=True, **how)(x, is_training)

    shape = (1,) * (rank - 1) + (-1,)
    batches = LONG_AGO if state.batches is None else state.batches
    weight = 1 - how["decay_rate"] ** batches
    parameters = {"scale": state.gamma.reshape(shape), "offset": state.beta.reshape(shape)}
    averages = {
        f"batch_norm/~/{name}_ema": {
            "counter": np.int32(batches),
            "hidden": average.reshape(shape) * average.dtype.type(weight),
            "average": average.reshape(shape),
        }
        for name, average in (("mean", state.mean), ("var", state.var))
    }
    return haiku.transform_with_state(batch_norm), how, {"batch_norm": parameters}, averages


def read(layer: Any) -> State:
    _, how, parameters, averages = layer
    mean, var = (averages[f"batch_norm/~/{name}_ema"] for name in ("mean", "var"))
    batches = int(mean["counter"])
    return State(
        gamma=np.asarray(parameters["batch_norm"]["scale"]).reshape(-1),
        beta=np.asarray(parameters["batch_norm"]["offset"]).reshape(-1),
        mean=np.asarray(mean["average"]).reshape(-1),
        var=np.asarray(var["average"]).reshape(-1),
        epsilon=how["eps"],
        rate=1 - how["decay_rate"],
        batches=None if batches >= LONG_AGO else batches,
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    functions, how, parameters, averages = layer

    def forward(x: Any, scale: Any, offset: Any) -> Any:
        given = {"batch_norm": {"scale": scale, "offset": offset}}
        return functions.apply(given, averages, None, x, *told)

    told = () if training is None else (training,)
    given = parameters["batch_norm"]
    after, y, gradients = _jax.differentiated(forward, x, given["scale"], given["offset"], dy)
    return (functions, how, parameters, after), y, gradients


LAYER = Layer(
    name="haiku",
    title="Haiku",
    code="hk.BatchNorm",
    implementation=BatchNorm,
    names={"beta": "offset", "gamma": "scale", "mean": "mean_ema", "var": "var_ema"},
    epsilon="eps",
    momentum="decay_rate",
    training="is_training=True",
    inference="is_training=False",
    counts=True,
    float64=_jax.FLOAT64,
    start=_jax.start,
    make=make,
    read=read,
    call=call,
)
