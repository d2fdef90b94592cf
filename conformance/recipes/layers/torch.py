"""PyTorch: torch.nn.BatchNorm1d and 2d."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.torch_modules import BatchNorm2d
from conformance.recipes.layer import Called, Layer, State


def make(state: State, rank: int, axis: int) -> Any:
    import torch

    kind = {2: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[rank]
    layer = kind(len(state.gamma), eps=state.epsilon, momentum=state.rate)
    layer.to(getattr(torch, state.gamma.dtype.name))
    arrays = {
        "weight": state.gamma,
        "bias": state.beta,
        "running_mean": state.mean,
        "running_var": state.var,
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    layer.load_state_dict(tensors, strict=False)
    return layer


def read(layer: Any) -> State:
    return State(
        gamma=layer.weight.detach().numpy(),
        beta=layer.bias.detach().numpy(),
        mean=layer.running_mean.numpy(),
        var=layer.running_var.numpy(),
        epsilon=layer.eps,
        rate=layer.momentum,
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    import torch

    tensor = torch.from_numpy(x).requires_grad_()
    y = (layer if training is None else layer.train(training))(tensor)
    wanted = (tensor, layer.weight, layer.bias)
    dx, dgamma, dbeta = torch.autograd.grad(y, wanted, torch.from_numpy(dy))
    return layer, y.detach().numpy(), (dx.numpy(), dgamma.numpy(), dbeta.numpy())


LAYER = Layer(
    name="torch",
    title="PyTorch",
    code="torch.nn.BatchNorm2d",
    implementation=BatchNorm2d,
    names={"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"},
    epsilon="eps",
    momentum="momentum",
    training="layer.train()",
    inference="layer.eval()",
    float64="`layer.double()`",
    make=make,
    read=read,
    call=call,
)
