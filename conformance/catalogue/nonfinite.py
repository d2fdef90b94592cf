"""Family nonfinite: NaN or an infinity in one channel; the others must not be touched."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family

_VALUES = {"nan": np.nan, "inf": np.inf, "minus-inf": -np.inf}
_SHAPE = (7, 3)


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for operation in ("train", "infer", "grad", "grad-infer", "update"):
            for value in _VALUES:
                yield _draft(operation, dtype, value)
        for value in _VALUES:
            yield _draft("train", dtype, value, gamma_zero=True)


def _draft(operation: str, dtype: str, value: str, gamma_zero: bool = False) -> Draft:
    name = f"{operation}-{dtype}-{value}{'-gamma-0' if gamma_zero else ''}"
    draw = Draw(f"nonfinite/{name}")
    x = draw.activations((14, 3) if operation == "update" else _SHAPE)
    x[3, 1] = _VALUES[value]
    statistics, affine = draw.statistics(_SHAPE[-1]), draw.affine(_SHAPE[-1])
    if gamma_zero:
        affine["gamma"][[0, 1]] = 0.0
    inputs: dict[str, np.ndarray] = {"x": x}
    if operation == "update":
        inputs |= {f"running_{key}": array for key, array in statistics.items()}
    else:
        inputs |= (statistics if "infer" in operation else {}) | affine
    if "grad" in operation:
        inputs["dy"] = draw.bell(_SHAPE) + 0.3
    update = {"batches": [7, 7], "rates": [0.1, 0.1]} if operation == "update" else {}
    comment = f"one {value} in the second of three channels{', gamma 0 there' * gamma_zero}"
    return Draft(name, operation, dtype, "NC", 1e-3, comment, inputs, attributes=update)


FAMILY = Family(
    "nonfinite",
    "NaN or an infinity in one channel; the others must come out as if it were not there.",
    _drafts,
)
