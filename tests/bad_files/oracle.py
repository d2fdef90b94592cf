"""What must hold of a file that was read: everything is as the file says, and as the rest of the suite relies on.

Reads the file anew with plain `json` and with `grader.py`, which is written after cases/README.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grader
import jsonschema
import numpy as np

from conformance import results
from conformance.case import Case
from conformance.cases import cases_folder
from conformance.implementations.call import ask
from conformance.implementations.numpy import BatchNorm
from conformance.judge import VERDICTS, Answer, judge
from conformance.results import Run
from conformance.show import show

PRECISIONS = ("float16", "bfloat16", "float32", "float64")
OPERATIONS = {
    "train": ("x gamma beta", "y mean var"),
    "infer": ("x mean var gamma beta", "y"),
    "update": ("x running_mean running_var", "running_mean running_var"),
    "grad": ("x gamma beta dy", "dx dgamma dbeta"),
    "grad-infer": ("x mean var gamma beta dy", "dx dgamma dbeta"),
    "dense": ("x w gamma beta", "y"),
}
SCHEMA = jsonschema.Draft202012Validator(json.loads((cases_folder() / "schema.json").read_text()))
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def is_one_line(message: str, path: Path) -> bool:
    """Whether a refusal is a single printable line, of bounded length, that names the file."""
    return message.isprintable() and len(message) <= 4000 and message.startswith(f"{path}: ")


def strict(text: str) -> Any:
    """Plain JSON; fails for a key that stands twice, and for what is not JSON."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    def never(text: str) -> None:
        raise AssertionError(text)

    return json.loads(text, object_pairs_hook=once, parse_constant=never)


# Cases


def holds_of_cases(content: bytes, path: Path, cases: Mapping[str, Case]) -> None:
    """Everything that must hold of the cases that were read from a file."""
    envelope = strict(content.decode("utf-8"))
    assert envelope["schema"] == "batchnorm-conformance/cases/1"
    assert envelope["family"] == path.stem
    records = envelope["cases"]
    assert envelope["number_of_cases"] == len(records) == len(cases) > 0
    assert type(envelope["number_of_cases"]) is int
    assert [record["id"] for record in records] == list(cases)
    assert all(text.isprintable() for text in _texts(envelope))
    SCHEMA.validate(envelope)
    for formula in envelope["formulas"].values():
        assert formula["verdict"] in ("convention", "policy", "inaccurate", "wrong")
    for record, case in zip(records, cases.values(), strict=True):
        assert set(record.get("preceded_by", ())) <= set(cases)
        _holds_of_case(record, case, envelope)


def _texts(item: Any) -> list[str]:
    if isinstance(item, dict):
        return [*item, *(text for value in item.values() for text in _texts(value))]
    if isinstance(item, list):
        return [text for value in item for text in _texts(value)]
    return [item] if isinstance(item, str) else []


def _holds_of_case(record: dict[str, Any], case: Case, envelope: dict[str, Any]) -> None:
    for field in ("id", "operation", "dtype", "layout", "comment"):
        assert getattr(case, field) == record[field]
    assert case.dtype in PRECISIONS
    assert type(record["epsilon"]) in (int, float)
    assert type(case.epsilon) is float
    assert math.isfinite(case.epsilon)
    assert case.epsilon == float(record["epsilon"])
    assert list(case.flags) == record["flags"]
    assert len(set(case.flags)) == len(case.flags)
    policies = {p for flag in case.flags for p in envelope["notes"][flag]["policies"]}
    assert case.policies == policies <= {"raises", "nan"}
    for name, content in case.attributes.items():
        assert content == record[name]
    _holds_of_inputs(record, case)
    if case.operation == "reject":
        assert not case.expected
        assert set(case.attributes) <= {"call", "memory", "preceded_by"}
    else:
        assert case.epsilon >= 0
        _holds_of_shapes(record, case)
        _holds_of_expected(record, case, envelope)
    assert all(line.isprintable() for line in show(case).split("\n"))
    _can_be_asked(case)


def _holds_of_inputs(record: dict[str, Any], case: Case) -> None:
    called = record["call"] if case.operation == "reject" else case.operation
    assert set(case.inputs) == set(record["inputs"]) == set(OPERATIONS[called][0].split())
    for name, tensor in record["inputs"].items():
        due = grader.tensor(tensor, case.dtype)
        got = np.asarray(case.inputs[name])
        assert (got.dtype, got.shape) == (due.dtype, tuple(tensor["shape"]))
        assert got.tobytes() == due.tobytes()
        if "values" in tensor:  # exact, so that nothing was rounded on the way in
            exact = [NON_FINITE[v] if isinstance(v, str) else v for v in tensor["values"]]
            np.testing.assert_array_equal(
                got.reshape(-1).astype(np.float64), np.array(exact, np.float64)
            )
        else:
            assert np.isfinite(got.astype(np.float64)).all()


