"""Family channels: numbers of channels around the lengths of vectors, and shapes that invite a wrong axis."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalogue.draft import Draft, Draw, Family, to_layout

_CHANNELS = (1, 2, 3, 5, 8, 17, 33, 64, 65)
_EQUAL = {
    "NCL": (3, 3, 3),
    "NLC": (3, 3, 3),
    "NCHW": (3, 3, 3, 3),
    "NHWC": (3, 3, 3, 3),
    "NCDHW": (2, 2, 2, 2, 2),
    "NDHWC": (2, 2, 2, 2, 2),
}


def _drafts() -> Iterator[Draft]:
    for operation in ("train", "infer", "grad"):
        for channels in _CHANNELS:
            yield _draft(operation, "NC", (6, channels), f"{channels}-channels")
        for channels in (5, 17, 65):
            yield _draft(operation, "NCHW", (2, 3, 1, channels), f"{channels}-channels-rank-4")
        yield _draft(operation, "NC", (4, 4), "rows-equal-channels")
        yield _draft(operation, "NCL", (2, 4, 4), "length-equals-channels")
        for layout, shape in _EQUAL.items():
            yield _draft(operation, layout, shape, "everything-equal")
        yield _draft(operation, "NHWC", (3, 2, 5, 3), "rows-equal-channels-last")


def _draft(operation: str, layout: str, shape: tuple[int, ...], how: str) -> Draft:
    name = f"{operation}-{layout}-{how}"
    draw = Draw(f"channels/{name}")
    inputs = {
        "x": to_layout(draw.activations(shape), layout),
        **(draw.statistics(shape[-1]) if operation == "infer" else {}),
        **draw.affine(shape[-1]),
    }
    if operation == "grad":
        inputs["dy"] = to_layout(draw.bell(shape) + 0.3, layout)
    size = "x".join(map(str, inputs["x"].shape))
    return Draft(name, operation, "float32", layout, 1e-3, f"{layout}, {size}", inputs)


FAMILY = Family(
    "channels",
    "1 to 65 channels, around the lengths of vectors; as many rows, or places, as channels.",
    _drafts,
)
