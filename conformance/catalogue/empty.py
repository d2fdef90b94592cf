"""Family empty: batches without rows, and rows without places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, to_layout

_SHAPES = {"no-rows": ("NC", (0, 3)), "no-length": ("NCL", (2, 0, 3))}


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for how in _SHAPES if dtype == "float32" else ("no-rows",):
            for operation in ("train", "infer", "update", "grad", "grad-infer"):
                yield _draft(operation, dtype, how)


def _draft(operation: str, dtype: str, how: str) -> Draft:
    layout, shape = _SHAPES[how]
    name = f"{operation}-{dtype}-{how}"
    draw = Draw(f"empty/{name}")
    x = to_layout(np.zeros(shape), layout)
    inputs = {"x": x}
    statistics = draw.statistics(shape[-1])
    if operation == "update":
        inputs |= {f"running_{key}": array for key, array in statistics.items()}
    else:
        inputs |= (statistics if "infer" in operation else {}) | draw.affine(shape[-1])
    if "grad" in operation:
        inputs["dy"] = x
    update = {"batches": [x.shape[0]], "rates": [0.1]} if operation == "update" else {}
    return Draft(
        name, operation, dtype, layout, 1e-3, f"x of shape {x.shape}", inputs, attributes=update
    )


FAMILY = Family("empty", "Batches without rows, and rows without places.", _drafts)
