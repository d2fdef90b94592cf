"""Family invariance: inputs changed in ways that must not change the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, rounded

_SHAPE = (8, 4)
_ORDER = np.array([5, 2, 7, 0, 3, 6, 1, 4])


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for operation in ("train", "grad"):
            for change in ("none", "permuted", "scaled-up", "scaled-down", "shifted"):
                yield _changed(operation, dtype, change)
    for change in ("none", "permuted", "first-half", "second-half", "one-row"):
        yield _split("float32", change)


def _inputs(operation: str, dtype: str) -> dict[str, np.ndarray]:
    """The same for every change; x in multiples of 2**-10, so that a shift by 16 is exact."""
    draw = Draw(f"invariance/{operation}-{dtype}")
    return {
        "x": np.round(draw.activations(_SHAPE) * 1024) / 1024,
        **(draw.statistics(_SHAPE[-1]) if operation == "infer" else {}),
        **draw.affine(_SHAPE[-1]),
        **({"dy": rounded(draw.bell(_SHAPE) + 0.3, dtype)} if operation == "grad" else {}),
    }


def _changed(operation: str, dtype: str, change: str) -> Draft:
    inputs = _inputs(operation, dtype)
    if change == "permuted":
        inputs |= {name: inputs[name][_ORDER] for name in ("x", "dy") if name in inputs}
    elif change == "shifted":
        inputs["x"] = inputs["x"] + 16.0
    elif change != "none":
        inputs["x"] = inputs["x"] * (2.0**20 if change == "scaled-up" else 2.0**-20)
    comment = {
        "none": "the inputs that the others of this family change",
        "permuted": "rows in another order: so are the answers",
        "shifted": "x shifted by 16: y is the same",
    }.get(change, f"x {change} by 2^20, epsilon 0: y is the same")
    return Draft(f"{operation}-{dtype}-{change}", operation, dtype, "NC", 0.0, comment, inputs)


def _split(dtype: str, change: str) -> Draft:
    inputs = _inputs("infer", dtype)
    rows: Any = {
        "none": slice(None),
        "permuted": _ORDER,
        "first-half": slice(0, 4),
        "second-half": slice(4, 8),
        "one-row": slice(2, 3),
    }[change]
    inputs["x"] = inputs["x"][rows]
    comment = f"rows of one batch ({change}): each has the same y in any company"
    return Draft(f"infer-{dtype}-{change}", "infer", dtype, "NC", 1e-3, comment, inputs)


FAMILY = Family(
    "invariance",
    "Rows permuted, a batch split in inference, x scaled by a power of two, x shifted: y must not change.",
    _drafts,
)
