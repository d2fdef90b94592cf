"""Mistakes in half precisions: what a kernel must do in float32 done in float16 or bfloat16.

One rounding that goes the wrong way, or one too many at the very end, is no more than the bound of four
half ulps allows; it cannot be told from a right kernel, and is not here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.operations import METHODS
from conformance.precision import PRECISIONS
from conformance.proof.mutants.kernel import Half, Kernel, axes, mutant, rows, size, total, widened

_BFLOAT16, _FLOAT16 = (PRECISIONS[name].dtype for name in ("bfloat16", "float16"))


class Narrowing(Half):
    """Knows the half precision that the call is in; steps ask for it by `self.narrow(a)`."""

    narrow_dtype: Any = None

    def narrow(self, a: Any) -> Any:
        """Rounded to the half precision of x, and back in float32."""
        if self.narrow_dtype is None:
            return a
        return np.asarray(a).astype(self.narrow_dtype).astype(np.float32)


def _knowing(method: str) -> Any:
    def asked(self: Narrowing, x: Any, *others: Any) -> Any:
        self.narrow_dtype = x.dtype if x.dtype.itemsize < 4 else None
        return getattr(Half, method)(self, x, *others)

    return asked


for _method in METHODS:
    setattr(Narrowing, _method, _knowing(_method))


def _half(name: str, operation: str | None = None, **steps: Any) -> type[Kernel]:
    return mutant(f"half-{name}", base=Narrowing, operation=operation, **steps)


def _sum_in_half(self: Narrowing, a: Any) -> Any:
    """One after another, each sum rounded."""
    if self.narrow_dtype is None:
        return total(a)
    return np.cumsum(rows(a), axis=0, dtype=self.narrow_dtype)[-1].astype(np.float32)


def _pairwise_in_half(self: Narrowing, a: Any) -> Any:
    """In a tree, as accurate as sums in half get; each can overflow all the same."""
    values = self.narrow(rows(a))
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        pairs = self.narrow(values[0 : len(values) // 2 * 2 : 2] + values[1::2])
        values = np.concatenate([pairs, odd])
    return values[0]


def _mean_by(summed: Any) -> Any:
    return lambda self, x: summed(self, x) / size(x) if size(x) else Kernel.mean(self, x)


def _var_by(summed: Any) -> Any:
    return lambda self, x, mean: (
        summed(self, np.square(x - mean)) / size(x) if size(x) else Kernel.var(self, x, mean)
    )


def _statistics_in_half(self: Narrowing, x: Any, *others: Any) -> Any:
    """Hands mean and variance back in x's dtype, rounded to it whatever the parameters have."""
    y = Narrowing.train(self, x, *others)
    return (y, *(self.narrow(a).astype(others[0].dtype) for a in self.moments(widened(x))))


def _affine_by(summed: Any) -> Any:
    return lambda self, dy, z, x, mean: (summed(self, dy * z), summed(self, dy))


def _rounded_gradients(self: Narrowing, dy: Any, z: Any, x: Any, mean: Any) -> tuple[Any, Any]:
    """dgamma and dbeta in x's dtype, where parameters are in float32."""
    return self.narrow(total(dy * z)), self.narrow(total(dy))


def _through(dtype: Any, only: Any) -> Any:
    """x read as another half precision."""

    def inside(a: Any) -> Any:
        return a.astype(dtype).astype(np.float32) if a.dtype == only else widened(a)

    return inside


def _result_through(dtype: Any, only: Any) -> Any:
    return lambda y, x: y.astype(dtype).astype(y.dtype) if x.dtype == only else y


def _averaged_in_half(self: Narrowing, old: Any, new: Any, rate: float) -> Any:
    return self.narrow((1 - rate) * self.narrow(old) + rate * self.narrow(new))


MUTANTS = (
    _half("mean-rounded", mean=lambda self, x: self.narrow(Kernel.mean(self, x))),
    _half("variance-rounded", var=lambda self, x, mean: self.narrow(Kernel.var(self, x, mean))),
    _half("root-rounded", root=lambda self, v, e: self.narrow(np.sqrt(v + e))),
    _half("epsilon-rounded", root=lambda self, v, e: np.sqrt(v + self.narrow(e))),
    _half(
        "deviation-rounded", standardized=lambda self, x, mean, root: self.narrow(x - mean) / root
    ),
    _half(
        "standardized-rounded",
        standardized=lambda self, x, mean, root: self.narrow((x - mean) / root),
    ),
    _half(
        "gamma-and-beta-rounded",
        scaled=lambda self, z, gamma, beta: self.narrow(gamma) * z + self.narrow(beta),
    ),
    _half("mean-summed-in-half", mean=_mean_by(_sum_in_half)),
    _half("mean-summed-in-half-pairwise", mean=_mean_by(_pairwise_in_half)),
    _half("variance-summed-in-half", var=_var_by(_sum_in_half)),
    _half("variance-summed-in-half-pairwise", var=_var_by(_pairwise_in_half)),
    _half(
        "squares-rounded",
        var=lambda self, x, mean: np.mean(self.narrow(np.square(x - mean)), axis=axes(x)),
    ),
    _half("statistics-handed-out-rounded", "train", train=_statistics_in_half),
    _half("bfloat16-read-as-float16", inside=_through(_FLOAT16, _BFLOAT16)),
    _half("float16-read-as-bfloat16", inside=_through(_BFLOAT16, _FLOAT16)),
    _half("float16-result-through-bfloat16", result=_result_through(_BFLOAT16, _FLOAT16)),
    _half("bfloat16-result-through-float16", result=_result_through(_FLOAT16, _BFLOAT16)),
    _half("float16-result-float32", result=lambda y, x: y.astype(widened(y).dtype)),
    _half("running-statistics-rounded", "update", averaged=_averaged_in_half),
    _half(
        "rate-rounded",
        "update",
        averaged=lambda self, old, new, rate: (
            (1 - self.narrow(rate)) * old + self.narrow(rate) * new
        ),
    ),
    *(
        _half(f"{operation}-{how}".replace("_", "-"), operation, affine_gradients=step)
        for operation in ("grad", "grad_infer")
        for how, step in {
            "sums-in-half": _affine_by(_sum_in_half),
            "sums-in-half-pairwise": _affine_by(_pairwise_in_half),
            "of-parameters-rounded": _rounded_gradients,
        }.items()
    ),
    _half(
        "grad-means-rounded",
        "grad",
        centered=lambda self, dy, z: (
            dy
            - self.narrow(np.mean(dy, axis=axes(dy)))
            - z * self.narrow(np.mean(dy * z, axis=axes(dy)))
        ),
    ),
    _half("dense-product-rounded", "dense", product=lambda self, x, w: self.narrow(x @ w)),
)