def _holds_of_shapes(record: dict[str, Any], case: Case) -> None:
    shapes = {name: tuple(tensor["shape"]) for name, tensor in record["inputs"].items()}
    dtypes = {name: tensor.get("dtype", case.dtype) for name, tensor in record["inputs"].items()}
    assert len(shapes["x"]) == len(case.layout)
    assert shapes.get("dy", shapes["x"]) == shapes["x"]
    channels = shapes["w"][1] if "w" in shapes else shapes["x"][case.layout.index("C")]
    assert channels > 0
    assert all(shapes[name] == (channels,) for name in set(shapes) - {"x", "w", "dy"})
    assert {dtypes["x"], dtypes.get("dy", case.dtype)} == {case.dtype}
    others = {dtypes[name] for name in set(dtypes) - {"x", "dy"}}
    assert others == {case.dtype} or (
        others == {"float32"} and case.dtype in ("float16", "bfloat16")
    )
    if "w" in shapes:
        assert shapes["w"][0] == shapes["x"][1]
    assert ("batches" in record) == ("rates" in record) == (case.operation == "update")
    if case.operation == "update":
        assert all(type(size) is int and size >= 0 for size in record["batches"])
        assert sum(record["batches"]) == shapes["x"][0]
        assert len(record["rates"]) == len(record["batches"]) > 0
        assert all(type(rate) in (int, float) and 0 <= rate <= 1 for rate in record["rates"])
    assert ("activation" in record) == (case.operation == "dense")
    assert "call" not in record
    if "layer" in record:
        assert case.operation in ("train", "infer", "update")
        assert case.layout == "NC"


def _holds_of_expected(record: dict[str, Any], case: Case, envelope: dict[str, Any]) -> None:
    question = case.question
    assert next(iter(case.expected)) == "reference"
    assert list(case.expected) == list(question.expected) == list(record["expected"])
    assert set(case.expected) - {"reference"} <= set(envelope["formulas"])
    outputs = OPERATIONS[case.operation][1].split()
    if "positions" in record:
        like_x = question.shapes["y" if "y" in outputs else "dx"]
        assert len(set(record["positions"])) == len(record["positions"]) > 0
        assert all(type(p) is int and 0 <= p < math.prod(like_x) for p in record["positions"])
    for key, pairs in record["expected"].items():
        assert sorted(pairs) == sorted(outputs)
        for name, pair in pairs.items():
            one = question.expected[key][name]
            value = np.array(pair["value"], dtype=np.float64)
            scale = np.array(pair["scale"], dtype=np.float64)
            np.testing.assert_array_equal(one.value.reshape(-1), value)
            np.testing.assert_array_equal(one.scale.reshape(-1), scale)
            assert not np.isinf(value).any()
            assert (scale >= 0).all()
            assert value.size == (
                len(record["positions"])
                if "positions" in record and name in ("y", "dx")
                else math.prod(question.shapes[name])
            )


def _can_be_asked(case: Case) -> None:
    """The case can be put to an implementation and judged, and is judged by what it expects."""
    question = case.question
    asked = ask(BatchNorm(), case)
    assert not (asked.raised or "").startswith(("KeyError", "IndexError"))
    assert judge(question, asked).verdict in VERDICTS
    assert judge(question, Answer(raised="no")).verdict in VERDICTS
    if not question.rejects and question.positions is None:
        with np.errstate(over="ignore"):  # what is expected may be beyond a half precision
            given = {
                name: np.array(one.value).astype(question.precision_of(name).dtype)
                for name, one in question.expected["reference"].items()
            }
        assert judge(question, Answer(outputs=given)).verdict in VERDICTS


# Results


def holds_of_results(content: bytes, path: Path, runs: Sequence[Run], again: Path) -> None:
    """Everything that must hold of the runs that were read from a file. They are written to `again`."""
    records = [strict(line) for line in content.decode("utf-8").removesuffix("\n").split("\n")]
    kinds = [record.pop("kind") for record in records]
    assert kinds == [
        kind for run in runs for kind in ("header", *["result"] * len(run.results), "footer")
    ]
    assert len({run.header.cases for run in runs}) == 1
    pairs = [(name, run.header.device) for run in runs for name in run.header.implementations]
    assert len(set(pairs)) == len(pairs)
    unseen = list(runs)  # merging put them in another order
    left: list[Any] = []
    for kind, record in zip(kinds, records, strict=True):
        if kind == "header":
            run = next(one for one in unseen if vars(one.header) == {"request": {}, **record})
            unseen.remove(run)
            left = list(run.results)
            assert all(text.isprintable() for text in _texts(record))
        elif kind == "result":
            _holds_of_result(record, left.pop(0), run.header.implementations)
        else:
            assert list(record) == ["count"]
            assert type(record["count"]) is int
            assert record["count"] == len(run.results)
            assert not left
    assert not unseen
    for run in runs:
        checks = [(result.case, result.implementation) for result in run.results]
        assert len(set(checks)) == len(checks)
    rounded = _written_and_read(runs, again)
    assert _written_and_read(rounded, again) == rounded
    assert [run.header for run in rounded] == [run.header for run in runs]


def _written_and_read(runs: Sequence[Run], path: Path) -> list[Run]:
    path.unlink(missing_ok=True)
    results.write(path, runs)
    return results.merge([path])


def _holds_of_result(
    record: dict[str, Any], result: Any, implementations: Mapping[str, str]
) -> None:
    for field in ("case", "implementation", "verdict", "name"):
        assert getattr(result, field) == record[field]
        assert record[field].isprintable()
    assert result.message == record.get("message", "")
    assert result.verdict in VERDICTS
    assert result.implementation in implementations
    ratio = record.get("ratio")
    assert result.ratio is None if ratio is None else _same(result.ratio, ratio)
    assert _same(result.seconds, record.get("seconds", 0.0))
    outputs = record.get("outputs", {})
    assert result.outputs.keys() == outputs.keys()
    for name, errors in outputs.items():
        assert result.outputs[name].keys() == errors.keys()
        assert all(_same(result.outputs[name][key], number) for key, number in errors.items())


def _same(got: Any, written: Any) -> bool:
    if written == "Infinity":
        return got == math.inf
    assert type(written) in (int, float)
    return type(got) is float and math.isfinite(got) and got >= 0 and got == float(written)
