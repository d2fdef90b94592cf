"""Family tiny-batches: one, two or three values per channel, by rows and by spatial size."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, to_layout

_CHANNELS = 3


def _drafts() -> Iterator[Draft]:
    for operation in ("train", "infer"):
        for dtype in DTYPES:
            for values in (1, 2, 3):
                yield _draft(operation, dtype, values, "rows", "NC", (values, _CHANNELS))
            if dtype == "float32":
                yield _draft(operation, dtype, 1, "width", "NHWC", (1, 1, 1, _CHANNELS))
                for values in (2, 3):
                    shape = (1, values, _CHANNELS)
                    yield _draft(operation, dtype, values, "length", "NCL", shape)
                    yield _draft(operation, dtype, values, "length", "NLC", shape)


def _draft(
    operation: str, dtype: str, values: int, made_by: str, layout: str, shape: tuple[int, ...]
) -> Draft:
    last = "-channels-last" * (layout == "NLC")
    name = f"{operation}-{dtype}-{values}-by-{made_by}{last}"
    draw = Draw(f"tiny-batches/{name}")
    return Draft(
        name,
        operation,
        dtype,
        layout,
        1e-3,
        f"{values} value{'s' * (values > 1)} per channel, by {made_by} ({layout})",
        {
            "x": to_layout(draw.activations(shape), layout),
            **(draw.statistics(_CHANNELS) if operation == "infer" else {}),
            **draw.affine(_CHANNELS),
        },
    )


FAMILY = Family(
    "tiny-batches",
    "One, two and three values per channel, made by the number of rows and by the spatial size.",
    _drafts,
)
