"""Equinox: eqx.nn.BatchNorm in mode="batch", and its state. In mode="ema" it is another layer:
it normalizes by the running statistics in training too, which no other library here does."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.equinox import BatchNorm
from conformance.recipes.layer import LONG_AGO, Called, Layer, State
from conformance.recipes.layers import _jax


def make(state: State, rank: int, axis: int) -> Any:
    import equinox
    import jax.numpy as jnp

    momentum = 1 - state.rate
    layer, kept = equinox.nn.make_with_state(equinox.nn.BatchNorm)(
        len(state.gamma),
        "rows",
        mode="batch",
        eps=state.epsilon,
        momentum=momentum,
        dtype=state.gamma.dtype,
    )
    batches = LONG_AGO if state.batches is None else state.batches
    weight = state.var.dtype.type(1 - momentum**batches)
    averages = (jnp.asarray(state.mean * weight), jnp.asarray(state.var * weight))
    parameters = (jnp.asarray(state.gamma), jnp.asarray(state.beta))
    layer = equinox.tree_at(lambda one: (one.weight, one.bias), layer, parameters)
    kept = kept.set(layer.batch_counter, jnp.full_like(kept.get(layer.batch_counter), batches))
    return layer, kept.set(layer.batch_state_index, averages)


def read(layer: Any) -> State:
    layer, kept = layer
    batches = int(kept.get(layer.batch_counter))
    weight = 1 - layer.momentum**batches if batches else 1
    mean, var = (np.asarray(hidden) for hidden in kept.get(layer.batch_state_index))
    return State(
        gamma=np.asarray(layer.weight),
        beta=np.asarray(layer.bias),
        mean=mean / mean.dtype.type(weight),
        var=var / var.dtype.type(weight),
        epsilon=layer.eps,
        rate=1 - layer.momentum,
        batches=None if batches >= LONG_AGO else batches,
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    import equinox
    import jax

    layer, kept = layer

    def forward(x: Any, weight: Any, bias: Any) -> Any:
        given = equinox.tree_at(lambda one: (one.weight, one.bias), layer, (weight, bias))
        if training is not None:
            given = equinox.nn.inference_mode(given, not training)
        return jax.vmap(given, (0, None), (0, None), axis_name="rows")(x, kept)

    after, y, gradients = _jax.differentiated(forward, x, layer.weight, layer.bias, dy)
    return (layer, after), y, gradients


LAYER = Layer(
    name="equinox",
    title="Equinox",
    code='eqx.nn.BatchNorm (mode="batch")',
    implementation=BatchNorm,
    names={"gamma": "weight", "beta": "bias", "mean": "mean", "var": "var"},
    epsilon="eps",
    momentum="momentum",
    training="eqx.nn.inference_mode(layer, False)",
    inference="eqx.nn.inference_mode(layer, True)",
    counts=True,
    float64=_jax.FLOAT64,
    start=_jax.start,
    make=make,
    read=read,
    call=call,
)
