"""The frozen cases: read and checked. (`conformance.catalogue` makes them; `cases/README.md` defines the format.)"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import LAYER, LAYOUTS, MEMORY, Case, output_shapes
from conformance.errors import UserError
from conformance.fields import check_fields, check_numbers, parse, refuse
from conformance.formula import ACTIVATIONS
from conformance.generator import Deferred
from conformance.judge import ACCEPTABLE, INACCURATE, WRONG, Named
from conformance.operations import IN_LAYOUT, OPERATIONS
from conformance.precision import PRECISIONS
from conformance.tensors import read_tensor

SCHEMA = "batchnorm-conformance/cases/1"

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
                refuse(f"{folder}: case {case.id}", f"is preceded by {name}, which does not exist")
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
    return read_envelope(parse(path), str(path), path.stem)


def read_envelope(envelope: Mapping[str, Any], where: str, family: str) -> list[Case]:
    """The cases of a file's object; its family must be the one that the file is named for."""
    check_fields(envelope, _ENVELOPE, where)
    if envelope["schema"] != SCHEMA:
        refuse(where, f"schema is {envelope['schema']!r}, this version reads {SCHEMA!r}")
    if envelope["number_of_cases"] != len(envelope["cases"]):
        refuse(
            where,
            f"number_of_cases is {envelope['number_of_cases']}, "
            f"the file holds {len(envelope['cases'])}",
        )
    if envelope["family"] != family:
        refuse(where, f"family is {envelope['family']!r}, the file's name says {family!r}")
    formulas = _read_formulas(envelope["formulas"], where)
    notes = _read_notes(envelope["notes"], where)
    cases: list[Case] = []
    seen: set[str] = set()
    for index, record in enumerate(envelope["cases"]):
        name = record.get("id") if isinstance(record, dict) else None
        here = f"{where}: case {name if isinstance(name, str) else f'number {index + 1}'}"
        case = _read_case(record, envelope["family"], formulas, notes, here)
        if case.id in seen:
            refuse(here, "the id stands twice")
        seen.add(case.id)
        cases.append(case)
    return cases


def _read_formulas(records: dict[str, Any], where: str) -> dict[str, Named]:
    formulas = {}
    for key, record in records.items():
        here = f"{where}: formulas.{key}"
        check_fields(record, {"name": str, "verdict": str, "meaning": str}, here)
        if record["verdict"] not in ACCEPTABLE | {INACCURATE, WRONG}:
            refuse(here, f"unknown verdict {record['verdict']!r}")
        formulas[key] = Named(key, record["name"], record["verdict"], record["meaning"])
    return formulas


def _read_notes(records: dict[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """The policies that each flag makes acceptable."""
    notes = {}
    for flag, record in records.items():
        here = f"{where}: notes.{flag}"
        check_fields(record, {"effect": str, "policies": list, "links": list}, here)
        if not all(isinstance(text, str) for text in record["policies"] + record["links"]):
            refuse(here, "policies and links must be lists of strings")
        for policy in set(record["policies"]) - {"raises", "nan"}:
            refuse(here, f"unknown policy {policy!r}; known: raises, nan")
        notes[flag] = tuple(record["policies"])
    return notes


def _read_case(
    record: Any,
    family: str,
    formulas: Mapping[str, Named],
    notes: Mapping[str, tuple[str, ...]],
    where: str,
) -> Case:
    check_fields(record, _CASE, where, optional=_ATTRIBUTES)
    if not record["id"].startswith(f"{family}/") or not record["id"].isprintable():
        refuse(where, f"the id must start with {family}/ and be printable")
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
            refuse(where, f"unknown {field} {record[field]!r}; known: {', '.join(known)}")
    if not abs(record["epsilon"]) <= PRECISIONS["float64"].largest:
        refuse(where, "epsilon must be a finite number")
    for flag in record["flags"]:
        if not isinstance(flag, str) or flag not in notes:
            refuse(where, f"unknown flag {flag!r}; the file's notes define {', '.join(notes)}")
    rejects = record["operation"] == "reject"
    operation = OPERATIONS[record.get("call", "train") if rejects else record["operation"]]
    if set(record["inputs"]) != set(operation.inputs):
        refuse(where, f"inputs must be {', '.join(operation.inputs)}")
    inputs = {
        name: read_tensor(record["inputs"][name], record["dtype"], f"{where}: inputs.{name}")
        for name in operation.inputs
    }
    attributes = {name: record[name] for name in _ATTRIBUTES if name in record}
    if rejects:
        if record["expected"]:
            refuse(where, "a case to reject expects no values")
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
        refuse(where, f"inputs.x has rank {x.ndim}, layout {layout} needs another")
    channels = x.shape[layout.index("C")]
    if not channels:
        refuse(where, "inputs.x has no channels")
    if "w" in inputs:
        if inputs["w"].ndim != 2 or inputs["w"].shape[0] != channels:
            refuse(where, f"inputs.w has shape {list(inputs['w'].shape)}, x {list(x.shape)}")
        channels = inputs["w"].shape[1]
    for name, tensor in inputs.items():
        due = x.shape if name in IN_LAYOUT else (channels,)
        if name != "w" and tensor.shape != due:
            refuse(where, f"inputs.{name} has shape {list(tensor.shape)}, not {list(due)}")


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
            refuse(where, f"positions must be flat indices of x, from 0 to {x.size - 1}")
    if (operation == "update") != ("batches" in attributes and "rates" in attributes):
        refuse(where, "an update, and nothing else, needs batches and rates")
    if (operation == "dense") != ("activation" in attributes):
        refuse(where, "a dense, and nothing else, needs an activation")
    if operation == "update":
        batches, rates = attributes["batches"], attributes["rates"]
        whole = all(type(size) is int and size >= 0 for size in batches)
        if not whole or not batches or sum(batches) != x.shape[0] or len(rates) != len(batches):
            refuse(where, f"batches and rates must be as many, and add up to {x.shape[0]} rows")
        if not all(type(rate) in (int, float) and 0 <= rate <= 1 for rate in rates):
            refuse(where, "rates must be numbers from 0 to 1")
    if not all(isinstance(name, str) for name in attributes.get("preceded_by", ())):
        refuse(where, "preceded_by must be a list of ids")


def _check_expected(
    expected: dict[str, Any],
    sizes: Mapping[str, int],
    formulas: Mapping[str, Named],
    where: str,
) -> None:
    if next(iter(expected), None) != "reference":
        refuse(where, "expected must begin with the reference")
    for key, record in expected.items():
        here = f"{where}: expected.{key}"
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
                check_numbers(numbers, f"{here}.{name}.{field}")
            scales = [scale for scale in pair["scale"] if scale != "Infinity"]
            if not set(map(type, scales)) <= {int, float} or min(scales, default=0) < 0:
                refuse(f"{here}.{name}.scale", "must not be negative or NaN")
