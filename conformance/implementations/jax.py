"""JAX: the formula in jax.numpy, eager and under jit, and jax.nn.standardize."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from conformance import formula
from conformance.errors import UserError
from conformance.implementations.base import Implementation


class Formula(Implementation):
    name = "jax.numpy"
    framework = "jax"
    packages = ("jax", "jaxlib")
    channel_axis = -1
    devices = ("cpu", "cuda")

    def start(self) -> None:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax
        import numpy as np

        try:
            self.where = jax.devices(self.device)[0]
        except RuntimeError:
            raise UserError(
                f"jax {jax.__version__} finds no {self.device} device; use --device cpu"
            ) from None
        self.jax, self.np = jax, np
        self.training, self.inference = self.compiled(self._train), self.compiled(self._infer)

    def compiled(self, function: Any) -> Any:
        return function

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        outputs = formula.train(self.jax.numpy, x, gamma, beta, epsilon)
        return outputs["y"], outputs["mean"], outputs["var"]

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return formula.infer(self.jax.numpy, x, mean, var, gamma, beta, epsilon)["y"]

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._call(self.training, x, gamma, beta, epsilon)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._call(self.inference, x, mean, var, gamma, beta, epsilon)

    def _call(self, function: Any, x: Any, *others: Any) -> Any:
        wide = self.jax.enable_x64(True) if x.dtype == self.np.float64 else contextlib.nullcontext()
        with wide, self.jax.default_device(self.where):
            arrays = (self.jax.numpy.asarray(array) for array in (x, *others[:-1]))
            return self.jax.tree.map(self.np.asarray, function(*arrays, others[-1]))


class FormulaJit(Formula):
    name = "jax.numpy-jit"

    def compiled(self, function: Any) -> Any:
        return self.jax.jit(function)


class Standardize(Formula):
    name = "jax.nn.standardize"

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        axes = tuple(range(x.ndim - 1))
        return gamma * self.jax.nn.standardize(x, axis=axes, epsilon=epsilon) + beta

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        z = self.jax.nn.standardize(x, mean=mean, variance=var, epsilon=epsilon)
        return gamma * z + beta
