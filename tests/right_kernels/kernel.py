"""The two-pass kernel that every right kernel varies in one step."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance import Implementation


class Kernel(Implementation):
    """A two-pass kernel on channels-last arrays; a right one overrides a step, and stays right."""

    framework = "numpy"
    channel_axis = -1
    statistics_too = True

    def inside(self, a: Any) -> Any:
        return a

    def total(self, rows: Any) -> Any:
        return np.add.reduce(rows)

    def moments(self, x: Any) -> tuple[Any, Any]:
        """Mean and population variance of x (N, *spatial, C): (C,), (C,)."""
        rows = x.reshape(-1, x.shape[-1])
        mean = self.total(rows) / len(rows)
        return mean, self.total(np.square(rows - mean)) / len(rows)

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return gamma * (x - mean) / np.sqrt(var + epsilon) + beta

    def normalize_batch(self, x: Any, mean: Any, var: Any, *others: Any) -> Any:
        return self.normalize(x, mean, var, *others)

    def outside(self, y: Any) -> Any:
        return y

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, *others = self._inside(x, gamma, beta)
        mean, var = self.moments(values)
        y = self._outside(self.normalize_batch(values, mean, var, *others, epsilon), x)
        return (y, mean.astype(x.dtype), var.astype(x.dtype)) if self.statistics_too else y

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._outside(self.normalize(*self._inside(x, mean, var, gamma, beta), epsilon), x)

    def _inside(self, x: Any, *others: Any) -> list[Any]:
        return [self.inside(a) for a in (np.moveaxis(x, self.channel_axis, -1), *others)]

    def _outside(self, y: Any, x: Any) -> Any:
        return self.outside(np.moveaxis(y.astype(x.dtype), -1, self.channel_axis))


def rows_of(x: Any) -> Any:
    """(N, *spatial, C) as (m, C)."""
    return x.reshape(-1, x.shape[-1])


def fma(a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once in float32: float64 holds products of float32 numbers exactly."""
    if a.dtype != np.float32:
        return a * b + c
    return (a.astype(np.float64) * b + c).astype(np.float32)
