"""What implementations compute instead: named formulas that differ from the reference in one part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from conformance.formula import (
    Outputs,
    average,
    batch_axes,
    dense,
    grad,
    grad_infer,
    infer,
    moments,
    normalize,
    standard_deviation,
    train,
    update,
    update_once,
    values_per_channel,
)


def unbiased_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    mean, var = moments(xp, x)
    values = values_per_channel(xp, x)
    return mean, var * values / (values - 1)


def _moments_over_one_less(xp: Any, x: Any) -> tuple[Any, Any]:
    """As unbiased_moments, but that the variance of a single value is 0 and not 0/0."""
    mean, var = moments(xp, x)
    values = values_per_channel(xp, x)
    return mean, var * values / max(values - 1, 1)


def _single_pass_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    axes = batch_axes(x)
    mean = xp.mean(x, axis=axes)
    return mean, xp.mean(xp.square(x), axis=axes) - xp.square(mean)


def _clamped_single_pass_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    mean, var = _single_pass_moments(xp, x)
    return mean, xp.maximum(var, 0)


def _unbiased_single_pass_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    mean, var = _single_pass_moments(xp, x)
    values = values_per_channel(xp, x)
    return mean, var * values / max(values - 1, 1)


def _single_pass_reported_unbiased(xp: Any, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Outputs:
    outputs = train(xp, x, gamma, beta, epsilon, moments=_single_pass_moments)
    return {**outputs, "var": _unbiased_single_pass_moments(xp, x)[1]}


def _report_unbiased(xp: Any, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Outputs:
    values = values_per_channel(xp, x)
    outputs = train(xp, x, gamma, beta, epsilon)
    return {**outputs, "var": outputs["var"] * values / (values - 1)}


def _folded(xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    factor = gamma / xp.sqrt(var + epsilon)
    return x * factor + (beta - mean * factor)


def _folded_gradients(
    xp: Any, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any
) -> Outputs:
    """The gradients of the folded form: dgamma is a difference of two sums."""
    axes = batch_axes(x)
    divisor = standard_deviation(xp, var, epsilon)
    dbeta = xp.sum(dy, axis=axes)
    dgamma = (xp.sum(dy * x, axis=axes) - mean * dbeta) / divisor
    return {"dx": gamma * dy / divisor, "dgamma": dgamma, "dbeta": dbeta}


def _outside(xp: Any, var: Any, epsilon: Any) -> Any:
    return xp.sqrt(var) + epsilon


def _slope_of_unbiased(xp: Any, x: Any, var: Any, divisor: Any, along: Any) -> Any:
    values = values_per_channel(xp, x)
    return along * values / (values - 1)


def _slope_outside(xp: Any, x: Any, var: Any, divisor: Any, along: Any) -> Any:
    return along * divisor / xp.sqrt(var)


def _ignored(xp: Any, var: Any, epsilon: Any) -> Any:
    return xp.sqrt(var)


@dataclass(frozen=True)
class Alternative:
    """A named formula that an output is held against when the reference does not explain it.

    `verdict` is what the name stands for, `meaning` one sentence for a user, `operations` the
    formula for each operation that it changes. Two alternatives may share a `name` (two ways to
    compute one thing); `key` is unique. `same_value`: in exact arithmetic it is the reference, and
    only loses more digits.
    """

    key: str
    name: str
    verdict: str
    meaning: str
    operations: Mapping[str, Callable[..., Outputs]]
    same_value: bool = False


def _mean_only(xp: Any, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Outputs:
    """The batch statistics held constant: the gradient of inference."""
    mean, var = moments(xp, x)
    return grad_infer(xp, x, mean, var, gamma, beta, epsilon, dy)


def _same_name(
    key: str,
    verdict: str,
    meaning: str,
    operations: Mapping[str, Callable[..., Outputs]],
    **how: Any,
) -> Alternative:
    return Alternative(key, key, verdict, meaning, operations, **how)


def _normalization(
    key: str,
    verdict: str,
    meaning: str,
    deviation: Callable[..., Any],
    slope: Callable[..., Any] | None = None,
) -> Alternative:
    """Another divisor, in every operation that normalizes; gradients are those of what it gives."""
    other = partial(normalize, deviation=deviation)
    return _same_name(
        key,
        verdict,
        meaning,
        {
            "train": partial(train, normalize=other),
            "infer": partial(infer, normalize=other),
            "grad": partial(grad, deviation=deviation, slope=slope),
            "grad-infer": partial(grad_infer, deviation=deviation),
            "dense": partial(dense, train=partial(train, normalize=other)),
        },
    )


def _clamped(smallest: float, text: str) -> Alternative:
    return _normalization(
        f"epsilon-clamped-{text}",
        "wrong",
        f"an epsilon below {text} is silently replaced by {text}",
        lambda xp, var, epsilon: xp.sqrt(var + xp.maximum(epsilon, smallest)),
    )


def _step(
    key: str, verdict: str, meaning: str, step: Callable[..., Any], name: str | None = None
) -> Alternative:
    """Another way to update the running statistics."""
    operations = {"update": partial(update, step=step)}
    return Alternative(key, name or key, verdict, meaning, operations)


def _in_float32(xp: Any, var: Any, epsilon: Any) -> Any:
    return xp.sqrt(var + xp.float32(epsilon))


def _rate_in_float32(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
    return update_once(xp, x, mean, var, xp.float32(rate))


def _momentum_in_float32(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
    return update_once(xp, x, mean, var, 1 - xp.float32(1 - rate))


def _single_pass(key: str, meaning: str, moments: Callable[..., Any]) -> Alternative:
    return Alternative(
        key,
        "single-pass-variance",
        "inaccurate",
        f"variance computed as E[x^2] - E[x]^2{meaning}",
        {
            "train": partial(train, moments=moments),
            "update": partial(update, step=partial(update_once, moments=moments)),
            "grad": partial(grad, moments=moments),
            "dense": partial(dense, train=partial(train, moments=moments)),
        },
        same_value=True,
    )


def _inverted(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
    return update_once(xp, x, mean, var, 1 - rate)


def _inverted_unbiased(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
    return update_once(xp, x, mean, var, 1 - rate, moments=unbiased_moments)


def _frozen(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
    return average(mean, mean, 0 * rate), average(var, var, 0 * rate)


def _replaced(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
    return update_once(xp, x, mean, var, 0 * rate + 1)


def _deviations(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
    batch_mean, batch_var = moments(xp, x)
    return average(mean, batch_mean, rate), average(var, xp.sqrt(batch_var), rate)


def _debiased(
    xp: Any, x: Any, mean: Any, var: Any, epsilon: Any, rates: Any, *, batches: tuple[int, ...]
) -> Outputs:
    """Averages that start from zero, divided by the weight that the batches have so far (Adam's way)."""
    outputs = update(xp, x, mean * 0, var * 0, epsilon, rates, batches=batches)
    left: Any = 1
    for k, rate in enumerate(rates):
        left = left * (1 - rate)
        for running in outputs.values():
            running[k] = running[k] / (1 - left)
    return outputs


# Other definitions first, other algorithms for the same value after them: what an algorithm loses
# can be much, and would otherwise explain a mistake that is smaller than that.
ALTERNATIVES = (
    _same_name(
        "unbiased-batch-variance",
        "convention",
        "y uses the population variance; the variance handed back is the unbiased one, n/(n-1) of it",
        {"train": _report_unbiased},
    ),
    _step(
        "unbiased-running-variance",
        "convention",
        "the running variance averages the unbiased variance, n/(n-1) of the population variance",
        partial(update_once, moments=unbiased_moments),
    ),
    _step(
        "unbiased-running-variance-of-one",
        "convention",
        "the running variance averages the unbiased variance, and takes that of one value for 0",
        partial(update_once, moments=_moments_over_one_less),
        name="unbiased-running-variance",
    ),
    _step(
        "momentum-inverted",
        "wrong",
        "rate was taken for the weight of the old statistic",
        _inverted,
    ),
    _step(
        "momentum-inverted-unbiased",
        "wrong",
        "rate was taken for the weight of the old statistic (of an unbiased running variance)",
        _inverted_unbiased,
        name="momentum-inverted",
    ),
    _step("statistics-frozen", "wrong", "the running statistics were not updated", _frozen),
    _step(
        "statistics-replaced",
        "wrong",
        "the running statistics are those of the last batch alone",
        _replaced,
    ),
    _step(
        "standard-deviation-averaged",
        "wrong",
        "the running variance averages standard deviations",
        _deviations,
    ),
    _same_name(
        "zero-debiased",
        "convention",
        "the average starts from zero and is divided by the weight so far; the starting state is ignored",
        {"update": _debiased},
    ),
    _step(
        "rounded-weight-of-the-old",
        "convention",
        "the weight of the old statistic is a float32 number, and 1 less it the rate: 1 - 0.99 has five digits",
        _momentum_in_float32,
    ),
    _same_name(
        "statistics-held-constant",
        "wrong",
        "the gradient does not go through the batch statistics, as in inference",
        {"grad": _mean_only},
    ),
    Alternative(
        "unbiased-variance",
        "unbiased-variance",
        "wrong",
        "normalized by the unbiased variance, n/(n-1) of the population variance",
        {
            "train": partial(train, moments=unbiased_moments),
            "grad": partial(grad, moments=unbiased_moments, slope=_slope_of_unbiased),
            "dense": partial(dense, train=partial(train, moments=unbiased_moments)),
        },
    ),
    _normalization(
        "epsilon-outside-sqrt",
        "wrong",
        "epsilon is added to the standard deviation, not to the variance",
        _outside,
        _slope_outside,
    ),
    _normalization("epsilon-ignored", "wrong", "epsilon is not added to the variance", _ignored),
    _clamped(1e-5, "1e-5"),
    _clamped(1.001e-5, "1.001e-5"),
    _normalization(
        "epsilon-float32",
        "inaccurate",
        "epsilon was kept as a float32 number, which leaves a float64 result some eight digits of it",
        _in_float32,
    ),
    _step(
        "rate-float32",
        "inaccurate",
        "the rate was kept as a float32 number, which leaves a float64 result some eight digits of it",
        _rate_in_float32,
    ),
    _single_pass(
        "single-pass-variance",
        ", which cancels where the mean is large against the spread",
        _clamped_single_pass_moments,
    ),
    _single_pass(
        "single-pass-variance-unclamped",
        " and not clamped at 0: it can be negative, and y NaN",
        _single_pass_moments,
    ),
    Alternative(
        "single-pass-variance-unbiased",
        "single-pass-variance",
        "inaccurate",
        "variance computed as E[x^2] - E[x]^2, and handed back as the unbiased one",
        {
            "train": _single_pass_reported_unbiased,
            "update": partial(
                update, step=partial(update_once, moments=_unbiased_single_pass_moments)
            ),
        },
        same_value=True,
    ),
    # In training the error of the batch mean is as large as what folding loses.
    _same_name(
        "folded",
        "inaccurate",
        "computed as x * factor + (beta - mean * factor), which cancels where x is near a large mean",
        {"infer": partial(infer, normalize=_folded), "grad-infer": _folded_gradients},
        same_value=True,
    ),
)
