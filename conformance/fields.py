"""Checks of parsed JSON: what is wrong, and where, in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from conformance.case import NON_FINITE
from conformance.errors import UserError


def parse(path: Path) -> dict[str, Any]:
    """The object that a JSON file of cases holds. Raises UserError."""
    try:
        envelope = loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        refuse(str(path), f"cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        refuse(str(path), f"not a JSON file of cases: {error}")
    if not isinstance(envelope, dict):
        refuse(str(path), "not a JSON object")
    return envelope


def loads(text: str) -> Any:
    """What the text holds. Raises ValueError or RecursionError for what is not JSON, or ambiguous."""
    return json.loads(
        text, object_pairs_hook=_object_without_duplicates, parse_constant=_no_constant
    )


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
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
    """Every required field is there, no unknown one, each of its type."""
    if not isinstance(record, dict):
        refuse(where, "must be an object")
    for name in required:
        if name not in record:
            refuse(where, f"{name} is missing")
    known = {**required, **(optional or {})}
    for name, content in record.items():
        kind = known.get(name)
        if kind is None:
            refuse(where, f"unknown field {name!r}")
        if not isinstance(content, kind) or isinstance(content, bool):
            refuse(where, f"{name} is of the wrong type ({type(content).__name__})")


def check_numbers(numbers: list[Any], where: str) -> None:
    kinds = set(map(type, numbers))
    if not kinds <= {int, float, str}:
        refuse(where, "must be a flat list of numbers")
    if kinds <= {float}:
        if numbers and math.isinf(max(numbers) - min(numbers)):
            refuse(where, "holds a number that binary64 cannot represent")
        return
    for number in numbers:
        if type(number) is str and number not in NON_FINITE:
            refuse(where, f'{number!r} is not a number; known: "NaN", "Infinity", "-Infinity"')
        if type(number) is not str and not abs(number) < 2**1023:
            refuse(where, "holds a number that binary64 cannot represent")


def refuse(where: str, what: str) -> NoReturn:
    raise UserError(" ".join(f"{where}: {what}".splitlines()))
