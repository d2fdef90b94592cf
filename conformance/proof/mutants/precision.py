"""The right formula with too few digits: narrow formats inside, crude roots, cancellation."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.mutants.kernel import Kernel, axes, given, mutant


def _to_digits(a: Any, digits: int) -> Any:
    """Rounded to a significand of so many bits."""
    fraction, exponent = np.frexp(a)
    return np.ldexp(np.rint(np.ldexp(fraction, digits)), exponent - digits).astype(a.dtype)


def _through(dtype: type, only: type | None = None) -> Any:
    """Rounded to `dtype`; only arrays of dtype `only`, if one is named."""

    def rounded(a: Any) -> Any:
        return a.astype(dtype).astype(a.dtype) if only in (None, a.dtype.type) else a

    return rounded


def _computed_in(dtype: type, only: type) -> Any:
    return lambda a: a.astype(dtype) if a.dtype == only else a


def _mean(change: Any) -> Any:
    return lambda x: change(np.mean(x, axis=axes(x)))


def _var(change: Any) -> Any:
    return lambda x, mean: change(np.mean(np.square(x - mean), axis=axes(x)))


def _root(change: Any) -> Any:
    return lambda var, epsilon: change(np.sqrt(var + epsilon))


def _summed_in_float16(x: Any) -> Any:
    total = np.zeros(x.shape[-1], np.float16)
    for row in x.reshape(-1, x.shape[-1]):
        total = total + row.astype(np.float16)
    return total.astype(x.dtype) / (x.size // x.shape[-1])


def _summed_in_float32(x: Any) -> Any:
    return np.mean(x.astype(np.float32), axis=axes(x)).astype(x.dtype)


def _scaled(change: Any) -> Any:
    return lambda z, gamma, beta: change(gamma) * z + change(beta)


FORMATS = (
    mutant("float32-inside-float64", inside=_computed_in(np.float32, np.float64)),
    mutant("float16-inside-float32", inside=_computed_in(np.float16, np.float32)),
    mutant("x-of-11-digits", inside=lambda a: _to_digits(a, 11) if a.ndim > 1 else a),
    mutant("mean-bfloat16", mean=_mean(lambda mean: _to_digits(mean, 8))),
    mutant("mean-of-10-digits", mean=_mean(lambda mean: _to_digits(mean, 10))),
    mutant("mean-of-20-digits", mean=_mean(lambda mean: _to_digits(mean, 20))),
    mutant("mean-summed-in-float16", mean=_summed_in_float16),
    mutant("mean-summed-in-float32", mean=_summed_in_float32),
    mutant("variance-float16", var=_var(_through(np.float16))),
    mutant("variance-float32", var=_var(_through(np.float32))),
    mutant("variance-of-18-digits", var=_var(lambda var: _to_digits(var, 18))),
    mutant("root-float32", root=_root(_through(np.float32))),
    mutant("gamma-and-beta-float16", scaled=_scaled(_through(np.float16))),
    mutant("gamma-and-beta-float32", scaled=_scaled(_through(np.float32))),
    mutant("result-through-float16", result=lambda y, x: _through(np.float16)(y)),
    mutant("result-through-bfloat16", result=lambda y, x: _to_digits(y, 8)),
    mutant("result-through-float32", result=lambda y, x: _through(np.float32)(y)),
    mutant("result-of-20-digits", result=lambda y, x: _to_digits(y, 20)),
    mutant("result-of-four-decimals", result=lambda y, x: np.round(y, 4)),
)


def _crude(power: int, only: type | None = None) -> Any:
    """A reciprocal root with a relative error of 2**-power.

    In float32 2**-20 is 16 roundoffs: shared among those that the formula is allowed anyway (the
    mean, the variance, the root, the division), that is below the resolution of a ratio of 4.
    """

    def crude(root: Any) -> Any:
        if only not in (None, root.dtype.type):
            return root
        return (root / np.longdouble(1 + 2.0**-power)).astype(root.dtype)

    return _root(crude)


def _magic(steps: int) -> Any:
    """The fast inverse square root with Newton steps (Lomont 2003 for both constants)."""

    def root(var: Any, epsilon: Any) -> Any:
        v: Any = np.asarray(var + epsilon)
        wide = v.dtype == np.float64
        integer, constant = (np.int64, 0x5FE6EB50C7B537A9) if wide else (np.int32, 0x5F3759DF)
        inverse = (integer(constant) - (v.view(integer) >> 1)).view(v.dtype)
        for _ in range(steps):
            inverse = inverse * (v.dtype.type(1.5) - v / 2 * inverse * inverse)
        return 1 / inverse

    return root


ROOTS = (
    *(mutant(f"root-off-by-2**-{power}", root=_crude(power)) for power in (10, 12, 16, 18)),
    mutant("root-float32-off-by-2**-19", root=_crude(19, np.float32)),
    mutant("root-float64-off-by-2**-40", root=_crude(40, np.float64)),
    mutant("root-float64-off-by-2**-48", root=_crude(48, np.float64)),
    *(mutant(f"root-fast-inverse-{steps}-steps", root=_magic(steps)) for steps in (0, 1, 2)),
)


def _single_pass(change: Any) -> Any:
    def var(x: Any, mean: Any) -> Any:
        return change(np.mean(np.square(x), axis=axes(x)) - np.square(mean))

    return var


def _naively_folded(self: Kernel, x: Any, mean: Any, var: Any, *others: Any) -> Any:
    gamma, beta, epsilon = others
    root = np.sqrt(var + epsilon)
    return gamma * (x / root - mean / root) + beta


def _shifted_by_channel(x: Any, mean: Any) -> Any:
    """Single-pass around the first channel's mean: right for that channel alone."""
    moved = x - mean[:1]
    return np.mean(np.square(moved), axis=axes(x)) - np.square(mean - mean[:1])


