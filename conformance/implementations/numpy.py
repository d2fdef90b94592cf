"""NumPy: the reference function in its own words, in the case's dtype and with float64 inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.base import Implementation


def batch_norm(Z: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    """Batch norm of Z (m, n) over its m rows; gamma and beta (1, n). Computed in the dtype of Z."""
    mean = np.mean(Z, axis=0, keepdims=True)
    var = np.var(Z, axis=0, keepdims=True)
    return gamma * (Z - mean) / np.sqrt(var + epsilon) + beta


def _inference(
    Z: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    return gamma * (Z - mean) / np.sqrt(var + epsilon) + beta


class BatchNorm(Implementation):
    name = "numpy.batch_norm"
    framework = "numpy"
    channel_axis = -1
    inside: type[np.floating[Any]] | None = None

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._rows(batch_norm, x, gamma, beta, epsilon=epsilon)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._rows(_inference, x, mean, var, gamma, beta, epsilon=epsilon)

    def _rows(self, function: Any, x: Any, *parameters: Any, epsilon: float) -> Any:
        """Calls on (m, n) rows and (1, n) parameters, in the dtype that stands inside."""
        inside = self.inside or x.dtype
        rows = x.reshape(-1, x.shape[-1]).astype(inside)
        in_row = (parameter.reshape(1, -1).astype(inside) for parameter in parameters)
        return function(rows, *in_row, epsilon).astype(x.dtype).reshape(x.shape)


class BatchNormFloat64(BatchNorm):
    name = "numpy.batch_norm-float64"
    inside = np.float64
