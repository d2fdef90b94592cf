"""MLX: the layer mlx.nn.BatchNorm on the CPU; its gradients by mlx.core.vjp."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.base import Conventions, Implementation, Unsupported

_EMPTY = (
    "https://github.com/ml-explore/mlx/blob/1156c84e86c02d209373c545a47e8da3e1be246b/"
    "mlx/backend/common/reduce.cpp"
)


class BatchNorm(Implementation):
    name = "mlx.nn.BatchNorm"
    framework = "mlx"
    channel_axis = -1
    ranks = (2, 3, 4)
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
        import mlx.core as mx
        from mlx import nn

        mx.set_default_device(mx.cpu)
        self.mx, self.nn = mx, nn
        self.activations = {
            "identity": lambda y: y,
            "relu": nn.relu,
            "tanh": nn.tanh,
            "sigmoid": nn.sigmoid,
        }

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, gamma, beta = self._tensors(self._batch(x), gamma, beta)
        return self._array(self._new(gamma, beta, eps=epsilon)(x))

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, mean, var, gamma, beta = self._tensors(x, mean, var, gamma, beta)
        return self._array(self._with(mean, var, gamma, beta, eps=epsilon)(x))

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        x, mean, var = self._tensors(self._batch(x), mean, var)
        norm = self.nn.BatchNorm(len(mean), eps=epsilon, momentum=rate)
        norm.running_mean, norm.running_var = mean, var
        norm(x)
        return self._array(norm.running_mean), self._array(norm.running_var)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        x, gamma, beta, dy = self._tensors(self._batch(x), gamma, beta, dy)
        return self._gradients(self._new(gamma, beta, eps=epsilon), x, gamma, beta, dy)

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        x, mean, var, gamma, beta, dy = self._tensors(self._batch(x), mean, var, gamma, beta, dy)
        norm = self._with(mean, var, gamma, beta, eps=epsilon)
        return self._gradients(norm, x, gamma, beta, dy)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        x, w, gamma, beta = self._tensors(x, w, gamma, beta)
        linear = self.nn.Linear(*w.shape, bias=False)
        linear.weight = w.T
        norm = self._new(gamma, beta, eps=epsilon)
        return self._array(self.activations[activation](norm(linear(x))))

    def layer(self, x: Any, modes: Any, frozen: bool) -> Any:
        tensor = self._tensor(x)
        norm = self.nn.BatchNorm(x.shape[-1])
        if frozen:
            norm.freeze()
        for mode in modes:
            norm.train(mode == "train")
            y = norm(tensor)
        return tuple(self._array(array) for array in (y, norm.running_mean, norm.running_var))

    def _new(self, gamma: Any, beta: Any, **how: Any) -> Any:
        norm = self.nn.BatchNorm(len(gamma), **how)
        norm.weight, norm.bias = gamma, beta
        return norm

    def _with(self, mean: Any, var: Any, gamma: Any, beta: Any, **how: Any) -> Any:
        """In inference, with the given statistics."""
        norm = self._new(gamma, beta, **how)
        norm.running_mean, norm.running_var = mean, var
        return norm.eval()

    def _gradients(self, norm: Any, x: Any, gamma: Any, beta: Any, dy: Any) -> Any:
        """y is wider than x if gamma is; dy comes in the dtype of x."""

        def forward(x: Any, gamma: Any, beta: Any) -> Any:
            norm.weight, norm.bias = gamma, beta
            return norm(x)

        primals = [x, gamma, beta]
        dy = dy.astype(forward(*primals).dtype)
        return tuple(self._array(g) for g in self.mx.vjp(forward, primals, [dy])[1])

    def _batch(self, x: np.ndarray) -> np.ndarray:
        """x, which is to be summed over its rows. Without this a run would now and then hang."""
        if x.size == 0:
            raise Unsupported("the sum over an empty axis hangs at random on the CPU", _EMPTY)
        return x

    def _tensors(self, *arrays: Any) -> list[Any]:
        return [self._tensor(array) for array in arrays]

    def _tensor(self, array: np.ndarray) -> Any:
        """float64 would become float32 if it were not asked for."""
        if min(array.strides, default=0) < 0:
            raise Unsupported("an array has no negative strides")
        return self.mx.array(array, dtype=getattr(self.mx, array.dtype.name))

    def _array(self, tensor: Any) -> np.ndarray:
        """NumPy does not know MLX's bfloat16, so it goes over as its bits."""
        if tensor.dtype == self.mx.bfloat16:
            import ml_dtypes

            return np.array(tensor.view(self.mx.uint16)).view(ml_dtypes.bfloat16)
        return np.array(tensor)
