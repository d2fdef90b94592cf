"""Case files: the frozen ones load, and every broken one is refused in one line that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.case import LAYOUTS
from conformance.cases import cases_digest, cases_folder, load_cases, read_family
from conformance.catalogue import FAMILIES
from conformance.errors import UserError
from conformance.generator import Deferred
from conformance.operations import IN_LAYOUT, OPERATIONS
from conformance.precision import PRECISIONS

TINY = "tiny-batches"
WRITTEN_OUT = f"{TINY}/train-float32-2-by-rows"
GENERATED = "typical/train-float32-NC-1031x3"


@pytest.fixture(scope="module")
def cases():
    return load_cases(cases_folder())


def one_case(case_id: str) -> dict[str, Any]:
    """The envelope of a real file with that case alone in it."""
    family = case_id.partition("/")[0]
    envelope = json.loads((cases_folder() / f"{family}.json").read_text(encoding="utf-8"))
    envelope["cases"] = [case for case in envelope["cases"] if case["id"] == case_id]
    return {**envelope, "number_of_cases": 1}


def refusal(folder: Path, content: str | bytes, family: str = TINY) -> str:
    """The message with which a file is refused: one line that names the file."""
    path = folder / f"{family}.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        load_cases(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message


# The frozen cases


def test_there_are_at_least_200_cases_under_unique_ids(cases):
    ids = [case.id for path in cases_folder().glob("*-*.json") for case in read_family(path)]
    assert len(cases) >= 200
    assert len(ids) == len(set(ids))
    assert set(ids) <= set(cases)


def test_the_cases_cover_families_operations_dtypes_ranks_and_layouts(cases):
    seen = cases.values()
    assert {family.name for family in FAMILIES} == {case.family for case in seen}
    assert {case.operation for case in seen} == set(OPERATIONS)
    for operation in set(OPERATIONS) - {"reject"}:
        assert {c.dtype for c in seen if c.operation == operation} == set(PRECISIONS)
    for operation in ("train", "infer", "grad"):
        for dtype in ("float32", "float64"):
            some = [c for c in seen if (c.operation, c.dtype) == (operation, dtype)]
            assert {len(case.layout) for case in some} == {2, 3, 4, 5}
            assert {case.layout for case in some} == set(LAYOUTS)
    assert all(case.channel_axis in (1, len(case.layout) - 1) for case in seen)


def test_inputs_are_read_only_arrays_of_the_dtype(cases):
    for case in cases.values():
        for name, array in case.inputs.items():
            if "bad-input" not in case.flags:
                wider = "mixed-precision" in case.flags and name not in ("x", "dy")
                assert array.dtype == ("float32" if wider else case.dtype)
            assert isinstance(array, Deferred) or not array.flags.writeable


def test_every_case_makes_a_question_whose_reference_has_the_outputs_shapes(cases):
    for case in cases.values():
        shapes = case.question.shapes
        if case.operation == "reject":
            assert not shapes
            assert not case.question.expected
            continue
        reference = case.question.expected["reference"]
        assert list(reference) == list(shapes) == list(OPERATIONS[case.operation].outputs)
        for name, one in reference.items():
            sampled = case.positions and name in IN_LAYOUT
            due = (len(case.positions),) if sampled else shapes[name]
            assert one.value.shape == one.scale.shape == due


def test_no_parameter_is_left_at_its_default(cases):
    for case in cases.values():
        says_so = "layer" in case.attributes or case.id.endswith("-defaults")
        if case.operation == "update" or says_so:
            continue
        extreme = case.id.endswith(("-gamma-zero", "-gamma-0"))
        assert not np.any(np.isin(case.inputs["gamma"].astype(float), (1,) if extreme else (0, 1)))
        assert not np.any(case.inputs["beta"] == 0)


def test_globs_choose_cases():
    chosen = load_cases(cases_folder(), ["tiny-batches/*-1-by-rows", "typical/infer-*"])
    assert {case.family for case in chosen.values()} == {"tiny-batches", "typical"}
    assert {case.operation for case in chosen.values() if case.family == "typical"} == {"infer"}


def test_a_glob_that_matches_nothing_is_refused():
    with pytest.raises(UserError, match=r"^--case nothing/\*: matches no case.*all \d+$"):
        load_cases(cases_folder(), ["tiny-batches/*", "nothing/*"])


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_cases_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "schema.json").write_text("{}")
    with pytest.raises(UserError, match="no case files") as caught:
        load_cases(tmp_path / folder)
    assert str(tmp_path / folder) in str(caught.value)


def test_the_digest_changes_with_any_byte_and_any_name(tmp_path):
    path = tmp_path / f"{TINY}.json"
    path.write_text(json.dumps(one_case(WRITTEN_OUT)))
    first = cases_digest(tmp_path)
    path.write_text(path.read_text() + " ")
    second = cases_digest(tmp_path)
    path.rename(tmp_path / "other.json")
    assert len({first, second, cases_digest(tmp_path)}) == 3


def test_a_file_of_one_case_loads(tmp_path):
    for case_id in (WRITTEN_OUT, GENERATED):
        path = tmp_path / f"{case_id.partition('/')[0]}.json"
        path.write_text(json.dumps(one_case(case_id)))
    assert list(load_cases(tmp_path)) == [WRITTEN_OUT, GENERATED]


# Broken files

TEXT = json.dumps(one_case(WRITTEN_OUT))
FIRST_NUMBER = str(one_case(WRITTEN_OUT)["cases"][0]["inputs"]["x"]["values"][0])
BROKEN_TEXTS: dict[str, tuple[str | bytes, str]] = {
    "empty file": ("", "not a JSON file"),
    "not JSON": ("cases = 3", "not a JSON file"),
    "truncated": (TEXT[: len(TEXT) // 2], "not a JSON file"),
    "last brace cut off": (TEXT[:-1], "not a JSON file"),
    "not UTF-8": (b"\xff\xfe" + TEXT.encode(), "not a JSON file"),
    "nested too deeply": ("[" * 100_000, "not a JSON file"),
    "a JSON list": (f"[{TEXT}]", "not a JSON object"),
    "a JSON string": ('"cases"', "not a JSON object"),
    "null": ("null", "not a JSON object"),
    "NaN literal": (TEXT.replace('"epsilon": 0.001', '"epsilon": NaN', 1), '"NaN"'),
    "Infinity literal": (TEXT.replace('"epsilon": 0.001', '"epsilon": Infinity', 1), '"Infinity"'),
    "duplicate key": (TEXT.replace("{", '{"notes": {}, ', 1), "'notes' stands twice"),
    "duplicate key in a case": (
        TEXT.replace('"dtype"', '"layout": "NC", "dtype"', 1),
        "'layout' stands twice",
    ),
    "number of 5000 digits": (TEXT.replace("0.001", "1" * 5000, 1), "not a JSON file"),
    "number beyond binary64": (TEXT.replace(FIRST_NUMBER, "1e999", 1), "inputs.x"),
}


@pytest.mark.parametrize(("text", "words"), BROKEN_TEXTS.values(), ids=BROKEN_TEXTS)
def test_a_file_that_is_not_json_as_it_should_be_is_refused(tmp_path, text, words):
    assert words in refusal(tmp_path, text)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "family.json").mkdir()
    with pytest.raises(UserError, match=r"family\.json: cannot be read"):
        load_cases(tmp_path)


Change = Callable[[dict[str, Any]], object]

BROKEN_ENVELOPES: dict[str, tuple[Change, str]] = {
    **{
        f"no {field}": (lambda file, field=field: file.pop(field), f"{field} is missing")
        for field in one_case(WRITTEN_OUT)
    },
    "unknown field": (lambda file: file.update(note="x"), "unknown field 'note'"),
    "wrong schema": (lambda file: file.update(schema="other/1"), "schema is 'other/1'"),
    "schema not a text": (lambda file: file.update(schema=1), "schema is of the wrong type"),
    "wrong number_of_cases": (lambda file: file.update(number_of_cases=2), "number_of_cases is 2"),
    "number_of_cases a boolean": (lambda file: file.update(number_of_cases=True), "wrong type"),
    "number_of_cases a float": (lambda file: file.update(number_of_cases=1.0), "wrong type"),
    "wrong family": (lambda file: file.update(family="typical"), "family is 'typical'"),
    "cases an object": (lambda file: file.update(cases={}), "cases is of the wrong type"),
    "notes a list": (lambda file: file.update(notes=[]), "notes is of the wrong type"),
    "note a text": (lambda file: file["notes"].update(cancellation="x"), "notes.cancellation"),
    "note without links": (
        lambda file: file["notes"]["cancellation"].pop("links"),
        "notes.cancellation: links is missing",
    ),
    "policy not a text": (
        lambda file: file["notes"]["cancellation"].update(policies=[1]),
        "notes.cancellation: policies",
    ),
    "formula a text": (lambda file: file["formulas"].update(folded="x"), "formulas.folded"),
    "formula without a meaning": (
        lambda file: file["formulas"]["folded"].pop("meaning"),
        "formulas.folded: meaning is missing",
    ),
    "formula with an unknown verdict": (
        lambda file: file["formulas"]["folded"].update(verdict="bad"),
        "formulas.folded: unknown verdict 'bad'",
    ),
    "formula key of two lines": (
        lambda file: file["formulas"].update({"two\nlines": {}}),
        "formulas.",
    ),
    "flag of two lines": (lambda file: file["notes"].update({"two\nlines": {}}), "notes."),
    "case a list": (lambda file: file.update(cases=[[]]), "case number 1: must be an object"),
}


@pytest.mark.parametrize(("change", "words"), BROKEN_ENVELOPES.values(), ids=BROKEN_ENVELOPES)
def test_a_broken_envelope_is_refused(tmp_path, change, words):
    envelope = one_case(WRITTEN_OUT)
    change(envelope)
    assert words in refusal(tmp_path, json.dumps(envelope))


def test_an_id_that_stands_twice_is_refused(tmp_path):
    envelope = one_case(WRITTEN_OUT)
    envelope["cases"] *= 2
    envelope["number_of_cases"] = 2
    message = refusal(tmp_path, json.dumps(envelope))
    assert f"case {WRITTEN_OUT}: the id stands twice" in message


def x(case: dict[str, Any]) -> dict[str, Any]:
    return case["inputs"]["x"]


def y(case: dict[str, Any], formula: str = "reference") -> dict[str, Any]:
    return case["expected"][formula]["y"]


def empty(case: dict[str, Any], shape: list[int]) -> None:
    """Make the case one of no values: x of that shape, everything else of no channels."""
    for tensor in case["inputs"].values():
        tensor.update(shape=[0], values=[])
    x(case).update(shape=shape)
    for outputs in case["expected"].values():
        for pair in outputs.values():
            pair.update(value=[], scale=[])


BROKEN_CASES: dict[str, tuple[Change, str]] = {
    **{
        f"no {field}": (lambda case, field=field: case.pop(field), f"{field} is missing")
        for field in one_case(WRITTEN_OUT)["cases"][0]
        if field != "id"
    },
    "unknown field": (lambda case: case.update(axis=1), "unknown field 'axis'"),
    "unknown operation": (lambda case: case.update(operation="fuse"), "unknown operation 'fuse'"),
    "unknown dtype": (lambda case: case.update(dtype="float8"), "unknown dtype 'float8'"),
    "unknown layout": (lambda case: case.update(layout="CN"), "unknown layout 'CN'"),
    "layout a list": (lambda case: case.update(layout=["N", "C"]), "layout is of the wrong type"),
    "unknown flag": (lambda case: case["flags"].append("odd"), "unknown flag 'odd'"),
    "flag not a text": (lambda case: case["flags"].append([]), "unknown flag []"),
    "epsilon a text": (lambda case: case.update(epsilon="0.1"), "epsilon is of the wrong type"),
    "epsilon a boolean": (lambda case: case.update(epsilon=True), "epsilon is of the wrong type"),
    "epsilon beyond binary64": (lambda case: case.update(epsilon=10**400), "epsilon must be"),
    "comment a number": (lambda case: case.update(comment=3), "comment is of the wrong type"),
    # Tensors
    "no gamma": (lambda case: case["inputs"].pop("gamma"), "inputs must be x, gamma, beta"),
    "unknown tensor": (lambda case: case["inputs"].update(w={}), "inputs must be x, gamma, beta"),
    "tensor a list": (lambda case: case["inputs"].update(x=[1.0]), "inputs.x: must be an object"),
    "tensor without shape": (lambda case: x(case).pop("shape"), "inputs.x: shape is missing"),
    "tensor without values": (lambda case: x(case).pop("values"), "inputs.x: needs either"),
    "shape of more values": (lambda case: x(case).update(shape=[3, 3]), "has 6 values"),
    "shape of fewer values": (lambda case: x(case).update(shape=[1, 3]), "has 6 values"),
    "shape empty": (lambda case: x(case).update(shape=[], values=[1.0]), "inputs.x has rank 0"),
    "shape empty for gamma": (
        lambda case: case["inputs"]["gamma"].update(shape=[], values=[1.5]),
        "inputs.gamma has shape []",
    ),
    "shape of another rank": (lambda case: x(case).update(shape=[1, 2, 3]), "has rank 3"),
    "shape of too many axes": (
        lambda case: x(case).update(shape=[1] * 99, values=[1.0]),
        "inputs.x",
    ),
    "shape negative": (lambda case: x(case).update(shape=[-2, -3]), "whole numbers"),
    "shape of floats": (lambda case: x(case).update(shape=[2.0, 3]), "whole numbers"),
    "shape of booleans": (lambda case: x(case).update(shape=[True, 6]), "whole numbers"),
    "shape a number": (lambda case: x(case).update(shape=6), "shape is of the wrong type"),
    "shape huge": (lambda case: x(case).update(shape=[10**9, 10**9]), "at most"),
    "shape of 4000 digits": (lambda case: x(case).update(shape=[10**4000] * 2), "at most"),
    "shape huge but empty": (lambda case: empty(case, [2**70, 0]), "inputs.x"),
    "no channels": (lambda case: empty(case, [2, 0]), "channels"),
    "gamma of another length": (
        lambda case: case["inputs"]["gamma"].update(shape=[2], values=[1.5, 2.0]),
        "inputs.gamma has shape [2], not [3]",
    ),
    "gamma of another rank": (
        lambda case: case["inputs"]["gamma"].update(shape=[1, 3]),
        "inputs.gamma has shape [1, 3], not [3]",
    ),
    "a number that float32 cannot hold": (
        lambda case: x(case)["values"].__setitem__(0, 0.1),
        "inputs.x: holds numbers that float32 cannot represent",
    ),
    "a number too large for float32": (
        lambda case: x(case)["values"].__setitem__(0, 2.0**128),
        "inputs.x: holds numbers that float32 cannot represent",
    ),
    "a number too large for binary64": (
        lambda case: x(case)["values"].__setitem__(0, 10**400),
        "inputs.x: holds a number that binary64 cannot represent",
    ),
    "a text for a number": (
        lambda case: x(case)["values"].__setitem__(0, "inf"),
        "inputs.x: 'inf' is not a number",
    ),
    "a list for a number": (lambda case: x(case)["values"].__setitem__(0, [1.0]), "flat list"),
    "an object for a number": (lambda case: x(case)["values"].__setitem__(0, {}), "flat list"),
    "null for a number": (lambda case: x(case)["values"].__setitem__(0, None), "flat list"),
    "a boolean for a number": (lambda case: x(case)["values"].__setitem__(0, True), "flat list"),
    "SHA-256 beside values": (lambda case: x(case).update(sha256="0" * 64), "inputs.x"),
    # Expected values
    "no expected value": (lambda case: case["expected"].clear(), "begin with the reference"),
    "no reference": (lambda case: case["expected"].pop("reference"), "begin with the reference"),
    "reference not first": (
        lambda case: case["expected"].update(reference=case["expected"].pop("reference")),
        "begin with the reference",
    ),
    "unknown formula": (
        lambda case: case["expected"].update(odd=case["expected"]["reference"]),
        "expected.odd: the file's formulas do not define this key",
    ),
    "output missing": (
        lambda case: case["expected"]["reference"].pop("var"),
        "expected.reference: var is missing",
    ),
    "unknown output": (
        lambda case: case["expected"]["reference"].update(z={}),
        "expected.reference: unknown field 'z'",
    ),
    "scale missing": (lambda case: y(case).pop("scale"), "reference.y: scale is missing"),
    "expected value missing": (lambda case: y(case)["value"].pop(), "y.value: has 5 values, 6"),
    "expected value too many": (lambda case: y(case)["scale"].append(1.0), "y.scale: has 7"),
    "expected value missing in a formula": (
        lambda case: y(case, "epsilon-outside-sqrt")["value"].pop(),
        "expected.epsilon-outside-sqrt.y.value: has 5 values",
    ),
    "expected value a text": (
        lambda case: y(case)["value"].__setitem__(0, "nan"),
        "expected.reference.y.value: 'nan' is not a number",
    ),
    "expected value a list": (lambda case: y(case)["value"].__setitem__(0, []), "flat list"),
    "scale negative": (lambda case: y(case)["scale"].__setitem__(0, -1.0), "y.scale"),
    "scale NaN": (lambda case: y(case)["scale"].__setitem__(0, "NaN"), "y.scale"),
}


@pytest.mark.parametrize(("change", "words"), BROKEN_CASES.values(), ids=BROKEN_CASES)
def test_a_broken_case_is_refused_by_name(tmp_path, change, words):
    envelope = one_case(WRITTEN_OUT)
    change(envelope["cases"][0])
    message = refusal(tmp_path, json.dumps(envelope))
    assert f": case {WRITTEN_OUT}: " in message
    assert words in message


BROKEN_GENERATED: dict[str, tuple[Change, str]] = {
    "wrong SHA-256": (lambda case: x(case).update(sha256="0" * 64), "SHA-256 is "),
    "no SHA-256": (lambda case: x(case).pop("sha256"), "inputs.x: "),
    "SHA-256 a number": (lambda case: x(case).update(sha256=0), "sha256 is of the wrong type"),
    "another seed": (lambda case: x(case)["generator"].update(seed=1), "SHA-256 is "),
    "values as well": (lambda case: x(case).update(values=[1.0]), "needs either"),
    "unknown generator": (lambda case: x(case)["generator"].update(name="lcg"), "'lcg'"),
    "generator a text": (lambda case: x(case).update(generator="splitmix64"), "generator is of"),
    "no seed": (lambda case: x(case)["generator"].pop("seed"), "seed is missing"),
    "unknown generator field": (lambda case: x(case)["generator"].update(k=1), "field 'k'"),
    "seed a float": (lambda case: x(case)["generator"].update(seed=1.0), "seed is of the wrong"),
    "seed a boolean": (lambda case: x(case)["generator"].update(seed=True), "seed is of the wrong"),
    "seed negative": (
        lambda case: x(case)["generator"].update(seed=-1),
        "seed is -1, not from 0 to",
    ),
    "no bits": (lambda case: x(case)["generator"].update(bits=0), "bits is 0, not from 1 to 31"),
    "too many bits": (
        lambda case: x(case)["generator"].update(bits=32),
        "bits is 32, not from 1 to 31",
    ),
    "offset huge": (lambda case: x(case)["generator"].update(offset=2**70), "offset is "),
    "exponent huge": (lambda case: x(case)["generator"].update(exponent=10**9), "exponent is "),
    "numbers beyond float32": (
        lambda case: x(case)["generator"].update(exponent=200),
        "holds numbers that float32 cannot represent",
    ),
    "shape huge": (lambda case: x(case).update(shape=[2**60, 3]), "at most"),
    "a position too large": (lambda case: case["positions"].append(1031 * 3), "from 0 to 3092"),
    "a position negative": (lambda case: case["positions"].append(-1), "from 0 to 3092"),
    "a position a float": (lambda case: case["positions"].append(1.0), "positions must be"),
    "a position a boolean": (lambda case: case["positions"].append(True), "positions must be"),
    "a position a text": (lambda case: case["positions"].append("1"), "positions must be"),
    "no positions": (lambda case: case.update(positions=[]), "positions must be"),
    "positions an object": (lambda case: case.update(positions={}), "positions is of the wrong"),
    "a position left out": (lambda case: case["positions"].pop(), "y.value: has 88 values"),
}


@pytest.mark.parametrize(("change", "words"), BROKEN_GENERATED.values(), ids=BROKEN_GENERATED)
def test_a_broken_generated_case_is_refused_by_name(tmp_path, change, words):
    envelope = one_case(GENERATED)
    change(envelope["cases"][0])
    message = refusal(tmp_path, json.dumps(envelope), "typical")
    assert f": case {GENERATED}: " in message
    assert words in message


BROKEN_IDS: dict[str, tuple[Change, str]] = {
    "missing": (lambda case: case.pop("id"), "case number 1: id is missing"),
    "a number": (lambda case: case.update(id=1), "case number 1: id is of the wrong type"),
    "of another family": (lambda case: case.update(id="typical/a"), "case typical/a: the id must"),
    "of two lines": (lambda case: case.update(id=f"{TINY}/a\nb"), "the id must"),
}


@pytest.mark.parametrize(("change", "words"), BROKEN_IDS.values(), ids=BROKEN_IDS)
def test_a_broken_id_is_refused(tmp_path, change, words):
    envelope = one_case(WRITTEN_OUT)
    change(envelope["cases"][0])
    assert words in refusal(tmp_path, json.dumps(envelope))


def test_a_huge_tensor_is_refused_before_anything_is_allocated(tmp_path, monkeypatch):
    def allocate(*_):
        raise AssertionError("was allocated")

    monkeypatch.setattr("conformance.generator.Random.values", allocate)
    envelope = one_case(GENERATED)
    x(envelope["cases"][0]).update(shape=[2**25, 3])
    message = refusal(tmp_path, json.dumps(envelope), "typical")
    assert "inputs.x: shape [33554432, 3] asks for" in message
