"""Mistakes in what is handed over: types and shapes of results, changed inputs, kept state."""

from __future__ import annotations

from typing import Any

import numpy as np

from mutants.kernel import Kernel, axes, mutant


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


class _Stateful(Kernel):
    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}


class StatisticsOfTheCallBefore(_Stateful):
    name = "mutant-statistics-of-the-call-before"

    def moments(self, x: Any) -> tuple[Any, Any]:
        key, found = (x.shape, x.dtype), super().moments(x)
        before, self.kept[key] = self.kept.get(key, found), found
        return before


class FirstAnswerKept(_Stateful):
    name = "mutant-first-answer-kept"

    def train(self, x: Any, *others: Any) -> Any:
        return self.kept.setdefault((x.shape, x.dtype), super().train(x, *others))


class FirstParametersKept(_Stateful):
    """As constants in a graph compiled once for each shape."""

    name = "mutant-first-parameters-kept"

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        affine = self.kept.setdefault((x.shape, x.dtype), (gamma.copy(), beta.copy()))
        return super().train(x, *affine, epsilon)


class FirstEpsilonKept(_Stateful):
    name = "mutant-first-epsilon-kept"

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        kept = self.kept.setdefault((x.shape, x.dtype), epsilon)
        return super().train(x, gamma, beta, kept)


class FoldedParametersKept(_Stateful):
    """Inference that folds once, and does not fold anew when the statistics change."""

    name = "mutant-first-statistics-kept"

    def infer(self, x: Any, mean: Any, var: Any, *others: Any) -> Any:
        kept = self.kept.setdefault((x.shape, x.dtype), (mean.copy(), var.copy()))
        return super().infer(x, *kept, *others)


STATE = (
    StatisticsOfTheCallBefore,
    FirstAnswerKept,
    FirstParametersKept,
    FirstEpsilonKept,
    FoldedParametersKept,
)

MUTANTS = TYPES + CHANGED_INPUTS + STATE
