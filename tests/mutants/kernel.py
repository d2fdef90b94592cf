"""The accurate kernel that every mutant spoils in one step."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance import Implementation


def axes(x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))


def size(x: Any) -> int:
    """Values per channel."""
    return int(np.prod(x.shape[:-1]))


class Kernel(Implementation):
    """Two passes over channels-last arrays in the dtype of the case; each step can be replaced.

    `due` is a name that the judge must give the mutant in at least one case, `verdicts` those of
    which it must earn one.
    """

    framework = "numpy"
    channel_axis = -1
    dtypes = ("float32", "float64")
    due: str | None = None
    verdicts = frozenset({"wrong", "inaccurate"})

    @staticmethod
    def inside(a: Any) -> Any:
        return a

    count = staticmethod(size)

    def mean(self, x: Any) -> Any:
        return np.sum(x, axis=axes(x)) / self.count(x)

    def var(self, x: Any, mean: Any) -> Any:
        return np.sum(np.square(x - mean), axis=axes(x)) / self.count(x)

    def moments(self, x: Any) -> tuple[Any, Any]:
        mean = self.mean(x)
        return mean, self.var(x, mean)

    @staticmethod
    def root(var: Any, epsilon: Any) -> Any:
        return np.sqrt(var + epsilon)

    @staticmethod
    def standardized(x: Any, mean: Any, root: Any) -> Any:
        return (x - mean) / root

    @staticmethod
    def scaled(z: Any, gamma: Any, beta: Any) -> Any:
        return gamma * z + beta

    @staticmethod
    def result(y: Any, x: Any) -> Any:
        return y

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return self.scaled(self.standardized(x, mean, self.root(var, epsilon)), gamma, beta)

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, *affine = (self.inside(a) for a in (x, gamma, beta))
        y = self.normalize(values, *self.moments(values), *affine, epsilon)
        return self.result(y.astype(x.dtype), x)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, *others = (self.inside(a) for a in (x, mean, var, gamma, beta))
        return self.result(self.normalize(values, *others, epsilon).astype(x.dtype), x)


_METHODS = ("train", "infer", "normalize", "moments", "due", "verdicts")


def mutant(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    """The kernel with these steps replaced: functions without `self`, but for whole methods."""
    own = {key: v if key in _METHODS else staticmethod(v) for key, v in steps.items()}
    return type(name, (Kernel,), {"name": f"mutant-{name}", "due": due, **own})


def given(change: Any) -> Any:
    """An `infer` that first replaces the statistics: change(x, mean, var) -> mean, var."""

    def infer(self: Kernel, x: Any, mean: Any, var: Any, *others: Any) -> Any:
        return Kernel.infer(self, x, *change(x, mean, var), *others)

    return infer


def trained(change: Any) -> Any:
    """A `train` with one more thing done to its result: change(y, x)."""

    def train(self: Kernel, x: Any, *others: Any) -> Any:
        return change(Kernel.train(self, x, *others), x)

    return train
