"""The record of one case in a case file: read, and checked in everything that others rely on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.case import LAYER, LAYOUTS, MEMORY, Case, output_shapes
from conformance.fields import check_fields, check_numbers, refuse
from conformance.formula import ACTIVATIONS
from conformance.generator import Deferred
from conformance.judge import Named
from conformance.operations import IN_LAYOUT, OPERATIONS
from conformance.precision import PRECISIONS
from conformance.tensors import read_tensor
from conformance.text import shown

NAME = re.compile(r"[A-Za-z0-9.+-]{1,200}")
"""What a case, a formula and a flag may be called."""

_CASE = {
    "id": str,
    "operation": str,
    "dtype": str,
    "layout": str,
    "epsilon": (int, float),
    "flags": list,
    "comment": str,
    "inputs": dict,
    "expected": dict,
}
_ATTRIBUTES = {
    "positions": list,
    "batches": list,
    "rates": list,
    "activation": str,
    "memory": str,
    "preceded_by": list,
    "layer": str,
    "call": str,
}
_COMPUTED = ("train", "infer", "grad", "grad-infer", "dense")
_BELONGS_TO = {
    "positions": _COMPUTED,
    "batches": ("update",),
    "rates": ("update",),
    "activation": ("dense",),
    "layer": ("train", "infer", "update"),
    "call": ("reject",),
}
"""The operations that may have an attribute, where not all may."""
_NEEDED = {"update": ("batches", "rates"), "dense": ("activation",), "reject": ("call",)}


def read_case(
    record: Any,
    family: str,
    formulas: Mapping[str, Named],
    notes: Mapping[str, tuple[str, ...]],
    where: str,
) -> Case:
    """The case that a record holds, checked. Raises UserError naming the field."""
    check_fields(record, _CASE, where, optional=_ATTRIBUTES)
    _check_words(record, family, notes, where)
    rejects = record["operation"] == "reject"
    if not abs(record["epsilon"]) <= PRECISIONS["float64"].largest:
        refuse(where, "epsilon must be a finite number")
    if record["epsilon"] < 0 and not rejects:
        refuse(where, "epsilon must not be below 0, but where the operation is reject")
    attributes = {name: record[name] for name in _ATTRIBUTES if name in record}
    _check_attributes(record["operation"], attributes, where)
    operation = OPERATIONS[record["call"] if rejects else record["operation"]]
    if rejects and not set(operation.arguments) <= {*operation.inputs, "epsilon"}:
        refuse(where, f"call cannot be {record['call']}, which takes more than tensors")
    if set(record["inputs"]) != set(operation.inputs):
        refuse(where, f"inputs must be {', '.join(operation.inputs)}")
    inputs = {
        name: read_tensor(record["inputs"][name], record["dtype"], f"{where}: inputs.{name}")
        for name in operation.inputs
    }
    if rejects:
        if record["expected"]:
            refuse(where, "a case to reject expects no values")
    else:
        _check_dtypes(record, where)
        _check_shapes(record, inputs, where)
        shapes = output_shapes(record["operation"], inputs, record["layout"], attributes)
        sizes = {name: math.prod(shape) for name, shape in shapes.items()}
        if "positions" in attributes:
            of = next(name for name in sizes if name in IN_LAYOUT)
            _check_positions(attributes["positions"], of, sizes[of], where)
            sizes[of] = len(attributes["positions"])
        _check_expected(record["expected"], sizes, formulas, where)
    return Case(
        id=record["id"],
        operation=record["operation"],
        dtype=record["dtype"],
        layout=record["layout"],
        epsilon=float(record["epsilon"]),
        flags=tuple(record["flags"]),
        comment=record["comment"],
        inputs=inputs,
        expected=record["expected"],
        attributes=attributes,
        formulas=formulas,
        policies=frozenset(policy for flag in record["flags"] for policy in notes[flag]),
    )


def _check_words(
    record: dict[str, Any], family: str, notes: Mapping[str, tuple[str, ...]], where: str
) -> None:
    """The id is of the family, and what has to be a known word is one."""
    start, _, rest = record["id"].partition("/")
    if start != family or not NAME.fullmatch(rest):
        refuse(where, f"the id must be {family}/ and a name of letters, digits and . + -")
    for field, known in (
        ("operation", tuple(OPERATIONS)),
        ("dtype", tuple(PRECISIONS)),
        ("layout", LAYOUTS),
        ("memory", MEMORY),
        ("activation", tuple(ACTIVATIONS)),
        ("layer", tuple(LAYER)),
        ("call", tuple(OPERATIONS)),
    ):
        if record.get(field, known[0]) not in known:
            refuse(where, f"unknown {field} {shown(record[field])}; known: {', '.join(known)}")
    for flag in record["flags"]:
        if not isinstance(flag, str) or flag not in notes:
            refuse(where, f"unknown flag {shown(flag)}; the file's notes define {', '.join(notes)}")
    if len(set(record["flags"])) != len(record["flags"]):
        refuse(where, "a flag stands twice")


def _check_shapes(
    record: dict[str, Any], inputs: Mapping[str, np.ndarray | Deferred], where: str
) -> None:
    """Every tensor fits the layout and the number of channels."""
    layout, x = record["layout"], inputs["x"]
    if "w" in inputs and layout != "NC":
        refuse(where, f"layout {layout} is none of a dense, whose x is (N, K)")
    if x.ndim != len(layout):
        refuse(where, f"inputs.x has rank {x.ndim}, layout {layout} needs another")
    channels = x.shape[layout.index("C")]
    if "w" in inputs:
        if inputs["w"].ndim != 2 or inputs["w"].shape[0] != channels:
            refuse(where, f"inputs.w has shape {list(inputs['w'].shape)}, x {list(x.shape)}")
        channels = inputs["w"].shape[1]
    if not min(channels, x.shape[layout.index("C")]):
        refuse(where, "inputs.x or inputs.w has no channels")
    if "batches" in record and sum(record["batches"]) != x.shape[0]:
        refuse(where, f"batches must add up to the {x.shape[0]} rows of x")
    if "layer" in record and (layout != "NC" or len(record.get("batches", [x])) != 1):
        refuse(where, "a layer takes one x of layout NC")
    for name, tensor in inputs.items():
        due = x.shape if name in IN_LAYOUT else (channels,)
        if name != "w" and tensor.shape != due:
            refuse(where, f"inputs.{name} has shape {list(tensor.shape)}, not {list(due)}")


def _check_dtypes(record: dict[str, Any], where: str) -> None:
    """x and dy are of the case's dtype, and so are all others, or in float32 beside a half precision."""
    dtype = record["dtype"]
    own = {name: tensor.get("dtype", dtype) for name, tensor in record["inputs"].items()}
    others = {own[name] for name in own if name not in IN_LAYOUT}
    if len(others) > 1 or not others <= {dtype, PRECISIONS[dtype].working.name}:
        refuse(where, f"dtypes of inputs: all but x and dy must be {dtype}, or float32 beside it")
    if any(own[name] != dtype for name in IN_LAYOUT & set(own)):
        refuse(where, f"dtypes of inputs: x and dy must be {dtype}, as the case is")


