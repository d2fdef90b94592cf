"""The two-pass kernel that every right kernel varies in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.proof.known import Known


class Kernel(Known):
    """A two-pass kernel on channels-last arrays; a right one overrides a step, and stays right.

    Half precisions are computed in float32 and rounded once.
    """

    statistics_too = True
    largest = 2**16

    def inside(self, a: Any) -> Any:
        return a.astype(np.float32) if a.dtype.itemsize < 4 else a

    def total(self, rows: Any) -> Any:
        return np.add.reduce(rows)

    def moments(self, x: Any) -> tuple[Any, Any]:
        """Mean and population variance of x (N, *spatial, C): (C,), (C,)."""
        rows = rows_of(x)
        mean = self.total(rows) / len(rows)
        return mean, self.total(np.square(rows - mean)) / len(rows)

    def root(self, var: Any, epsilon: Any) -> Any:
        return np.sqrt(var + epsilon)

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return gamma * (x - mean) / np.sqrt(var + epsilon) + beta

    def normalize_batch(self, x: Any, mean: Any, var: Any, *others: Any) -> Any:
        return self.normalize(x, mean, var, *others)

    def outside(self, y: Any) -> Any:
        return y

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, gamma_inside, beta = self._inside(x, gamma, beta)
        mean, var = self.moments(values)
        y = self.normalize_batch(values, mean, var, gamma_inside, beta, epsilon)
        y = self._outside(y, x)
        return (y, mean.astype(gamma.dtype), var.astype(gamma.dtype)) if self.statistics_too else y

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, mean, var, gamma, beta = self._inside(x, mean, var, gamma, beta)
        return self._outside(self.normalize(values, mean, var, gamma, beta, epsilon), x)

    def update(
        self, x: Any, running_mean: Any, running_var: Any, epsilon: float, rate: float
    ) -> Any:
        values, *running = self._inside(x, running_mean, running_var)
        new = self.moments(values)
        return tuple(
            ((1 - rate) * a + rate * b).astype(running_mean.dtype)
            for a, b in zip(running, new, strict=True)
        )

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        values, gamma_inside = self._inside(x, gamma)
        (upstream,) = self._inside(dy)
        mean, var = self.moments(values)
        one = np.ones_like(gamma_inside)
        normalized = self.normalize_batch(values, mean, var, one, 0 * one, epsilon)
        dgamma, dbeta = self._sums(upstream, normalized)
        count = len(rows_of(values))
        centered = upstream - dbeta / count - normalized * (dgamma / count)
        dx = gamma_inside * centered / self.root(var, epsilon)
        return self._outside(dx, x), dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        values, mean, var, gamma_inside = self._inside(x, mean, var, gamma)
        (upstream,) = self._inside(dy)
        one = np.ones_like(gamma_inside)
        normalized = self.normalize(values, mean, var, one, 0 * one, epsilon)
        dgamma, dbeta = self._sums(upstream, normalized)
        dx = gamma_inside * upstream / self.root(var, epsilon)
        return self._outside(dx, x), dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        values, w, *others = self._inside(x, w, gamma, beta)
        values = values @ w
        y = self.normalize_batch(values, *self.moments(values), *others, epsilon)
        return self._outside(ACTIVATIONS[activation](y), x)

    def _sums(self, dy: Any, normalized: Any) -> tuple[Any, Any]:
        return self.total(rows_of(dy * normalized)), self.total(rows_of(dy))

    def _inside(self, x: Any, *others: Any) -> list[Any]:
        return [self.inside(a) for a in (np.moveaxis(x, self.channel_axis, -1), *others)]

    def _outside(self, y: Any, x: Any) -> Any:
        return self.outside(np.moveaxis(y.astype(x.dtype), -1, self.channel_axis))


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "tanh": np.tanh,
    "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
}


def rows_of(x: Any) -> Any:
    """(N, *spatial, C) as (m, C)."""
    return x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])


def fma(a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once in float32: float64 holds products of float32 numbers exactly."""
    if a.dtype != np.float32:
        return a * b + c
    return (a.astype(np.float64) * b + c).astype(np.float32)
