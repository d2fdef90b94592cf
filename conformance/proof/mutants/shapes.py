"""Mistakes that only some shapes show: tails of vector loops, and sizes that happen to be equal."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.mutants.kernel import Kernel, axes, mutant, rows, size, trained


def whole(count: int, width: int) -> int:
    """How many of `count` a loop over full vectors sees; all where there is not one full vector."""
    return count - count % width if count >= width else count


def _mean_of_whole(width: int) -> Any:
    return lambda x: np.mean(rows(x)[: whole(size(x), width)], axis=0)


def _var_of_whole(width: int) -> Any:
    def var(x: Any, mean: Any) -> Any:
        return np.mean(np.square(rows(x)[: whole(size(x), width)] - mean), axis=0)

    return var


def of_whole(width: int) -> Any:
    def moments(self: Kernel, x: Any) -> tuple[Any, Any]:
        return Kernel.moments(self, rows(x)[: whole(size(x), width)])

    return moments


def _unscaled_rows(width: int) -> Any:
    """The results of the last rows, left at x."""

    def result(y: Any, x: Any) -> Any:
        first = whole(size(x), width)
        rows(y)[first:] = rows(x)[first:]
        return y

    return result


def _wrong_gamma(width: int) -> Any:
    """The channels after the last full vector take gamma from the first."""

    def scaled(z: Any, gamma: Any, beta: Any) -> Any:
        tail = np.arange(len(gamma)) >= whole(len(gamma), width)
        return np.where(tail, gamma[0], gamma) * z + beta

    return scaled


def _wrong_variance(width: int) -> Any:
    """The channels after the last full vector take the variance of the first."""

    def moments(self: Kernel, x: Any) -> tuple[Any, Any]:
        mean, var = Kernel.moments(self, x)
        var[whole(len(var), width) :] = var[0]
        return mean, var

    return moments


def _last_channel(y: Any, x: Any) -> Any:
    y[..., -1] = x[..., -1]
    return y


def _last_spatial(y: Any, x: Any) -> Any:
    if x.ndim > 2 and x.shape[-2] % 2:
        y[..., -1, :] = x[..., -1, :]
    return y


def _last_value(y: Any, x: Any) -> Any:
    y.reshape(-1)[-1] = x.reshape(-1)[-1]
    return y


def _both_of_whole_samples(width: int) -> Any:
    """Statistics without what a loop over full vectors leaves of each sample's spatial values."""

    def moments(self: Kernel, x: Any) -> tuple[Any, Any]:
        samples = x.reshape(len(x), -1, x.shape[-1])
        return Kernel.moments(self, samples[:, : whole(samples.shape[1], width)])

    return moments


def _last_twice(self: Kernel, x: Any) -> tuple[Any, Any]:
    values = rows(x)
    return Kernel.moments(self, np.concatenate([values, values[-1:]]))


TAILS = (
    mutant("tail-last-row-ignored-if-odd", moments=of_whole(2)),
    *(mutant(f"tail-of-{n}-not-in-mean", mean=_mean_of_whole(n)) for n in (4, 8, 16, 32, 1024)),
    *(mutant(f"tail-of-{n}-not-in-variance", var=_var_of_whole(n)) for n in (4, 8, 16, 32, 1024)),
    *(mutant(f"tail-of-{n}-rows-left", result=_unscaled_rows(n)) for n in (2, 4, 8, 16, 1024)),
    *(mutant(f"tail-of-{n}-channels-gamma", scaled=_wrong_gamma(n)) for n in (2, 4, 8, 16, 32)),
    *(
        mutant(f"tail-of-{n}-channels-variance", moments=_wrong_variance(n))
        for n in (2, 4, 8, 16, 32)
    ),
    *(mutant(f"tail-of-{n}-spatial", moments=_both_of_whole_samples(n)) for n in (2, 4, 8, 16)),
    mutant("tail-last-channel-left", result=_last_channel),
    mutant("tail-last-spatial-left-if-odd", result=_last_spatial),
    mutant("tail-last-value-left", result=_last_value),
    mutant("tail-last-row-twice", moments=_last_twice),
)


def _swapped(first: int, second: int, rank: int) -> Any:
    """Two axes of y exchanged where they are of one size."""

    def result(y: Any, x: Any) -> Any:
        equal = x.ndim == rank and x.shape[first] == x.shape[second]
        return y.swapaxes(first, second) if equal else y

    return result


