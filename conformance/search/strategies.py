"""Hypothesis strategies for whole cases: drafts that are not certified yet, the simplest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance.case import LAYOUTS
from conformance.catalogue.draft import Draft, to_layout
from conformance.formula import ACTIVATIONS
from conformance.generator import Random, Staircase
from conformance.operations import OPERATIONS
from conformance.precision import PRECISIONS, Precision
from conformance.search.numbers import EPSILONS, RATES, Column, Scale, columns, long_columns, scales

LONG = (2048, 2049, 4096, 4099)
"""Values per channel of a long column."""
_MOST = 80  # values of a short x: certifying it takes some 20 ms
_OF_THE_BATCH = ("train", "update", "grad", "grad-infer")


@dataclass(frozen=True)
class Domain:
    """What cases are drawn from: operations, dtypes and ranks that an implementation offers."""

    operations: tuple[str, ...]
    dtypes: tuple[str, ...]
    ranks: tuple[int, ...]


@st.composite
def drafts(draw: st.DrawFn, domain: Domain) -> Draft:
    """A case of any operation, short or long; its x, gamma, beta, mean and var at no default."""
    operation = draw(st.sampled_from(domain.operations))
    dtype = draw(st.sampled_from(domain.dtypes))
    # An update does not use it, but an implementation may refuse 0.
    epsilon = draw(st.sampled_from(EPSILONS if operation != "update" else EPSILONS[:1]))
    long = operation in _OF_THE_BATCH and draw(st.sampled_from((False, False, False, True)))
    make: Callable[..., st.SearchStrategy[_Tensors]]
    if operation == "dense":
        make = _dense
    else:
        make = _long if long and {2, 3} & set(domain.ranks) else _short
    precision = PRECISIONS[dtype]
    scale = draw(scales(precision, precision.digits + 2))
    tensors = draw(make(operation, precision, scale, domain.ranks))
    return Draft(
        f"{operation}-{dtype}",
        operation,
        dtype,
        tensors.layout,
        epsilon,
        tensors.comment,
        tensors.inputs,
        generated=tensors.generated,
        attributes=tensors.attributes,
    )


@dataclass(frozen=True)
class _Tensors:
    layout: str
    comment: str
    inputs: Mapping[str, np.ndarray]
    attributes: Mapping[str, Any]
    generated: Mapping[str, Random | Staircase]


@st.composite
def _short(
    draw: st.DrawFn, operation: str, precision: Precision, scale: Scale, ranks: tuple[int, ...]
) -> _Tensors:
    """Up to some hundred values, each written out."""
    layout = draw(st.sampled_from([name for name in LAYOUTS if len(name) in ranks]))
    rows = draw(st.integers(1, 17))
    widest = {2: 1, 3: 9, 4: 3, 5: 2}[len(layout)]
    spatial = tuple(draw(st.integers(1, widest)) for _ in layout[2:])
    drawn, channels = draw(_channels(precision, scale))
    per_row = int(np.prod(spatial, dtype=int))
    rows = min(rows, max(2, _MOST // (channels * per_row)))
    shape = (rows, *spatial, channels)

    def tensor(parts: list[np.ndarray]) -> np.ndarray:
        return to_layout(_side_by_side(parts, rows * per_row).reshape(shape), layout)

    inputs = {"x": tensor([column.values for column in drawn])}
    inputs |= _parameters(operation, drawn)
    if operation.startswith("grad"):
        inputs["dy"] = tensor([column.upstream for column in drawn])
    attributes = draw(_batches(rows)) if operation == "update" else {}
    comment = f"{rows * per_row} values for each of {channels} channels"
    return _Tensors(layout, comment, inputs, attributes, {})


@st.composite
def _long(
    draw: st.DrawFn, operation: str, precision: Precision, scale: Scale, ranks: tuple[int, ...]
) -> _Tensors:
    """One channel of thousands of values, of which few differ: a generator makes them."""
    count = draw(st.sampled_from(LONG))
    layout = draw(st.sampled_from([name for name in ("NC", "NCL") if len(name) in ranks]))
    along_rows = layout == "NC" or operation == "update"
    shape = (count, *(1 for _ in layout[1:])) if along_rows else (1, 1, count)
    generated = {"x": draw(long_columns(precision, scale, scale.x, count))}
    if operation.startswith("grad"):
        generated["dy"] = draw(long_columns(precision, scale, scale.dy, count))
    tensors = {name: made.values(count).reshape(shape) for name, made in generated.items()}
    column = draw(columns(precision, scale))
    inputs = {"x": tensors["x"], **_parameters(operation, [column])}
    inputs |= {name: tensors[name] for name in generated if name != "x"}
    attributes: dict[str, Any] = {"positions": sorted({0, 1, count // 2, count - 1})}
    if operation == "update":
        attributes = {"batches": [count], "rates": [draw(st.sampled_from(RATES))]}
    comment = f"one channel of {count} values, generated"
    return _Tensors(layout, comment, inputs, attributes, generated)


@st.composite
def _dense(
    draw: st.DrawFn, operation: str, precision: Precision, scale: Scale, ranks: tuple[int, ...]
) -> _Tensors:
    rows = draw(st.integers(1, 12))
    drawn = draw(st.lists(columns(precision, scale), min_size=1, max_size=4))
    units, width = draw(_channels(precision, scale))
    weight = st.integers(-4, 4) | st.sampled_from((0.3, -1e-3))
    rows_of_w = [draw(st.lists(weight, min_size=1, max_size=4)) for _ in drawn]
    inputs = {
        "x": _side_by_side([column.values for column in drawn], rows),
        "w": np.stack([np.resize(np.array(row, dtype=np.float64), width) for row in rows_of_w]),
        **_parameters(operation, units),
    }
    activation = draw(st.sampled_from(tuple(ACTIVATIONS)))
    comment = f"{rows} rows, {len(drawn)} inputs, {width} units, {activation}"
    return _Tensors("NC", comment, inputs, {"activation": activation}, {})


@st.composite
def _channels(draw: st.DrawFn, precision: Precision, scale: Scale) -> tuple[list[Column], int]:
    """The channels, and how many those are: now and then so many that they repeat."""
    drawn = draw(st.lists(columns(precision, scale), min_size=1, max_size=4))
    count = draw(st.sampled_from((0,) * 10 + (16, 33))) or len(drawn)
    return [drawn[channel % len(drawn)] for channel in range(count)], count


def _side_by_side(columns: list[np.ndarray], length: int) -> np.ndarray:
    """(length, C); each column is repeated, or cut off."""
    return np.stack([np.resize(column, length) for column in columns], axis=1)


def _parameters(operation: str, columns: list[Column]) -> dict[str, np.ndarray]:
    """What an operation takes beside x, w and dy, each (C,)."""
    names = OPERATIONS[operation].inputs
    given = {name: name.removeprefix("running_") for name in names}
    return {
        name: np.array([getattr(column, field) for column in columns])
        for name, field in given.items()
        if field in ("mean", "var", "gamma", "beta")
    }


@st.composite
def _batches(draw: st.DrawFn, rows: int) -> dict[str, Any]:
    """One to three batches of the rows, each with a weight of its own."""
    cuts = draw(st.lists(st.integers(1, 20), max_size=2))
    edges = [0, *sorted({cut for cut in cuts if cut < rows}), rows]
    sizes = [int(size) for size in np.diff(edges)]
    return {"batches": sizes, "rates": [draw(st.sampled_from(RATES)) for _ in sizes]}
