"""The search: what it finds without being told, how small that gets, and what it survives."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conformance.case import Case
from conformance.cases import cases_folder, load_cases, read_envelope
from conformance.catalogue import build
from conformance.catalogue.draft import Draft
from conformance.cli import main
from conformance.deviations import Deviation, Record
from conformance.generator import Staircase
from conformance.judge import ACCEPTABLE, Answer, judge
from conformance.precision import PRECISIONS

hunt = pytest.importorskip("conformance.search.hunt", exc_type=ImportError)
from conformance.search import gradable, make, right  # noqa: E402

KERNELS = '''
import os
import time

import numpy as np


def affine(x, mean, var, gamma, beta, epsilon):
    return (x - mean) * (gamma / np.sqrt(var + np.float32(epsilon))) + beta


class SinglePass:
    """As flax.linen.BatchNorm does by default."""

    framework = "numpy"
    dtypes = ("float32",)
    channel_axis = -1

    def train(self, x, gamma, beta, epsilon):
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axis=axes)
        var = np.maximum((x * x).mean(axis=axes) - mean * mean, 0)
        return affine(x, mean, var, gamma, beta, epsilon)


class Sequential(SinglePass):
    """Two passes, each of which adds one float32 number after another."""

    def train(self, x, gamma, beta, epsilon):
        rows = x.reshape(-1, x.shape[-1])
        mean = rows.cumsum(axis=0)[-1] / len(rows)
        var = np.square(rows - mean).cumsum(axis=0)[-1] / len(rows)
        return affine(x, mean, var, gamma, beta, epsilon)


class Wrong(SinglePass):
    """On the first case already, the smallest."""

    def train(self, x, gamma, beta, epsilon):
        return x * 0 + 77


class Dies(Wrong):
    def train(self, x, gamma, beta, epsilon):
        if x.size > 3:
            os.abort()
        return super().train(x, gamma, beta, epsilon)


class Hangs(Wrong):
    def train(self, x, gamma, beta, epsilon):
        if x.size > 3:
            time.sleep(1000)
        return super().train(x, gamma, beta, epsilon)


class Forgets(SinglePass):
    """Is wrong every other time, whatever it is asked."""

    calls = 0

    def train(self, x, gamma, beta, epsilon):
        self.calls += 1
        return x * 0 + 77 + self.calls % 2


class CannotStart(SinglePass):
    def start(self):
        raise OSError("no such device")
'''


@pytest.fixture(scope="module")
def kernels(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("kernels") / "kernels.py"
    path.write_text(KERNELS)
    return path


def search(*arguments: object) -> int:
    return main(["search", *map(str, arguments)])


def found_by(*call: object, folder: Path) -> tuple[int, list[Case]]:
    """The first seed that finds anything, and what it found. (What a seed draws depends on
    Hypothesis's version and on the constants in this package.)"""
    for seed in range(8):
        if search(*call, "--seed", seed, "--out", folder / "found.json") == 1:
            return seed, list(load_cases(folder).values())
    pytest.fail("nothing was found")


def test_the_single_pass_variance_is_found_and_shrunk(kernels, tmp_path, capsys):
    call = ("--impl", f"{kernels}:SinglePass", "--examples", 30)
    seed, cases = found_by(*call, folder=tmp_path)
    printed = capsys.readouterr().out
    repeat = f"repeat: bnconf search --impl {kernels}:SinglePass --examples 30 --seed {seed}\n"
    assert repeat in printed
    assert any("-single-pass-variance-" in case.id for case in cases)
    assert_a_person_can_read_it(tmp_path, cases)

    # The file can be shown, and is what the catalogue's tools would have made of its inputs.
    assert main(["cases", "show", "--cases", str(tmp_path)]) == 0
    assert cases[0].id in capsys.readouterr().out
    shutil.copy(cases_folder() / "schema.json", tmp_path)
    assert [wrong for *_, wrong in build.verify(tmp_path)] == [[]]


def test_a_seed_draws_the_same_cases(kernels, tmp_path):
    class Recorded(hunt.Hunt):
        def fails(self, draft):
            self.drawn.append(repr(draft))
            self.tried += 1
            return False

    def drawn(seed: int) -> list[str]:
        spec = f"{kernels}:SinglePass"
        plan = hunt.Plan(spec, "cpu", ("train",), 30, seed, 1.0, (), str(tmp_path))
        recorded = Recorded(plan, None)
        recorded.drawn = []
        recorded.run()
        return recorded.drawn

    assert len(drawn(1)) >= 30
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def assert_a_person_can_read_it(folder: Path, cases: list[Case]) -> None:
    """Few different numbers in few channels, and few lines of them; a long column is a generator."""
    for case in cases:
        x = np.asarray(case.inputs["x"], np.float64)
        assert len(np.unique(x)) <= 4
        assert x.shape[case.channel_axis] <= 3
    for record in json.loads((folder / "found.json").read_text())["cases"]:
        assert len(json.dumps(record["inputs"])) < 800


def test_a_naive_float32_sum_is_found_and_shrunk(kernels, tmp_path):
    call = ("--impl", f"{kernels}:Sequential", "--examples", 60)
    _, cases = found_by(*call, folder=tmp_path)
    assert_a_person_can_read_it(tmp_path, cases)
    for case in cases:
        assert case.question.values_per_channel > 2000
        assert case.inputs["x"].size == case.question.values_per_channel


@pytest.mark.skipif(importlib.util.find_spec("flax") is None, reason="flax is not installed")
def test_the_single_pass_variance_of_flax_is_found(tmp_path, capsys):
    call = ("--impl", "flax.linen.BatchNorm", "--operation", "train", "--examples", 25)
    _, cases = found_by(*call, folder=tmp_path)
    assert ", which is on record of it" in capsys.readouterr().out
    assert any("-single-pass-variance-" in case.id for case in cases)
    assert_a_person_can_read_it(tmp_path, cases)


def test_what_is_right_is_not_accused(capsys):
    assert search("--impl", "numpy.batch_norm-float64", "--examples", 60) == 0
    assert "60 examples" in capsys.readouterr().out


def test_no_right_kernel_is_accused():
    pytest.importorskip("conformance.proof.right")
    assert search("--right", "--examples", 25) == 0


# What it survives


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        ("Dies", "crashed, crashed (the process died)"),
        ("Hangs", "timeout, timeout (no answer with"),
    ],
)
def test_what_takes_the_process_along_is_found(kernels, kernel, found, tmp_path, capsys):
    call = ("--impl", f"{kernels}:{kernel}", "--examples", 25, "--timeout", 1)
    assert search(*call, "--out", tmp_path / "found.json") == 1
    printed = capsys.readouterr().out
    assert found in printed
    assert ": ended early: " in printed
    # What was found before is not lost.
    before, last = load_cases(tmp_path).values()
    assert "-wrong-unexplained-" in before.id
    assert np.size(before.inputs["x"]) == 1
    assert np.size(last.inputs["x"]) > 3


