"""PaddlePaddle: paddle.nn.functional.batch_norm, channels first and last, and the layers; their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.errors import UserError
from conformance.implementations.base import Conventions, Implementation, Unsupported


class FunctionalBatchNorm(Implementation):
    name = "paddle.nn.functional.batch_norm"
    framework = "paddle"
    packages = ("paddlepaddle", "paddlepaddle-gpu")
    devices = ("cpu", "cuda")
    data_format = "NCHW"

    def start(self) -> None:
        import paddle

        if self.device == "cuda" and not paddle.device.is_compiled_with_cuda():
            raise UserError(f"paddle {paddle.__version__} is built without CUDA; use --device cpu")
        paddle.set_device("gpu" if self.device == "cuda" else "cpu")
        self.paddle = paddle
        functional = paddle.nn.functional
        self.activations = {
            "identity": lambda y: y,
            "relu": functional.relu,
            "tanh": functional.tanh,
            "sigmoid": functional.sigmoid,
        }

    def apply(self, x: Any, statistics: Any, parameters: Any, training: bool, **how: Any) -> Any:
        """y, and the (mean, variance) and (gamma, beta) that were used: the first are written to."""
        mean, var = statistics or (self._like(parameters[0], 0.0), self._like(parameters[0], 1.0))
        y = self.paddle.nn.functional.batch_norm(
            x, mean, var, *parameters, training=training, data_format=self.data_format, **how
        )
        return y, (mean, var), parameters

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, *parameters = self._tensors(x, gamma, beta)
        return self._array(self.apply(x, None, parameters, True, epsilon=epsilon)[0])

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, mean, var, *parameters = self._tensors(x, mean, var, gamma, beta)
        return self._array(self.apply(x, (mean, var), parameters, False, epsilon=epsilon)[0])

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        x, mean, var = self._tensors(x, mean, var)
        parameters = (self._like(mean, 1.0), self._like(mean, 0.0))
        how = {"epsilon": epsilon, "momentum": 1 - rate}
        _, statistics, _ = self.apply(x, (mean, var), parameters, True, **how)
        return tuple(self._array(statistic) for statistic in statistics)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        x, gamma, beta, dy = self._tensors(x, gamma, beta, dy)
        return self._gradients(x, None, (gamma, beta), dy, True, epsilon)

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        x, mean, var, gamma, beta, dy = self._tensors(x, mean, var, gamma, beta, dy)
        return self._gradients(x, (mean, var), (gamma, beta), dy, False, epsilon)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        x, w, *parameters = self._tensors(x, w, gamma, beta)
        y, _, _ = self.apply(x @ w, None, parameters, True, epsilon=epsilon)
        return self._array(self.activations[activation](y))

    def _gradients(
        self, x: Any, statistics: Any, parameters: Any, dy: Any, training: bool, epsilon: float
    ) -> Any:
        for tensor in (x, *parameters):
            tensor.stop_gradient = False
        y, _, used = self.apply(x, statistics, parameters, training, epsilon=epsilon)
        return tuple(self._array(g) for g in self.paddle.grad(y, [x, *used], dy))

    def _like(self, tensor: Any, value: float) -> Any:
        return self.paddle.full_like(tensor, value)

    def _tensors(self, *arrays: Any) -> list[Any]:
        return [self._tensor(array) for array in arrays]

    def _tensor(self, array: np.ndarray) -> Any:
        """Paddle takes uint16 for the bits of bfloat16, and gives them back so."""
        if self.device == "cpu" and array.dtype.name in ("float16", "bfloat16"):
            raise Unsupported(f"has no batch norm kernel for {array.dtype.name} on the CPU")
        return self.paddle.to_tensor(
            array.view(np.uint16) if array.dtype.name == "bfloat16" else array
        )

    def _array(self, tensor: Any) -> np.ndarray:
        array: np.ndarray = tensor.numpy()
        if array.dtype == np.uint16:
            import ml_dtypes

            return array.view(ml_dtypes.bfloat16)
        return array


class FunctionalBatchNormChannelsLast(FunctionalBatchNorm):
    name = "paddle.nn.functional.batch_norm-NHWC"
    channel_axis = -1
    data_format = "NHWC"


class BatchNorm(FunctionalBatchNorm):
    """The layer for any rank, which calls the kernel by itself."""

    name = "paddle.nn.BatchNorm"
    conventions = Conventions(
        epsilon=1e-5,
        momentum=0.9,
        momentum_weighs="old",
        running_variance="population",
        half_output="x",
        half_statistics="float32",
        fresh="initial-statistics",
        frozen="batch-statistics",
    )

    def new(self, rank: int, channels: int, **how: Any) -> Any:
        return self.paddle.nn.BatchNorm(channels, **how)

    def apply(self, x: Any, statistics: Any, parameters: Any, training: bool, **how: Any) -> Any:
        layer = self.new(x.ndim, len(parameters[0]), **how).to(dtype=parameters[0].dtype)
        state = {"weight": parameters[0], "bias": parameters[1]}
        if statistics is not None:
            state |= {"_mean": statistics[0], "_variance": statistics[1]}
        layer.set_state_dict(state)
        layer.training = training
        y = layer(x)
        return y, (layer._mean, layer._variance), (layer.weight, layer.bias)

    def layer(self, x: Any, modes: Any, frozen: bool) -> Any:
        tensor = self._tensor(x)
        layer = self.new(x.ndim, x.shape[1])
        if frozen:
            for parameter in layer.parameters():
                parameter.stop_gradient = True
        for mode in modes:
            layer.training = mode == "train"
            y = layer(tensor)
        return self._array(y), self._array(layer._mean), self._array(layer._variance)


class BatchNormByRank(BatchNorm):
    """The layers that most models are made of, which call the function."""

    name = "paddle.nn.BatchNorm1D-2D-3D"

    def new(self, rank: int, channels: int, **how: Any) -> Any:
        nn = self.paddle.nn
        kinds = {2: nn.BatchNorm1D, 3: nn.BatchNorm1D, 4: nn.BatchNorm2D, 5: nn.BatchNorm3D}
        return kinds[rank](channels, **how)
