"""Mistakes in one place alone: one rank, one dtype, one of the two orders of axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.operations import OPERATIONS
from conformance.proof.mutants.kernel import Half, Kernel, axes, mutant

_METHODS = {name: operation.method for name, operation in OPERATIONS.items() if operation.method}


def _off(operation: str, where: str, when: Any) -> type[Kernel]:
    """What the operation gives first is a sixteenth too large where `when` holds for x."""
    method = _METHODS[operation]

    def asked(self: Half, x: Any, *others: Any) -> Any:
        found = getattr(Half, method)(self, x, *others)
        if not when(x):
            return found
        first, *rest = found if isinstance(found, tuple) else (found,)
        first = (first * first.dtype.type(1.0625)).astype(first.dtype)
        return (first, *rest) if rest else first

    name = f"{operation}-off-in-{where}"
    return mutant(name, base=Half, operation=method, **dict[str, Any]({method: asked}))


def _in_rank(operation: str, rank: int, dtype: str) -> type[Kernel]:
    return _off(
        operation, f"{dtype}-of-rank-{rank}", lambda x: x.ndim == rank and x.dtype.name == dtype
    )


RANKS = tuple(
    _in_rank(operation, rank, dtype)
    for operation in _METHODS
    for dtype, ranks in (
        ("float32", (2, 3, 4, 5)),
        ("float64", (2, 3, 4, 5)),
        ("float16", (2, 4)),  # compiled frameworks would compile for more shapes
        ("bfloat16", (2, 4)),
    )
    for rank in (ranks if operation != "dense" else (2,))
)

COUNTS = tuple(
    _off(operation, f"more-than-{most}", lambda x, most=most: x.size // x.shape[-1] > most)
    for operation in _METHODS
    for most in ((16, 256, 2048, 2**16) if operation != "dense" else (8, 256))
)


class First(Half):
    """The accurate kernel with its channels on axis 1. Steps still see them last."""

    channel_axis = 1

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return np.moveaxis(super().train(np.moveaxis(x, 1, -1), gamma, beta, epsilon), -1, 1)

    def infer(self, x: Any, *others: Any) -> Any:
        return np.moveaxis(super().infer(np.moveaxis(x, 1, -1), *others), -1, 1)


def _along_width(z: Any, gamma: Any, beta: Any) -> Any:
    """gamma goes along the last axis in memory, the width, wherever that is as long."""
    if z.ndim > 2 and z.shape[-2] == z.shape[-1]:
        return (z.swapaxes(-1, -2) * gamma).swapaxes(-1, -2) + beta
    return gamma * z + beta


def _as_if_last(self: Kernel, x: Any) -> tuple[Any, Any]:
    """Statistics over all axes but the last in memory, wherever that is as long as the channels."""
    if x.ndim > 2 and x.shape[-2] == x.shape[-1]:
        return Kernel.moments(self, x.swapaxes(-1, -2))
    return Kernel.moments(self, x)


def _without_width(self: Kernel, x: Any) -> tuple[Any, Any]:
    """In rank 4 only the samples and the height are averaged: a mean for each column."""
    if x.ndim != 4:
        return Kernel.moments(self, x)
    over = (0, 1)
    return np.mean(x, axis=over, keepdims=True), np.var(x, axis=over, keepdims=True)


def _first_sample_only(self: Kernel, x: Any) -> tuple[Any, Any]:
    """As instance normalization, of the first sample, in rank 5."""
    return Kernel.moments(self, x[:1] if x.ndim == 5 else x)


def _flat(y: Any, x: Any) -> Any:
    """The values in the order of channels-last memory, in the shape of channels-first."""
    return np.moveaxis(y.reshape(np.moveaxis(y, -1, 1).shape), 1, -1) if y.ndim == 4 else y


CHANNELS_FIRST = (
    mutant("first-gamma-along-width", base=First, scaled=_along_width),
    mutant("first-statistics-as-if-last", base=First, moments=_as_if_last),
    mutant("first-width-not-averaged", base=First, moments=_without_width),
    mutant("first-first-sample-of-volumes", base=First, moments=_first_sample_only),
    mutant("first-result-in-last-order", base=First, result=_flat),
    mutant(
        "last-statistics-of-first-half-of-height",
        moments=lambda self, x: Kernel.moments(
            self, x[:, : x.shape[1] // 2 + 1] if x.ndim == 4 else x
        ),
    ),
    mutant(
        "last-first-place-of-length",
        moments=lambda self, x: Kernel.moments(self, x[:, :1] if x.ndim == 3 else x),
    ),
    mutant(
        "last-mean-of-samples-of-volumes",
        mean=lambda x: np.mean(
            x[:, 0, 0, 0] if x.ndim == 5 and x.size else x, axis=0 if x.ndim == 5 else axes(x)
        ),
    ),
)

MUTANTS = RANKS + COUNTS + CHANNELS_FIRST
