"""Family epsilon: each epsilon against variances from nothing to ten times itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family

_EPSILONS = (0.0, 1e-45, 1e-12, 1e-8, 1e-5, 1.001e-5, 1e-3, 0.1, 1.0)
_FACTORS = np.array([0.0, 0.1, 1.0, 10.0])
_WITHOUT_EPSILON = np.array([1e-12, 1e-6, 1.0, 100.0])
_PATTERN = np.array([-1.5, 0.5, -1.0, 1.5, -0.5, 0.5, 1.0, -0.5]) / np.sqrt(0.9375)


def _drafts() -> Iterator[Draft]:
    for operation in ("train", "infer"):
        for dtype in DTYPES:
            for epsilon in _EPSILONS:
                yield _draft(operation, dtype, epsilon)


def _draft(operation: str, dtype: str, epsilon: float) -> Draft:
    name = f"{operation}-{dtype}-epsilon-{epsilon:g}"
    draw = Draw(f"epsilon/{name}")
    variances = _FACTORS * epsilon if epsilon else _WITHOUT_EPSILON
    deviation = np.sqrt(variances)
    channels = len(variances)
    center = deviation * np.array([0.0, 0.25, -0.75, 1.25])
    if operation == "train":
        x = center + np.outer(_PATTERN, deviation)
        given = {}
    else:
        x = center + np.outer(_PATTERN, np.sqrt(variances + epsilon))
        given = {"mean": center + 0.5 * deviation, "var": variances}
    seen = "0, 0.1, 1 and 10 times epsilon" if epsilon else "1e-12, 1e-6, 1 and 100"
    return Draft(
        name,
        operation,
        dtype,
        "NC",
        epsilon,
        f"variances of {seen}",
        {"x": x, **given, **draw.affine(channels)},
    )


FAMILY = Family(
    "epsilon",
    "Every epsilon in use, and none, against variances from 0 to ten times epsilon.",
    _drafts,
)
