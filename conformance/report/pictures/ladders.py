"""Error against the offset of x, and against the size of the batch, for every implementation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.judge import limit
from conformance.report.pictures import canvas
from conformance.report.pictures.small_multiples import Axis, collect, draw, size

_MEANS = (0, 1, 8, 100, 1000, 4096, 10000, 100000, 1000000)
_SIZES = (
    "typical/train-float32-NC-16x5",
    "offset-ladder/train-float32-mean-0",
    "typical/train-float32-NC-1031x3",
    "large-batch/train-float32-rows-2053",
    "large-batch/train-float32-rows-70001",
    "large-batch/train-float32-rows-1048576",
)


def offset_pictures(gathered: Mapping[str, Any]) -> Iterator[canvas.Picture]:
    """The cancellation cliff, in training and in inference."""
    for operation, algorithm in (
        ("train", "a single-pass variance, E[x²] - E[x]²"),
        ("infer", "the folded form, x * factor + (beta - mean * factor)"),
    ):
        ids = [f"offset-ladder/{operation}-float32-mean-{mean}" for mean in _MEANS]
        where = "training" if operation == "train" else "inference"
        title = f"Error of y against the mean of x, in {where} (float32, unit variance)"
        description = (
            f"The shaded band is what rounding may cause. A line that stays in it conforms at every mean; "
            f"one that climbs loses digits as the mean grows, which is the mark of {algorithm}."
        )
        yield from _ladder(
            gathered,
            ids,
            [-0.7 if mean == 0 else math.log10(mean) for mean in _MEANS],
            ["0", "1", "8", "10²", "10³", "", "10⁴", "10⁵", "10⁶"],
            "mean of x, in standard deviations",
            1e8,
            (f"offset-{operation}", title, description),
        )


def batch_size_pictures(gathered: Mapping[str, Any]) -> Iterator[canvas.Picture]:
    """Sequential or tree summation."""
    sizes = [_values(gathered, case) for case in _SIZES]
    title = "Error of y against the number of values per channel (float32 training)"
    description = (
        "A sum of m values in tree order, or one in float64, stays flat; one after the other in float32 the "
        "roundings add up, and the line climbs with the upper edge of the band, √m. (1,048,576 values are one "
        "channel alone: they lie beside one another in memory, and some sum them in tree order then alone.)"
    )
    yield from _ladder(
        gathered,
        _SIZES,
        [math.log2(m) for m in sizes],
        [f"{m:,}" if m != 1031 else "" for m in sizes],
        "values per channel",
        1e4,
        ("batch-size", title, description),
    )


def _ladder(
    gathered: Mapping[str, Any],
    ids: Any,
    places: list[float],
    marks: list[str],
    label: str,
    ceiling: float,
    words: tuple[str, str, str],
) -> Iterator[canvas.Picture]:
    by_framework = collect(gathered["columns"], ids, "y")
    if not by_framework:
        return
    limits = [limit(_values(gathered, case)) for case in ids]
    with canvas.figure(*size(by_framework)) as figure:
        draw(figure, by_framework, Axis(places, marks, limits, label, ceiling))
        yield canvas.finish(figure, *words)


def _values(gathered: Mapping[str, Any], case: str) -> int:
    known = gathered["cases"].get(case)
    return 1 if known is None else known.question.values_per_channel
