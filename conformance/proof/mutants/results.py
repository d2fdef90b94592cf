"""Mistakes in what is handed over: types and shapes of results, changed inputs, kept state."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.mutants.kernel import Kernel, axes, mutant


def _as(dtype: type, only: type) -> Any:
    return lambda y, x: y.astype(dtype) if x.dtype == only else y


def _with_statistics(change: Any) -> Any:
    """A `train` that hands mean and variance back too: change(y, mean, var) -> all three."""

    def train(self: Kernel, x: Any, *others: Any) -> Any:
        return change(Kernel.train(self, x, *others), *self.moments(x))

    return train


TYPES = (
    mutant("result-float64", result=_as(np.float64, np.float32)),
    mutant("result-float32", result=_as(np.float32, np.float64)),
    mutant("result-flat", result=lambda y, x: y.reshape(-1)),
    mutant("result-of-rows", result=lambda y, x: y.reshape(-1, y.shape[-1])),
    mutant(
        "result-reshaped-not-transposed",
        result=lambda y, x: np.moveaxis(y, -1, 1).reshape(y.shape),
    ),
    mutant("result-channels-first", result=lambda y, x: np.moveaxis(y, -1, 1)),
    mutant("result-list", result=lambda y, x: y.tolist()),
    mutant("result-scalar", result=lambda y, x: y.mean()),
    mutant("result-none", result=lambda y, x: None),
    mutant("result-objects", result=lambda y, x: y.astype(object)),
    mutant("result-complex", result=lambda y, x: y.astype(complex)),
    mutant("result-first-sample", result=lambda y, x: y[:1]),
    mutant("result-samples-reversed", result=lambda y, x: y[::-1]),
    mutant("result-is-x", result=lambda y, x: x),
    mutant("result-empty", result=lambda y, x: ()),
    mutant("statistics-swapped", train=_with_statistics(lambda y, mean, var: (y, var, mean))),
    mutant("statistics-deviation", train=_with_statistics(lambda y, m, v: (y, m, np.sqrt(v)))),
    mutant("statistics-mean-only", train=_with_statistics(lambda y, mean, var: (y, mean))),
    mutant("statistics-in-rows", train=_with_statistics(lambda y, m, v: (y, m[None], v[None]))),
    mutant("statistics-float", train=_with_statistics(lambda y, m, v: (y, m, float(v.mean())))),
    mutant(
        "statistics-of-first-half",
        train=lambda self, x, *others: (
            Kernel.train(self, x, *others),
            *Kernel.moments(self, x.reshape(-1, x.shape[-1])[: x.size // x.shape[-1] // 2 + 1]),
        ),
    ),
)


def _in_place(self: Kernel, x: Any, *others: Any) -> Any:
    x[...] = Kernel.train(self, x, *others)
    return x


def _gamma_overwritten(self: Kernel, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    y = Kernel.train(self, x, gamma, beta, epsilon)
    gamma /= np.sqrt(x.var(axis=axes(x)) + epsilon)
    return y


def _running_overwritten(self: Kernel, x: Any, mean: Any, var: Any, *others: Any) -> Any:
    y = Kernel.infer(self, x, mean, var, *others)
    mean += (x.mean(axis=axes(x)) - mean) * mean.dtype.type(0.1)
    return y


CHANGED_INPUTS = (
    mutant("changes-x", train=_in_place),
    mutant("changes-gamma", train=_gamma_overwritten),
    mutant("changes-running-mean", infer=_running_overwritten),
)


def _in_another(kind: Any) -> Any:
    return lambda self, *arguments: kind(self, Kernel.train(self, *arguments))


CONTAINERS = (
    mutant("result-in-a-dict", train=_in_another(lambda self, y: {"y": y})),
    mutant("result-in-a-generator", train=_in_another(lambda self, y: iter([y]))),
    mutant("result-twice", train=_in_another(lambda self, y: (y, y))),
    mutant("result-and-three-more", train=_in_another(lambda self, y: (y, y, y, y))),
    mutant("result-big-integers", result=lambda y, x: y.astype(np.int64)),
    mutant("result-of-another-width", result=lambda y, x: np.concatenate([y, y[..., :1]], axis=-1)),
)


def _with_zeros(width: int) -> Any:
    """What a loop over full vectors did not write, in an array of zeros."""

    def result(y: Any, x: Any) -> Any:
        written = np.zeros_like(y)
        whole = y.size - y.size % width
        written.reshape(-1)[:whole] = y.reshape(-1)[:whole]
        return written

    return result


UNWRITTEN = tuple(
    mutant(f"unwritten-after-whole-{n}", result=_with_zeros(n)) for n in (2, 4, 8, 16, 64)
)

MUTANTS = TYPES + CHANGED_INPUTS + CONTAINERS + UNWRITTEN