def _check_positions(positions: list[Any], output: str, size: int, where: str) -> None:
    if not positions or not all(type(p) is int and 0 <= p < size for p in positions):
        refuse(where, f"positions must be flat indices of {output}, from 0 to {size - 1}")
    if len(set(positions)) != len(positions):
        refuse(where, "positions: an index stands twice")


def _check_attributes(operation: str, attributes: Mapping[str, Any], where: str) -> None:
    for name in attributes:
        if operation not in _BELONGS_TO.get(name, (operation,)):
            refuse(where, f"{name} is nothing that operation {operation} has")
    for name in _NEEDED.get(operation, ()):
        if name not in attributes:
            refuse(where, f"{name} is missing: {operation} needs it")
    if operation == "update":
        batches, rates = attributes["batches"], attributes["rates"]
        whole = all(type(size) is int and size >= 0 for size in batches)
        if not whole or not batches or len(rates) != len(batches):
            refuse(where, "batches and rates must be as many, and batches whole numbers")
        if not all(type(rate) in (int, float) and 0 <= rate <= 1 for rate in rates):
            refuse(where, "rates must be numbers from 0 to 1")
    earlier = attributes.get("preceded_by")
    if earlier is not None and not (earlier and all(isinstance(name, str) for name in earlier)):
        refuse(where, "preceded_by must be a list of ids, one at least")


def _check_expected(
    expected: dict[str, Any],
    sizes: Mapping[str, int],
    formulas: Mapping[str, Named],
    where: str,
) -> None:
    if next(iter(expected), None) != "reference":
        refuse(where, "expected must begin with the reference")
    for key, record in expected.items():
        here = f"{where}: expected.{key[:200]}"
        if key != "reference" and key not in formulas:
            refuse(here, "the file's formulas do not define this key")
        check_fields(record, dict.fromkeys(sizes, dict), here)
        for name, pair in record.items():
            check_fields(pair, {"value": list, "scale": list}, f"{here}.{name}")
            for field, numbers in pair.items():
                if len(numbers) != sizes[name]:
                    refuse(
                        f"{here}.{name}.{field}",
                        f"has {len(numbers)} values, {sizes[name]} are needed",
                    )
                named = ("NaN",) if field == "value" else ("Infinity",)
                check_numbers(numbers, f"{here}.{name}.{field}", named)
            if min((scale for scale in pair["scale"] if type(scale) is not str), default=0) < 0:
                refuse(f"{here}.{name}.scale", "must not be negative")
