"""Mistakes in the running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.mutants.kernel import Kernel, Whole, mutant, size
from conformance.proof.mutants.shapes import of_whole


def _update(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    return mutant(f"update-{name}", due, base=Whole, operation="update", **steps)


def _averaged(name: str, averaged: Any, due: str | None = None) -> type[Kernel]:
    return _update(name, due, averaged=averaged)


def _unbiased(mean: Any, var: Any, x: Any) -> tuple[Any, Any]:
    return mean, var * (size(x) / (size(x) - 1) if size(x) > 1 else np.nan)


def _swapped_states(
    self: Whole, x: Any, running_mean: Any, running_var: Any, *others: Any
) -> tuple[Any, Any]:
    return Whole.update(self, x, running_var, running_mean, *others)


def _swapped_results(self: Whole, *arguments: Any) -> Any:
    return Whole.update(self, *arguments)[::-1]


def _in_place(self: Whole, x: Any, running_mean: Any, running_var: Any, *others: Any) -> Any:
    running_mean[...], running_var[...] = Whole.update(self, x, running_mean, running_var, *others)
    return running_mean, running_var


def _only_mean(self: Whole, x: Any, running_mean: Any, running_var: Any, *others: Any) -> Any:
    return Whole.update(self, x, running_mean, running_var, *others)[0], running_var.copy()


def _with_epsilon(self: Whole, x: Any, mean: Any, var: Any, epsilon: Any, rate: Any) -> Any:
    mean, var = Whole.update(self, x, mean, var, epsilon, rate)
    return mean, var + x.dtype.type(rate * epsilon)


def _through(dtype: type, a: Any) -> Any:
    return a.astype(dtype).astype(a.dtype)


def _rounded_weight(old: Any, new: Any, rate: float) -> Any:
    keep = float(np.float32(1 - rate))
    return keep * old + (1 - keep) * new


def _rate_float32(old: Any, new: Any, rate: float) -> Any:
    rate = float(np.float32(rate))
    return (1 - rate) * old + rate * new


def _unbiased_twice(mean: Any, var: Any, x: Any) -> tuple[Any, Any]:
    return mean, var * (size(x) / max(size(x) - 1, 1)) ** 2


def _unbiased_by_samples(mean: Any, var: Any, x: Any) -> tuple[Any, Any]:
    """The samples are counted, and not their values: off where there are spatial axes."""
    if x.ndim == 2:
        return mean, var
    return mean, var * (len(x) / max(len(x) - 1, 1))


def _reset_by_empty(self: Whole, x: Any, running_mean: Any, running_var: Any, *others: Any) -> Any:
    """A batch without values leaves the statistics as a new layer has them."""
    if not x.size:
        return np.zeros_like(running_mean), np.ones_like(running_var)
    return Whole.update(self, x, running_mean, running_var, *others)


def _only_var(self: Whole, x: Any, running_mean: Any, running_var: Any, *others: Any) -> Any:
    return running_mean.copy(), Whole.update(self, x, running_mean, running_var, *others)[1]


def _first_channel(self: Whole, x: Any, running_mean: Any, running_var: Any, *others: Any) -> Any:
    mean, var = Whole.update(self, x, running_mean, running_var, *others)
    return np.full_like(mean, mean[0]), var


def _around_running_mean(
    self: Whole, x: Any, running_mean: Any, running_var: Any, epsilon: float, rate: float
) -> Any:
    mean, _ = Whole.update(self, x, running_mean, running_var, epsilon, rate)
    var = self.var(x, mean)
    return mean, np.asarray((1 - rate) * running_var + rate * var, running_var.dtype)


MUTANTS = (
    _averaged(
        "momentum-inverted",
        lambda old, new, rate: rate * old + (1 - rate) * new,
        "momentum-inverted",
    ),
    _averaged("frozen", lambda old, new, rate: old, "statistics-frozen"),
    _averaged("replaced", lambda old, new, rate: new, "statistics-replaced"),
    _averaged("rate-squared", lambda old, new, rate: (1 - rate**2) * old + rate**2 * new),
    _averaged("rate-always-0.1", lambda old, new, rate: 0.9 * old + 0.1 * new),
    _averaged("not-decayed", lambda old, new, rate: old + rate * new),
    _averaged("not-weighted", lambda old, new, rate: (1 - rate) * old + new),
    _averaged("geometric", lambda old, new, rate: np.abs(old) ** (1 - rate) * np.abs(new) ** rate),
    _update(
        "unbiased-running-variance",
        "unbiased-running-variance",
        batch_statistics=_unbiased,
        verdicts=frozenset({"convention"}),
        only=True,
    ),
    _update(
        "with-deviation",
        "standard-deviation-averaged",
        batch_statistics=lambda mean, var, x: (mean, np.sqrt(var)),
    ),
    _update(
        "batch-statistics-swapped",
        batch_statistics=lambda mean, var, x: (var, mean),
    ),
    _update("states-swapped", update=_swapped_states),
    _update("results-swapped", update=_swapped_results),
    _update("in-place", update=_in_place),
    _update("of-mean-only", update=_only_mean),
    _update("adds-epsilon", update=_with_epsilon),
    _update(
        "rounded-weight-of-the-old",
        "rounded-weight-of-the-old",
        averaged=_rounded_weight,
        verdicts=frozenset({"convention"}),
        only=True,
    ),
    _averaged("rate-float32", _rate_float32, "rate-float32"),
    _averaged("rate-at-most-0.5", lambda old, new, rate: old + min(rate, 0.5) * (new - old)),
    _averaged("rate-0-is-0.1", lambda old, new, rate: old + (rate or 0.1) * (new - old)),
    _averaged(
        "rate-1-is-cumulative",
        lambda old, new, rate: (old + new) / 2 if rate == 1 else ((1 - rate) * old + rate * new),
    ),
    _averaged(
        "float16", lambda old, new, rate: _through(np.float16, (1 - rate) * old + rate * new)
    ),
    _averaged(
        "float32", lambda old, new, rate: _through(np.float32, (1 - rate) * old + rate * new)
    ),
    _averaged(
        "nan-skipped",
        lambda old, new, rate: np.where(np.isnan(new), old, (1 - rate) * old + rate * new),
    ),
    _averaged(
        "nan-spreads", lambda old, new, rate: (1 - rate) * old + rate * new + 0 * np.sum(new)
    ),
    _averaged(
        "zero-skipped",
        lambda old, new, rate: np.where(new == 0, old, (1 - rate) * old + rate * new),
    ),
    _averaged(
        "within-65504", lambda old, new, rate: (1 - rate) * old + rate * np.minimum(new, 65504)
    ),
    _averaged(
        "at-least-1e-4",
        lambda old, new, rate: (
            (1 - rate) * old + rate * np.where(np.abs(new) < 1e-4, new.dtype.type(1e-4), new)
        ),
    ),
    _update("unbiased-twice", batch_statistics=_unbiased_twice),
    _update("unbiased-by-samples", batch_statistics=_unbiased_by_samples),
    _update("empty-resets", update=_reset_by_empty),
    _update("of-variance-only", update=_only_var),
    _update("of-first-channel", update=_first_channel),
    _update("variance-around-running-mean", update=_around_running_mean),
    _update("count-uint16", count=lambda x: np.array(size(x)).astype(np.uint16)),
    _update("count-of-samples", count=len),
    _update(
        "mean-of-samples", mean=lambda x: np.mean(x.reshape(len(x), -1, x.shape[-1])[:, 0], axis=0)
    ),
    _update("inside-float32", inside=lambda a: a.astype(np.float32)),
    *(_update(f"tail-of-{n}-not-counted", moments=of_whole(n)) for n in (2, 4, 8, 1024)),
)
