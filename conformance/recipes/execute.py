"""Runs one layer: trains it as a source, and follows a source with it as a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance import formula
from conformance.recipes.convert import Handed, correct, own_terms
from conformance.recipes.data import LEARNING_RATE, TRAINING, Batch, Kind, batches, first
from conformance.recipes.definition import QUANTITIES, Outputs
from conformance.recipes.layer import Called, Layer, State


def trained(layer: Layer, kind: Kind) -> State:
    """What the layer holds after its training."""
    state, axis = first(kind), layer.channel_axis
    if layer.counts:
        state = replace(state, batches=0)
    run = _Run(layer, Handed(state, kind.dtype, axis, axis), batches(kind, TRAINING))
    for batch in run.batches:
        run.step(batch)
    # As the layer has it: an attribute may have been rounded.
    return layer.read(layer.make(run.state.copy(), len(kind.shape), axis)).copy()


def follow(layer: Layer, handed: Handed, data: Sequence[Batch]) -> Outputs:
    """What comes of all quantities where the layer takes over, in arrays with channels last."""
    run = _Run(layer, handed, data)
    found: Outputs = {name: [] for name in QUANTITIES}

    def note(suffix: str, y: np.ndarray, gradients: Any) -> None:
        found[f"y{suffix}"].append(y)
        for name, gradient in zip(("dx", "dgamma", "dbeta"), gradients or (), strict=False):
            found[f"{name}{suffix}"].append(gradient)

    note("-infer", *run.call(data[0], training=False)[1:])
    for batch in data:
        note("", *run.step(batch))
        found["running_mean"].append(run.state.mean)
        found["running_var"].append(run.state.var)
    found["y-later"].append(run.call(data[-1], training=False, scale=1.0)[1])
    return found


class _Run:
    """A layer on its way through the batches; a new one is made of what the last held, for each call."""

    def __init__(self, layer: Layer, handed: Handed, data: Sequence[Batch]) -> None:
        self.layer, self.handed, self.batches = layer, handed, data
        self.state = handed.state.astype(handed.dtype)
        self.rank = data[0].x.ndim

    def step(self, batch: Batch) -> Any:
        """y and the gradients in training; the state goes one step of gradient descent on."""
        handed, state = self.handed, self.state
        now = own_terms(state, self.layer, handed.weighs)
        called, y, gradients = self.call(batch, training=True, scale=handed.scale)
        after = self.layer.read(called).copy()
        var = after.var / after.var.dtype.type(handed.scale)
        if handed.factor != 1:
            var = correct(state.var, var, now.weighted().rate, handed.factor)
        by = gradients or self._by_formula(batch)
        self.state = replace(
            state,
            gamma=state.gamma - LEARNING_RATE * by[1],
            beta=state.beta - LEARNING_RATE * by[2],
            mean=after.mean,
            var=var.astype(state.var.dtype),
            batches=None if state.batches is None else state.batches + 1,
        )
        return y, gradients

    def call(self, batch: Batch, training: bool, scale: float | None = None) -> Called:
        """The layer after the call, y, and the gradients, channels last."""
        handed = self.handed
        state = own_terms(self.state, self.layer, handed.weighs)
        var = state.var * state.var.dtype.type(handed.scale if scale is None else scale)
        made = self.layer.make(replace(state, var=var).copy(), self.rank, handed.axis)
        x, dy = (self._lying(array) for array in (batch.x, batch.dy))
        called, y, gradients = self.layer.call(made, x, dy, training if handed.told else None)
        if gradients is not None:
            dx, dgamma, dbeta = gradients
            gradients = (self._back(dx), np.array(dgamma), np.array(dbeta))
        return called, self._back(y), gradients

    def _lying(self, array: np.ndarray) -> np.ndarray:
        moved = np.moveaxis(array.astype(self.handed.dtype), -1, self.handed.lies)
        return np.array(moved, order="C")

    def _back(self, array: Any) -> np.ndarray:
        return np.moveaxis(np.array(array), self.handed.lies, -1)

    def _by_formula(self, batch: Batch) -> tuple[Any, ...]:
        """Gradients for a layer that has none: those that an optimizer beside it would have."""
        x, dy = (array.astype(self.handed.dtype) for array in (batch.x, batch.dy))
        found = formula.grad(np, x, self.state.gamma, self.state.beta, self.state.epsilon, dy)
        return found["dx"], found["dgamma"], found["dbeta"]