def _single_pass_in_float32(x: Any, mean: Any) -> Any:
    narrow = x.astype(np.float32)
    found = np.mean(np.square(narrow), axis=axes(x)) - np.square(np.mean(narrow, axis=axes(x)))
    return np.maximum(found, 0).astype(x.dtype)


def _by_sums(x: Any, mean: Any) -> Any:
    """(n sum x^2 - (sum x)^2) / n^2"""
    n = x.dtype.type(x.size // x.shape[-1])
    squares, sums = np.sum(np.square(x), axis=axes(x)), np.sum(x, axis=axes(x))
    return np.maximum(n * squares - np.square(sums), 0) / (n * n)


def _repaired(is_good: Any) -> Any:
    """Two passes where a single one is seen to have lost digits: is_good(var, mean) says where it is not."""

    def var(x: Any, mean: Any) -> Any:
        found = np.mean(np.square(x), axis=axes(x)) - np.square(mean)
        careful = np.mean(np.square(x - mean), axis=axes(x))
        return np.where(is_good(found, mean), found, careful)

    return var


CANCELLATION = (
    mutant("single-pass-absolute", due="single-pass-variance", var=_single_pass(np.abs)),
    mutant("folded-in-two-quotients", infer=_naively_folded),
    mutant("single-pass-repaired-too-late", var=_repaired(lambda v, mean: v > 1e-5 * mean * mean)),
    mutant("single-pass-repaired-if-small", var=_repaired(lambda v, mean: v > 0.01)),
    mutant("single-pass-shifted-by-first-mean", var=_shifted_by_channel),
    mutant("single-pass-float32-in-float64", var=_single_pass_in_float32),
    mutant("sum-of-squares-less-square-of-sum", var=_by_sums),
)


def _within_5_in_training(self: Kernel, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    mean, var = self.moments(x)
    z = np.clip((x - mean) / np.sqrt(var + epsilon), -5, 5)
    return gamma * z + beta


def _within_float16(x: Any, mean: Any, var: Any) -> tuple[Any, Any]:
    return mean, np.minimum(var, 65504)


def _without_infinity(a: Any) -> Any:
    largest = np.finfo(a.dtype).max
    return np.clip(a, -largest, largest)


def _spreading(test: Any) -> Any:
    """What stands in one channel poisons all of them."""

    def standardized(x: Any, mean: Any, root: Any) -> Any:
        z = (x - mean) / root
        return z * x.dtype.type(np.nan) if test(x).any() else z

    return standardized


def _nan_spreads(self: Kernel, x: Any, *others: Any) -> Any:
    """From one place to the whole channel, as in training."""
    poison = 0 * np.sum(x, axis=axes(x))
    return (Kernel.infer(self, x, *others) + poison).astype(x.dtype)


def _without_nan(self: Kernel, x: Any) -> tuple[Any, Any]:
    if not x.size:
        return Kernel.moments(self, x)
    return np.nanmean(x, axis=axes(x)), np.nanvar(x, axis=axes(x))


def _square_fits(a: Any) -> Any:
    """Numbers whose square would overflow, cut down to those whose square does not."""
    most = np.sqrt(np.finfo(a.dtype).max)
    return np.where(np.isfinite(a), np.clip(a, -most, most), a) if a.ndim > 1 else a


RANGE = (
    mutant("x-nan-to-zero", inside=lambda a: np.nan_to_num(a, posinf=np.inf, neginf=-np.inf)),
    mutant("x-infinity-to-largest", inside=_without_infinity),
    mutant("nan-left-out-of-statistics", moments=_without_nan),
    mutant("squares-kept-finite", inside=_square_fits),
    mutant("nan-spreads-over-channels", standardized=_spreading(np.isnan)),
    mutant("infinity-spreads-over-channels", standardized=_spreading(np.isinf)),
    mutant("nan-spreads-in-inference", infer=_nan_spreads),
    mutant("inference-nan-mean-is-zero", infer=given(lambda x, m, v: (np.nan_to_num(m), v))),
    mutant("inference-nan-variance-is-zero", infer=given(lambda x, m, v: (m, np.nan_to_num(v)))),
    mutant("result-nan-to-zero", result=lambda y, x: np.nan_to_num(y)),
    mutant("result-within-3", result=lambda y, x: np.clip(y, -3, 3)),
    mutant("result-not-negative", result=lambda y, x: np.maximum(y, 0)),
    mutant("standardized-within-5", standardized=lambda x, m, r: np.clip((x - m) / r, -5, 5)),
    mutant("standardized-within-5-in-training", train=_within_5_in_training),
    mutant("standardized-within-3", standardized=lambda x, m, r: np.clip((x - m) / r, -3, 3)),
    mutant("inference-variance-within-float16", infer=given(_within_float16)),
    mutant("x-within-1e6", inside=lambda a: np.clip(a, -1e6, 1e6)),
    mutant("x-within-float16", inside=lambda a: np.clip(a, -65504, 65504)),
)

MUTANTS = FORMATS + ROOTS + CANCELLATION + RANGE
