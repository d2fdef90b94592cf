"""The flags of cases: what each says, what it makes acceptable, and which cases carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
) -> tuple[str, ...]:
    """The flags that a case carries: found from its numbers, never written by hand.

    `inputs` are float64, channels last.
    """
    x = inputs["x"].reshape(-1, inputs["x"].shape[-1])
    reference = expected["reference"]
    mean = reference["mean"].value if operation == "train" else inputs["mean"]
    var = reference["var"].value if operation == "train" else inputs["var"]
    conditions = {
        "one-value-per-channel": operation == "train" and x.shape[0] == 1,
        "zero-variance": bool(np.any(var == 0)),
        "epsilon-zero": epsilon == 0,
        "undefined": bool(np.isnan(reference["y"].value).any()),
        "overflow": "overflow" in expected,
        "underflow": "underflow" in expected or "flush-to-zero" in expected,
        "cancellation": bool(np.any(np.abs(mean) > 8 * np.sqrt(np.abs(var)))),
    }
    return tuple(name for name, holds in conditions.items() if holds)
