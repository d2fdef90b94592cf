"""The pictures of the report: each says what a table of numbers cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.report.pictures import deviations, gradients, ladders
from conformance.report.pictures.canvas import Picture


def draw(gathered: Mapping[str, Any]) -> list[Picture]:
    """All pictures for which there are results.

    Raises UserError where there is something to draw and matplotlib is not installed.
    """
    return [
        *ladders.offset_pictures(gathered),
        *ladders.batch_size_pictures(gathered),
        *gradients.pictures(gathered),
        *deviations.pictures(gathered),
    ]
