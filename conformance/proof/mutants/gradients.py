"""Mistakes in every term of the gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.mutants.kernel import (
    Kernel,
    Whole,
    average,
    axes,
    mutant,
    rows,
    size,
    total,
)
from conformance.proof.mutants.shapes import whole


def _unbiased(mean: Any, var: Any, x: Any) -> tuple[Any, Any]:
    return mean, var * (size(x) / (size(x) - 1) if size(x) > 1 else np.nan)


def _grad(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    return mutant(f"grad-{name}", due, base=Whole, operation="grad", **steps)


def _grad_infer(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    return mutant(f"grad-infer-{name}", due, base=Whole, operation="grad_infer", **steps)


def _derivative(unbiased: bool = False, outside: bool = False) -> Any:
    """What automatic differentiation makes of a forward pass with that mistake."""

    def grad(self: Whole, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Any:
        mean, var = self.moments(x)
        degrees = size(x) - (1 if unbiased else 0)
        deviation = np.sqrt(var * size(x) / degrees) if degrees else np.full_like(var, np.nan)
        root = deviation + epsilon if outside else np.sqrt(deviation * deviation + epsilon)
        inner = deviation if outside else root
        z = (x - mean) / root
        centered = dy - average(dy) - (x - mean) / inner * (total(dy * z) / max(degrees, 1))
        return gamma * centered / root, total(dy * z), total(dy)

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
    return total(dy * x), total(dy)


_AFFINE = {
    "dgamma-not-normalized": lambda dy, z, x, mean: (total(dy * (x - mean)), total(dy)),
    "dgamma-not-centred": _folded_dgamma,
    "dgamma-is-mean": lambda dy, z, x, mean: (average(dy * z), total(dy)),
    "dbeta-is-mean": lambda dy, z, x, mean: (total(dy * z), average(dy)),
    "dgamma-and-dbeta-swapped": lambda dy, z, x, mean: (total(dy), total(dy * z)),
    "dgamma-of-first-sample-left-out": lambda dy, z, x, mean: (total((dy * z)[1:]), total(dy)),
    "dbeta-negated": lambda dy, z, x, mean: (total(dy * z), -total(dy)),
}


def _of_affine(change: Any) -> Any:
    """dgamma and dbeta of changed dy and z: change(a), of arrays like x."""
    return lambda dy, z, x, mean: (total(change(dy * z)), total(change(dy)))


def _whole_rows(width: int) -> Any:
    return _of_affine(lambda a: rows(a)[: whole(size(a), width)])


def _dx_left(width: int) -> Any:
    """dx after the last full vector of rows: dy, as it came."""

    def dx(gamma: Any, centered: Any, root: Any) -> Any:
        found = gamma * centered / root
        rows(found)[whole(size(found), width) :] = rows(centered)[whole(size(found), width) :]
        return found

    return dx


def _narrow(dtype: type) -> Any:
    return lambda a: a.astype(dtype).astype(a.dtype) if a.dtype == np.float64 else a


def _counted(count: Any) -> Any:
    """The means over another count."""

    def centered(dy: Any, z: Any) -> Any:
        n = count(dy)
        return dy - total(dy) / n - z * (total(dy * z) / n)

    return centered


_BOTH = {
    **{
        f"tail-of-{n}-not-summed": {"affine_gradients": _whole_rows(n)} for n in (2, 4, 8, 32, 1024)
    },
    **{f"tail-of-{n}-left": {"dx": _dx_left(n)} for n in (2, 8, 1024)},
    "dx-float32": {"dx": lambda g, centered, root: _narrow(np.float32)(g * centered / root)},
    "dx-within-10": {"dx": lambda g, centered, root: np.clip(g * centered / root, -10, 10)},
    "sums-float32": {"affine_gradients": _of_affine(_narrow(np.float32))},
    "inside-float32": {"inside": lambda a: a.astype(np.float32)},
    "dy-nan-to-zero": {"inside": lambda a: np.nan_to_num(a, posinf=np.inf, neginf=-np.inf)},
    "dx-of-first-gamma": {"dx": lambda gamma, centered, root: gamma[:1] * centered / root},
    "gamma-not-negative": {"dx": lambda g, centered, root: np.maximum(g, 0) * centered / root},
    "gamma-zero-is-one": {"dx": lambda g, centered, root: np.where(g == 0, 1, g) * centered / root},
    "dgamma-of-samples": {
        "affine_gradients": lambda dy, z, x, mean: (
            np.sum((dy * z).reshape(len(dy), -1, dy.shape[-1])[:, :1], axis=(0, 1)),
            total(dy),
        )
    },
    "epsilon-doubled": {"root": lambda var, epsilon: np.sqrt(var + 2 * epsilon)},
    "variance-zero-is-one": {"root": lambda v, e: np.sqrt(np.where(v == 0, 1, v) + e)},
    "root-off-by-2**-16": {
        "root": lambda var, epsilon: np.sqrt(var + epsilon) * var.dtype.type(1 + 2.0**-16)
    },
    "epsilon-always-1e-5": {"root": lambda var, epsilon: np.sqrt(var + 1e-5)},
    "epsilon-float32": {"root": lambda var, epsilon: np.sqrt(var + float(np.float32(epsilon)))},
}

_TRAINING = {
    "mean-over-one-less": _counted(lambda dy: max(size(dy) - 1, 1)),
    "mean-over-samples": _counted(len),
    "mean-over-uint16": _counted(lambda dy: np.array(size(dy)).astype(np.uint16)),
    "mean-of-dy-along-z-only": lambda dy, z: dy - z * average(dy * z) - z * average(dy),
    "part-along-z-squared": lambda dy, z: dy - average(dy) - z * z * average(dy * z),
    "part-along-z-of-first-channel": lambda dy, z: dy - average(dy) - z * average(dy * z)[:1],
    "dy-centred-by-neighbour": lambda dy, z: dy - np.roll(average(dy), 1) - z * average(dy * z),
    "ghost-of-first-half": lambda dy, z: dy - average(dy[: len(dy) // 2 + 1]) - z * average(dy * z),
    "means-float32": lambda dy, z: (
        dy - _narrow(np.float32)(average(dy)) - z * _narrow(np.float32)(average(dy * z))
    ),
}


def _zero_variance_zero(self: Whole, x: Any, *others: Any) -> Any:
    """A channel without variance gets no gradient."""
    dx, *affine = Whole.grad(self, x, *others)
    return np.where(x.max(axis=axes(x)) == x.min(axis=axes(x)), 0, dx).astype(x.dtype), *affine


def _one_sample_zero(self: Whole, x: Any, *others: Any) -> Any:
    """A single sample is taken for a single value, through which no gradient goes."""
    dx, *affine = Whole.grad(self, x, *others)
    return dx * 0 if len(x) == 1 else dx, *affine


def _dy_overwritten(self: Whole, *arguments: Any) -> Any:
    answer = Whole.grad(self, *arguments)
    arguments[-1][...] = answer[0]
    return answer


MUTANTS = (
    *(_grad(name, **steps) for name, steps in _BOTH.items()),
    *(_grad_infer(name, **steps) for name, steps in _BOTH.items()),
    *(_grad(name, centered=step) for name, step in _TRAINING.items()),
    _grad("zero-variance-zero", grad=_zero_variance_zero),
    _grad("one-sample-zero", grad=_one_sample_zero),
    _grad("changes-dy", grad=_dy_overwritten),
    _grad("without-mean-of-dy", centered=lambda dy, z: dy - z * average(dy * z)),
    _grad("without-part-along-z", centered=lambda dy, z: dy - average(dy)),
    _grad("statistics-held-constant", "statistics-held-constant", centered=lambda dy, z: dy),
    _grad("sums-for-means", centered=lambda dy, z: dy - total(dy) - z * total(dy * z)),
    _grad("part-along-z-added", centered=lambda dy, z: dy - average(dy) + z * average(dy * z)),
    _grad("only-mean-of-samples", centered=lambda dy, z: dy - dy.mean(0) - z * average(dy * z)),
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
            (total(dy * x) - mean * total(dy)) * (z / (x - mean)).reshape(-1, x.shape[-1])[0],
            total(dy),
        ),
    ),
    *(_grad_infer(name, affine_gradients=step) for name, step in _AFFINE.items()),
)
