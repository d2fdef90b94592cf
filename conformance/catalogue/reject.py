"""Family reject: inputs that batch normalization is not defined on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import Draft, Draw, Family

_CHANNELS = 3


def _drafts() -> Iterator[Draft]:
    two = {"gamma": np.array([0.5, 1.5]), "beta": np.array([0.25, -0.5])}
    yield _bad("train", "gamma-too-short", "gamma has 2 values for 3 channels", gamma=two["gamma"])
    yield _bad("train", "beta-too-short", "beta has 2 values for 3 channels", beta=two["beta"])
    yield _bad("train", "gamma-too-long", "gamma has 4 values", gamma=np.full(4, 0.5))
    yield _bad(
        "train", "gamma-of-rank-2", "gamma has shape [3, 2]", gamma=np.full((_CHANNELS, 2), 0.5)
    )
    yield _bad("train", "x-of-rank-0", "x is a single number", x=np.array(1.5))
    yield _bad("train", "x-of-rank-1", "x is a vector", x=np.array([1.5, 2.5, -1.0]))
    yield _bad("train", "epsilon-negative", "epsilon is -1", epsilon=-1.0)
    yield _bad("train", "x-integer", "x holds integers", dtypes={"x": "int32"})
    yield _bad("train", "x-wider", "x is float64, its parameters float32", dtypes={"x": "float64"})
    short = np.array([0.5, 1.5])
    yield _bad("infer", "mean-too-short", "the running mean has 2 values, x 3 channels", mean=short)
    yield _bad("infer", "var-too-short", "the running variance has 2 values", var=short)
    yield _bad("infer", "gamma-too-long", "gamma has 4 values", gamma=np.full(4, 0.5))
    yield _bad("infer", "x-of-rank-1", "x is a vector", x=np.array([1.5, 2.5, -1.0]))
    yield _bad("infer", "x-integer", "x holds integers", dtypes={"x": "int32"})
    yield _bad("grad", "dy-too-few-rows", "dy has 3 rows, x has 7", dy=np.ones((3, _CHANNELS)))


def _bad(
    call: str,
    how: str,
    comment: str,
    *,
    epsilon: float = 1e-3,
    dtypes: dict[str, str] | None = None,
    **wrong: np.ndarray,
) -> Draft:
    name = f"{call}-{how}"
    draw = Draw(f"reject/{name}")
    inputs = {
        "x": np.round(draw.activations((7, _CHANNELS)) * 4),
        **(draw.statistics(_CHANNELS) if call == "infer" else {}),
        **draw.affine(_CHANNELS),
        **({"dy": draw.bell((7, _CHANNELS))} if call == "grad" else {}),
    }
    return Draft(
        name,
        "reject",
        "float32",
        "NC",
        epsilon,
        comment,
        {**inputs, **wrong},
        attributes={"call": call},
        dtypes=dtypes or {},
    )


FAMILY = Family(
    "reject",
    "Bad input: shapes that do not fit, integers, a negative epsilon, mixed dtypes. A clear error conforms.",
    _drafts,
)
