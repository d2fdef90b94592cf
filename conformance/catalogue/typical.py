"""Family typical: ordinary activations in every rank and layout, with counts that are not round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, layouts_of, to_layout
from conformance.generator import Random

# Channels last. Most families keep to these shapes and a few others, since compiled frameworks
# compile once for each; family channels has the special ones.
_SHAPES = ((16, 5), (4, 7, 3), (2, 4, 3, 5), (2, 3, 2, 3, 2))
_MANY_ROWS = (1031, 3)
_GENERATED = Random(seed=2015, bits=22, offset=-1500000, exponent=-20)


def _drafts() -> Iterator[Draft]:
    for operation in ("train", "infer"):
        for dtype in DTYPES:
            for shape in _SHAPES:
                for layout in layouts_of(len(shape)):
                    yield _activations(operation, dtype, shape, layout)
            yield _many_rows(operation, dtype)
            yield _outlier(operation, dtype)


def _activations(operation: str, dtype: str, shape: tuple[int, ...], layout: str) -> Draft:
    size = "x".join(map(str, to_layout(np.empty(shape), layout).shape))
    name = f"{operation}-{dtype}-{layout}-{size}"
    draw = Draw(f"typical/{name}")
    return Draft(
        name,
        operation,
        dtype,
        layout,
        1e-3,
        f"{layout} activations, {size}",
        {
            "x": to_layout(draw.activations(shape), layout),
            **(draw.statistics(shape[-1]) if operation == "infer" else {}),
            **draw.affine(shape[-1]),
        },
    )


def _many_rows(operation: str, dtype: str) -> Draft:
    rows, channels = _MANY_ROWS
    name = f"{operation}-{dtype}-NC-{rows}x{channels}"
    draw = Draw(f"typical/{name}")
    size = rows * channels
    middle = [int(p) for p in draw.uniform(0, size, (40,))]
    return Draft(
        name,
        operation,
        dtype,
        "NC",
        2e-2,  # far from 1/rows, the mark of the unbiased variance
        f"{rows} rows (a prime), generated, seen at the ends and at forty places between",
        {
            "x": _GENERATED.values(size).reshape(_MANY_ROWS),
            **(draw.statistics(channels) if operation == "infer" else {}),
            **draw.affine(channels),
        },
        generated={"x": _GENERATED},
        attributes={"positions": sorted({*range(12), *range(size - 36, size), *middle})},
    )


def _outlier(operation: str, dtype: str) -> Draft:
    """One value sixty standard deviations out: nothing may clip it."""
    draft = _activations(operation, dtype, (64, 4), "NC")
    x = draft.inputs["x"].copy()
    x[17] += 60.0
    comment = "64 rows, one of them sixty standard deviations out"
    inputs = {**draft.inputs, "x": x}
    return replace(draft, name=f"{operation}-{dtype}-outlier", comment=comment, inputs=inputs)


FAMILY = Family(
    "typical",
    "Ordinary activations: ranks 2 to 5, channels first and last, with counts that are not round.",
    _drafts,
)
