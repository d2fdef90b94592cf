"""JAX: the formula in jax.numpy, eager and under jit, and jax.nn.standardize; gradients by jax.vjp."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

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

        try:
            self.where = jax.devices(self.device)[0]
        except RuntimeError:
            raise UserError(
                f"jax {jax.__version__} finds no {self.device} device; use --device cpu"
            ) from None
        self.jax, self.numpy = jax, jax.numpy
        self.functions = {
            name: self.compiled(getattr(self, f"_{name}"))
            for name in ("train", "infer", "update", "grad", "grad_infer", "dense")
        }

    def compiled(self, function: Any) -> Any:
        return function

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        outputs = formula.train(self.numpy, x, gamma, beta, epsilon)
        return outputs["y"], outputs["mean"], outputs["var"]

    def _infer(self, *arguments: Any) -> Any:
        return formula.infer(self.numpy, *arguments)["y"]

    def _update(self, x: Any, mean: Any, var: Any, epsilon: Any, rate: Any) -> Any:
        return formula.update_once(self.numpy, x, mean, var, rate)

    def _grad(self, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Any:
        def forward(x: Any, gamma: Any, beta: Any) -> Any:
            return self._train(x, gamma, beta, epsilon)[0]

        return self._vjp(forward, x, gamma, beta, dy)

    def _grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any
    ) -> Any:
        def forward(x: Any, gamma: Any, beta: Any) -> Any:
            return self._infer(x, mean, var, gamma, beta, epsilon)

        return self._vjp(forward, x, gamma, beta, dy)

    def _vjp(self, forward: Any, x: Any, gamma: Any, beta: Any, dy: Any) -> Any:
        """y may be wider than x, if gamma is; dy comes in the dtype of x."""
        y, backward = self.jax.vjp(forward, x, gamma, beta)
        return backward(dy.astype(y.dtype))

    def _dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: Any, activation: str) -> Any:
        y = self._train(self.numpy.matmul(x, w), gamma, beta, epsilon)[0]
        return y if activation == "identity" else getattr(self.jax.nn, activation)(y)

    def train(self, *arguments: Any) -> Any:
        return self._call("train", *arguments)

    def infer(self, *arguments: Any) -> Any:
        return self._call("infer", *arguments)

    def update(self, *arguments: Any) -> Any:
        return self._call("update", *arguments)

    def grad(self, *arguments: Any) -> Any:
        return self._call("grad", *arguments)

    def grad_infer(self, *arguments: Any) -> Any:
        return self._call("grad_infer", *arguments)

    def dense(self, *arguments: Any) -> Any:
        return self._call("dense", *arguments)

    def _call(self, name: str, *arguments: Any) -> Any:
        wide = any(getattr(a, "dtype", None) == np.float64 for a in arguments)
        x64 = self.jax.enable_x64(True) if wide else contextlib.nullcontext()
        with x64, self.jax.default_device(self.where):
            arrays = [self.numpy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
            return self.jax.tree.map(np.asarray, self.functions[name](*arrays))


class FormulaJit(Formula):
    name = "jax.numpy-jit"

    def compiled(self, function: Any) -> Any:
        static = "activation" if function.__name__ == "_dense" else ()
        return self.jax.jit(function, static_argnames=static)


class Standardize(Formula):
    name = "jax.nn.standardize"
    update = None  # type: ignore[assignment]  # it keeps no running statistics

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        axes = tuple(range(x.ndim - 1))
        return (gamma * self.jax.nn.standardize(x, axis=axes, epsilon=epsilon) + beta,)

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        z = self.jax.nn.standardize(x, mean=mean, variance=var, epsilon=epsilon)
        return gamma * z + beta
