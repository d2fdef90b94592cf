"""PyTorch: torch.nn.functional.batch_norm, in training and in evaluation mode."""

from __future__ import annotations

from typing import Any

from conformance.errors import UserError
from conformance.implementations.base import Implementation


class FunctionalBatchNorm(Implementation):
    name = "torch.nn.functional.batch_norm"
    framework = "torch"
    devices = ("cpu", "cuda")

    def start(self) -> None:
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError(f"torch {torch.__version__} finds no CUDA device; use --device cpu")
        self.torch = torch

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._call(x, None, None, gamma, beta, training=True, epsilon=epsilon)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._call(x, mean, var, gamma, beta, training=False, epsilon=epsilon)

    def _call(self, *arrays: Any, training: bool, epsilon: float) -> Any:
        tensors = (
            None if array is None else self.torch.from_numpy(array).to(self.device)
            for array in arrays
        )
        with self.torch.inference_mode():
            y = self.torch.nn.functional.batch_norm(*tensors, training=training, eps=epsilon)
        return y.cpu().numpy()
