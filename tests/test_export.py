"""Cases written for other suites: the files hold the cases, and a runtime earns the same verdicts by them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import cli, export
from conformance.cases import cases_folder, load_cases
from conformance.export import onnx, webnn
from conformance.implementations.call import ask
from conformance.judge import CONFORMS, POLICY, Answer, Judgement, judge

CASES = load_cases(cases_folder())


def array(values: list[Any]) -> np.ndarray:
    return np.array([float(value) for value in values])


def is_accepted(got: np.ndarray, bound: dict[str, Any], output: str, beta: Any = np.nan) -> bool:
    """Whether all elements of an output are what the bound beside a test accepts."""
    got = got.astype(np.float64)
    beta = np.broadcast_to(beta, got.shape).reshape(-1)
    got = got.reshape(-1)
    no_number = ~np.isfinite(got) | (got == beta)
    accepted = np.zeros(got.shape, dtype=bool)
    for formula in (bound["outputs"], *bound["policies"].values()):
        lower, upper = array(formula[output]["lower"]), array(formula[output]["upper"])
        anything = np.isneginf(lower) & np.isposinf(upper)
        accepted |= np.where(np.isnan(lower), no_number, (got >= lower) & (got <= upper)) | anything
    return bool(accepted.all())


# The bound


@pytest.mark.parametrize(
    "name", ["typical/train-float64-NC-16x5", "offset-ladder/infer-float64-mean-8"]
)
def test_a_bound_ends_where_the_judge_ends(name):
    case = CASES[name]
    bound = export.bounds(case, "reference")
    value = case.question.expected["reference"]["y"].value
    for side in ("lower", "upper"):
        edge = array(bound["outputs"]["y"][side]).reshape(value.shape)
        for factor, conforms in ((0.75, True), (1.25, False)):
            y = value + factor * (edge - value)
            verdict = judge(case.question, Answer(outputs={"y": y})).verdict
            assert (verdict == CONFORMS) == conforms
            assert is_accepted(y, bound, "y") == conforms


# Both formats


def test_every_case_is_written_or_left_out_for_a_reason(tmp_path, capsys):
    assert cli.main(["cases", "export", "--format", "webnn", "--out", str(tmp_path / "w")]) == 0
    printed = capsys.readouterr().out
    index = json.loads((tmp_path / "w" / export.INDEX).read_text("utf-8"))
    assert set(index["written"]) | set(index["left_out"]) == set(CASES)
    assert not set(index["written"]) & set(index["left_out"])
    assert f"{len(index['written'])} cases written, {len(index['left_out'])} left out" in printed
    assert all(reason in printed for reason in index["left_out"].values())
    tests = json.loads((tmp_path / "w" / webnn.FILE).read_text("utf-8"))["tests"]
    assert [test["name"] for test in tests] == list(index["written"].values())


@pytest.mark.parametrize("form", ["onnx", "webnn"])
def test_a_folder_that_holds_something_is_left_alone(tmp_path, form, capsys):
    pytest.importorskip("onnx")
    (tmp_path / "mine").write_text("kept")
    assert cli.main(["cases", "export", "--format", form, "--out", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert cli.main(["cases", "export", "--format", form, "--out", str(tmp_path / "mine")]) == 2


# WebNN


def is_expressible_in_webnn(case: Any) -> bool:
    dtypes = {str(tensor.dtype) for tensor in case.inputs.values()}
    plain = not set(case.attributes) & {"layer", "preceded_by", "positions"}
    contiguous = case.attributes.get("memory", "contiguous") == "contiguous"
    whole = plain and contiguous and case.inputs["x"].size > 0
    return case.operation == "infer" and whole and dtypes in ({"float32"}, {"float16"})


def test_a_webnn_test_computes_the_case(tmp_path):
    """Reads nothing but the file, as the harness does: names, shapes, options, and the formula."""
    webnn.write(CASES, tmp_path)
    tests = json.loads((tmp_path / webnn.FILE).read_text("utf-8"))["tests"]
    written = [test["bound"]["case"] for test in tests]
    assert written == [name for name, case in CASES.items() if is_expressible_in_webnn(case)]
    assert {CASES[name].layout for name in written} > {"NC", "NCHW", "NHWC"}
    for test in tests:
        graph = test["graph"]
        dtypes = {t["descriptor"]["dataType"] for t in graph["inputs"].values()}
        (dtype,) = dtypes
        (operator,) = graph["operators"]
        assert operator["name"] == "batchNormalization"
        assert list(graph["expectedOutputs"]) == [operator["outputs"]]
        named = {key: of for argument in operator["arguments"] for key, of in argument.items()}
        options = named.pop("options")

        def tensor(record: dict[str, Any], dtype: str = dtype) -> np.ndarray:
            numbers = array(record["data"])
            with np.errstate(over="raise"):
                rounded = numbers.astype(dtype).astype(np.float64)
            assert np.array_equal(rounded, numbers, equal_nan=True)
            return numbers.reshape(record["descriptor"]["shape"])

        x, mean, var, scale, bias = (
            tensor(graph["inputs"][name])
            for name in (*named.values(), options["scale"], options["bias"])
        )
        assert list(named) == ["input", "mean", "variance"]
        along = [-1 if axis == options["axis"] else 1 for axis in range(x.ndim)]
        mean, var, scale, bias = (a.reshape(along) for a in (mean, var, scale, bias))
        with np.errstate(all="ignore"):
            y = scale * (x - mean) / np.sqrt(var + options["epsilon"]) + bias
        output = operator["outputs"]
        expected = tensor(graph["expectedOutputs"][output])
        assert y.shape == expected.shape
        assert is_accepted(y, test["bound"], output, bias), test["name"]
        if "infinity" not in test["name"] and np.isfinite(expected).all():
            assert is_accepted(expected, test["bound"], output, bias), test["name"]


# ONNX


def test_directories_are_named_for_one_case_each_and_may_be_part_of_an_identifier():
    names = [onnx.directory_of(case) for case in CASES]
    assert len({name.casefold() for name in names}) == len(CASES)
    assert all(re.fullmatch("test_[0-9A-Za-z_]+", name) for name in names)


def test_sampled_positions_follow_y_to_channels_first():
    case = CASES["typical/infer-float32-NHWC-2x4x3x5"]
    positions = (0, 1, 5, 17, 119)
    sampled = replace(case, attributes={**case.attributes, "positions": list(positions)})
    y = np.arange(case.inputs["x"].size).reshape(case.inputs["x"].shape)
    first = export.channels_first(y, case).reshape(-1)
    assert first[onnx.positions_of(sampled)].tolist() == list(positions)


def read_test(folder: Path) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A model, and its inputs and expected outputs by name, as the runner of the backend tests reads them."""
    from onnx import checker, load, load_tensor, numpy_helper

    model = load(folder / "model.onnx")
    checker.check_model(model, full_check=True)
    tensors: dict[str, dict[str, Any]] = {}
    for kind, infos in (("input", model.graph.input), ("output", model.graph.output)):
        paths = [folder / onnx.DATA / f"{kind}_{number}.pb" for number in range(len(infos))]
        assert set(folder.glob(f"*/{kind}_*.pb")) == set(paths)
        tensors[kind] = {}
        for path, info in zip(paths, infos, strict=True):
            read = numpy_helper.to_array(load_tensor(path))
            kind_of = info.type.tensor_type
            assert [d.dim_value for d in kind_of.shape.dim] == list(read.shape)
            assert load_tensor(path).data_type == kind_of.elem_type
            tensors[kind][info.name] = read
    return model, tensors["input"], tensors["output"]


