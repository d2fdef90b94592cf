"""PyTorch: its two functions, of which one is run in other memory and without cuDNN too."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from conformance.errors import UserError
from conformance.implementations.base import Implementation, Unsupported

_STRIDES = "https://github.com/pytorch/pytorch/issues/59786"


class TorchFunction(Implementation):
    """All operations by one function; a subclass says which, in `_batch_norm`."""

    framework = "torch"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    def start(self) -> None:
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError(f"torch {torch.__version__} finds no CUDA device; use --device cpu")
        self.torch = torch
        self.activations = {
            "identity": lambda y: y,
            "relu": torch.relu,
            "tanh": torch.tanh,
            "sigmoid": torch.sigmoid,
        }

    def _batch_norm(
        self,
        x: Any,
        mean: Any,
        var: Any,
        gamma: Any = None,
        beta: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Any:
        raise NotImplementedError

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, gamma, beta = self._tensors(x, gamma, beta)
        return self._array(self._batch_norm(x, None, None, gamma, beta, training=True, eps=epsilon))

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        x, mean, var, gamma, beta = self._tensors(x, mean, var, gamma, beta)
        return self._array(self._batch_norm(x, mean, var, gamma, beta, eps=epsilon))

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        x, mean, var = self._tensors(x, mean.copy(), var.copy())
        self._batch_norm(x, mean, var, training=True, momentum=rate, eps=epsilon)
        return self._array(mean), self._array(var)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        x, gamma, beta, dy = self._tensors(x, gamma, beta, dy)
        return self._gradients((x, None, None, gamma, beta), dy, training=True, eps=epsilon)

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        *tensors, dy = self._tensors(x, mean, var, gamma, beta, dy)
        return self._gradients(tensors, dy, training=False, eps=epsilon)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        x, w, gamma, beta = self._tensors(x, w, gamma, beta)
        y = self._batch_norm(x @ w, None, None, gamma, beta, training=True, eps=epsilon)
        return self._array(self.activations[activation](y))

    def _gradients(self, tensors: Any, dy: Any, **how: Any) -> Any:
        wanted = [tensors[place].requires_grad_() for place in (0, 3, 4)]
        y = self._batch_norm(*tensors, **how)
        return tuple(self._array(gradient) for gradient in self.torch.autograd.grad(y, wanted, dy))

    def _tensors(self, *arrays: Any) -> list[Any]:
        return [self._tensor(array).to(self.device) for array in arrays]

    def _tensor(self, array: np.ndarray) -> Any:
        """NumPy's bfloat16 goes over as its bits, which torch does not know it by."""
        if min(array.strides, default=0) < 0:
            raise Unsupported("a tensor has no negative strides", _STRIDES)
        if array.dtype.name == "bfloat16":
            return self.torch.from_numpy(array.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(array)

    def _array(self, tensor: Any) -> np.ndarray:
        tensor = tensor.detach().cpu()
        if tensor.dtype == self.torch.bfloat16:
            import ml_dtypes

            bits: np.ndarray = tensor.view(self.torch.int16).numpy()
            return bits.view(ml_dtypes.bfloat16)
        array: np.ndarray = tensor.numpy()
        return array


class FunctionalBatchNorm(TorchFunction):
    name = "torch.nn.functional.batch_norm"

    def _batch_norm(self, *tensors: Any, **how: Any) -> Any:
        return self.torch.nn.functional.batch_norm(*tensors, **how)


class LowLevelBatchNorm(TorchFunction):
    """What torch.nn.functional.batch_norm calls after its checks."""

    name = "torch.batch_norm"

    def _batch_norm(
        self,
        x: Any,
        mean: Any,
        var: Any,
        gamma: Any = None,
        beta: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Any:
        cudnn = self.torch.backends.cudnn.enabled
        return self.torch.batch_norm(x, gamma, beta, mean, var, training, momentum, eps, cudnn)


class ChannelsLast(FunctionalBatchNorm):
    """Arrays with the channels last, seen as (N, C, H, W): torch.channels_last and channels_last_3d."""

    name = "torch.nn.functional.batch_norm-channels_last"
    channel_axis = -1
    ranks = (4, 5)

    def _tensor(self, array: np.ndarray) -> Any:
        tensor = super()._tensor(array)
        return tensor.movedim(-1, 1) if tensor.ndim > 2 else tensor

    def _array(self, tensor: Any) -> np.ndarray:
        return super()._array(tensor.movedim(1, -1) if tensor.ndim > 2 else tensor)


class WithoutCudnn(FunctionalBatchNorm):
    """PyTorch's own CUDA kernels, which are also what cuDNN's limits on shapes and dtypes lead to."""

    name = "torch.nn.functional.batch_norm-no_cudnn"
    devices = ("cuda",)

    def _batch_norm(self, *tensors: Any, **how: Any) -> Any:
        with self.torch.backends.cudnn.flags(enabled=False):
            return super()._batch_norm(*tensors, **how)
