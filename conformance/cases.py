"""The frozen cases: read and checked. (`conformance.catalogue` makes them; `cases/README.md` defines the format.)"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from conformance.case import LAYER, LAYOUTS, MEMORY, NON_FINITE, Case, output_shapes, to_array
from conformance.errors import UserError
from conformance.formula import ACTIVATIONS
from conformance.generator import GENERATORS, RANGES, Deferred, Generator
from conformance.judge import ACCEPTABLE, INACCURATE, WRONG, Named
from conformance.operations import IN_LAYOUT, OPERATIONS
from conformance.precision import PRECISIONS

SCHEMA = "batchnorm-conformance/cases/1"
_SMALL = 2**16  # numbers; a larger tensor is generated when it is needed
LARGEST_INPUT = 2**26  # numbers; a file that asks for more is refused before anything is allocated

_INTEGERS = ("int32", "int64")
_ENVELOPE = {
    "schema": str,
    "generator_version": str,
    "family": str,
    "description": str,
    "number_of_cases": int,
    "notes": dict,
    "formulas": dict,
    "cases": list,
}
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


def cases_folder() -> Path:
    """Where the frozen cases lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    packaged = package / "_cases"
    return packaged if packaged.is_dir() else package.parent / "cases"


def case_files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.glob("*.json") if path.name != "schema.json")
    if not files:
        raise UserError(f"{folder}: no case files (*.json) here; name a folder that holds them")
    return files


