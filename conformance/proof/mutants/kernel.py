"""The accurate kernels that every mutant spoils in one step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from conformance.operations import METHODS
from conformance.proof.known import Known


def axes(x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))


def size(x: Any) -> int:
    """Values per channel."""
    return int(np.prod(x.shape[:-1]))


def rows(a: Any) -> Any:
    """(N, *spatial, C) as (m, C); a view of a result, so that it can be written to."""
    return a.reshape(size(a), a.shape[-1])


class Kernel(Known):
    """Two passes over channels-last arrays in the dtype of the case; each step can be replaced."""

    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")
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

    def normalize(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self.scaled(self.standardized(x, mean, self.root(var, epsilon)), gamma, beta)

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, gamma, beta = (self.inside(a) for a in (x, gamma, beta))
        y = self.normalize(values, *self.moments(values), gamma, beta, epsilon)
        return self.result(y.astype(x.dtype, copy=False), x)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        values, mean, var, gamma, beta = (self.inside(a) for a in (x, mean, var, gamma, beta))
        y = self.normalize(values, mean, var, gamma, beta, epsilon)
        return self.result(y.astype(x.dtype, copy=False), x)


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "tanh": np.tanh,
    "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
}


def total(a: Any) -> Any:
    return np.sum(a, axis=axes(a))


def average(a: Any) -> Any:
    return np.mean(a, axis=axes(a))


class Whole(Kernel):
    """The accurate kernel with the other operations too; each of their steps can be replaced."""

    @staticmethod
    def averaged(old: Any, new: Any, rate: float) -> Any:
        return (1 - rate) * old + rate * new

    @staticmethod
    def batch_statistics(mean: Any, var: Any, x: Any) -> tuple[Any, Any]:
        return mean, var

    def update(
        self, x: Any, running_mean: Any, running_var: Any, epsilon: float, rate: float
    ) -> Any:
        values, *running = (self.inside(a) for a in (x, running_mean, running_var))
        new = self.batch_statistics(*self.moments(values), values)
        return tuple(
            np.asarray(self.averaged(a, b, rate), running_mean.dtype)
            for a, b in zip(running, new, strict=True)
        )

    @staticmethod
    def centered(dy: Any, z: Any) -> Any:
        """dy less its mean and its part along z."""
        return dy - average(dy) - z * average(dy * z)

    @staticmethod
    def dx(gamma: Any, centered: Any, root: Any) -> Any:
        return gamma * centered / root

    @staticmethod
    def affine_gradients(dy: Any, z: Any, x: Any, mean: Any) -> tuple[Any, Any]:
        return total(dy * z), total(dy)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        values, upstream, gamma_inside = (self.inside(a) for a in (x, dy, gamma))
        mean, var = self.batch_statistics(*self.moments(values), values)
        root = self.root(var, epsilon)
        z = (values - mean) / root
        dx = self.dx(gamma_inside, self.centered(upstream, z), root)
        return self._gradients(x, gamma, dx, *self.affine_gradients(upstream, z, values, mean))

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        values, upstream, mean, var = (self.inside(a) for a in (x, dy, mean, var))
        root = self.root(var, epsilon)
        z = (values - mean) / root
        dx = self.dx(self.inside(gamma), upstream, root)
        return self._gradients(x, gamma, dx, *self.affine_gradients(upstream, z, values, mean))

    @staticmethod
    def _gradients(x: Any, gamma: Any, dx: Any, dgamma: Any, dbeta: Any) -> tuple[Any, Any, Any]:
        return dx.astype(x.dtype), dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)

    @staticmethod
    def product(x: Any, w: Any) -> Any:
        return x @ w

    @staticmethod
    def activated(z: Any, activation: str) -> Any:
        return ACTIVATIONS[activation](z)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        values, w, gamma, beta = (self.inside(a) for a in (x, w, gamma, beta))
        z = self.product(values, w)
        y = self.normalize(z, *self.moments(z), gamma, beta, epsilon)
        return self.activated(y, activation).astype(x.dtype, copy=False)


class Half(Whole):
    """The accurate kernel for half precisions too: computed in float32, and rounded once."""

    dtypes: ClassVar[tuple[str, ...]] = ("float16", "bfloat16", "float32", "float64")

    @staticmethod
    def inside(a: Any) -> Any:
        return widened(a)


def widened(a: Any) -> Any:
    return a.astype(np.float32) if a.dtype.itemsize < 4 else a


def mutant(
    name: str,
    due: str | None = None,
    *,
    base: type[Kernel] = Kernel,
    operation: str | None = None,
    **steps: Any,
) -> type[Kernel]:
    """The kernel with these steps replaced; with `operation`, one that offers nothing else.

    A step that takes `self` is a method; other functions need not name it.
    """
    own = {key: staticmethod(v) if is_plain(v) else v for key, v in steps.items()}
    alone = {method: None for method in METHODS if operation not in (None, method)}
    return type(name, (base,), {"name": f"mutant-{name}", "due": due, **alone, **own})


def is_plain(step: Any) -> bool:
    """Whether a step is a function that does not take `self`."""
    return callable(step) and next(iter(inspect.signature(step).parameters), "") != "self"


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