def test_what_is_never_the_same_is_found(kernels, capsys):
    assert search("--impl", f"{kernels}:Forgets", "--examples", 5) == 1
    assert "wrong, unexplained" in capsys.readouterr().out


def test_what_cannot_be_searched_keeps_no_other_from_it(kernels, capsys):
    call = ("--impl", f"{kernels}:CannotStart", "--impl", f"{kernels}:SinglePass")
    assert search(*call, "--examples", 3) == 2
    printed = capsys.readouterr()
    assert "could not be started: no such device" in printed.err
    assert f"{kernels}:SinglePass: 3 examples" in printed.out


# Calls


def test_an_operation_that_is_not_offered_is_told(kernels, capsys):
    assert search("--impl", f"{kernels}:SinglePass", "--operation", "dense") == 2
    assert "offers none of dense; name another --operation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ([], "--impl NAME, or --right"),
        (["--impl", "numpy.batch_norm", "--out", "x.txt"], "NAME.json"),
        (["--impl", "numpy.batch_norm", "--out", "no-such-folder/x.json"], "cannot be written"),
    ],
)
def test_a_bad_call_is_told(call, message, capsys):
    assert search(*call) == 2
    assert message in capsys.readouterr().err


def test_without_hypothesis_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr(make, "find_spec", lambda module: None)
    assert search("--impl", "numpy.batch_norm") == 2
    assert "pip install 'batchnorm-conformance[search]'" in capsys.readouterr().err


def test_what_is_on_record_is_known_whatever_the_case():
    deviation = Deviation(("mine*",), ("a/*",), "wrong", ("odd", "even"), "A reason.")
    record = Record([deviation], {"mine": "frame", "other": "frame"}, {}, "cpu")
    assert record.known("mine") == {("wrong", "odd"), ("wrong", "even")}
    assert record.known("other") == record.known("mine-too") == frozenset()


