"""Family conventions: what a layer does where its user says nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import Draft, Family
from conformance.conventions import EPSILON, RATE

# Symmetric about 0 and small against the root of any epsilon: no way to take the variance loses a
# digit, and y shows which epsilon was added.
_DEVIATIONS = np.array([-3.0, 1.0, -1.0, 3.0, -2.0, 2.0, -1.0, 1.0])
_SPREAD = np.array([1.0, 0.75, 1.25, 0.5])


def _drafts() -> Iterator[Draft]:
    yield _draft("train-epsilon", "train", "training", 2.0**-7, 0.0)
    yield _draft("update-momentum", "update", "training", 1.0, 2.0)
    yield _draft("infer-fresh", "infer", "inference", 2.0**-7, 1.0)
    yield _draft("infer-trained", "infer", "trained", 1.0, 2.0)
    yield _draft("infer-frozen", "infer", "frozen", 2.0**-7, 1.0)
    yield _draft("update-frozen", "update", "frozen", 1.0, 2.0)
    yield _draft("train-half", "train", "training", 2.0**-7, 0.0, "bfloat16")
    yield _draft("update-half", "update", "training", 1.0, 2.0, "bfloat16")
    # The same questions with other numbers.
    yield _draft("infer-fresh-again", "infer", "inference", 2.0**-6, -0.5)
    yield _draft("update-frozen-again", "update", "frozen", 0.5, -1.0)
    yield _draft("train-again-half", "train", "training", 2.0**-6, 0.0, "bfloat16")
    yield _draft("update-again-half", "update", "training", 2.0, 1.0, "bfloat16")


def _draft(
    name: str, operation: str, layer: str, spread: float, mean: float, dtype: str = "float32"
) -> Draft:
    channels = len(_SPREAD)
    zeros, ones = np.zeros(channels), np.ones(channels)
    inputs = {"x": mean + spread * np.outer(_DEVIATIONS, _SPREAD)}
    attributes: dict[str, object] = {"layer": layer}
    if operation == "update":
        inputs |= {"running_mean": zeros, "running_var": ones}
        attributes |= {"batches": [len(_DEVIATIONS)], "rates": [RATE]}
    else:
        given = {"mean": zeros, "var": ones} if operation == "infer" else {}
        if layer == "trained":
            x = inputs["x"]
            given = {"mean": RATE * x.mean(axis=0), "var": 1 - RATE + RATE * x.var(axis=0)}
        inputs |= {**given, "gamma": ones, "beta": zeros}
    wide = {key: "float32" for key in inputs if key != "x"} if dtype == "bfloat16" else {}
    comment = f"a new layer with its defaults, in {layer}; they are spelled out as commonest"
    return Draft(
        name, operation, dtype, "NC", EPSILON, comment, inputs, attributes=attributes, dtypes=wide
    )


FAMILY = Family(
    "conventions",
    "What a layer does by default: epsilon, momentum, running variance, dtypes, before training, frozen.",
    _drafts,
)
