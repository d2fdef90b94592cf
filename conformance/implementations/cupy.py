"""CuPy: the formulas over cupy, forward and backward, on a CUDA device."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance import formula
from conformance.errors import UserError
from conformance.implementations.base import Implementation


class Formula(Implementation):
    name = "cupy"
    framework = "cupy"
    packages = ("cupy-cuda12x", "cupy-cuda13x", "cupy")
    channel_axis = -1
    dtypes = ("float16", "float32", "float64")
    devices = ("cuda",)
    # CuPy has no batch norm of its own: version 14 took its bindings to cuDNN out.

    def start(self) -> None:
        import cupy

        if not cupy.is_available():
            raise UserError(f"cupy {cupy.__version__} finds no CUDA device")
        self.cupy = cupy

    def train(self, *arguments: Any) -> Any:
        return self._call(formula.train, *arguments)

    def infer(self, *arguments: Any) -> Any:
        return self._call(formula.infer, *arguments)[0]

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        return self._call(formula.update_once, x, mean, var, rate)

    def grad(self, *arguments: Any) -> Any:
        return self._call(formula.grad, *arguments)

    def grad_infer(self, *arguments: Any) -> Any:
        return self._call(formula.grad_infer, *arguments)

    def dense(self, *arguments: Any) -> Any:
        *tensors, activation = arguments
        return self._call(formula.dense, *tensors, activation=activation)[0]

    def _call(self, function: Any, *arguments: Any, **how: Any) -> Any:
        """The outputs in their order."""
        arrays = [self.cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
        outputs = function(self.cupy, *arrays, **how)
        if isinstance(outputs, dict):
            outputs = outputs.values()
        return tuple(self.cupy.asnumpy(output) for output in outputs)
