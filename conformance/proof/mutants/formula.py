"""Mistakes in the formula: epsilon, variance, axes, counts, gamma and beta, signs, inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.proof.mutants.kernel import Kernel, axes, given, mutant, size


def _float64(a: Any) -> Any:
    return a.astype(np.float64)


def _root_of(change: Any) -> Any:
    """A root with epsilon replaced."""
    return lambda var, epsilon: np.sqrt(var + change(epsilon))


def _with_epsilon(change: Any) -> Any:
    def infer(
        self: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
    ) -> Any:
        return Kernel.infer(self, x, mean, var, gamma, beta, change(epsilon))

    return infer


def _training_epsilon(change: Any) -> Any:
    def train(self: Kernel, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return Kernel.train(self, x, gamma, beta, change(epsilon))

    return train


def _outside_root(self: Kernel, x: Any, mean: Any, var: Any, *others: Any) -> Any:
    gamma, beta, epsilon = others
    return gamma * (x - mean) / (np.sqrt(var) + epsilon) + beta


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
    mutant("epsilon-at-most-0.5", root=_root_of(lambda e: min(e, 0.5))),
    mutant("epsilon-always-1e-3", root=_root_of(lambda e: 1e-3)),
    mutant("epsilon-always-1e-5", root=_root_of(lambda e: 1e-5)),
    mutant("epsilon-always-1e-3-in-inference", infer=_with_epsilon(lambda e: 1e-3)),
    mutant("epsilon-ignored-in-inference", infer=_with_epsilon(lambda e: 0.0)),
    mutant("epsilon-float32", due="epsilon-float32", root=_root_of(lambda e: float(np.float32(e)))),
    mutant("epsilon-or-1e-5", root=_root_of(lambda e: e or 1e-5)),
    mutant("epsilon-at-least-1e-12", root=_root_of(lambda e: max(e, 1e-12))),
    mutant("epsilon-outside-root-in-inference", due="epsilon-outside-sqrt", infer=_outside_root),
    mutant("epsilon-always-1e-5-in-training", train=_training_epsilon(lambda e: 1e-5)),
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


def _of_a_sample(x: Any, mean: Any) -> Any:
    return np.mean(np.square(x[::2] - mean), axis=axes(x))


def _trimmed(x: Any) -> Any:
    """Without the largest value of each channel, where there are more than ten."""
    values = np.sort(x.reshape(-1, x.shape[-1]), axis=0)
    return np.mean(values[:-1] if len(values) > 10 else values, axis=0)


def _zero_for_constant(self: Kernel, x: Any, mean: Any, var: Any, *others: Any) -> Any:
    """Without variance there is nothing to scale, and beta is forgotten; one value has its own path."""
    y = Kernel.normalize(self, x, mean, var, *others)
    return np.where((var == 0) & (size(x) > 1), x.dtype.type(0), y)


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
        only=True,
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
    mutant("variance-at-least-epsilon-1e-5", var=_var(lambda v, x: v + v.dtype.type(1e-5))),
    mutant("variance-zero-gives-zero", normalize=_zero_for_constant),
    mutant("variance-of-a-sample", var=_of_a_sample),
    mutant("mean-of-a-sample", mean=lambda x: np.mean(x[::2], axis=axes(x))),
    mutant("mean-trimmed", mean=_trimmed),
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

    def in_each(statistics: Any) -> Any:
        spread = zip(statistics, halves, strict=True)
        return np.concatenate([np.broadcast_to(a, half.shape) for a, half in spread])

    return in_each(mean for mean, _ in pairs), in_each(var for _, var in pairs)


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
    mutant("count-int16", count=lambda x: np.array(size(x)).astype(np.int16)),
    mutant("count-uint8", count=lambda x: np.array(size(x)).astype(np.uint8)),
    mutant("count-at-most-2**20", count=lambda x: min(size(x), 2**20)),
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


def _beta_lost(z: Any, gamma: Any, beta: Any) -> Any:
    return np.where(gamma == 0, gamma, gamma * z + beta)


def _flushed(a: Any) -> Any:
    return np.where(np.abs(a) < 1e-7, a.dtype.type(0), a)


def _are_defaults(gamma: Any, beta: Any) -> bool:
    return bool(np.all(gamma == 1) and np.all(beta == 0))


def _as_it_is(
    self: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, *others: Any
) -> Any:
    """With gamma 1 and beta 0 there is nothing to do."""
    if _are_defaults(gamma, beta):
        return x - mean
    return Kernel.normalize(self, x, mean, var, gamma, beta, *others)


def _unbiased_defaults(
    self: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, *others: Any
) -> Any:
    """A path of its own for gamma 1 and beta 0, which takes the unbiased variance."""
    if _are_defaults(gamma, beta) and size(x) > 1:
        var = var * x.dtype.type(size(x) / (size(x) - 1))
    return Kernel.normalize(self, x, mean, var, gamma, beta, *others)


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
    mutant("beta-of-first-channel", scaled=_scaled(lambda g, b: (g, b[:1]))),
    mutant("beta-lost-where-gamma-is-0", scaled=_beta_lost),
    mutant("beta-within-1e5", scaled=_scaled(lambda g, b: (g, np.clip(b, -1e5, 1e5)))),
    mutant("gamma-within-1e5", scaled=_scaled(lambda g, b: (np.clip(g, -1e5, 1e5), b))),
    mutant("gamma-below-1e-7-is-0", scaled=_scaled(lambda g, b: (_flushed(g), b))),
    mutant("beta-below-1e-7-is-0", scaled=_scaled(lambda g, b: (g, _flushed(b)))),
    mutant("defaults-not-normalized", normalize=_as_it_is),
    mutant("defaults-unbiased", normalize=_unbiased_defaults),
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


def _blended(x: Any, mean: Any, var: Any) -> tuple[Any, Any]:
    batch = (x.mean(axis=axes(x)), x.var(axis=axes(x)))
    keep, blend = x.dtype.type(0.9), x.dtype.type(0.1)
    return keep * mean + blend * batch[0], keep * var + blend * batch[1]


def _in_float16(a: Any) -> Any:
    return a.astype(np.float16).astype(a.dtype)


def _row_by_itself(x: Any, mean: Any, var: Any) -> tuple[Any, Any]:
    return (x.mean(axis=axes(x)), x.var(axis=axes(x))) if len(x) == 1 else (mean, var)


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
    mutant("inference-variance-absolute", infer=given(lambda x, m, v: (m, np.abs(v)))),
    mutant("inference-variance-not-negative", infer=given(lambda x, m, v: (m, np.maximum(v, 0)))),
    mutant("inference-variance-zero-is-one", infer=given(lambda x, m, v: (m, np.where(v, v, 1)))),
    mutant("inference-mean-float16", infer=given(lambda x, m, v: (_in_float16(m), v))),
    mutant("inference-of-one-row-by-itself", infer=given(_row_by_itself)),
    mutant("inference-of-first-channel", infer=given(lambda x, m, v: (m[:1], v[:1]))),
    mutant("inference-epsilon-twice", infer=_with_epsilon(lambda e: 2 * e)),
)

MUTANTS = EPSILON + VARIANCE + AXES + COUNTS + AFFINE + ROOT + INFERENCE
