"""Family layouts: the same values lying differently in memory."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.case import MEMORY
from conformance.catalogue.draft import Draft, Draw, Family, to_layout

_SHAPES = {"NC": (8, 4), "NCHW": (2, 4, 3, 5), "NHWC": (2, 4, 3, 5)}


def _drafts() -> Iterator[Draft]:
    for operation in ("train", "infer", "grad", "grad-infer"):
        for layout in _SHAPES:
            for memory in MEMORY:
                yield _draft(operation, layout, memory)


def _draft(operation: str, layout: str, memory: str) -> Draft:
    shape = _SHAPES[layout]
    draw = Draw(f"layouts/{operation}-{layout}")  # the same values for every memory
    inputs = {
        "x": to_layout(draw.activations(shape), layout),
        **(draw.statistics(shape[-1]) if "infer" in operation else {}),
        **draw.affine(shape[-1]),
    }
    if "grad" in operation:
        inputs["dy"] = to_layout(draw.bell(shape) + 0.3, layout)
    return Draft(
        f"{operation}-{layout}-{memory}",
        operation,
        "float32",
        layout,
        1e-3,
        f"{layout} activations, {memory} in memory",
        inputs,
        attributes={"memory": memory},
    )


FAMILY = Family(
    "layouts",
    "The same values as contiguous, transposed (Fortran order), strided, sliced and reversed memory.",
    _drafts,
)
