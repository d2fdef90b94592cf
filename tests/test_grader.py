"""cases/README.md grades as the judge does: a grader written from that page alone agrees with it on every case."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import grader
import numpy as np
import pytest

from conformance.case import Case
from conformance.cases import cases_folder, load_cases
from conformance.implementations.call import ask
from conformance.implementations.numpy import BatchNorm, BatchNormFloat64
from conformance.judge import Answer, judge

CASES = load_cases(cases_folder())
FAMILIES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in cases_folder().glob("*.json")
    if path.stem != "schema"
}
RECORDS = {
    record["id"]: (family, record) for family in FAMILIES.values() for record in family["cases"]
}
LARGE = 2**17  # numbers in x; more are put to the reference alone


class Kernel(BatchNormFloat64):
    """The reference in float64, whose steps the wrong ones replace; it hands out its statistics."""

    def moments(self, Z: Any) -> Any:
        return np.mean(Z, axis=0), np.var(Z, axis=0)

    def root(self, var: Any, epsilon: float) -> Any:
        return np.sqrt(var + epsilon)

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        Z, gamma, beta = self._rows(x, gamma, beta)
        mean, var = self.moments(Z)
        Y = gamma * (Z - mean) / self.root(var, epsilon) + beta
        return Y.astype(x.dtype).reshape(x.shape), mean, var

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        Z, *parameters = self._rows(x, mean, var, gamma, beta)
        mean, var, gamma, beta = parameters
        Y = gamma * (Z - mean) / self.root(var, epsilon) + beta
        return Y.astype(x.dtype).reshape(x.shape)

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        (Z,) = self._rows(x)
        new_mean, new_var = self.moments(Z)
        return (
            ((1 - rate) * mean + rate * new_mean).astype(mean.dtype),
            ((1 - rate) * var + rate * new_var).astype(var.dtype),
        )

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        Z, row, dY = self._rows(x, gamma, dy)
        mean, var = self.moments(Z)
        root = self.root(var, epsilon)
        normalized = (Z - mean) / root
        dgamma, dbeta = np.sum(dY * normalized, axis=0), np.sum(dY, axis=0)
        dX = row / root * (dY - (dbeta + normalized * dgamma) / len(Z))
        return self._gradients(x, gamma, dX, dgamma, dbeta)


class EpsilonOutside(Kernel):
    def root(self, var: Any, epsilon: float) -> Any:
        return np.sqrt(var) + epsilon


class SinglePass(Kernel):
    inside = np.float32

    def moments(self, Z: Any) -> Any:
        mean = np.mean(Z, axis=0)
        return mean, np.mean(Z * Z, axis=0) - mean * mean


class Unbiased(Kernel):
    def moments(self, Z: Any) -> Any:
        return np.mean(Z, axis=0), np.var(Z, axis=0, ddof=1)


class Inverted(Kernel):
    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        return super().update(x, mean, var, epsilon, 1 - rate)


class HeldConstant(Kernel):
    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        Z = self._rows(x)[0]
        return self.grad_infer(x, *self.moments(Z), gamma, beta, epsilon, dy)


class Refusing(Kernel):
    """Refuses every epsilon that some library refuses, and every batch too small."""

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        if epsilon < 1e-5 or x.size <= gamma.size or x.ndim < 2:
            raise ValueError("refused")
        return super().train(x, gamma, beta, epsilon)


class Promoting(Kernel):
    """Answers in the dtype of the parameters."""

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return super().infer(x.astype(gamma.dtype), mean, var, gamma, beta, epsilon)


class Everywhere(Kernel):
    """Answers one number, whatever it is asked."""

    number = 0.0

    def _everywhere(self, *arrays: Any) -> Any:
        with np.errstate(all="ignore"):
            filled = [np.full(a.shape, self.number).astype(a.dtype) for a in arrays]
        return filled[0] if len(arrays) == 1 else tuple(filled)

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._everywhere(x, gamma, gamma)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._everywhere(x)

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        return self._everywhere(mean, var)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        return self._everywhere(x, gamma, beta)

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        return self._everywhere(x, gamma, beta)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        return self._everywhere(np.empty((len(x), len(gamma)), x.dtype))


class NaNEverywhere(Everywhere):
    number = np.nan


class InfinityEverywhere(Everywhere):
    number = np.inf


class BetaInstead(Kernel):
    """Beta where y has no number, and 0 where its gradients have none."""

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        y, mean, var = super().train(x, gamma, beta, epsilon)
        return np.where(np.isfinite(y), y, beta), mean, var

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        y = super().infer(x, mean, var, gamma, beta, epsilon)
        return np.where(np.isfinite(y), y, beta)

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        gradients = super().grad(x, gamma, beta, epsilon, dy)
        return tuple(np.where(np.isfinite(a), a, np.zeros_like(a)) for a in gradients)


class Misshapen(Kernel):
    """Loses the last row of what is large."""

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return super().infer(x, mean, var, gamma, beta, epsilon)[:-1]

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        return super().dense(x, w, gamma, beta, epsilon, activation).astype(np.int32)


# What each earns in some case; a kernel that earned nothing else would prove nothing.
EARNED = {
    BatchNormFloat64: ("conforms", "accurate"),
    BatchNorm: ("inaccurate", "native-precision"),
    Kernel: ("policy", "nan"),
    EpsilonOutside: ("wrong", "epsilon-outside-sqrt"),
    SinglePass: ("inaccurate", "single-pass-variance"),
    Unbiased: ("wrong", "unbiased-variance"),
    Inverted: ("wrong", "momentum-inverted"),
    HeldConstant: ("wrong", "statistics-held-constant"),
    Refusing: ("policy", "raises"),
    Promoting: ("convention", "promoted-output"),
    Everywhere: ("wrong", "unexplained"),
    NaNEverywhere: ("policy", "nan"),
    InfinityEverywhere: ("policy", "infinity"),
    BetaInstead: ("policy", "beta"),
    Misshapen: ("wrong", "shape"),
}


def graded(case: Case, answer: Answer) -> tuple[str, str]:
    family, record = RECORDS[case.id]
    return grader.grade(family, record, None if answer.raised else dict(answer.outputs))


def judged(case: Case, answer: Answer) -> tuple[str, str]:
    judgement = judge(case.question, answer)
    return judgement.verdict, judgement.name


@pytest.mark.parametrize("kernel", EARNED, ids=lambda kernel: kernel.__name__)
def test_the_page_and_the_judge_give_every_answer_the_same_verdict_and_name(kernel):
    instance, found = kernel(), {}
    for case in CASES.values():
        if kernel is BatchNormFloat64 or case.inputs["x"].size <= LARGE:
            answer = ask(instance, case)
            assert answer.unsupported is None
            found[case.id] = graded(case, answer), judged(case, answer)
    assert {name: pair for name, pair in found.items() if pair[0] != pair[1]} == {}
    assert EARNED[kernel] in {pair[0] for pair in found.values()}


def test_outputs_that_are_left_out_or_not_known_are_noticed_alike():
    train, update = (
        next(case for case in CASES.values() if case.operation == operation)
        for operation in ("train", "update")
    )
    answers = [
        (train, ask(Kernel(), train).outputs, ("y",), "accurate"),
        (train, ask(Kernel(), train).outputs, ("mean", "var"), "outputs"),
        (train, {"y": np.zeros(1), "z": np.zeros(1)}, ("y", "z"), "outputs"),
        (update, ask(Kernel(), update).outputs, ("running_mean",), "outputs"),
    ]
    for case, outputs, kept, name in answers:
        answer = Answer({key: outputs[key] for key in kept})
        assert graded(case, answer) == judged(case, answer)
        assert graded(case, answer)[1] == name


def test_the_same_tensors_are_read():
    for case_id, (_, record) in RECORDS.items():
        if CASES[case_id].inputs["x"].size > 2**21:
            continue
        for name, tensor in record["inputs"].items():
            read = grader.tensor(tensor, record["dtype"])
            here = np.asarray(CASES[case_id].inputs[name])
            assert (read.dtype, read.shape) == (here.dtype, here.shape)
            assert read.tobytes() == here.tobytes()


def test_the_grader_is_short_and_takes_nothing_from_the_suite():
    text = Path(grader.__file__).read_text(encoding="utf-8")
    statements = [
        n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for statement in statements for alias in statement.names}
    assert names == {"hashlib", "math", "ml_dtypes", "numpy"}
    assert len(text.splitlines()) < 100
