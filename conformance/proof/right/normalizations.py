"""gamma * (x - mean) / sqrt(var + epsilon) + beta in other orders of its operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.right.kernel import Kernel, fma


def fused(_: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    return fma((x - mean) * (1 / np.sqrt(var + epsilon)), gamma, beta)


def by_inverse(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return gamma * ((x - mean) * (1 / np.sqrt(var + epsilon))) + beta


def by_root_of_inverse(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return gamma * ((x - mean) * np.sqrt(1 / (var + epsilon))) + beta


def by_factor(_: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    return gamma * (1 / np.sqrt(var + epsilon)) * (x - mean) + beta


def by_quotient(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return gamma / np.sqrt(var + epsilon) * (x - mean) + beta


def by_power(_: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    return gamma * ((x - mean) * (var + epsilon) ** -0.5) + beta


def standardized_first(
    _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    return (x - mean) / np.sqrt(var + epsilon) * gamma + beta


def folded(_: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    factor = gamma / np.sqrt(var + epsilon)
    return x * factor + (beta - mean * factor)


def nudged(ulps: int) -> Any:
    """By a reciprocal root that is `ulps` off the nearest number, as fast instructions may be."""

    def normalize(
        _: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
    ) -> Any:
        inverse = (1 / np.sqrt((var + epsilon).astype(np.longdouble))).astype(x.dtype)
        finite = np.isfinite(inverse) & (inverse > 0)
        for _step in range(abs(ulps)):
            towards = np.asarray(np.inf if ulps > 0 else 0, x.dtype)
            inverse = np.where(finite, np.nextafter(inverse, towards), inverse)
        return gamma * ((x - mean) * inverse) + beta

    return normalize