def _statistics_of_rows(self: Kernel, x: Any) -> tuple[Any, Any]:
    """Of rows and not of columns, where there are as many."""
    if x.ndim == 2 and x.shape[0] == x.shape[1]:
        x = x.T
    return Kernel.moments(self, x)


def _single_channel(self: Kernel, x: Any) -> tuple[Any, Any]:
    """One channel is taken for one row."""
    if x.shape[-1] > 1:
        return Kernel.moments(self, x)
    return x, np.zeros_like(x)


def _one_value(answer: Any) -> Any:
    return trained(lambda y, x: answer(y, x) if size(x) == 1 else y)


def _one_sample(self: Kernel, x: Any) -> tuple[Any, Any]:
    mean, var = Kernel.moments(self, x)
    return (mean, var) if len(x) > 1 else (mean, np.ones_like(var))


def _if_size(values: int, factor: float) -> Any:
    def var(x: Any, mean: Any) -> Any:
        found = np.mean(np.square(x - mean), axis=axes(x))
        return found * found.dtype.type(factor) if size(x) == values else found

    return var


def _refuses(when: Any) -> Any:
    def train(self: Kernel, x: Any, *others: Any) -> Any:
        if when(x):
            raise ValueError(f"cannot normalize {x.shape}")
        return Kernel.train(self, x, *others)

    return train


EQUAL_SIZES = (
    mutant("equal-n-c-transposed", result=_swapped(0, 1, 2)),
    mutant("equal-n-c-statistics-of-rows", moments=_statistics_of_rows),
    mutant("equal-l-c-swapped", result=_swapped(1, 2, 3)),
    mutant("equal-n-l-swapped", result=_swapped(0, 1, 3)),
    mutant("equal-n-c-of-length-swapped", result=_swapped(0, 2, 3)),
    mutant("equal-h-w-swapped", result=_swapped(1, 2, 4)),
    mutant("equal-w-c-swapped", result=_swapped(2, 3, 4)),
    mutant("equal-h-c-swapped", result=_swapped(1, 3, 4)),
    mutant("equal-n-h-swapped", result=_swapped(0, 1, 4)),
    mutant("equal-d-w-swapped", result=_swapped(1, 3, 5)),
    mutant("equal-d-h-swapped", result=_swapped(1, 2, 5)),
    mutant("equal-h-w-of-volume-swapped", result=_swapped(2, 3, 5)),
    mutant("equal-h-c-of-volume-swapped", result=_swapped(2, 4, 5)),
)


def _empty(change: Any) -> Any:
    """What is answered for a batch without values: change(y)."""
    return trained(lambda y, x: y if x.size else change(y))


def _channels_only(self: Kernel, x: Any, *others: Any) -> Any:
    y = Kernel.infer(self, x, *others)
    return y if x.size else np.zeros((1, *y.shape[1:]), y.dtype)


SMALL_SIZES = (
    mutant("empty-of-one-row", train=_empty(lambda y: np.zeros((1, *y.shape[1:]), y.dtype))),
    mutant("empty-none", train=_empty(lambda y: None)),
    mutant("empty-float64", train=_empty(lambda y: y.astype(np.float64))),
    mutant("empty-of-one-row-in-inference", infer=_channels_only),
    mutant("single-channel-is-a-row", moments=_single_channel),
    mutant("one-value-zero", train=_one_value(lambda y, x: np.zeros_like(y))),
    mutant("one-value-x", train=_one_value(lambda y, x: x.copy())),
    mutant("one-sample-not-scaled", moments=_one_sample),
    mutant("two-values-unbiased", var=_if_size(2, 2.0)),
    mutant("three-values-unbiased", var=_if_size(3, 1.5)),
    mutant("refuses-one-sample", train=_refuses(lambda x: len(x) == 1 and size(x) > 1)),
    mutant("refuses-one-channel", train=_refuses(lambda x: x.shape[-1] == 1)),
    mutant("refuses-odd-rows", train=_refuses(lambda x: len(x) % 2 == 1 and size(x) > 1)),
)

MUTANTS = TAILS + EQUAL_SIZES + SMALL_SIZES
