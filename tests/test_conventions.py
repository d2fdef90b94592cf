"""A layer is held to what is declared of it, and to nothing else."""

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from conformance import Implementation, alternatives, certify, conventions, results
from conformance.cases import cases_folder, load_cases
from conformance.conventions import is_asked, key_of, question_of
from conformance.implementations import registry
from conformance.implementations.base import Conventions
from conformance.implementations.call import ask
from conformance.judge import judge

ROOT = Path(__file__).resolve().parent.parent
CASES = load_cases(cases_folder(), ["conventions/*"])
KERAS = Conventions(
    epsilon=1e-3,
    momentum=0.99,
    momentum_weighs="old",
    running_variance="population",
    half_output="float32",
    half_statistics="float32",
    fresh="initial-statistics",
    frozen="running-statistics",
)
TORCH = Conventions(
    epsilon=1e-5,
    momentum=0.1,
    momentum_weighs="new",
    running_variance="unbiased",
    half_output="x",
    half_statistics="x",
    fresh="initial-statistics",
    frozen="batch-statistics",
)
OTHER = Conventions(
    epsilon=1e-6,
    momentum=0.05,
    momentum_weighs="new",
    running_variance="unbiased",
    half_output="x",
    half_statistics="float32",
    fresh="batch-statistics",
    frozen="batch-statistics",
)
REFUSES = Conventions(**{**vars(TORCH), "fresh": "raises"})
DECLARED = {"keras": KERAS, "torch": TORCH, "other": OTHER, "refuses": REFUSES}


class Layer(Implementation):
    """A layer that does as `does` says, whatever is declared of it."""

    name = "layer"
    framework = "numpy"
    ranks = (4,)

    def __init__(self, declared, does=None):
        self.conventions, self.does = declared, does or declared

    def train(self, x, gamma, beta, epsilon):
        raise AssertionError("the layer is to be asked")

    def layer(self, x, modes, frozen):
        assert x.ndim == 4
        does, wide = self.does, x.astype(np.float64)
        batch = wide.mean(axis=(0, 2, 3)), wide.var(axis=(0, 2, 3))
        unbiased = len(x) / (len(x) - 1) if does.running_variance == "unbiased" else 1
        running, was_trained = (np.zeros(x.shape[1]), np.ones(x.shape[1])), False
        for mode in modes:
            how = "batch-statistics" if mode == "train" else does.fresh
            how = does.frozen if frozen else "running-statistics" if was_trained else how
            if how == "raises":
                raise RuntimeError("was not trained yet")
            used = batch if how == "batch-statistics" else running
            mean, var = (a[:, None, None] for a in used)
            y = (wide - mean) / np.sqrt(var + does.epsilon)
            if mode == "train" and how == "batch-statistics":
                new = batch[0], batch[1] * unbiased
                running = [a + does.rate * (b - a) for a, b in zip(running, new, strict=True)]
                was_trained = True
        half = x.dtype == ml_dtypes.bfloat16
        kept = [x.dtype if half and k == "x" else np.float32 for k in self.kept]
        return y.astype(kept[0]), *(a.astype(kept[1]) for a in running)

    @property
    def kept(self):
        return self.does.half_output, self.does.half_statistics


def asks(case_id):
    """What the case asks: some ask the same again, with other numbers."""
    return case_id.partition("/")[2].replace("-again", "")


def verdicts(implementation):
    found = {}
    for name, case in CASES.items():
        if not is_asked(implementation, case):
            assert name == "conventions/infer-trained"
            assert implementation.conventions is OTHER
            continue
        question = question_of(implementation.conventions, case)
        judged = judge(question, ask(implementation, case))
        one = (judged.verdict, judged.name)
        assert found.setdefault(asks(name), one) == one
    return found


@pytest.mark.parametrize("declared", DECLARED.values(), ids=list(DECLARED))
def test_a_layer_that_does_as_declared_conforms(declared):
    assert {verdict for verdict, _ in verdicts(Layer(declared)).values()} == {"conforms"}


