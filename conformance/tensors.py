"""Tensors of the case files: read and checked."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from typing import Any

import numpy as np

from conformance.case import LAYOUTS, to_array
from conformance.fields import check_fields, check_numbers, refuse
from conformance.generator import (
    GENERATORS,
    LARGEST_WHOLE,
    RANGES,
    Deferred,
    Generator,
    exactly,
)
from conformance.precision import PRECISIONS
from conformance.text import shown

_SMALL = 2**16  # numbers; a larger tensor is generated when it is needed
LARGEST_INPUT = 2**26  # numbers; a file that asks for more is refused before anything is allocated

_INTEGERS = ("int32", "int64")


def read_tensor(record: Any, dtype: str, where: str) -> np.ndarray | Deferred:
    check_fields(
        record,
        {"shape": list},
        where,
        optional={"values": list, "generator": dict, "sha256": str, "dtype": str},
    )
    dtype = record.get("dtype", dtype)
    if dtype not in PRECISIONS and dtype not in _INTEGERS:
        refuse(where, f"unknown dtype {shown(dtype)}")
    shape = record["shape"]
    if not all(type(size) is int and size >= 0 for size in shape):
        refuse(where, f"shape {shown(shape)} must be a list of whole numbers")
    if len(shape) > max(map(len, LAYOUTS)):
        refuse(where, f"has rank {len(shape)}, no layout has that many axes")
    count = math.prod(shape)
    if max([count, *shape]) > LARGEST_INPUT:
        refuse(
            where,
            f"shape {shown(shape)} asks for too much, at most {LARGEST_INPUT} numbers are read",
        )
    if ("values" in record) == ("generator" in record) or ("values" in record) == (
        "sha256" in record
    ):
        refuse(where, "needs either values or a generator with sha256")
    target = PRECISIONS[dtype].dtype if dtype in PRECISIONS else np.dtype(dtype)
    if "generator" in record:
        deferred = Deferred(
            _generator(record["generator"], where), tuple(shape), target, record["sha256"], where
        )
        if count > _SMALL:
            return deferred
        tensor = np.asarray(deferred)
        tensor.flags.writeable = False
        return tensor
    if len(record["values"]) != count:
        refuse(where, f"has {len(record['values'])} values, shape {shape} needs {count}")
    check_numbers(record["values"], where)
    numbers = to_array(record["values"])
    exact = exactly(numbers, target)
    if exact is None:
        refuse(where, f"holds numbers that {dtype} cannot represent")
    tensor = exact.reshape(shape)
    tensor.flags.writeable = False
    return tensor


def _generator(record: dict[str, Any], where: str) -> Generator:
    name = record.get("name")
    if not isinstance(name, str) or name not in GENERATORS:
        refuse(where, f"unknown generator {shown(name)}; known: {', '.join(GENERATORS)}")
    kind = GENERATORS[name]
    required = {field.name: int for field in fields(kind) if field.default is MISSING}
    optional = {field.name: int for field in fields(kind) if field.default is not MISSING}
    check_fields(record, {"name": str, **required}, f"{where}.generator", optional=optional)
    arguments = {key: value for key, value in record.items() if key != "name"}
    for key, value in arguments.items():
        low, high = RANGES[key]
        if not low <= value <= high:
            refuse(where, f"generator: {key} is {shown(value)}, not from {low} to {high}")
    generator = kind(**arguments)
    if generator.largest > LARGEST_WHOLE:
        refuse(where, "generator: makes whole numbers above 2^53, which binary64 does not all have")
    return generator