def cases_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all case files."""
    total = hashlib.sha256()
    for path in case_files(folder):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def load_cases(folder: Path, patterns: Sequence[str] = ()) -> dict[str, Case]:
    """All cases of a folder by id, or those that match any of the globs.

    Raises UserError for a file that cannot be read or breaks the format, and for a glob that
    matches no case.
    """
    cases: dict[str, Case] = {}
    for path in case_files(folder):
        for case in read_family(path):
            cases[case.id] = case
    for case in cases.values():
        for name in case.attributes.get("preceded_by", ()):
            if name not in cases:
                _refuse(f"{folder}: case {case.id}", f"is preceded by {name}, which does not exist")
    return select(cases, patterns)


def select(cases: Mapping[str, Case], patterns: Iterable[str]) -> dict[str, Case]:
    patterns = tuple(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in cases):
            raise UserError(
                f"--case {pattern}: matches no case; `bnconf cases list` names all {len(cases)}"
            )
    if not patterns:
        return dict(cases)
    return {k: c for k, c in cases.items() if any(fnmatchcase(k, p) for p in patterns)}


def read_family(path: Path) -> list[Case]:
    """The cases of one file, checked. Raises UserError naming the file, the case and the field."""
    envelope = _parse(path)
    where = str(path)
    _check_fields(envelope, _ENVELOPE, where)
    if envelope["schema"] != SCHEMA:
        _refuse(where, f"schema is {envelope['schema']!r}, this version reads {SCHEMA!r}")
    if envelope["number_of_cases"] != len(envelope["cases"]):
        _refuse(
            where,
            f"number_of_cases is {envelope['number_of_cases']}, "
            f"the file holds {len(envelope['cases'])}",
        )
    if envelope["family"] != path.stem:
        _refuse(where, f"family is {envelope['family']!r}, the file's name says {path.stem!r}")
    formulas = _read_formulas(envelope["formulas"], where)
    notes = _read_notes(envelope["notes"], where)
    cases: list[Case] = []
    seen: set[str] = set()
    for index, record in enumerate(envelope["cases"]):
        name = record.get("id") if isinstance(record, dict) else None
        here = f"{where}: case {name if isinstance(name, str) else f'number {index + 1}'}"
        case = _read_case(record, envelope["family"], formulas, notes, here)
        if case.id in seen:
            _refuse(here, "the id stands twice")
        seen.add(case.id)
        cases.append(case)
    return cases


def _parse(path: Path) -> dict[str, Any]:
    try:
        envelope = json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_no_constant,
        )
    except OSError as error:
        _refuse(str(path), f"cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        _refuse(str(path), f"not a JSON file of cases: {error}")
    if not isinstance(envelope, dict):
        _refuse(str(path), "not a JSON object")
    return envelope


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return record


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f'{text} is not JSON; non-finite numbers are written as "{text}"')


def _read_formulas(records: dict[str, Any], where: str) -> dict[str, Named]:
    formulas = {}
    for key, record in records.items():
        here = f"{where}: formulas.{key}"
        _check_fields(record, {"name": str, "verdict": str, "meaning": str}, here)
        if record["verdict"] not in ACCEPTABLE | {INACCURATE, WRONG}:
            _refuse(here, f"unknown verdict {record['verdict']!r}")
        formulas[key] = Named(key, record["name"], record["verdict"], record["meaning"])
    return formulas


def _read_notes(records: dict[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """The policies that each flag makes acceptable."""
    notes = {}
    for flag, record in records.items():
        here = f"{where}: notes.{flag}"
        _check_fields(record, {"effect": str, "policies": list, "links": list}, here)
        if not all(isinstance(text, str) for text in record["policies"] + record["links"]):
            _refuse(here, "policies and links must be lists of strings")
        notes[flag] = tuple(record["policies"])
    return notes


def _read_case(
    record: Any,
    family: str,
    formulas: Mapping[str, Named],
    notes: Mapping[str, tuple[str, ...]],
    where: str,
) -> Case:
    _check_fields(record, _CASE, where, optional=_ATTRIBUTES)
    if not record["id"].startswith(f"{family}/") or not record["id"].isprintable():
        _refuse(where, f"the id must start with {family}/ and be printable")
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
            _refuse(where, f"unknown {field} {record[field]!r}; known: {', '.join(known)}")
    if not abs(record["epsilon"]) <= PRECISIONS["float64"].largest:
        _refuse(where, "epsilon must be a finite number")
    for flag in record["flags"]:
        if not isinstance(flag, str) or flag not in notes:
            _refuse(where, f"unknown flag {flag!r}; the file's notes define {', '.join(notes)}")
    rejects = record["operation"] == "reject"
    operation = OPERATIONS[record.get("call", "train") if rejects else record["operation"]]
    if set(record["inputs"]) != set(operation.inputs):
        _refuse(where, f"inputs must be {', '.join(operation.inputs)}")
    inputs = {
        name: _read_tensor(record["inputs"][name], record["dtype"], f"{where}: inputs.{name}")
        for name in operation.inputs
    }
    attributes = {name: record[name] for name in _ATTRIBUTES if name in record}
    if rejects:
        if record["expected"]:
            _refuse(where, "a case to reject expects no values")
    else:
        _check_shapes(record, inputs, where)
        _check_attributes(record["operation"], inputs, attributes, where)
        shapes = output_shapes(record["operation"], inputs, record["layout"], attributes)
        sizes = {
            name: len(attributes["positions"])
            if name in IN_LAYOUT and "positions" in attributes
            else math.prod(shape)
            for name, shape in shapes.items()
        }
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


def _check_shapes(
    record: dict[str, Any], inputs: Mapping[str, np.ndarray | Deferred], where: str
) -> None:
    """Every tensor fits the layout and the number of channels."""
    layout, x = record["layout"], inputs["x"]
    if x.ndim != len(layout):
        _refuse(where, f"inputs.x has rank {x.ndim}, layout {layout} needs another")
    channels = x.shape[layout.index("C")]
    if not channels:
        _refuse(where, "inputs.x has no channels")
    if "w" in inputs:
        if inputs["w"].ndim != 2 or inputs["w"].shape[0] != channels:
            _refuse(where, f"inputs.w has shape {list(inputs['w'].shape)}, x {list(x.shape)}")
        channels = inputs["w"].shape[1]
    for name, tensor in inputs.items():
        due = x.shape if name in IN_LAYOUT else (channels,)
        if name != "w" and tensor.shape != due:
            _refuse(where, f"inputs.{name} has shape {list(tensor.shape)}, not {list(due)}")


def _check_attributes(
    operation: str,
    inputs: Mapping[str, np.ndarray | Deferred],
    attributes: Mapping[str, Any],
    where: str,
) -> None:
    x = inputs["x"]
    if "positions" in attributes:
        positions = attributes["positions"]
        if not positions or not all(type(p) is int and 0 <= p < x.size for p in positions):
            _refuse(where, f"positions must be flat indices of x, from 0 to {x.size - 1}")
    if (operation == "update") != ("batches" in attributes and "rates" in attributes):
        _refuse(where, "an update, and nothing else, needs batches and rates")
    if (operation == "dense") != ("activation" in attributes):
        _refuse(where, "a dense, and nothing else, needs an activation")
    if operation == "update":
        batches, rates = attributes["batches"], attributes["rates"]
        whole = all(type(size) is int and size >= 0 for size in batches)
        if not whole or not batches or sum(batches) != x.shape[0] or len(rates) != len(batches):
            _refuse(where, f"batches and rates must be as many, and add up to {x.shape[0]} rows")
        if not all(type(rate) in (int, float) and 0 <= rate <= 1 for rate in rates):
            _refuse(where, "rates must be numbers from 0 to 1")
    if not all(isinstance(name, str) for name in attributes.get("preceded_by", ())):
        _refuse(where, "preceded_by must be a list of ids")


def _read_tensor(record: Any, dtype: str, where: str) -> np.ndarray | Deferred:
    _check_fields(
        record,
        {"shape": list},
        where,
        optional={"values": list, "generator": dict, "sha256": str, "dtype": str},
    )
    dtype = record.get("dtype", dtype)
    if dtype not in PRECISIONS and dtype not in _INTEGERS:
        _refuse(where, f"unknown dtype {dtype!r}")
    shape = record["shape"]
    if not all(type(size) is int and size >= 0 for size in shape):
        _refuse(where, f"shape {shape} must be a list of whole numbers")
    if len(shape) > max(map(len, LAYOUTS)):
        _refuse(where, f"has rank {len(shape)}, no layout has that many axes")
    count = math.prod(shape)
    if max([count, *shape]) > LARGEST_INPUT:
        _refuse(where, f"shape {shape} asks for too much, at most {LARGEST_INPUT} numbers are read")
    if ("values" in record) == ("generator" in record) or ("values" in record) == (
        "sha256" in record
    ):
        _refuse(where, "needs either values or a generator with sha256")
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
        _refuse(where, f"has {len(record['values'])} values, shape {shape} needs {count}")
    _check_numbers(record["values"], where)
    numbers = to_array(record["values"])
    with np.errstate(over="ignore"):
        tensor = numbers.astype(target)
    if not np.array_equal(tensor.astype(np.float64), numbers, equal_nan=True):
        _refuse(where, f"holds numbers that {dtype} cannot represent")
    tensor = tensor.reshape(shape)
    tensor.flags.writeable = False
    return tensor


def _generator(record: dict[str, Any], where: str) -> Generator:
    name = record.get("name")
    if name not in GENERATORS:
        _refuse(where, f"unknown generator {name!r}; known: {', '.join(GENERATORS)}")
    kind = GENERATORS[name]
    required = {field.name: int for field in fields(kind) if field.default is MISSING}
    optional = {field.name: int for field in fields(kind) if field.default is not MISSING}
    _check_fields(record, {"name": str, **required}, f"{where}.generator", optional=optional)
    arguments = {key: value for key, value in record.items() if key != "name"}
    for key, value in arguments.items():
        low, high = RANGES[key]
        if not low <= value <= high:
            _refuse(where, f"generator: {key} is {value}, not from {low} to {high}")
    return kind(**arguments)


def _check_expected(
    expected: dict[str, Any],
    sizes: Mapping[str, int],
    formulas: Mapping[str, Named],
    where: str,
) -> None:
    if next(iter(expected), None) != "reference":
        _refuse(where, "expected must begin with the reference")
    for key, record in expected.items():
        here = f"{where}: expected.{key}"
        if key != "reference" and key not in formulas:
            _refuse(here, "the file's formulas do not define this key")
        _check_fields(record, dict.fromkeys(sizes, dict), here)
        for name, pair in record.items():
            _check_fields(pair, {"value": list, "scale": list}, f"{here}.{name}")
            for field, numbers in pair.items():
                if len(numbers) != sizes[name]:
                    _refuse(
                        f"{here}.{name}.{field}",
                        f"has {len(numbers)} values, {sizes[name]} are needed",
                    )
                _check_numbers(numbers, f"{here}.{name}.{field}")
            scales = [scale for scale in pair["scale"] if scale != "Infinity"]
            if not set(map(type, scales)) <= {int, float} or min(scales, default=0) < 0:
                _refuse(f"{here}.{name}.scale", "must not be negative or NaN")


def _check_fields(
    record: Any,
    required: Mapping[str, Any],
    where: str,
    *,
    optional: Mapping[str, Any] | None = None,
) -> None:
    """Every required field is there, no unknown one, each of its type."""
    if not isinstance(record, dict):
        _refuse(where, "must be an object")
    for name in required:
        if name not in record:
            _refuse(where, f"{name} is missing")
    known = {**required, **(optional or {})}
    for name, content in record.items():
        kind = known.get(name)
        if kind is None:
            _refuse(where, f"unknown field {name!r}")
        if not isinstance(content, kind) or isinstance(content, bool):
            _refuse(where, f"{name} is of the wrong type ({type(content).__name__})")


def _check_numbers(numbers: list[Any], where: str) -> None:
    kinds = set(map(type, numbers))
    if not kinds <= {int, float, str}:
        _refuse(where, "must be a flat list of numbers")
    if kinds <= {float}:
        if numbers and math.isinf(max(numbers) - min(numbers)):
            _refuse(where, "holds a number that binary64 cannot represent")
        return
    for number in numbers:
        if type(number) is str and number not in NON_FINITE:
            _refuse(where, f'{number!r} is not a number; known: "NaN", "Infinity", "-Infinity"')
        if type(number) is not str and not abs(number) < 2**1023:
            _refuse(where, "holds a number that binary64 cannot represent")


def _refuse(where: str, what: str) -> NoReturn:
    raise UserError(" ".join(f"{where}: {what}".splitlines()))