def test_what_is_on_record_can_be_passed_over(tmp_path, capsys):
    call = ("--impl", "numpy.batch_norm", "--operation", "train", "--examples", 20)
    seed, _ = found_by(*call, folder=tmp_path)
    assert ", which is on record of it; repeat:" in capsys.readouterr().out
    assert search(*call, "--seed", seed, "--new-only") == 0


# What is left out


def case_of(operation, x, *, epsilon=1e-3, dtype="float32", attributes=None, **tensors):
    inputs = {name: np.array(a, np.float64) for name, a in {"x": x, **tensors}.items()}
    channels = inputs["x"].shape[1]
    for name, number in (("gamma", 2.0), ("beta", 1.0)):
        inputs.setdefault(name, np.full(channels, number))
    draft = Draft(
        "x", operation, dtype, "NC", epsilon, "as it is", inputs, attributes=attributes or {}
    )
    record = build.record_of(hunt.FAMILY, draft)
    (case,) = read_envelope(build.envelope_of(hunt.FAMILY, [record]), "found", "found")
    return case


def two_pass(case):
    """Mean, variance and y in the working format as any kernel has them, to the last place or two."""
    x = case.inputs["x"].astype(PRECISIONS[case.dtype].working.dtype)
    x = x @ case.inputs["w"] if "w" in case.inputs else x
    with np.errstate(all="ignore"):
        mean = x.dtype.type(1 / len(x)) * np.sum(x, axis=0)
        var = np.sum(np.square(x - mean), axis=0) / len(x)
        factor = case.inputs["gamma"] / np.sqrt(var + x.dtype.type(case.epsilon))
        return mean, var, (x - mean) * factor + case.inputs["beta"]


def answers(case):
    if case.operation == "grad-infer":  # x is multiplied by dy before it is divided
        x, dy, gamma, var = (case.inputs[name] for name in ("x", "dy", "gamma", "var"))
        s = np.sqrt(var + np.float32(case.epsilon))
        with np.errstate(over="ignore"):
            return {"dx": gamma * dy / s, "dgamma": (x * dy).sum(axis=0) / s, "dbeta": dy[0]}
    if case.operation == "infer":  # subnormal numbers are taken for zero
        return {"y": case.inputs["beta"][None]}
    with np.errstate(all="ignore"):
        mean, var, y = (a.astype(case.inputs["x"].dtype) for a in two_pass(case))
    if case.operation == "dense":
        return {"y": np.tanh(y)}
    return {"y": y, "mean": mean, "var": var}


GAPS = {
    "two policies": lambda: case_of("train", [[0, 0], [1e-43, 1e30]], epsilon=0.0),
    "activation of beta": lambda: case_of(
        "dense", [[0], [6e20]], w=[[1]], attributes={"activation": "tanh"}, gamma=[2**-10]
    ),
    "too large for its dtype": lambda: case_of("train", [[0], [512]], dtype="float16"),
    "0/0": lambda: case_of(
        "dense", [[0.1]] * 7, w=[[1]], attributes={"activation": "tanh"}, epsilon=0.0
    ),
    "a variance below": lambda: case_of("train", [[0], [2.0**-563]], dtype="float64", epsilon=0.0),
    "another order": lambda: case_of("grad-infer", [[2e37]], mean=[0], var=[2e37], dy=[[32]]),
    "a subnormal input": lambda: case_of("infer", [[1e-40]], mean=[0], var=[0], gamma=[2.0**120]),
    "squared, is too large": lambda: case_of("train", [[1e32]] * 7),
}


@pytest.mark.parametrize("gap", GAPS)
def test_what_cannot_be_graded_is_left_out_as_long_as_that_is_so(gap):
    """A right answer is accused. Where this fails the judge has learned: take the line out."""
    case = GAPS[gap]()
    assert gap in gradable.why_not(case)
    assert judge(case.question, Answer(answers(case))).verdict not in ACCEPTABLE


def test_an_ordinary_case_can_be_graded():
    case = case_of("train", [[0], [1], [4]])
    assert gradable.why_not(case) is None
    assert judge(case.question, Answer(answers(case))).verdict in ACCEPTABLE


def test_long_columns_of_roundings_that_go_one_way_are_told_from_others():
    def long(offset, step, modulus, exponent):
        made = Staircase(1, 1, modulus, offset, step, exponent)
        return case_of("train", made.values(2048)[:, None], attributes={"positions": [0]})

    tenths, integers, signs = long(13421773, 1, 1, -27), long(3, 1, 4, 0), long(-1, 2, 2, 0)
    assert right.drifts(tenths)
    assert not right.drifts(integers)
    assert not right.drifts(signs)
