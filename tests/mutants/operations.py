"""Mistakes in running statistics, gradients, and a dense layer before batch normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from mutants.kernel import Kernel, axes, size


class Whole(Kernel):
    """The accurate kernel with the other operations too; each of their steps can be replaced."""

    @staticmethod
    def averaged(old: Any, new: Any, rate: float) -> Any:
        return (1 - rate) * old + rate * new

    @staticmethod
    def batch_statistics(mean: Any, var: Any, x: Any) -> tuple[Any, Any]:
        return mean, var

    def update(self, x: Any, running_mean: Any, running_var: Any, epsilon: Any, rate: Any) -> Any:
        new = self.batch_statistics(*self.moments(x), x)
        return tuple(
            np.asarray(self.averaged(a, b, rate), x.dtype)
            for a, b in zip((running_mean, running_var), new, strict=True)
        )

    @staticmethod
    def centered(dy: Any, z: Any) -> Any:
        """dy less its mean and its part along z."""
        return dy - np.mean(dy, axis=axes(dy)) - z * np.mean(dy * z, axis=axes(dy))

    @staticmethod
    def dx(gamma: Any, centered: Any, root: Any) -> Any:
        return gamma * centered / root

    @staticmethod
    def affine_gradients(dy: Any, z: Any, x: Any, mean: Any) -> tuple[Any, Any]:
        return np.sum(dy * z, axis=axes(dy)), np.sum(dy, axis=axes(dy))

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Any:
        mean, var = self.batch_statistics(*self.moments(x), x)
        root = self.root(var, epsilon)
        z = (x - mean) / root
        dx = self.dx(gamma, self.centered(dy, z), root)
        return dx, *self.affine_gradients(dy, z, x, mean)

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any
    ) -> Any:
        root = self.root(var, epsilon)
        z = (x - mean) / root
        return self.dx(gamma, dy, root), *self.affine_gradients(dy, z, x, mean)

    @staticmethod
    def product(x: Any, w: Any) -> Any:
        return x @ w

    @staticmethod
    def activated(z: Any, activation: str) -> Any:
        return ACTIVATIONS[activation](z)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: Any, activation: str) -> Any:
        z = self.product(x, w)
        y = self.normalize(z, *self.moments(z), gamma, beta, epsilon)
        return self.activated(y, activation)


ACTIVATIONS = {
    "identity": lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "tanh": np.tanh,
    "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
}

_OPERATIONS = ("update", "grad", "grad_infer", "dense")
_PLAIN = ("verdicts", "var", "moments")


def _mutant(operation: str, name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    """The kernel with these steps replaced, and of one operation alone."""
    own = {
        key: v if key in (*_OPERATIONS, *_PLAIN) else staticmethod(v) for key, v in steps.items()
    }
    alone = {key: None for key in ("train", "infer", *_OPERATIONS) if key != operation}
    return type(name, (Whole,), {"name": f"mutant-{name}", "due": due, **alone, **own})


def _averaged(name: str, averaged: Any, due: str | None = None) -> type[Kernel]:
    return _mutant("update", f"update-{name}", due, averaged=averaged)


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


UPDATE = (
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
    _mutant(
        "update",
        "update-unbiased-running-variance",
        "unbiased-running-variance",
        batch_statistics=_unbiased,
        verdicts=frozenset({"convention"}),
    ),
    _mutant(
        "update",
        "update-with-deviation",
        "standard-deviation-averaged",
        batch_statistics=lambda mean, var, x: (mean, np.sqrt(var)),
    ),
    _mutant(
        "update",
        "update-batch-statistics-swapped",
        batch_statistics=lambda mean, var, x: (var, mean),
    ),
    _mutant("update", "update-states-swapped", update=_swapped_states),
    _mutant("update", "update-results-swapped", update=_swapped_results),
    _mutant("update", "update-in-place", update=_in_place),
    _mutant("update", "update-of-mean-only", update=_only_mean),
    _mutant("update", "update-adds-epsilon", update=_with_epsilon),
    _mutant(
        "update",
        "update-single-pass",
        "single-pass-variance",
        var=lambda self, x, mean: np.maximum(
            np.mean(np.square(x), axis=axes(x)) - np.square(mean), x.dtype.type(0)
        ),
    ),
)


def _mean(a: Any) -> Any:
    return np.mean(a, axis=axes(a))


def _sum(a: Any) -> Any:
    return np.sum(a, axis=axes(a))


def _grad(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    return _mutant("grad", f"grad-{name}", due, **steps)


def _grad_infer(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    return _mutant("grad_infer", f"grad-infer-{name}", due, **steps)


def _derivative(unbiased: bool = False, outside: bool = False) -> Any:
    """What automatic differentiation makes of a forward pass with that mistake."""

    def grad(self: Whole, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Any:
        mean, var = self.moments(x)
        degrees = size(x) - (1 if unbiased else 0)
        deviation = np.sqrt(var * size(x) / degrees) if degrees else np.full_like(var, np.nan)
        root = deviation + epsilon if outside else np.sqrt(deviation * deviation + epsilon)
        inner = deviation if outside else root
        z = (x - mean) / root
        centered = dy - _mean(dy) - (x - mean) / inner * (_sum(dy * z) / max(degrees, 1))
        return gamma * centered / root, _sum(dy * z), _sum(dy)

    return grad


def _through_batch(
    self: Whole, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any
) -> Any:
    return Whole.grad(self, x, gamma, beta, epsilon, dy)


def _dx_through_batch(self: Whole, x: Any, mean: Any, var: Any, *others: Any) -> Any:
    _, *affine = Whole.grad_infer(self, x, mean, var, *others)
    return Whole.grad(self, x, *others)[0], *affine


def _folded_dgamma(dy: Any, z: Any, x: Any, mean: Any) -> tuple[Any, Any]:
    """Without the mean: as if x had been centred."""
    return _sum(dy * x), _sum(dy)


_AFFINE = {
    "dgamma-not-normalized": lambda dy, z, x, mean: (_sum(dy * (x - mean)), _sum(dy)),
    "dgamma-not-centred": _folded_dgamma,
    "dgamma-is-mean": lambda dy, z, x, mean: (_mean(dy * z), _sum(dy)),
    "dbeta-is-mean": lambda dy, z, x, mean: (_sum(dy * z), _mean(dy)),
    "dgamma-and-dbeta-swapped": lambda dy, z, x, mean: (_sum(dy), _sum(dy * z)),
    "dgamma-of-first-sample-left-out": lambda dy, z, x, mean: (_sum((dy * z)[1:]), _sum(dy)),
    "dbeta-negated": lambda dy, z, x, mean: (_sum(dy * z), -_sum(dy)),
}

GRADIENTS = (
    _grad("without-mean-of-dy", centered=lambda dy, z: dy - z * _mean(dy * z)),
    _grad("without-part-along-z", centered=lambda dy, z: dy - _mean(dy)),
    _grad("statistics-held-constant", "statistics-held-constant", centered=lambda dy, z: dy),
    _grad("sums-for-means", centered=lambda dy, z: dy - _sum(dy) - z * _sum(dy * z)),
    _grad("part-along-z-added", centered=lambda dy, z: dy - _mean(dy) + z * _mean(dy * z)),
    _grad("only-mean-of-samples", centered=lambda dy, z: dy - dy.mean(0) - z * _mean(dy * z)),
    _grad("negated", dx=lambda gamma, centered, root: -gamma * centered / root),
    _grad("without-gamma", dx=lambda gamma, centered, root: centered / root),
    _grad("without-root", dx=lambda gamma, centered, root: gamma * centered),
    _grad("root-twice", dx=lambda gamma, centered, root: gamma * centered / root / root),
    _grad("unbiased-variance", batch_statistics=_unbiased),
    _grad(
        "epsilon-outside-root",
        root=lambda var, epsilon: np.sqrt(var) + epsilon,
    ),
    _grad("of-unbiased-variance", "unbiased-variance", grad=_derivative(unbiased=True)),
    _grad("of-epsilon-outside-root", "epsilon-outside-sqrt", grad=_derivative(outside=True)),
    _grad("epsilon-ignored", "epsilon-ignored", root=lambda var, epsilon: np.sqrt(var)),
    _grad("gamma-absolute", dx=lambda gamma, centered, root: np.abs(gamma) * centered / root),
    _grad(
        "single-pass",
        "single-pass-variance",
        var=lambda self, x, mean: np.maximum(
            np.mean(np.square(x), axis=axes(x)) - np.square(mean), x.dtype.type(0)
        ),
    ),
    *(_grad(name, affine_gradients=step) for name, step in _AFFINE.items()),
    _grad_infer("through-batch-statistics", grad_infer=_through_batch),
    _grad_infer("dx-through-batch-statistics", grad_infer=_dx_through_batch),
    _grad_infer("negated", dx=lambda gamma, dy, root: -gamma * dy / root),
    _grad_infer("without-gamma", dx=lambda gamma, dy, root: dy / root),
    _grad_infer("without-root", dx=lambda gamma, dy, root: gamma * dy),
    _grad_infer(
        "epsilon-outside-root",
        "epsilon-outside-sqrt",
        root=lambda var, epsilon: np.sqrt(var) + epsilon,
    ),
    _grad_infer(
        "dgamma-folded",
        "folded",
        affine_gradients=lambda dy, z, x, mean: (
            (_sum(dy * x) - mean * _sum(dy)) * (z / (x - mean)).reshape(-1, x.shape[-1])[0],
            _sum(dy),
        ),
    ),
    *(_grad_infer(name, affine_gradients=step) for name, step in _AFFINE.items()),
)


def _relu_first(self: Whole, x: Any, w: Any, *others: Any) -> Any:
    """The activation before batch normalization, not after it."""
    *affine, activation = others
    z = self.activated(x @ w, activation)
    return self.normalize(z, *self.moments(z), *affine)


def _with_bias(self: Whole, x: Any, w: Any, gamma: Any, beta: Any, epsilon: Any, activation: Any):
    """Beta added once more, as the bias that batch normalization makes superfluous."""
    y = Whole.dense(self, x, w, gamma, beta, epsilon, "identity")
    return self.activated(y + beta, activation)


def _instead(one: str, other: str) -> Any:
    return lambda z, activation: ACTIVATIONS[other if activation == one else activation](z)


def _dense(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    return _mutant("dense", f"dense-{name}", due, **steps)


DENSE = (
    _dense(
        "w-transposed-where-square",
        product=lambda x, w: x @ (w.T if w.shape[0] == w.shape[1] else w),
    ),
    _dense("activation-left-out", activated=lambda z, activation: z),
    _dense("activation-first", dense=_relu_first),
    _dense("tanh-for-sigmoid", activated=_instead("sigmoid", "tanh")),
    _dense("sigmoid-for-tanh", activated=_instead("tanh", "sigmoid")),
    _dense("identity-for-relu", activated=_instead("relu", "identity")),
    _dense("bias-added", dense=_with_bias),
    _dense("last-input-left-out", product=lambda x, w: x[:, :-1] @ w[:-1]),
    _dense(
        "product-float16",
        product=lambda x, w: (x.astype(np.float16) @ w.astype(np.float16)).astype(x.dtype),
    ),
    _dense(
        "unbiased-variance",
        "unbiased-variance",
        var=lambda self, x, mean: np.sum(np.square(x - mean), axis=axes(x)) / max(size(x) - 1, 1),
    ),
    _dense(
        "epsilon-outside-root",
        "epsilon-outside-sqrt",
        root=lambda var, epsilon: np.sqrt(var) + epsilon,
    ),
)

MUTANTS = UPDATE + GRADIENTS + DENSE
