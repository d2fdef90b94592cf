"""Mistakes in a dense layer before batch normalization, and in the activation after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.mutants.kernel import ACTIVATIONS, Kernel, Whole, axes, mutant, size
from conformance.proof.mutants.shapes import of_whole


def _relu_first(self: Whole, x: Any, w: Any, *others: Any) -> Any:
    """The activation before batch normalization, not after it."""
    *affine, activation = others
    z = self.activated(x @ w, activation)
    return self.normalize(z, *self.moments(z), *affine)


def _with_bias(
    self: Whole, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str
) -> Any:
    """Beta added once more, as the bias that batch normalization makes superfluous."""
    y = Whole.dense(self, x, w, gamma, beta, epsilon, "identity")
    return self.activated(y + beta, activation)


def _instead(one: str, other: str) -> Any:
    return lambda z, activation: ACTIVATIONS[other if activation == one else activation](z)


def _dense(name: str, due: str | None = None, **steps: Any) -> type[Kernel]:
    return mutant(f"dense-{name}", due, base=Whole, operation="dense", **steps)


def _for(activation: str, function: Any) -> Any:
    """One activation computed in another way."""
    return lambda z, asked: (function if asked == activation else ACTIVATIONS[asked])(z)


def _coarse(y: Any) -> Any:
    """A continued fraction for tanh, cut off after four terms."""
    y2 = y * y
    return np.clip(y * (105 + 10 * y2) / (105 + 45 * y2 + y2 * y2), -1, 1)


def _quotient(y: Any) -> Any:
    """Cancels near 0, and is infinity over infinity where y is large."""
    return (np.exp(2 * y) - 1) / (np.exp(2 * y) + 1)


def _narrow_product(x: Any, w: Any) -> Any:
    return (x.astype(np.float32) @ w.astype(np.float32)).astype(x.dtype)


def _beta_last(self: Whole, x: Any, w: Any, gamma: Any, beta: Any, *others: Any) -> Any:
    return Whole.dense(self, x, w, gamma, 0 * beta, *others) + beta


MUTANTS = (
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
    _dense("relu-leaks", activated=_for("relu", lambda y: np.where(y > 0, y, 0.01 * y))),
    _dense("relu-within-6", activated=_for("relu", lambda y: np.clip(y, 0, 6))),
    _dense("relu-nan-to-zero", activated=_for("relu", lambda y: np.where(y > 0, y, 0))),
    _dense("sigmoid-hard", activated=_for("sigmoid", lambda y: np.clip(y / 6 + 0.5, 0, 1))),
    _dense("sigmoid-overflows", activated=_for("sigmoid", lambda y: np.exp(y) / (1 + np.exp(y)))),
    _dense("sigmoid-by-coarse-tanh", activated=_for("sigmoid", lambda y: (1 + _coarse(y / 2)) / 2)),
    _dense("tanh-hard", activated=_for("tanh", lambda y: np.clip(y, -1, 1))),
    _dense("tanh-rational", activated=_for("tanh", _coarse)),
    _dense("tanh-overflows", activated=_for("tanh", _quotient)),
    _dense("float32-inside", inside=lambda a: a.astype(np.float32)),
    _dense("product-float32", product=_narrow_product),
    _dense("beta-after-activation", dense=_beta_last),
    _dense("gamma-ignored", scaled=lambda z, gamma, beta: z + beta),
    _dense("epsilon-ignored", root=lambda var, epsilon: np.sqrt(var)),
    _dense("epsilon-always-1e-5", root=lambda var, epsilon: np.sqrt(var + 1e-5)),
    _dense("epsilon-always-1e-3", root=lambda var, epsilon: np.sqrt(var + 1e-3)),
    _dense("count-uint8", count=lambda x: np.array(size(x)).astype(np.uint8)),
    _dense("product-mean-of-inputs", product=lambda x, w: x @ w / len(w)),
    _dense("w-rows-reversed", product=lambda x, w: x @ w[::-1]),
    *(_dense(f"tail-of-{n}-not-counted", moments=of_whole(n)) for n in (2, 4, 8, 1024)),
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
