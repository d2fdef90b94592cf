"""NumPy: the reference function in its own words, in the case's dtype and with float64 inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.implementations.base import Implementation


def batch_norm(Z: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    """Batch norm of Z (m, n) over its m rows; gamma and beta (1, n). Computed in the dtype of Z."""
    mean = np.mean(Z, axis=0, keepdims=True)
    var = np.var(Z, axis=0, keepdims=True)
    return gamma * (Z - mean) / np.sqrt(var + epsilon) + beta


def _inference(Z: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    return gamma * (Z - mean) / np.sqrt(var + epsilon) + beta


def _gradient(Z: Any, gamma: Any, epsilon: float, dY: Any) -> tuple[Any, Any, Any]:
    std = np.sqrt(np.var(Z, axis=0) + epsilon)
    normalized = (Z - np.mean(Z, axis=0)) / std
    dgamma, dbeta = np.sum(dY * normalized, axis=0), np.sum(dY, axis=0)
    return gamma / std * (dY - (dbeta + normalized * dgamma) / len(Z)), dgamma, dbeta


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "tanh": np.tanh,
    "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
}


class BatchNorm(Implementation):
    name = "numpy.batch_norm"
    framework = "numpy"
    channel_axis = -1
    inside: type[np.floating[Any]] | None = None

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        Z, gamma, beta = self._rows(x, gamma, beta)
        return batch_norm(Z, gamma, beta, epsilon).astype(x.dtype).reshape(x.shape)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        Z, *parameters = self._rows(x, mean, var, gamma, beta)
        Y = _inference(Z, *parameters, epsilon)  # type: ignore[call-arg]
        return Y.astype(x.dtype).reshape(x.shape)

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        Z, old_mean, old_var = self._rows(x, mean, var)
        new_mean = (1 - rate) * old_mean + rate * np.mean(Z, axis=0)
        new_var = (1 - rate) * old_var + rate * np.var(Z, axis=0)
        return new_mean[0].astype(mean.dtype), new_var[0].astype(var.dtype)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        Z, gamma_row, dY = self._rows(x, gamma, dy)
        return self._gradients(x, gamma, *_gradient(Z, gamma_row, epsilon, dY))

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        Z, mean, var, gamma_row, dY = self._rows(x, mean, var, gamma, dy)
        std = np.sqrt(var + epsilon)
        dgamma = np.sum(dY * ((Z - mean) / std), axis=0)
        return self._gradients(x, gamma, gamma_row * dY / std, dgamma, np.sum(dY, axis=0))

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        X, W, gamma, beta = self._rows(x, w, gamma, beta)
        return _ACTIVATIONS[activation](batch_norm(X @ W, gamma, beta, epsilon)).astype(x.dtype)

    def _rows(self, *arrays: Any) -> list[Any]:
        """As (m, n), a parameter as (1, n), in the dtype that stands inside."""
        return [a.reshape(-1, a.shape[-1]).astype(self.inside or a.dtype) for a in arrays]

    def _gradients(self, x: Any, gamma: Any, dX: Any, dgamma: Any, dbeta: Any) -> Any:
        dx = dX.astype(x.dtype).reshape(x.shape)
        return dx, dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)


class BatchNormFloat64(BatchNorm):
    name = "numpy.batch_norm-float64"
    inside = np.float64
