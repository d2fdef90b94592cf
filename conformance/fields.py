"""Checks of parsed JSON: what is wrong, and where, in one line."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from conformance.case import NON_FINITE
from conformance.errors import UserError
from conformance.files import read_text
from conformance.text import shown

LARGEST_FILE = 2**24  # bytes; what JSON makes of them in memory is up to thirty times as much


def parse(path: Path) -> dict[str, Any]:
    """The object that a JSON file of cases holds. Raises UserError."""
    text = read_text(path, LARGEST_FILE, "a JSON file of cases")
    try:
        envelope = decode(text)
    except (ValueError, RecursionError) as error:
        refuse(str(path), f"not a JSON file of cases: {error}; take the file anew")
    if not isinstance(envelope, dict):
        refuse(str(path), "not a JSON object")
    return envelope


def decode(text: str) -> Any:
    """What JSON says, and nothing that two readers may take differently.

    Raises ValueError for a key that stands twice in an object and for NaN and Infinity, and
    RecursionError for what is nested too deeply.
    """
    return json.loads(
        text, object_pairs_hook=_object_without_duplicates, parse_constant=_no_constant
    )


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(twice)} stands twice in one object")
    return record


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f'{text} is not JSON; non-finite numbers are written as "{text}"')


def check_fields(
    record: Any,
    required: Mapping[str, Any],
    where: str,
    *,
    optional: Mapping[str, Any] | None = None,
) -> None:
    """Every required field is there, no unknown one, each of its type, a text of one printable line."""
    if not isinstance(record, dict):
        refuse(where, "must be an object")
    for name in required:
        if name not in record:
            refuse(where, f"{name} is missing")
    known = {**required, **(optional or {})}
    for name, content in record.items():
        kind = known.get(name)
        if kind is None:
            refuse(where, f"unknown field {shown(name)}")
        if not isinstance(content, kind) or isinstance(content, bool):
            refuse(where, f"{name} is of the wrong type ({type(content).__name__})")
        if isinstance(content, str) and not (content and content.isprintable()):
            refuse(where, f"the {name} must be one line of printable characters, and not empty")


def check_numbers(numbers: list[Any], where: str, named: Iterable[str] = NON_FINITE) -> None:
    """Numbers of binary64, or those names of what is not finite that may stand here."""
    kinds = set(map(type, numbers))
    if not kinds <= {int, float, str}:
        refuse(where, "must be a flat list of numbers")
    if kinds <= {float}:
        if numbers and (math.isinf(max(numbers)) or math.isinf(min(numbers))):
            refuse(where, "holds a number that binary64 cannot represent")
        return
    for number in numbers:
        if type(number) is str and number not in named:
            names = ", ".join(f'"{name}"' for name in named)
            refuse(where, f"{shown(number)} is not a number that may stand here; known: {names}")
        if type(number) is not str and not abs(number) <= sys.float_info.max:
            refuse(where, "holds a number that binary64 cannot represent")


def refuse(where: str, what: str) -> NoReturn:
    raise UserError(f"{where}: {what}")