def answer_of(case: Any, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model's outputs as those of the case."""
    if case.operation == "update":
        count = range(len(case.attributes["batches"]))
        return {
            name: np.stack([outputs[f"{name}_{number}"] for number in count])
            for name in ("running_mean", "running_var")
        }
    y = outputs["y"]
    if case.positions is None:
        return outputs | {"y": np.moveaxis(y, 1, case.channel_axis)}
    whole = np.full(case.inputs["x"].shape, np.nan, y.dtype)
    whole.reshape(-1)[list(case.positions)] = y
    return outputs | {"y": whole}


def beta_of(case: Any, y: np.ndarray) -> Any:
    if case.positions is not None:
        return np.nan
    along = [-1 if axis == 1 else 1 for axis in range(y.ndim)]
    return np.asarray(case.inputs["beta"], dtype=np.float64).reshape(along)


def test_onnx_runtime_earns_the_same_verdicts_by_the_files_as_by_the_suite(tmp_path):
    """Every case: the outputs that a session computes from the files are judged, and so is the adapter."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from conformance.implementations.onnxruntime import BatchNormalization15

    adapter = BatchNormalization15()
    adapter.start()
    exported = onnx.write(CASES, tmp_path)
    assert {CASES[name].operation for name in exported.written} == {"train", "infer", "update"}
    for name, directory in exported.written.items():
        if name.startswith("affine/train-") and name.endswith("-defaults"):
            continue  # with the statistics asked for too, they have memory of their own: no bug then
        case = CASES[name]
        model, inputs, expected = read_test(tmp_path / directory)
        by_suite = judge(case.question, ask(adapter, case))
        session = (model.SerializeToString(), adapter.options)
        if case.dtype == "bfloat16":
            with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
                onnxruntime.InferenceSession(*session, providers=["CPUExecutionProvider"])
            assert by_suite.verdict == "unsupported"
            continue
        runtime = onnxruntime.InferenceSession(*session, providers=["CPUExecutionProvider"])
        outputs = dict(zip(expected, runtime.run(None, inputs), strict=True))
        for output, tensor in expected.items():
            assert outputs[output].dtype == tensor.dtype
            assert outputs[output].shape == tensor.shape
        answer = answer_of(case, outputs)
        judged = judge(case.question, Answer(outputs=answer))
        if case.operation == "train":  # the adapter asks for y alone
            answer = {"y": answer["y"]}
        by_file = judge(case.question, Answer(outputs=answer))
        assert (by_file.verdict, by_file.name) == (by_suite.verdict, by_suite.name), name
        assert by_file.ratio == pytest.approx(by_suite.ratio)
        check_bound(case, tmp_path / directory, outputs, judged)


def check_bound(case: Any, folder: Path, outputs: dict[str, Any], judged: Judgement) -> None:
    """What is written beside the tensors accepts the outputs just where the judge does."""
    bound = json.loads((folder / onnx.DATA / onnx.BOUNDS).read_text("utf-8"))
    assert bound["case"] == case.id
    assert list(bound["outputs"]) == list(outputs)
    accepted = all(
        is_accepted(got, bound, name, beta_of(case, got) if name == "y" else np.nan)
        for name, got in outputs.items()
    )
    if judged.name in ("epsilon-float32", "rounded-weight-of-the-old"):
        assert bound["formula"] == judged.name  # in ONNX that is what the attribute says
    due = judged.verdict in (CONFORMS, POLICY) or judged.name == bound["formula"]
    assert accepted == due, (case.id, judged)
