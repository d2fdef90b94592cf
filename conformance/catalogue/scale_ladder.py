"""Family scale-ladder: inputs from subnormal to overflowing, against epsilon and without it."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalogue.draft import Draft, Draw, Family

_SCALES = {
    "float32": (1e-40, 1e-30, 1e-20, 1e-15, 1e-10, 1e-5, 1e5, 1e10, 1e15, 1e18, 1e20, 1e30, 1e37),
    "float64": (1e-310, 1e-200, 1e-150, 1e-30, 1e-10, 1e10, 1e30, 1e150, 1e160, 1e200, 1e300),
}
_SHAPE = (8, 4)


def _drafts() -> Iterator[Draft]:
    for dtype, scales in _SCALES.items():
        for scale in scales:
            yield _draft("train", dtype, scale, 1e-5)
            yield _draft("infer", dtype, scale, 1e-5)
            if 1e-15 <= scale <= 1e15:
                yield _draft("train", dtype, scale, 0.0)
                yield _draft("infer", dtype, scale, 0.0)
            # Above, the third power of a deviation, which a gradient of 1/sqrt holds, overflows.
            if 1e-15 <= scale <= 1e10:
                yield _draft("grad", dtype, scale, 1e-5)


def _draft(operation: str, dtype: str, scale: float, epsilon: float) -> Draft:
    name = f"{operation}-{dtype}-scale-{scale:g}-epsilon-{epsilon:g}"
    draw = Draw(f"scale-ladder/{name}")
    channels = _SHAPE[-1]
    given = draw.statistics(channels)
    # A variance that the format can hold; x may still lie far beyond its root.
    largest, smallest = (1e36, 1e-36) if dtype == "float32" else (1e300, 1e-300)
    factor = max(min(scale, largest**0.5), smallest**0.5)
    return Draft(
        name,
        operation,
        dtype,
        "NC",
        epsilon,
        f"x of scale {scale:g}",
        {
            "x": scale * draw.activations(_SHAPE),
            **(
                {"mean": scale * given["mean"], "var": factor * (factor * given["var"])}
                if operation == "infer"
                else {}
            ),
            **draw.affine(channels),
            **({"dy": draw.bell(_SHAPE) + 0.3} if operation == "grad" else {}),
        },
    )


FAMILY = Family(
    "scale-ladder",
    "Inputs of every scale, from subnormal numbers to squares that overflow.",
    _drafts,
)
