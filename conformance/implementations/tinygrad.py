"""tinygrad: the layer tinygrad.nn.BatchNorm on the CPU; its gradients by Tensor.gradient."""

from __future__ import annotations

import os
import shutil
from typing import Any

import numpy as np

from conformance.errors import UserError
from conformance.implementations.base import Conventions, Implementation


class BatchNorm(Implementation):
    name = "tinygrad.nn.BatchNorm"
    framework = "tinygrad"
    conventions = Conventions(
        epsilon=1e-5,
        momentum=0.1,
        momentum_weighs="new",
        running_variance="unbiased",
        half_output="float32",
        half_statistics="float32",
        fresh="initial-statistics",
        frozen="batch-statistics",
    )

    def start(self) -> None:
        import tinygrad
        from tinygrad import helpers, nn

        if not os.environ.get("DEV"):
            helpers.DEV.value = _compiler()
        self.Tensor, self.nn = tinygrad.Tensor, nn
        if hasattr(self.Tensor, "train"):  # until 0.13
            self.mode = self.Tensor.train
        else:
            self.mode = lambda training: helpers.Context(TRAINING=int(training))
        try:
            self._array(self._tensor(np.zeros(1)) + 1)
        except Exception as error:
            raise UserError(
                f"tinygrad cannot compile for the CPU: {type(error).__name__}: {error}; "
                "install clang, or tinygrad<0.14, which can do without"
            ) from None

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, gamma, beta = self._tensors(x, gamma, beta)
        return self._array(self._apply(True, x, gamma, beta, epsilon))

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, mean, var, gamma, beta = self._tensors(x, mean, var, gamma, beta)
        return self._array(self._apply(False, x, gamma, beta, epsilon, (mean, var)))

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        x, mean, var = self._tensors(x, mean, var)
        norm = self.nn.BatchNorm(mean.shape[0], eps=epsilon, momentum=rate)
        norm.running_mean, norm.running_var = mean, var
        with self.mode(True):
            norm(x)
        return self._arrays(norm.running_mean, norm.running_var)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        x, gamma, beta, dy = self._tensors(x, gamma, beta, dy)
        y = self._apply(True, x, gamma, beta, epsilon)
        return self._gradients(y, (x, gamma, beta), dy)

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        x, mean, var, gamma, beta, dy = self._tensors(x, mean, var, gamma, beta, dy)
        y = self._apply(False, x, gamma, beta, epsilon, (mean, var))
        return self._gradients(y, (x, gamma, beta), dy)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        x, w, gamma, beta = self._tensors(x, w, gamma, beta)
        y = self._apply(True, x @ w, gamma, beta, epsilon)
        return self._array(y if activation == "identity" else getattr(y, activation)())

    def layer(self, x: Any, modes: Any, frozen: bool) -> Any:
        norm = self.nn.BatchNorm(x.shape[1])
        if frozen:
            for parameter in (norm.weight, norm.bias):
                parameter.is_param_(False)
        for mode in modes:
            with self.mode(mode == "train"):
                y = norm(self._tensor(x)).realize()
        return self._arrays(y, norm.running_mean, norm.running_var)

    def _apply(
        self, training: bool, x: Any, gamma: Any, beta: Any, eps: float, statistics: Any = None
    ) -> Any:
        """y. Epsilon goes in as a tensor: every number in a program would be compiled anew."""
        dtype = x.dtype if training else statistics[1].dtype
        norm = self.nn.BatchNorm(gamma.shape[0], eps=self.Tensor([eps], dtype=dtype))
        norm.weight, norm.bias = gamma, beta
        norm.running_mean, norm.running_var = statistics or (gamma.zeros_like(), gamma.ones_like())
        with self.mode(training):
            return norm(x)

    def _gradients(self, y: Any, wanted: Any, dy: Any) -> Any:
        return self._arrays(*y.gradient(*wanted, gradient=dy))

    def _tensors(self, *arrays: Any) -> list[Any]:
        return [self._tensor(array) for array in arrays]

    def _tensor(self, array: np.ndarray) -> Any:
        """NumPy's bfloat16 goes over as its bits, and back: tinygrad would give it as float32."""
        if array.dtype.name == "bfloat16":
            bits = self.Tensor(array.view(np.uint16))
            return bits.bitcast("bfloat16").contiguous().realize()
        return self.Tensor(array)

    def _arrays(self, *tensors: Any) -> Any:
        self.Tensor.realize(*tensors)  # in one schedule, which shares what they have in common
        return tuple(self._array(tensor) for tensor in tensors)

    def _array(self, tensor: Any) -> np.ndarray:
        if "bfloat16" in str(tensor.dtype):
            import ml_dtypes

            return tensor.bitcast("uint16").numpy().view(ml_dtypes.bfloat16)
        array: np.ndarray = tensor.numpy()
        return array


def _compiler() -> str:
    """What tinygrad compiles with: clang, its default, or without one its own assembler."""
    return "CPU" if shutil.which(os.environ.get("CC", "clang")) else "CPU:X86"
