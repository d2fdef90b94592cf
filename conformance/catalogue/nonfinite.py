"""Family nonfinite: NaN or an infinity in one channel; the others must not be touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
    for dtype in DTYPES:
        for operation in ("grad", "grad-infer"):
            yield _in_another(operation, dtype, "dy")
        yield _in_another("infer", dtype, "mean")
        yield _in_another("infer", dtype, "var")
        for activation in ("relu", "sigmoid"):
            yield _dense(dtype, activation)


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


def _in_another(operation: str, dtype: str, tensor: str) -> Draft:
    """NaN in another tensor than x."""
    draft = _draft(operation, dtype, "nan")
    draw = Draw(f"nonfinite/{operation}-{dtype}-{tensor}-nan")
    inputs = {**draft.inputs, "x": draw.activations(_SHAPE)}
    inputs[tensor] = inputs[tensor].copy()
    inputs[tensor][(3, 1) if tensor == "dy" else 1] = np.nan
    comment = f"NaN in the second of three channels of {tensor}"
    name = f"{operation}-{dtype}-{tensor}-nan"
    return replace(draft, name=name, comment=comment, inputs=inputs)


def _dense(dtype: str, activation: str) -> Draft:
    """NaN in the weights of one unit: no activation makes a number of it."""
    name = f"dense-{dtype}-w-nan-{activation}"
    draw = Draw(f"nonfinite/{name}")
    w = draw.bell((3, 3))
    w[2, 1] = np.nan
    inputs = {"x": draw.activations(_SHAPE), "w": w, **draw.affine(3)}
    comment = f"NaN in the weights of the second of three units, {activation}"
    attributes = {"activation": activation}
    return Draft(name, "dense", dtype, "NC", 1e-3, comment, inputs, attributes=attributes)


FAMILY = Family(
    "nonfinite",
    "NaN or an infinity in one channel; the others must come out as if it were not there.",
    _drafts,
)
