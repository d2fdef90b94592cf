"""A case as short tables that a person can read: what goes in, what is due, and where formulas differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.generator import Deferred
from conformance.judge import Expectation, denominator, limit
from conformance.operations import IN_LAYOUT
from conformance.text import one_line

_ROWS, _COLUMNS = 5, 6
_DIGITS = {"float16": 5, "bfloat16": 4, "float32": 8, "float64": 10}


def tables(case: Case, seen: Collection[tuple[str, str]]) -> dict[str, Any]:
    """The tables of one case. `seen` holds the (name, meaning) of the formulas that explained answers."""
    question = case.question
    reference = question.expected.get("reference", {})
    return {
        "layout": case.layout,
        "epsilon": f"{case.epsilon:g}",
        "flags": list(case.flags),
        "attributes": [
            [name.replace("_", " "), _attribute(value)]
            for name, value in case.attributes.items()
            if name != "positions"
        ],
        "limit": 0.0 if question.rejects else limit(question.values_per_channel),
        "inputs": [_input(case, name) for name in case.inputs],
        "expected": [_expected(case, name, e) for name, e in reference.items()],
        "formulas": [
            row for key in question.expected if (row := _formula(case, key, seen)) is not None
        ],
    }


def _attribute(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return one_line(str(value))
    shown = ", ".join(one_line(f"{v:g}" if isinstance(v, float) else str(v)) for v in value[:12])
    return shown + (f" and {len(value) - 12} more" if len(value) > 12 else "")


def _input(case: Case, name: str) -> list[Any]:
    """[name, shape, rows]: rows of numbers over the channels."""
    tensor = case.inputs[name]
    fits = name in IN_LAYOUT and len(tensor.shape) == len(case.layout)
    rows = _corner(tensor.shape, case.channel_axis if fits else -1)
    return [name, list(tensor.shape), _text(rows, lambda at: _element(tensor, at), case.dtype)]


def _corner(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Flat indices of the first elements: rows over the axis of channels."""
    if not shape or 0 in shape:
        return np.zeros((int(not shape), int(not shape)), dtype=np.int64)
    axis %= len(shape)
    places, channels = shape[:axis] + shape[axis + 1 :], shape[axis]
    rows = []
    for row in range(min(_ROWS, math.prod(places))):
        place = np.unravel_index(row, places) if places else ()
        shown = np.arange(min(channels, _COLUMNS))
        rows.append(np.ravel_multi_index((*place[:axis], shown, *place[axis:]), shape))
    return np.array(rows)


def _element(tensor: np.ndarray | Deferred, at: int) -> float:
    if isinstance(tensor, Deferred):
        return float(tensor.generator.values(1, at)[0])
    return float(tensor.reshape(-1)[at])


def _text(rows: np.ndarray, value: Callable[[int], float], dtype: str) -> list[str]:
    digits = _DIGITS[dtype]
    return [" ".join(f"{value(int(at)):.{digits}g}" for at in row) for row in rows]


def _expected(case: Case, name: str, expectation: Expectation) -> list[Any]:
    """[name, shape, rows, smallest and largest error that a ratio of 1 stands for, positions]."""
    values = expectation.value
    shape = case.question.shapes[name]
    sampled = name in IN_LAYOUT and case.positions is not None
    in_layout = name in IN_LAYOUT and not sampled and case.operation != "dense"
    rows = _corner(values.shape, case.channel_axis if in_layout else -1)
    flat = values.reshape(-1)
    bound = denominator(expectation, case.question.precision_of(name))
    bound = bound[np.isfinite(bound) & np.isfinite(values)]
    return [
        name,
        list(shape),
        _text(rows, lambda at: flat[at], case.dtype),
        [float(bound.min()), float(bound.max())] if bound.size else [],
        list(case.positions or ())[:_COLUMNS] if sampled else [],
    ]


def _formula(case: Case, key: str, seen: Collection[tuple[str, str]]) -> list[Any] | None:
    """Where a formula that explained an answer leads furthest from the reference, in units of its bound.

    That is by its value or, where it is the reference in exact arithmetic, by what rounding does to it.
    [name, verdict, meaning, output, index, the reference's value and the formula's, the bound of each]
    """
    question = case.question
    named = question.formulas.get(key)
    if named is None or (named.name, named.meaning) not in seen:
        return None
    furthest, found = -1.0, None
    for output, expectation in question.expected[key].items():
        reference = question.expected["reference"][output]
        precision = question.precision_of(output)
        due, given = reference.value.reshape(-1), expectation.value.reshape(-1)
        bounds = [denominator(e, precision).reshape(-1) for e in (reference, expectation)]
        with np.errstate(invalid="ignore", over="ignore"):
            away = (np.abs(given - due) + bounds[1]) / bounds[0]
        away = np.where(np.isnan(due), -1.0, np.nan_to_num(away, nan=np.inf))
        at = int(away.argmax()) if away.size else 0
        if away.size and away[at] > furthest:
            furthest = float(away[at])
            place = _place(case, output, at, expectation.value.shape)
            texts = [f"{value[at]:.{_DIGITS[case.dtype]}g}" for value in (due, given)]
            found = [output, place, *texts, *(float(bound[at]) for bound in bounds)]
    return found and [named.name, named.verdict, named.meaning, *found]


def _place(case: Case, output: str, at: int, checked: tuple[int, ...]) -> str:
    """The index of an element, as NumPy writes it."""
    shape = checked
    if output in IN_LAYOUT and case.positions is not None:
        at, shape = case.positions[at], case.question.shapes[output]
    return f"[{', '.join(str(int(i)) for i in np.unravel_index(at, shape))}]"
