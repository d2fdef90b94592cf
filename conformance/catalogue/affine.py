"""Family affine: gamma and beta at their extremes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family

_SHAPE = (8, 4)
_GAMMA = {
    "zero": np.array([0.0, -0.75, 0.0, 1.5]),
    "negative": np.array([-0.5, -2.0, -1.25, -0.1]),
    "tiny": np.array([1e-30, -1e-20, 1e-10, 3e-5]),
    "huge": np.array([1e30, -1e20, 1e10, 3e5]),
}
_BETA = {
    "huge": np.array([1e8, -1e6, 1e4, 1e10]),
    "tiny": np.array([1e-8, -1e-20, 1e-4, 1e-30]),
}


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for operation in ("train", "infer", "grad"):
            for kind, gamma in _GAMMA.items():
                yield _draft(operation, dtype, f"gamma-{kind}", gamma=gamma)
        for operation in ("train", "infer"):
            for kind, beta in _BETA.items():
                yield _draft(operation, dtype, f"beta-{kind}", beta=beta)
        yield _cancels(dtype)
    for dtype in DTYPES:
        for operation in ("train", "infer", "grad"):
            yield _defaults(operation, dtype)
        for kind, gamma in _GAMMA.items():
            yield _draft("grad-infer", dtype, f"gamma-{kind}", gamma=gamma)


def _draft(operation: str, dtype: str, how: str, **special: np.ndarray) -> Draft:
    name = f"{operation}-{dtype}-{how}"
    draw = Draw(f"affine/{name}")
    inputs = {
        "x": draw.activations(_SHAPE),
        **(draw.statistics(_SHAPE[-1]) if "infer" in operation else {}),
        **draw.affine(_SHAPE[-1]),
        **({"dy": draw.bell(_SHAPE) + 0.3} if "grad" in operation else {}),
    }
    comment = how.replace("-", " ")
    return Draft(name, operation, dtype, "NC", 1e-3, comment, {**inputs, **special})


def _cancels(dtype: str) -> Draft:
    """beta is the negative of what comes before it in the first row: y is nearly 0 there."""
    draft = _draft("infer", dtype, "beta-cancels")
    i = {name: array.astype(np.float32).astype(float) for name, array in draft.inputs.items()}
    before = i["gamma"] * (i["x"][0] - i["mean"]) / np.sqrt(i["var"] + draft.epsilon)
    return Draft(
        draft.name,
        "infer",
        dtype,
        "NC",
        draft.epsilon,
        "beta cancels the first row",
        {**i, "beta": -before},
    )


def _defaults(operation: str, dtype: str) -> Draft:
    """What a new layer has, and a kernel may treat as if it did not normalize with gamma and beta:
    https://github.com/microsoft/onnxruntime/issues/29790."""
    gamma, beta = np.ones(_SHAPE[-1]), np.zeros(_SHAPE[-1])
    draft = _draft(operation, dtype, "defaults", gamma=gamma, beta=beta)
    return replace(draft, comment="gamma 1 and beta 0 in every channel, as in a new layer")


FAMILY = Family(
    "affine",
    "gamma zero, negative, tiny and huge; beta tiny, huge, and cancelling; both at their defaults.",
    _drafts,
)
