"""Family dense: a dense layer without bias, batch norm of its output, then an activation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family
from conformance.formula import ACTIVATIONS
from conformance.generator import Random

_EPSILON = 1e-8
_ROWS = 1031
_GENERATED = Random(seed=2015, bits=22, offset=-1500000, exponent=-20)
_SIZES = {"wide": (8, 4, 5), "narrow": (16, 5, 3), "square": (8, 4, 4), "two-rows": (2, 3, 3)}


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for how, (rows, inputs, outputs) in _SIZES.items():
            for activation in ACTIVATIONS:
                yield _draft(dtype, how, activation, rows, inputs, outputs)
        yield _draft(dtype, "offset", "identity", 8, 4, 3, offset=100.0)
    for dtype in DTYPES:
        yield _many_rows(dtype)
        for activation in ("relu", "tanh", "sigmoid"):
            yield _steep(dtype, activation)


def _draft(
    dtype: str, how: str, activation: str, rows: int, inputs: int, outputs: int, offset: float = 0.0
) -> Draft:
    name = f"dense-{dtype}-{how}-{activation}"
    draw = Draw(f"dense/{name}")
    return Draft(
        name,
        "dense",
        dtype,
        "NC",
        _EPSILON,
        f"{rows} rows, {inputs} inputs, {outputs} units, {activation}",
        {
            "x": draw.activations((rows, inputs)) + offset,
            "w": draw.bell((inputs, outputs)) / inputs**0.5,
            **draw.affine(outputs),
        },
        attributes={"activation": activation},
    )


def _steep(dtype: str, activation: str) -> Draft:
    """What goes into the activation of one unit is so large that its exponential overflows."""
    draft = _draft(dtype, "steep", activation, 8, 4, 3)
    far = 120.0 if dtype == "float32" else 800.0
    beta = draft.inputs["beta"] + np.array([0.0, far, -far / 2])
    comment = f"{draft.comment} of about {far:g} in one of them"
    return replace(draft, comment=comment, inputs={**draft.inputs, "beta": beta})


def _many_rows(dtype: str) -> Draft:
    draft = _draft(dtype, "many-rows", "relu", _ROWS, 3, 3)
    positions = sorted({*range(12), *range(3 * _ROWS - 36, 3 * _ROWS, 1), *range(100, 3000, 101)})
    return replace(
        draft,
        epsilon=2e-2,
        comment=f"{_ROWS} rows (a prime), generated, seen at the ends and between",
        inputs={**draft.inputs, "x": _GENERATED.values(3 * _ROWS).reshape(_ROWS, 3)},
        generated={"x": _GENERATED},
        attributes={**draft.attributes, "positions": positions},
    )


FAMILY = Family(
    "dense",
    "activation(batch norm of x @ w) with epsilon 1e-8, for identity, ReLU, tanh and sigmoid.",
    _drafts,
)