@pytest.mark.parametrize(
    ("other", "seen"),
    [
        (
            {"epsilon": 1e-5},
            {"infer-trained", "train-epsilon", "infer-fresh", "infer-frozen", "train-half"},
        ),
        (
            {"epsilon": 1e-2},
            {"infer-trained", "train-epsilon", "infer-fresh", "infer-frozen", "train-half"},
        ),
        ({"momentum": 0.9}, {"infer-trained", "update-momentum", "update-half"}),
        ({"momentum_weighs": "new"}, {"infer-trained", "update-momentum", "update-half"}),
        ({"running_variance": "unbiased"}, {"infer-trained", "update-momentum", "update-half"}),
        ({"half_output": "x"}, {"train-half"}),
        ({"half_statistics": "x"}, {"update-half"}),
        ({"fresh": "batch-statistics"}, {"infer-fresh"}),
        ({"fresh": "raises"}, {"infer-fresh"}),
        ({"frozen": "batch-statistics"}, {"infer-frozen", "update-frozen"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_layer_that_does_something_else_is_noticed(other, seen):
    found = verdicts(Layer(KERAS, Conventions(**{**vars(KERAS), **other})))
    assert {name for name, (verdict, _) in found.items() if verdict != "conforms"} == seen


def test_what_is_done_instead_has_its_name():
    found = verdicts(Layer(KERAS, TORCH))
    assert found["train-epsilon"] == ("convention", "commonest-defaults")
    assert found["update-momentum"] == ("convention", "unbiased-running-variance")
    assert found["infer-frozen"] == ("convention", "batch-statistics")
    assert verdicts(Layer(TORCH, KERAS))["train-epsilon"] == ("convention", "epsilon-0.001")


def test_a_layer_that_should_refuse_and_computes_is_noticed():
    assert verdicts(Layer(REFUSES, TORCH))["infer-fresh"] == ("policy", "accepts")


def test_without_a_layer_the_case_is_like_any_other():
    for name in ("numpy.batch_norm-float64", "torch.nn.functional.batch_norm"):
        implementation = registry.built_in()[name]()
        assert not any(is_asked(implementation, case) for case in CASES.values())


def test_what_nobody_calls_frozen_is_not_asked():
    layer = Layer(Conventions(**{**vars(KERAS), "frozen": "none", "momentum": None}))
    asked = {asks(name) for name, case in CASES.items() if is_asked(layer, case)}
    assert asked == {"train-epsilon", "infer-fresh", "train-half"}


PLUG_IN = """
import numpy as np
from conformance.implementations.base import Conventions


class Mine:  # nothing of the package's above it
    name = "mine"
    framework = "numpy"
    conventions = Conventions(1e-3, 0.1, "new", "population", "x", "x", "initial-statistics", "none")

    def layer(self, x, modes, frozen):
        y = (x - x.mean(0)) / np.sqrt(x.var(0) + np.float32(EPSILON))
        return y, x.mean(0), x.var(0)

    def train(self, x, gamma, beta, epsilon):
        raise AssertionError
"""


@pytest.mark.parametrize(("epsilon", "verdict"), [("1e-3", "conforms"), ("1e-5", "convention")])
def test_a_plug_in_s_layer_is_held_to_its_declaration(tmp_path, epsilon, verdict):
    (tmp_path / "mine.py").write_text(PLUG_IN.replace("EPSILON", epsilon))
    out = tmp_path / "r.jsonl"
    command = [sys.executable, "-m", "conformance", "run", "--impl", f"{tmp_path}/mine.py:Mine"]
    command += ["--case", "conventions/train-epsilon", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (run,) = results.read(out)
    assert [result.verdict for result in run.results] == [verdict]


def test_every_formula_has_a_key_of_its_own():
    formulas = (*certify.FORMULAS, *conventions.ALTERNATIVES, *alternatives.ALTERNATIVES)
    keys = [formula.key for formula in formulas]
    assert len(keys) == len(set(keys))


def test_every_declaration_in_the_package_can_be_checked():
    for implementation in registry.built_in().values():
        assert (implementation.layer is None) == (implementation.conventions is None)
        if implementation.conventions is None or implementation.conventions.fresh == "raises":
            continue
        for case in CASES.values():
            if is_asked(implementation(), case):
                layer = case.attributes["layer"]
                key = key_of(implementation.conventions, case.operation, layer)
                assert key in case.question.expected
