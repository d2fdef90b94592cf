"""Writes the case files from the catalogue, and certifies case files anew (needs python-flint)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import conformance
from conformance import certify, conventions, generator
from conformance.alternatives import ALTERNATIVES
from conformance.case import Case, to_numbers
from conformance.cases import SCHEMA, case_files, read_family
from conformance.catalogue import FAMILIES
from conformance.catalogue.draft import Draft, Family, rounded
from conformance.catalogue.flags import FLAGS, flags_of
from conformance.errors import UserError
from conformance.fields import parse
from conformance.generator import digest
from conformance.judge import Expectation
from conformance.operations import IN_LAYOUT
from conformance.precision import PRECISIONS
from conformance.text import one_line


class ProvesNothing(UserError):
    """Rounding alone may leave any value in an output of the case."""


_FORMULAS = {p.key: p for p in certify.FORMULAS} | {
    a.key: a for a in (*conventions.ALTERNATIVES, *ALTERNATIVES)
}


def build(folder: Path) -> dict[str, int]:
    """Write every family's file; the number of cases of each. Byte for byte repeatable."""
    counts = {}
    for family in FAMILIES:
        records = [record_of(family, draft) for draft in family.drafts()]
        text = text_of(envelope_of(family, records))
        (folder / f"{family.name}.json").write_text(text, encoding="utf-8")
        counts[family.name] = len(records)
    for path in case_files(folder):
        if path.stem not in counts:
            path.unlink()
    return counts


def verify(folder: Path) -> Iterator[tuple[Path, int, list[str]]]:
    """For each file: its path, its number of cases, and what is wrong with them.

    Every expected value and scale is computed again in balls from the file's own inputs, the
    flags from those, and the file is held against schema.json.
    """
    schema = parse(folder / "schema.json")
    for path in case_files(folder):
        cases = read_family(path)
        wrong = _schema_errors(schema, path)
        for case in cases:
            wrong += [f"case {case.id}: {text}" for text in _differences(case)]
        yield path, len(cases), wrong


def _schema_errors(schema: dict[str, Any], path: Path) -> list[str]:
    import jsonschema

    errors = jsonschema.Draft202012Validator(schema).iter_errors(parse(path))
    return [one_line(f"{error.json_path}: {error.message}", 400) for error in errors]


def _differences(case: Case) -> Iterator[str]:
    inputs = {name: np.asarray(array, dtype=np.float64) for name, array in case.inputs.items()}
    last = _channels_last(inputs, case.layout)
    expected = certify.expected(
        case.operation, PRECISIONS[case.dtype], last, case.epsilon, case.attributes, case.layout
    )
    record = _expected_record(expected, case.layout, case.positions)
    if list(record) != list(case.expected):
        yield f"expected holds {', '.join(case.expected)}; certified: {', '.join(record)}"
        return
    for key, outputs in record.items():
        for name, pair in outputs.items():
            for field, numbers in pair.items():
                if numbers != case.expected[key][name][field]:
                    yield f"expected.{key}.{name}.{field} is not the certified one"
    mixed = len({array.dtype for array in case.inputs.values()}) > 1
    flags = flags_of(case.operation, case.epsilon, last, expected, case.attributes, mixed)
    if flags != case.flags:
        yield f"flags are {list(case.flags)}; the numbers say {list(flags)}"


