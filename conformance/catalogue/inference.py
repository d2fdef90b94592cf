"""Family inference: running statistics at their extremes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family

_SHAPE = (8, 4)
_VARIANCES = {
    "zero": np.array([0.0, 1.5, 0.0, 0.5]),
    "tiny": np.array([1e-12, 1e-20, 1e-30, 1e-7]),
    "huge": np.array([1e10, 1e20, 1e30, 1e5]),
    "ladder": np.array([1e-5, 1e-4, 1e-3, 1e-2]),
}
_BELOW_ZERO = {
    "negative": np.array([-1e-3, 0.5, 2.0, 1.5]),
    "negative-within-epsilon": np.array([-9.99e-6, 0.5, 2.0, 1.5]),
}
_OFFSETS = (100.0, 1000.0, 1e5)


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for operation in ("infer", "grad-infer"):
            for kind, var in _VARIANCES.items():
                yield _draft(operation, dtype, f"variance-{kind}", var=var)
        for kind, var in _BELOW_ZERO.items():
            yield _draft("infer", dtype, f"variance-{kind}", var=var)
        for offset in _OFFSETS:
            yield _offset(dtype, offset, near=True)
            yield _offset(dtype, offset, near=False)
        yield _draft("infer", dtype, "fresh-layer", mean=np.zeros(4), var=np.ones(4))
    yield _single_row("float32")


def _draft(operation: str, dtype: str, how: str, **special: np.ndarray) -> Draft:
    name = f"{operation}-{dtype}-{how}"
    draw = Draw(f"inference/{name}")
    inputs = {
        "x": draw.activations(_SHAPE),
        **draw.statistics(_SHAPE[-1]),
        **draw.affine(_SHAPE[-1]),
        **({"dy": draw.bell(_SHAPE) + 0.3} if operation == "grad-infer" else {}),
    }
    comment = how.replace("-", " ")
    return Draft(name, operation, dtype, "NC", 1e-5, comment, {**inputs, **special})


def _offset(dtype: str, offset: float, near: bool) -> Draft:
    """A large running mean, with x near it or around zero."""
    how = f"mean-{offset:g}-x-{'near' if near else 'far'}"
    draft = _draft("infer", dtype, how)
    sign = np.array([1.0, -1.0, 1.0, -1.0])
    moved = {"mean": draft.inputs["mean"] + offset * sign}
    if near:
        moved["x"] = draft.inputs["x"] + offset * sign
    inputs = {**draft.inputs, **moved}
    return Draft(draft.name, "infer", dtype, "NC", 1e-5, draft.comment, inputs)


def _single_row(dtype: str) -> Draft:
    draft = _draft("infer", dtype, "single-row")
    inputs = {**draft.inputs, "x": draft.inputs["x"][:1]}
    return Draft(draft.name, "infer", dtype, "NC", 1e-5, "a batch of one row", inputs)


FAMILY = Family(
    "inference",
    "Running variances of zero, tiny, huge and negative; x near a large running mean and far from it.",
    _drafts,
)
