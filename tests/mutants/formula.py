"""Mistakes in the formula: epsilon, variance, axes, counts, gamma and beta, signs, inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from mutants.kernel import Kernel, axes, given, mutant, size


def _float64(a: Any) -> Any:
    return a.astype(np.float64)


def _root_of(change: Any) -> Any:
    """A root with epsilon replaced."""
    return lambda var, epsilon: np.sqrt(var + change(epsilon))


def _with_epsilon(change: Any) -> Any:
    def infer(self: Kernel, *arguments: Any) -> Any:
        return Kernel.infer(self, *arguments[:-1], change(arguments[-1]))

    return infer


EPSILON = (
    mutant(
        "epsilon-outside-root",
        due="epsilon-outside-sqrt",
        inside=_float64,
        root=lambda var, epsilon: np.sqrt(var) + epsilon,
    ),
    mutant("epsilon-ignored", due="epsilon-ignored", root=lambda var, epsilon: np.sqrt(var)),
    mutant("epsilon-doubled", root=_root_of(lambda e: 2 * e)),
    mutant("epsilon-halved", root=_root_of(lambda e: e / 2)),
    mutant("epsilon-squared", root=_root_of(lambda e: e * e)),
    mutant("epsilon-negative", root=_root_of(lambda e: -e)),
    mutant(
        "epsilon-clamped-1e-5", due="epsilon-clamped-1e-5", root=_root_of(lambda e: max(e, 1e-5))
    ),
    mutant(
        "epsilon-clamped-1.001e-5",
        due="epsilon-clamped-1.001e-5",
        root=_root_of(lambda e: max(e, 1.001e-5)),
    ),
    mutant("epsilon-at-most-1e-3", root=_root_of(lambda e: min(e, 1e-3))),
    mutant("epsilon-always-1e-3", root=_root_of(lambda e: 1e-3)),
    mutant("epsilon-always-1e-5", root=_root_of(lambda e: 1e-5)),
    mutant("epsilon-always-1e-3-in-inference", infer=_with_epsilon(lambda e: 1e-3)),
    mutant("epsilon-ignored-in-inference", infer=_with_epsilon(lambda e: 0.0)),
    mutant("epsilon-and-1e-12", root=_root_of(lambda e: e + 1e-12)),
    mutant("epsilon-float16", root=_root_of(lambda e: float(np.float16(e)))),
    mutant("epsilon-twice", root=lambda var, epsilon: np.sqrt(var + epsilon) + epsilon),
    mutant("epsilon-root-added", root=lambda var, epsilon: np.sqrt(var) + np.sqrt(epsilon)),
    mutant("epsilon-times-variance", root=lambda var, epsilon: np.sqrt(var * (1 + epsilon))),
    mutant("epsilon-or-variance", root=lambda var, epsilon: np.sqrt(np.maximum(var, epsilon))),
    mutant(
        "epsilon-for-zero-only",
        root=lambda var, epsilon: np.sqrt(np.where(var == 0, epsilon, var)),
    ),
)


def _report_unbiased(self: Kernel, x: Any, *others: Any) -> Any:
    mean, var = self.moments(x)
    values = size(x)
    return (
        Kernel.train(self, x, *others),
        mean,
        var * (values / (values - 1) if values > 1 else np.nan),
    )


def _absolute_deviation(x: Any, mean: Any) -> Any:
    return np.mean(np.abs(x - mean), axis=axes(x))


def _var(change: Any) -> Any:
    """A step `var` that changes the population variance: change(var, x)."""
    return lambda x, mean: change(np.mean(np.square(x - mean), axis=axes(x)), x)


def _last_larger(var: Any, x: Any) -> Any:
    var[-1] *= 1.001
    return var


VARIANCE = (
    mutant(
        "variance-unbiased",
        due="unbiased-variance",
        var=_var(lambda v, x: v * (size(x) / max(size(x) - 1, 1))),
    ),
    mutant(
        "variance-reported-unbiased",
        due="unbiased-batch-variance",
        verdicts=frozenset({"convention"}),
        train=_report_unbiased,
    ),
    mutant("variance-over-n-plus-1", var=_var(lambda v, x: v * (size(x) / (size(x) + 1)))),
    mutant("variance-summed", var=_var(lambda v, x: v * size(x))),
    mutant("variance-is-deviation", var=_var(lambda v, x: np.sqrt(v))),
    mutant("variance-squared", var=_var(lambda v, x: v * v)),
    mutant("variance-absolute-deviation", var=_absolute_deviation),
    mutant("variance-not-centred", var=lambda x, mean: np.mean(np.square(x), axis=axes(x))),
    mutant(
        "variance-around-first-row",
        var=lambda x, mean: np.mean(np.square(x - x.reshape(-1, x.shape[-1])[0]), axis=axes(x)),
    ),
    mutant("variance-of-neighbour", var=_var(lambda v, x: np.roll(v, 1))),
    mutant("variance-of-all-channels", var=_var(lambda v, x: np.full_like(v, v.mean()))),
    mutant("variance-of-last-channel-off", var=_var(_last_larger)),
    mutant("variance-at-least-1e-3", var=_var(lambda v, x: np.maximum(v, v.dtype.type(1e-3)))),
    mutant("variance-at-most-1", var=_var(lambda v, x: np.minimum(v, 1))),
    mutant("mean-is-median", mean=lambda x: np.median(x.reshape(-1, x.shape[-1]), axis=0)),
    mutant("mean-of-neighbour", mean=lambda x: np.roll(np.mean(x, axis=axes(x)), 1)),
    mutant("mean-of-range", mean=lambda x: (x.max(axis=axes(x)) + x.min(axis=axes(x))) / 2),
    mutant("mean-zero", mean=lambda x: np.zeros_like(x, shape=x.shape[-1:])),
)


def _over(choose: Any) -> Any:
    """Moments over the axes that `choose` picks for an array."""

    def moments(self: Kernel, x: Any) -> tuple[Any, Any]:
        over = choose(x)
        return np.mean(x, axis=over, keepdims=True), np.var(x, axis=over, keepdims=True)

    return moments


def _ghost_batches(self: Kernel, x: Any) -> tuple[Any, Any]:
    """Each half of the batch by itself."""
    halves = [h for h in np.array_split(x, 2) if len(h)]
    pairs = [Kernel.moments(self, half) for half in halves]
    return tuple(
        np.concatenate(
            [np.broadcast_to(s, h.shape) for s, h in zip(statistic, halves, strict=True)]
        )
        for statistic in zip(*pairs, strict=True)
    )


AXES = (
    mutant("axes-features", moments=_over(lambda x: -1)),
    mutant("axes-all", moments=_over(lambda x: None)),
    mutant("axes-of-each-sample", moments=_over(lambda x: tuple(range(1, x.ndim)))),
    mutant("axes-spatial", moments=_over(lambda x: axes(x)[1:] or axes(x))),
    mutant("axes-samples", moments=_over(lambda x: 0)),
    mutant("axes-all-but-last-spatial", moments=_over(lambda x: axes(x)[:-1] or axes(x))),
    mutant("axes-all-but-first-spatial", moments=_over(lambda x: (0, *axes(x)[2:]))),
    mutant("axes-ghost-batches", moments=_ghost_batches),
)

COUNTS = (
    mutant("count-one-more", count=lambda x: size(x) + 1),
    mutant("count-one-less", count=lambda x: max(size(x) - 1, 1)),
    mutant("count-one-less-in-mean", mean=lambda x: np.sum(x, axis=axes(x)) / max(size(x) - 1, 1)),
    mutant("count-of-samples", count=len),
    mutant("count-at-most-1000", count=lambda x: min(size(x), 1000)),
    mutant("count-int8", count=lambda x: np.array(size(x)).astype(np.int8)),
    mutant("count-uint16", count=lambda x: np.array(size(x)).astype(np.uint16)),
    mutant("count-float16", count=lambda x: float(np.float16(size(x)))),
    mutant("count-to-even", count=lambda x: max(size(x) // 2 * 2, 1)),
    mutant("count-to-power-of-two", count=lambda x: 2 ** (size(x) - 1).bit_length()),
)


def _scaled(change: Any) -> Any:
    """gamma and beta replaced: change(gamma, beta)."""

    def scaled(z: Any, gamma: Any, beta: Any) -> Any:
        gamma, beta = change(gamma, beta)
        return gamma * z + beta

    return scaled


def _without_gamma(self: Kernel, x: Any, mean: Any, var: Any, gamma: Any, *others: Any) -> Any:
    return Kernel.infer(self, x, mean, var, np.ones_like(gamma), *others)


AFFINE = (
    mutant("gamma-ignored", scaled=lambda z, gamma, beta: z + beta),
    mutant("gamma-ignored-in-inference", infer=_without_gamma),
    mutant("gamma-absolute", scaled=_scaled(lambda g, b: (np.abs(g), b))),
    mutant("gamma-not-negative", scaled=_scaled(lambda g, b: (np.maximum(g, 0), b))),
    mutant("gamma-plus-one", scaled=_scaled(lambda g, b: (1 + g, b))),
    mutant("gamma-zero-is-one", scaled=_scaled(lambda g, b: (np.where(g == 0, 1, g), b))),
    mutant("gamma-squared", scaled=_scaled(lambda g, b: (g * g, b))),
    mutant("gamma-of-first-channel", scaled=_scaled(lambda g, b: (g[:1], b))),
    mutant("gamma-of-next-channel", scaled=_scaled(lambda g, b: (np.roll(g, -1), b))),
    mutant("gamma-and-beta-swapped", scaled=_scaled(lambda g, b: (b, g))),
    mutant("beta-ignored", scaled=lambda z, gamma, beta: gamma * z),
    mutant("beta-before-scale", scaled=lambda z, gamma, beta: gamma * (z + beta)),
    mutant("beta-reversed", scaled=_scaled(lambda g, b: (g, b[::-1]))),
    mutant("beta-twice", scaled=_scaled(lambda g, b: (g, 2 * b))),
    mutant("beta-absolute", scaled=_scaled(lambda g, b: (g, np.abs(b)))),
    mutant("beta-subtracted", scaled=_scaled(lambda g, b: (g, -b))),
    mutant("gamma-negated", scaled=_scaled(lambda g, b: (-g, b))),
    mutant("gamma-off-by-1e-3", scaled=_scaled(lambda g, b: (g * g.dtype.type(1.001), b))),
)

ROOT = (
    mutant("mean-added", standardized=lambda x, mean, root: (x + mean) / root),
    mutant("mean-minus-x", standardized=lambda x, mean, root: (mean - x) / root),
    mutant("mean-after-division", standardized=lambda x, mean, root: x / root - mean),
    mutant("root-missing", root=lambda var, epsilon: var + epsilon),
    mutant("root-multiplied", standardized=lambda x, mean, root: (x - mean) * root),
    mutant("root-twice", root=lambda var, epsilon: np.sqrt(np.sqrt(var + epsilon))),
    mutant("root-cubic", root=lambda var, epsilon: np.cbrt(var + epsilon)),
)


def _folded(
    self: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    factor = gamma / np.sqrt(var + epsilon)
    return x * factor + (beta - mean * factor)


def _blended(x: Any, mean: Any, var: Any) -> tuple[Any, Any]:
    batch = (x.mean(axis=axes(x)), x.var(axis=axes(x)))
    keep, blend = x.dtype.type(0.9), x.dtype.type(0.1)
    return keep * mean + blend * batch[0], keep * var + blend * batch[1]


INFERENCE = (
    mutant(
        "inference-by-batch",
        infer=given(lambda x, m, v: (x.mean(axis=axes(x)), x.var(axis=axes(x)))),
    ),
    mutant("inference-blends-batch-in", infer=given(_blended)),
    mutant("inference-ignores-variance", infer=given(lambda x, m, v: (m, np.ones_like(v)))),
    mutant("inference-ignores-mean", infer=given(lambda x, m, v: (np.zeros_like(m), v))),
    mutant("inference-swaps-statistics", infer=given(lambda x, m, v: (v, np.abs(m)))),
    mutant("inference-takes-deviation", infer=given(lambda x, m, v: (m, v * v))),
    mutant(
        "inference-unbiases-variance",
        infer=given(lambda x, m, v: (m, v * x.dtype.type(size(x) / max(size(x) - 1, 1)))),
    ),
    mutant("inference-epsilon-twice", infer=_with_epsilon(lambda e: 2 * e)),
    mutant("inference-folded", due="folded", infer=_folded),
)

MUTANTS = EPSILON + VARIANCE + AXES + COUNTS + AFFINE + ROOT + INFERENCE
