"""The frozen cases: read and checked. (`conformance.catalogue` makes them; `cases/README.md` defines the format.)"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.case_record import NAME, read_case
from conformance.errors import UserError
from conformance.fields import LARGEST_FILE, check_fields, parse, refuse
from conformance.files import read_bytes
from conformance.judge import CONVENTION, INACCURATE, POLICY, WRONG, Named
from conformance.text import shown

SCHEMA = "batchnorm-conformance/cases/1"
MOST_NUMBERS = 2**28
"""In the inputs of one file, with those that are made when they are needed."""
MOST_HELD = 2**24
"""Of them, in the arrays that are made at once."""

_FORMULA = re.compile(r"[a-z0-9.-]{1,200}")
_FAMILY = re.compile(r"[a-z0-9-]{1,100}")

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


def cases_folder() -> Path:
    """Where the frozen cases lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    packaged = package / "_cases"
    return packaged if packaged.is_dir() else package.parent / "cases"


def case_files(folder: Path) -> list[Path]:
    """The case files of a folder, in order. Raises UserError for none, and for a link out of it."""
    files = sorted(path for path in folder.glob("*.json") if path.name != "schema.json")
    if not files:
        raise UserError(f"{folder}: no case files (*.json) here; name a folder that holds them")
    home = os.path.realpath(folder)
    for path in files:
        if os.path.dirname(os.path.realpath(path)) != home:
            refuse(str(path), "is a link out of the folder; put the file itself there")
    return files


def cases_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all case files."""
    total = hashlib.sha256()
    for path in case_files(folder):
        content = hashlib.sha256(read_bytes(path, LARGEST_FILE)).digest()
        total.update(os.fsencode(path.name) + b"\0" + content)
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
                where = f"{folder / case.family}.json: case {case.id}"
                refuse(where, f"is preceded by {shown(name)}, which does not exist")
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
        refuse(where, f"schema is {shown(envelope['schema'])}, this version reads {SCHEMA!r}")
    if envelope["number_of_cases"] != len(envelope["cases"]):
        refuse(
            where,
            f"number_of_cases is {shown(envelope['number_of_cases'])}, "
            f"the file holds {len(envelope['cases'])}",
        )
    if not envelope["cases"]:
        refuse(where, "holds no cases")
    if envelope["family"] != family:
        refuse(where, f"family is {shown(envelope['family'])}, the file's name says {family!r}")
    if not _FAMILY.fullmatch(envelope["family"]):
        refuse(where, "the family's name must be of a-z, 0-9 and -")
    formulas = _read_formulas(envelope["formulas"], where)
    notes = _read_notes(envelope["notes"], where)
    cases: list[Case] = []
    seen: set[str] = set()
    numbers = held = 0
    for index, record in enumerate(envelope["cases"]):
        name = record.get("id") if isinstance(record, dict) else None
        here = f"{where}: case {name[:200] if isinstance(name, str) else f'number {index + 1}'}"
        case = read_case(record, envelope["family"], formulas, notes, here)
        if case.id in seen:
            refuse(here, "the id stands twice")
        seen.add(case.id)
        numbers += sum(tensor.size for tensor in case.inputs.values())
        held += sum(t.size for t in case.inputs.values() if isinstance(t, np.ndarray))
        if numbers > MOST_NUMBERS or held > MOST_HELD:
            refuse(here, f"no more than {MOST_NUMBERS} numbers go into a file; split it")
        cases.append(case)
    return cases


def _read_formulas(records: dict[str, Any], where: str) -> dict[str, Named]:
    formulas = {}
    for key, record in records.items():
        here = f"{where}: formulas.{key[:200]}"
        check_fields(record, {"name": str, "verdict": str, "meaning": str}, here)
        if key == "reference" or not NAME.fullmatch(key):
            refuse(here, "a formula's key must be of letters, digits and . + -, and not reference")
        if not _FORMULA.fullmatch(record["name"]):
            refuse(here, "a formula's name must be of a-z, digits and . -")
        if record["verdict"] not in (CONVENTION, POLICY, INACCURATE, WRONG):
            refuse(here, f"unknown verdict {shown(record['verdict'])}")
        formulas[key] = Named(key, record["name"], record["verdict"], record["meaning"])
    return formulas


def _read_notes(records: dict[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """The policies that each flag makes acceptable."""
    notes = {}
    for flag, record in records.items():
        here = f"{where}: notes.{flag[:200]}"
        if not NAME.fullmatch(flag):
            refuse(here, "a flag must be of letters, digits and . + -")
        check_fields(record, {"effect": str, "policies": list, "links": list}, here)
        policies, links = record["policies"], record["links"]
        if not all(isinstance(text, str) and text.isprintable() for text in policies + links):
            refuse(here, "policies and links must be lists of printable strings")
        if not links or not all(link.startswith("https://") for link in links):
            refuse(here, "links must be https addresses, one at least")
        if len(set(policies)) != len(policies):
            refuse(here, "a policy stands twice")
        for policy in set(record["policies"]) - {"raises", "nan"}:
            refuse(here, f"unknown policy {shown(policy)}; known: raises, nan")
        notes[flag] = tuple(record["policies"])
    return notes
