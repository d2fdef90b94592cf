"""Family near-zero-variance: channels whose spread is a last place or little more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family
from conformance.precision import PRECISIONS

_ROWS = 8


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for epsilon in (1e-12, 1e-8, 1e-5, 1e-3):
            for operation in ("train", "grad"):
                yield _one_off(operation, dtype, epsilon)
                yield _spread(operation, dtype, epsilon)


def _one_off(operation: str, dtype: str, epsilon: float) -> Draft:
    """All values the same but one, which is the next number of the format."""
    unit = 2 * PRECISIONS[dtype].unit_roundoff
    x = np.tile([1.0, 0.5, -1.0, 2.0], (_ROWS, 1))
    for channel in range(4):
        x[2 * channel, channel] *= 1 + unit
    return _draft(operation, dtype, epsilon, "one-last-place", "one value differs, by an ulp", x)


def _spread(operation: str, dtype: str, epsilon: float) -> Draft:
    """A spread of about root epsilon around values up to a hundred times that."""
    draw = Draw(f"near-zero-variance/{operation}-{dtype}-{epsilon:g}/x")
    size = epsilon**0.5
    x = size * (np.array([0.0, 1.0, 10.0, 100.0]) + draw.bell((_ROWS, 4)))
    return _draft(operation, dtype, epsilon, "root-epsilon", "a spread of about root epsilon", x)


def _draft(
    operation: str, dtype: str, epsilon: float, how: str, comment: str, x: np.ndarray
) -> Draft:
    name = f"{operation}-{dtype}-{how}-epsilon-{epsilon:g}"
    draw = Draw(f"near-zero-variance/{name}")
    dy = {"dy": draw.bell(x.shape) + 0.3} if operation == "grad" else {}
    inputs = {"x": x, **draw.affine(x.shape[-1]), **dy}
    return Draft(name, operation, dtype, "NC", epsilon, comment, inputs)


FAMILY = Family(
    "near-zero-variance",
    "Channels whose values differ in the last place, or by no more than the root of epsilon.",
    _drafts,
)
