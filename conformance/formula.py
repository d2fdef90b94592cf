"""The formulas of batch normalization, each written once over an array namespace `xp`.

Arrays carry their channels on the last axis and statistics run over all the others, so x has shape
(..., C) and gamma, beta, mean and var have shape (C,). `xp` offers mean(a, axis), sqrt, square and
maximum: numpy, jax.numpy, torch and cupy do, and so do this package's own arithmetics.
Every formula returns its outputs by name.

The reference follows Ioffe and Szegedy 2015 (https://arxiv.org/abs/1502.03167), Algorithm 1: the
variance is the population variance, and epsilon stands under the root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

Outputs = dict[str, Any]


def moments(xp: Any, x: Any) -> tuple[Any, Any]:
    """Mean and population variance of each channel, in two passes: (C,), (C,)."""
    axes = _batch_axes(x)
    mean = xp.mean(x, axis=axes)
    return mean, xp.mean(xp.square(x - mean), axis=axes)


def normalize(xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    return gamma * (x - mean) / xp.sqrt(var + epsilon) + beta


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


REFERENCE: dict[str, Callable[..., Outputs]] = {"train": train, "infer": infer}


def _batch_axes(x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))


# What implementations do instead, each as the part of the formula in which it differs.


def _unbiased_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    mean, var = moments(xp, x)
    values = _values_per_channel(x)
    return mean, var * values / (values - 1)


def _single_pass_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    axes = _batch_axes(x)
    mean = xp.mean(x, axis=axes)
    return mean, xp.mean(xp.square(x), axis=axes) - xp.square(mean)


def _clamped_single_pass_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    mean, var = _single_pass_moments(xp, x)
    return mean, xp.maximum(var, 0)


def _report_unbiased(xp: Any, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Outputs:
    values = _values_per_channel(x)
    outputs = train(xp, x, gamma, beta, epsilon)
    return {**outputs, "var": outputs["var"] * values / (values - 1)}


def _folded(xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    factor = gamma / xp.sqrt(var + epsilon)
    return x * factor + (beta - mean * factor)


def _outside(xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    return gamma * (x - mean) / (xp.sqrt(var) + epsilon) + beta


def _ignored(xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    return gamma * (x - mean) / xp.sqrt(var) + beta


def _clamped_at(
    smallest: float, xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any
) -> Any:
    return normalize(xp, x, mean, var, gamma, beta, xp.maximum(epsilon, smallest))


def _values_per_channel(x: Any) -> int:
    count = 1
    for size in x.shape[:-1]:
        count *= int(size)
    return count


@dataclass(frozen=True)
class Alternative:
    """A named formula that an output is held against when the reference does not explain it.

    `verdict` is what the name stands for, `meaning` one sentence for a user, `operations` the
    formula for each operation that it changes. Two alternatives may share a `name` (two ways to
    compute one thing); `key` is unique.
    """

    key: str
    name: str
    verdict: str
    meaning: str
    operations: Mapping[str, Callable[..., Outputs]]


def _normalization(
    key: str, verdict: str, meaning: str, normalize: Callable[..., Any]
) -> Alternative:
    operations = {
        "train": partial(train, normalize=normalize),
        "infer": partial(infer, normalize=normalize),
    }
    return Alternative(key, key, verdict, meaning, operations)


def _variance(
    key: str, name: str, verdict: str, meaning: str, moments: Callable[..., Any]
) -> Alternative:
    return Alternative(key, name, verdict, meaning, {"train": partial(train, moments=moments)})


# Other definitions first, other algorithms for the same value after them: what an algorithm loses
# can be much, and would otherwise explain a mistake that is smaller than that.
ALTERNATIVES = (
    Alternative(
        "unbiased-batch-variance",
        "unbiased-batch-variance",
        "convention",
        "y uses the population variance; the variance handed back is the unbiased one, n/(n-1) of it",
        {"train": _report_unbiased},
    ),
    _variance(
        "unbiased-variance",
        "unbiased-variance",
        "wrong",
        "y is normalized by the unbiased variance, n/(n-1) of the population variance",
        _unbiased_moments,
    ),
    _normalization(
        "epsilon-outside-sqrt",
        "wrong",
        "epsilon is added to the standard deviation, not to the variance",
        _outside,
    ),
    _normalization("epsilon-ignored", "wrong", "epsilon is not added to the variance", _ignored),
    _normalization(
        "epsilon-clamped-1e-5",
        "wrong",
        "an epsilon below 1e-5 is silently replaced by 1e-5",
        partial(_clamped_at, 1e-5),
    ),
    _normalization(
        "epsilon-clamped-1.001e-5",
        "wrong",
        "an epsilon below 1.001e-5 is silently replaced by 1.001e-5",
        partial(_clamped_at, 1.001e-5),
    ),
    _variance(
        "single-pass-variance",
        "single-pass-variance",
        "inaccurate",
        "variance computed as E[x^2] - E[x]^2, which cancels where the mean is large against the spread",
        _clamped_single_pass_moments,
    ),
    _variance(
        "single-pass-variance-unclamped",
        "single-pass-variance",
        "inaccurate",
        "variance computed as E[x^2] - E[x]^2 and not clamped at 0: it can be negative, and y NaN",
        _single_pass_moments,
    ),
    # In training the error of the batch mean is as large as what folding loses.
    Alternative(
        "folded",
        "folded",
        "inaccurate",
        "computed as x * factor + (beta - mean * factor), which cancels where x is near a large mean",
        {"infer": partial(infer, normalize=_folded)},
    ),
)
