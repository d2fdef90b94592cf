"""A layer with state, which does what is declared of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from conformance.implementations.base import Conventions
from conformance.proof.known import Known

KERAS_LIKE = Conventions(
    epsilon=1e-3,
    momentum=0.99,
    momentum_weighs="old",
    running_variance="population",
    half_output="x",
    half_statistics="float32",
    fresh="initial-statistics",
    frozen="running-statistics",
)
TORCH_LIKE = Conventions(
    epsilon=1e-5,
    momentum=0.1,
    momentum_weighs="new",
    running_variance="unbiased",
    half_output="x",
    half_statistics="x",
    fresh="initial-statistics",
    frozen="batch-statistics",
)


class Layer(Known):
    """Computes in float64. `does` is how it really behaves; the right one does what it declares."""

    conventions: ClassVar[Conventions] = KERAS_LIKE
    does: ClassVar[Conventions] = KERAS_LIKE

    @staticmethod
    def initial(channels: int) -> tuple[Any, Any]:
        return np.zeros(channels), np.ones(channels)

    @staticmethod
    def affine(z: Any) -> Any:
        """By gamma 1 and beta 0."""
        return z

    @staticmethod
    def updates(frozen: bool, by_batch: bool) -> bool:
        """Whether a training call, frozen or not, by the batch's statistics or not, updates the running ones."""
        return by_batch

    def layer(self, x: Any, modes: tuple[str, ...], frozen: bool) -> tuple[Any, Any, Any]:
        wide, values = x.astype(np.float64), x.size // x.shape[-1]
        over = tuple(range(x.ndim - 1))
        mean, var = wide.mean(axis=over), wide.var(axis=over)
        kept = var * values / (values - 1) if self.does.running_variance == "unbiased" else var
        running, fresh, y = self.initial(x.shape[-1]), True, wide
        for mode in modes:
            how = self._normalizes(mode, frozen, fresh)
            by_batch = how == "batch-statistics"
            used = (mean, var) if by_batch else running
            if how == "zero-mean-and-variance":
                used = (0 * mean, 0 * var)
            y = self.affine((wide - used[0]) / np.sqrt(used[1] + self.does.epsilon))
            if mode == "train" and self.updates(frozen, by_batch):
                rate, new = self.does.rate, (mean, kept)
                running = tuple(a + rate * (b - a) for a, b in zip(running, new, strict=True))
                fresh = False
        is_half = x.dtype.itemsize == 2
        dtypes = (self.does.half_output, self.does.half_statistics)
        out, state = (x.dtype if name == "x" or not is_half else np.float32 for name in dtypes)
        return y.astype(out), *(a.astype(state) for a in running)

    def _normalizes(self, mode: str, frozen: bool, fresh: bool) -> str:
        if frozen:
            return self.does.frozen
        if mode == "train":
            return "batch-statistics"
        return self.does.fresh if fresh else "running-statistics"


class TorchLike(Layer):
    name = "right-layer-like-torch"
    conventions = does = TORCH_LIKE


class KerasLike(Layer):
    name = "right-layer-like-keras"


class FreshByBatch(Layer):
    """As layers do that keep their statistics only once they have seen a batch."""

    name = "right-layer-fresh-by-batch"
    conventions = does = replace(TORCH_LIKE, fresh="batch-statistics", half_statistics="float32")
