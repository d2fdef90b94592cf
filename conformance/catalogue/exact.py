"""Family exact: small integers, of which mean and variance are exact in any order of summation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import Draft, Family, to_layout

# Deviations that sum to zero, around means that are powers of two: sums, squares and the divisions
# by 8 or 16 are exact even in bfloat16.
_EIGHT = np.array([-3.0, -1.0, 1.0, 3.0, -1.0, 1.0, -2.0, 2.0])
_MEANS = np.array([0.0, 1.0, -2.0, 4.0])
_STEPS = np.array([1.0, 0.5, 2.0, 0.25])


def _drafts() -> Iterator[Draft]:
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        for operation in ("train", "infer", "grad", "grad-infer", "update"):
            yield _draft(operation, dtype, "NC")
            if dtype == "float32":
                yield _draft(operation, dtype, "NCL")


def _draft(operation: str, dtype: str, layout: str) -> Draft:
    x = _MEANS + np.outer(_EIGHT, _STEPS)
    dy = np.outer(_EIGHT[::-1], [1.0, -1.0, 0.5, 2.0]) + 1.0
    if layout == "NCL":
        x, dy = x.reshape(2, 4, 4), dy.reshape(2, 4, 4)
    affine = {"gamma": np.array([2.0, -0.5, 1.5, 0.25]), "beta": np.array([0.5, -1.0, 0.25, 2.0])}
    given = {"mean": np.array([0.5, 1.0, -1.0, 2.0]), "var": np.array([4.0, 0.25, 1.0, 16.0])}
    inputs: dict[str, np.ndarray] = {"x": to_layout(x, layout)}
    if operation == "update":
        inputs |= {f"running_{name}": array for name, array in given.items()}
    else:
        inputs |= (given if "infer" in operation else {}) | affine
    if "grad" in operation:
        inputs["dy"] = to_layout(dy, layout)
    update = {"batches": [len(x)], "rates": [0.25]} if operation == "update" else {}
    return Draft(
        f"{operation}-{dtype}-{layout}",
        operation,
        dtype,
        layout,
        0.5,  # large enough to be seen in bfloat16
        "small integers and halves; mean and variance are exact",
        inputs,
        attributes=update,
    )


FAMILY = Family(
    "exact",
    "Small integers and halves: mean and variance are exact in any order of summation, in every dtype.",
    _drafts,
)
