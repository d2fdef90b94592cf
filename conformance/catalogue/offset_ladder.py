"""Family offset-ladder: unit variance around means from 0 to a million."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family

_MEANS = (0, 1, 8, 100, 1000, 4096, 10000, 100000, 1000000)
_SHAPE = (64, 4)
_SIGN = np.array([1.0, -1.0, 1.0, -1.0])


def _drafts() -> Iterator[Draft]:
    for operation in ("train", "infer"):
        for dtype in DTYPES:
            for mean in _MEANS:
                yield _draft(operation, dtype, mean)


def _draft(operation: str, dtype: str, mean: int) -> Draft:
    name = f"{operation}-{dtype}-mean-{mean}"
    draw = Draw(f"offset-ladder/{name}")
    x = mean * _SIGN + draw.bell(_SHAPE)
    channels = _SHAPE[-1]
    given = {}
    if operation == "infer":
        near = draw.uniform(-0.3, 0.3, (channels,))
        given = {"mean": mean * _SIGN + near, "var": draw.uniform(0.6, 1.6, (channels,))}
    return Draft(
        name,
        operation,
        dtype,
        "NC",
        1e-3,
        f"means of {mean} and -{mean}, unit variance" if mean else "mean 0, unit variance",
        {"x": x, **given, **draw.affine(channels)},
    )


FAMILY = Family(
    "offset-ladder",
    "Unit variance around means from 0 to 1e6: where cancellation shows which algorithm was used.",
    _drafts,
)
