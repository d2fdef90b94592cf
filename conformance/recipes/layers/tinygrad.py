"""tinygrad: tinygrad.nn.BatchNorm on the CPU."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from conformance.implementations.tinygrad import BatchNorm
from conformance.recipes.layer import Called, Layer, State


def make(state: State, rank: int, axis: int) -> Any:
    from tinygrad import Tensor, nn

    layer = nn.BatchNorm(len(state.gamma), eps=state.epsilon, momentum=state.rate)
    layer.weight, layer.bias = Tensor(state.gamma), Tensor(state.beta)
    layer.running_mean, layer.running_var = Tensor(state.mean), Tensor(state.var)
    return layer


def read(layer: Any) -> State:
    return State(
        gamma=layer.weight.numpy(),
        beta=layer.bias.numpy(),
        mean=layer.running_mean.numpy(),
        var=layer.running_var.numpy(),
        epsilon=layer.eps,
        rate=layer.momentum,
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    from tinygrad import Tensor

    suite = BatchNorm()
    suite.start()
    tensor = Tensor(x)
    with contextlib.nullcontext() if training is None else suite.mode(training):
        y = layer(tensor)
    gradients = y.gradient(tensor, layer.weight, layer.bias, gradient=Tensor(dy))
    Tensor.realize(y, *gradients, layer.running_mean, layer.running_var)
    dx, dgamma, dbeta = (gradient.numpy() for gradient in gradients)
    return layer, y.numpy(), (dx, dgamma, dbeta)


LAYER = Layer(
    name="tinygrad",
    title="tinygrad",
    code="tinygrad.nn.BatchNorm",
    implementation=BatchNorm,
    names={"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"},
    epsilon="eps",
    momentum="momentum",
    training="with Tensor.train():",
    inference="with Tensor.train(False):",
    float64="float64 tensors",
    start=lambda: BatchNorm().start(),
    make=make,
    read=read,
    call=call,
)
