"""The formulas of batch normalization, each written once over an array namespace `xp`.

Arrays carry their channels on the last axis and statistics run over all the others, so x has shape
(..., C) and gamma, beta, mean and var have shape (C,). `xp` offers mean and sum over axes, sqrt, square,
maximum, tanh and exp; numpy, jax.numpy, torch and cupy do, and so do this package's own arithmetics.
Every formula returns its outputs by name. `conformance.alternatives` holds what is done instead.

The reference follows Ioffe and Szegedy 2015 (https://arxiv.org/abs/1502.03167), Algorithm 1: the
variance is the population variance, and epsilon stands under the root.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Outputs = dict[str, Any]


def moments(xp: Any, x: Any) -> tuple[Any, Any]:
    """Mean and population variance of each channel, in two passes: (C,), (C,)."""
    axes = batch_axes(x)
    mean = xp.mean(x, axis=axes)
    return mean, xp.mean(xp.square(x - mean), axis=axes)


def standard_deviation(xp: Any, var: Any, epsilon: Any) -> Any:
    return xp.sqrt(var + epsilon)


def normalize(
    xp: Any,
    x: Any,
    mean: Any,
    var: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    deviation: Callable[..., Any] = standard_deviation,
) -> Any:
    return gamma * (x - mean) / deviation(xp, var, epsilon) + beta


def train(
    xp: Any,
    x: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    *,
    moments: Callable[..., Any] = moments,
    normalize: Callable[..., Any] = normalize,
) -> Outputs:
    """Normalize x by the statistics of its own batch."""
    mean, var = moments(xp, x)
    y = normalize(xp, x, mean, var, gamma, beta, epsilon)
    return {"y": y, "mean": mean, "var": var}


def infer(
    xp: Any,
    x: Any,
    mean: Any,
    var: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    *,
    normalize: Callable[..., Any] = normalize,
) -> Outputs:
    """Normalize x by given statistics."""
    return {"y": normalize(xp, x, mean, var, gamma, beta, epsilon)}


def update(
    xp: Any,
    x: Any,
    mean: Any,
    var: Any,
    epsilon: Any,
    rates: Any,
    *,
    batches: tuple[int, ...],
    step: Callable[..., Any] | None = None,
) -> Outputs:
    """Running mean and variance after each batch: (len(batches), C) each.

    x holds the batches one after another along its first axis, `batches` their lengths, and
    `rates` the weight of each as the new one.
    """
    means, variances = [], []
    start = 0
    for size, rate in zip(batches, rates, strict=True):
        mean, var = (step or update_once)(xp, x[start : start + size], mean, var, rate)
        means.append(mean)
        variances.append(var)
        start += size
    return {"running_mean": means, "running_var": variances}


def update_once(
    xp: Any, x: Any, mean: Any, var: Any, rate: Any, moments: Callable[..., Any] = moments
) -> tuple[Any, Any]:
    batch_mean, batch_var = moments(xp, x)
    return average(mean, batch_mean, rate), average(var, batch_var, rate)


def average(old: Any, new: Any, rate: Any) -> Any:
    return (1 - rate) * old + rate * new


def grad(
    xp: Any,
    x: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    dy: Any,
    *,
    moments: Callable[..., Any] = moments,
    deviation: Callable[..., Any] = standard_deviation,
    slope: Callable[..., Any] | None = None,
) -> Outputs:
    """Gradients through training forward, the batch statistics included (Algorithm 1's backward pass).

    `slope` multiplies by twice the divisor times its derivative by the population variance, which
    is 1 for the reference.
    """
    axes = batch_axes(x)
    mean, var = moments(xp, x)
    divisor = deviation(xp, var, epsilon)
    normalized = (x - mean) / divisor
    along = normalized * xp.mean(dy * normalized, axis=axes)
    if slope is not None:
        along = slope(xp, x, var, divisor, along)
    centered = dy - xp.mean(dy, axis=axes) - along
    return {"dx": gamma * centered / divisor, **_affine_gradients(xp, normalized, dy)}


def grad_infer(
    xp: Any,
    x: Any,
    mean: Any,
    var: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    dy: Any,
    *,
    deviation: Callable[..., Any] = standard_deviation,
) -> Outputs:
    """Gradients through inference forward: the statistics are constants."""
    divisor = deviation(xp, var, epsilon)
    normalized = (x - mean) / divisor
    return {"dx": gamma * dy / divisor, **_affine_gradients(xp, normalized, dy)}


def _affine_gradients(xp: Any, normalized: Any, dy: Any) -> Outputs:
    axes = batch_axes(dy)
    return {"dgamma": xp.sum(dy * normalized, axis=axes), "dbeta": xp.sum(dy, axis=axes)}


def dense(
    xp: Any,
    x: Any,
    w: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    *,
    activation: str,
    train: Callable[..., Outputs] = train,
) -> Outputs:
    """activation(batch norm of x @ w): x (N, K), w (K, C)."""
    y = train(xp, x @ w, gamma, beta, epsilon)["y"]
    return {"y": ACTIVATIONS[activation](xp, y)}


ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda xp, y: y,
    "relu": lambda xp, y: xp.maximum(y, 0),
    "tanh": lambda xp, y: xp.tanh(y),
    "sigmoid": lambda xp, y: 1 / (1 + xp.exp(0 - y)),
}

REFERENCE: dict[str, Callable[..., Outputs]] = {
    "train": train,
    "infer": infer,
    "update": update,
    "grad": grad,
    "grad-infer": grad_infer,
    "dense": dense,
}


def batch_axes(x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))


def values_per_channel(xp: Any, x: Any) -> int:
    if hasattr(xp, "values_per_channel"):
        return int(xp.values_per_channel)
    count = 1
    for size in x.shape[:-1]:
        count *= int(size)
    return count
