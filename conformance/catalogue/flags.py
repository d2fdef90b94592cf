"""The flags of cases: what each says, what it makes acceptable, and which cases carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.judge import Expectation

_PAPER = "https://arxiv.org/abs/1502.03167"


@dataclass(frozen=True)
class Flag:
    """`effect` is one sentence; `policies` are the answers that it makes acceptable."""

    effect: str
    policies: tuple[str, ...] = ()
    links: tuple[str, ...] = (_PAPER,)


FLAGS = {
    "one-value-per-channel": Flag(
        "Training on a single value per channel: its variance is 0, and y is beta. Some libraries "
        "refuse to train on it, and the unbiased variance of one value is not defined.",
        ("raises", "nan"),
        ("https://github.com/tensorflow/tensorflow/issues/34062",),
    ),
    "empty-batch": Flag(
        "There is not a single value per channel: its mean and variance are 0/0.",
        ("raises", "nan"),
        ("https://github.com/pytorch/pytorch/issues/12013",),
    ),
    "zero-variance": Flag("A channel has variance 0: epsilon alone stands under the root."),
    "epsilon-zero": Flag(
        "Epsilon is 0; some libraries refuse that.",
        ("raises",),
        ("https://github.com/pytorch/pytorch/issues/100048",),
    ),
    "undefined": Flag(
        "The formula has no finite value in some element: NaN, an infinity or beta may be "
        "answered there, or an error raised.",
        ("raises",),
        ("https://github.com/pytorch/pytorch/issues/100048",),
    ),
    "overflow": Flag(
        "An intermediate (a sum, a squared deviation or their sum) is larger than the format's "
        "largest number: NaN, an infinity or beta may be answered in its channel.",
        links=("https://github.com/pytorch/pytorch/issues/162489",),
    ),
    "underflow": Flag(
        "Epsilon or an intermediate lies where the format is coarse (subnormal numbers), and the "
        "answer depends on how they are rounded or whether they are flushed to zero.",
        links=("https://en.wikipedia.org/wiki/Subnormal_number",),
    ),
    "bad-input": Flag(
        "The input is not one that batch normalization is defined on. A clear error conforms.",
        links=("https://github.com/pytorch/pytorch/issues/100970",),
    ),
    "mixed-precision": Flag(
        "Parameters and statistics are in float32 while x is in a half precision. Some libraries "
        "refuse that; some answer in float32.",
        ("raises",),
        ("https://github.com/pytorch/pytorch/issues/100970",),
    ),
    "cancellation": Flag(
        "The mean of a channel is more than eight times its standard deviation: a single-pass "
        "variance, and a folded multiply-and-add, lose digits.",
        links=("https://github.com/google/flax/issues/1491",),
    ),
}


def flags_of(
    operation: str,
    epsilon: float,
    inputs: Mapping[str, np.ndarray],
    expected: Mapping[str, Mapping[str, Expectation]],
    attributes: Mapping[str, Any],
    mixed: bool,
) -> tuple[str, ...]:
    """The flags that a case carries: found from its numbers, never written by hand.

    `inputs` are float64, channels last; `mixed` says that their dtypes were not all the same.
    """
    if operation == "reject":
        return ("bad-input",)
    x = inputs["x"] @ inputs["w"] if "w" in inputs else inputs["x"]
    x = x.reshape(-1, x.shape[-1])
    uses_batch = operation not in ("infer", "grad-infer")
    spatial = x.shape[0] // max(inputs["x"].shape[0], 1)
    counts = [size * spatial for size in attributes.get("batches", ())] or [x.shape[0]]
    mean, var = _statistics(x) if uses_batch else (inputs["mean"], inputs["var"])
    values = [e.value for e in expected["reference"].values()]
    conditions = {
        "one-value-per-channel": uses_batch and min(counts) == 1,
        "empty-batch": x.size == 0,
        "zero-variance": bool(np.any(var == 0)),
        "epsilon-zero": epsilon == 0 and operation != "update",
        "undefined": any(bool(np.isnan(value).any()) for value in values),
        "overflow": "overflow" in expected,
        "underflow": "underflow" in expected or "flush-to-zero" in expected,
        "cancellation": bool(np.any(np.abs(mean) > 8 * np.sqrt(np.abs(var)))),
        "mixed-precision": mixed,
    }
    return tuple(name for name, holds in conditions.items() if holds)


def _statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of rows (m, C), near enough to sort cases by."""
    if not x.size:
        return np.full(x.shape[-1], np.nan), np.full(x.shape[-1], np.nan)
    with np.errstate(all="ignore"):
        constant = x.max(axis=0) == x.min(axis=0)
        return x.mean(axis=0), np.where(constant, 0.0, x.var(axis=0))