def record_of(family: Family, draft: Draft) -> dict[str, Any]:
    """One case as it stands in the file: certified. Raises ProvesNothing where that is so, and
    `balls.Uncertain` where a value could not be fixed."""
    inputs = {name: rounded(array, draft.dtype_of(name)) for name, array in draft.inputs.items()}
    last = _channels_last(inputs, draft.layout)
    expected = certify.expected(
        draft.operation,
        PRECISIONS[draft.dtype],
        last,
        draft.epsilon,
        draft.attributes,
        draft.layout,
    )
    reference = expected.get("reference", {}).values()
    if any((np.isinf(e.scale) & ~np.isnan(e.value)).any() for e in reference):
        raise ProvesNothing(
            f"{family.name}/{draft.name}: rounding may leave any value here; such a case proves "
            "nothing, choose other inputs"
        )
    flags = flags_of(
        draft.operation, draft.epsilon, last, expected, draft.attributes, bool(draft.dtypes)
    )
    return {
        "id": f"{family.name}/{draft.name}",
        "operation": draft.operation,
        "dtype": draft.dtype,
        "layout": draft.layout,
        "epsilon": draft.epsilon,
        "flags": list(flags),
        "comment": draft.comment,
        **draft.attributes,
        "inputs": {name: _tensor(draft, name, array) for name, array in inputs.items()},
        "expected": _expected_record(expected, draft.layout, draft.attributes.get("positions")),
    }


def _channels_last(inputs: Mapping[str, np.ndarray], layout: str) -> dict[str, np.ndarray]:
    return {
        name: np.moveaxis(array, layout.index("C"), -1)
        if name in IN_LAYOUT and array.ndim == len(layout)
        else array
        for name, array in inputs.items()
    }


def _expected_record(
    expected: Mapping[str, Mapping[str, Expectation]],
    layout: str,
    positions: Sequence[int] | None,
) -> dict[str, Any]:
    def flat(name: str, array: np.ndarray) -> list[Any]:
        if name in IN_LAYOUT and array.ndim == len(layout):
            array = np.moveaxis(array, -1, layout.index("C")).reshape(-1)
            array = array if positions is None else array[list(positions)]
        return to_numbers(array)

    return {
        key: {
            name: {"value": flat(name, e.value), "scale": flat(name, e.scale)}
            for name, e in outputs.items()
        }
        for key, outputs in expected.items()
    }


def _tensor(draft: Draft, name: str, array: np.ndarray) -> dict[str, Any]:
    dtype = draft.dtype_of(name)
    record: dict[str, Any] = {"shape": list(array.shape)}
    if name in draft.dtypes:
        record["dtype"] = dtype
    if name in draft.generated:
        record["generator"] = generator.record_of(draft.generated[name])
        record["sha256"] = digest(array.astype(PRECISIONS[dtype].dtype))
    else:
        record["values"] = to_numbers(array)
    return record


def envelope_of(family: Family, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The family's file: its records, and the notes and formulas that they name."""
    flags = {flag for record in records for flag in record["flags"]}
    keys = {key for record in records for key in record["expected"]}
    notes = {
        name: {"effect": f.effect, "policies": list(f.policies), "links": list(f.links)}
        for name, f in FLAGS.items()
        if name in flags
    }
    formulas = {
        key: {"name": f.name, "verdict": f.verdict, "meaning": f.meaning}
        for key, f in _FORMULAS.items()
        if key in keys
    }
    return {
        "schema": SCHEMA,
        "generator_version": conformance.__version__,
        "family": family.name,
        "description": family.description,
        "number_of_cases": len(records),
        "notes": notes,
        "formulas": formulas,
        "cases": records,
    }


def text_of(envelope: dict[str, Any]) -> str:
    return _json(envelope) + "\n"


def _json(item: Any, indent: str = "") -> str:
    """JSON with one line for each tensor, formula output and flag, so that a diff can be read."""
    deeper = indent + " "
    if isinstance(item, dict) and any(_is_nested(value) for value in item.values()):
        fields = (f"{deeper}{json.dumps(k)}: {_json(v, deeper)}" for k, v in item.items())
        return "{\n" + ",\n".join(fields) + f"\n{indent}}}"
    if _is_nested(item) and isinstance(item, list):
        return "[\n" + ",\n".join(deeper + _json(v, deeper) for v in item) + f"\n{indent}]"
    return json.dumps(item, allow_nan=False)


def _is_nested(item: Any) -> bool:
    return isinstance(item, dict) or (
        isinstance(item, list) and bool(item) and isinstance(item[0], dict)
    )
