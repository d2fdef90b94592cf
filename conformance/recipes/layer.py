"""What a recipe knows of a library: the facts of its layer, and four functions that run it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.errors import UserError
from conformance.implementations.base import Conventions, Implementation

LAYERS = (
    "keras",
    "torch",
    "flax-linen",
    "flax-nnx",
    "tensorflow",
    "onnxruntime",
    "haiku",
    "equinox",
    "paddle",
    "mlx",
    "tinygrad",
)
"""A name for each file of `layers/`, in the order of the report."""

ROLES = ("gamma", "beta", "mean", "var")
LONG_AGO = 2**30
"""As many batches as no average can tell from infinitely many."""


@dataclass(frozen=True)
class State:
    """What a trained layer holds, in no library's terms.

    gamma, beta, mean and var are (C,), of one dtype; `rate` is the weight of a new batch in the running
    statistics. `batches` is how many they hold, where the library divides its averages by the
    weight of those, 1 - (1 - rate)**batches; None where they count as they are.
    """

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    epsilon: float
    rate: float
    batches: int | None = None

    def copy(self) -> State:
        """The same in arrays of its own: a library may write to those that it gave."""
        return self.with_arrays({role: np.array(getattr(self, role)) for role in ROLES})

    def with_arrays(self, arrays: Mapping[str, Any]) -> State:
        """The same with other arrays for the roles named."""
        return replace(self, **arrays)

    def astype(self, dtype: str) -> State:
        return self.with_arrays({role: getattr(self, role).astype(dtype) for role in ROLES})

    def weighted(self) -> State:
        """The same, without a count: `rate` is what the next batch weighs, which it does but once."""
        if self.batches is None:
            return self
        weight = 1 - (1 - self.rate) ** (self.batches + 1)
        return replace(self, rate=self.rate / weight, batches=None)


Gradients = tuple[np.ndarray, np.ndarray, np.ndarray]
Called = tuple[Any, np.ndarray, Gradients | None]
"""The layer after a call, y, and the gradients of the sum of dy * y by x, gamma and beta, if it has any."""


@dataclass(frozen=True)
class Layer:
    """One library's layer.

    make(state, rank, axis): a layer that holds the state, for x of that rank with its channels on that axis.
    read(layer): the state that it holds.
    call(layer, x, dy, training): what Called says; training is None where the layer is not told.
    `start` prepares the process; the four import the library when they are called.
    """

    name: str
    title: str
    code: str
    """What users call."""
    implementation: type[Implementation]
    """The suite's own for it: framework, packages, dtypes, and conventions if it declares them."""
    names: Mapping[str, str]
    """Its own name for each role, in its own order."""
    epsilon: str
    """The argument, and that of the momentum."""
    momentum: str
    training: str
    """How it is told that it trains, and that it does not."""
    inference: str
    make: Callable[[State, int, int], Any]
    read: Callable[[Any], State]
    call: Callable[[Any, np.ndarray, np.ndarray, bool | None], Called]
    start: Callable[[], None] = lambda: None
    conventions_of_function: Conventions | None = None
    """The defaults of a function, for which the suite has no layer to hold to them."""
    axis: str = ""
    """The argument that moves the channels to another axis, if there is one."""
    counts: bool = False
    """Whether it divides its averages by the weight of the batches that they hold."""
    differentiates: bool = True
    float64: str = ""
    """What float64 takes."""
    remains: Mapping[str, str] = field(default_factory=dict)
    """Why it cannot do as any source did, by the kind of data; checked by each run."""

    @property
    def conventions(self) -> Conventions:
        conventions = self.conventions_of_function or self.implementation.conventions
        assert conventions is not None
        return conventions

    @property
    def channel_axis(self) -> int:
        return self.implementation.channel_axis

    @property
    def is_unbiased(self) -> bool:
        return self.conventions.running_variance == "unbiased"

    def momentum_of(self, rate: float) -> float:
        """The rate as its users write it, and back."""
        return rate if self.conventions.momentum_weighs == "new" else 1 - rate


def layer_of(name: str) -> Layer:
    """The layer of that name; its library is not imported. Raises UserError."""
    if name not in LAYERS:
        raise UserError(f"{name}: no recipe knows such a layer; known: {', '.join(LAYERS)}")
    module = importlib.import_module(f"conformance.recipes.layers.{name.replace('-', '_')}")
    layer: Layer = module.LAYER
    return layer
