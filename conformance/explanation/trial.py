"""A reading held against the outputs: by the suite's own formulas, scales and judge.

The values are not certified in balls, which takes seconds for a thousand numbers, but computed in
wider floating-point numbers: see `conformance.arithmetic.extended` for how far off they may be. A
ratio is wrong by no more than `margin` times a few roundings, 2**-29 for float32 and half precisions, 2**-11 for
float64 on x86. Without wider numbers than float64, python-flint's balls are used for small float64
tensors, and float64 itself with a margin of 1 else, which the explanation then says.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.alternatives import ALTERNATIVES
from conformance.arithmetic.extended import Extended, wider_than
from conformance.certify import FORMULAS, Evaluation
from conformance.explanation.reading import Reading
from conformance.explanation.sample import Sample, choose
from conformance.formula import REFERENCE
from conformance.judge import (
    INACCURATE,
    Answer,
    Judgement,
    Named,
    Question,
    judge,
    limit,
)
from conformance.operations import IN_LAYOUT, OPERATIONS
from conformance.precision import PRECISIONS, Precision

_NAMED: dict[str, Named] = {f.key: f for f in FORMULAS} | {
    a.key: Named(a.key, a.name, a.verdict, a.meaning) for a in ALTERNATIVES
}
_AFFINE = (
    0.05  # the share of its spread that half precision and a cancelling mean may leave unexplained
)
_BUDGET, _BUDGET_WIDE, _BUDGET_BALLS = 2**16, 2**15, 2**10
_DEFAULTS = {"gamma": 1.0, "beta": 0.0}


@dataclass(frozen=True, eq=False)
class Outcome:
    """A reading, the verdict on it, and where the sample was taken."""

    reading: Reading
    judgement: Judgement
    limit: float
    sample: Sample
    outputs: Mapping[str, np.ndarray]
    own_ratio: float
    """The ratio to the named formula that explains the outputs, or to the reference if none does."""

    @property
    def ratio(self) -> float:
        """The largest ratio to the reference; infinite where nothing could be compared."""
        return np.inf if self.judgement.ratio is None else self.judgement.ratio


@dataclass
class Trials:
    """The outputs to be explained, in the user's layout or (C,), and what was tried on them."""

    outputs: Mapping[str, np.ndarray]
    urgent: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """By channel axis: rows and channels that have to be in the sample."""
    _affine: dict[int, bool] = field(default_factory=dict)

    def reference(self, reading: Reading) -> Outcome:
        """Held against the reference formula alone."""
        return self._outcome(reading, "reference")

    def definitions(self, reading: Reading) -> Outcome:
        """Held also against the named formulas that are other definitions."""
        return self._outcome(reading, "definitions")

    def everything(self, reading: Reading) -> Outcome:
        """Held against all named formulas, those that only lose more digits included."""
        return self._outcome(reading, "everything")

    def is_hopeful(self, reading: Reading) -> bool:
        """Whether y is a multiple of x and a constant in some channel, as along the right axis it is.

        Where it is not, no other statistics, parameters or epsilon can explain it. Of gradients
        nothing is known beforehand.
        """
        if "y" not in self.outputs:
            return True
        if reading.axis not in self._affine:
            with np.errstate(all="ignore"):
                unexplained = affine_residuals(reading, self.outputs["y"], self.sample(reading))[1]
            known = unexplained[np.isfinite(unexplained)]
            self._affine[reading.axis] = not known.size or bool(known.min() <= _AFFINE)
        return self._affine[reading.axis]

    def _outcome(self, reading: Reading, against: str) -> Outcome:
        sample = self.sample(reading)
        with np.errstate(all="ignore"), _enough_bits():
            question, answer = self._question(reading, sample, against)
            judgement = judge(question, answer)
            namesakes = [
                judge(replace(question, expected={"reference": expected}), answer).ratio
                for key, expected in question.expected.items()
                if key in _NAMED and _NAMED[key].name == judgement.name
            ]
        own = min((r for r in namesakes if r is not None), default=judgement.ratio)
        most = limit(question.values_per_channel)
        return Outcome(
            reading, judgement, most, sample, self.outputs, np.inf if own is None else own
        )

    def sample(self, reading: Reading) -> Sample:
        shape = reading.matrix(reading.tensors["x"]).shape
        sums = OPERATIONS[reading.operation].reduces
        budget = budget_of(PRECISIONS[reading.precision])
        return choose((shape[0], shape[1]), budget, sums, self.urgent.get(reading.axis))

    def _question(self, reading: Reading, sample: Sample, against: str) -> tuple[Question, Answer]:
        precision = PRECISIONS[reading.precision]
        operation = OPERATIONS[reading.operation]
        inputs = inputs_of(reading, sample)
        values = len(inputs["x"])
        attributes: dict[str, Any] = {}
        if reading.operation == "update":
            attributes = {"batches": (values,), "rates": (reading.rate,)}
        evaluation = Evaluation(
            arithmetic_of(precision, values),
            reading.operation,
            precision,
            inputs,
            reading.epsilon,
            attributes,
            sample=sample.places,
        )
        if against == "reference":
            expected = {"reference": evaluation.evaluate(REFERENCE[reading.operation])[0]}
        else:
            expected = evaluation.all()
        if against == "definitions":
            expected = {key: e for key, e in expected.items() if not _only_loses(key)}
        given, shapes = {}, {}
        for name in (n for n in operation.outputs if n in self.outputs):
            array = self._output(name, reading, sample, precision)
            given[name], shapes[name] = array, array.shape
        expected = {key: {n: e[n] for n in shapes} for key, e in expected.items()}
        beta = evaluation.at_places(inputs["beta"]) if "y" in shapes else None
        question = Question(
            dtype=reading.precision,
            values_per_channel=values if operation.reduces else 1,
            shapes=shapes,
            required=len(shapes),
            positions=None,
            beta=beta,
            expected=expected,
            formulas=_NAMED,
            policies=frozenset(),
            promoted=_promoted(reading, given),
        )
        return question, Answer(given)

    def _output(
        self, name: str, reading: Reading, sample: Sample, precision: Precision
    ) -> np.ndarray:
        array = self.outputs[name]
        if name in IN_LAYOUT:
            return np.asarray(sample.at(reading.matrix(array))).astype(precision.dtype)
        kept = np.broadcast_to(array, reading.channels)[sample.channels]
        return kept[None] if reading.operation == "update" else kept


@contextmanager
def _enough_bits() -> Iterator[None]:
    """Where balls are used, 256 bits: ten times as many as a last place of float64 may take."""
    balls = sys.modules.get("conformance.arithmetic.balls")
    with nullcontext() if balls is None else balls.working_precision(256):
        yield


def _promoted(reading: Reading, outputs: Mapping[str, np.ndarray]) -> frozenset[str]:
    """The dtype of the numbers per channel, where it is wider than that of y."""
    others = {**reading.tensors, **outputs}
    dtypes = [a.dtype for name, a in others.items() if name not in IN_LAYOUT]
    own = PRECISIONS[reading.precision].dtype
    wider = max(dtypes, key=lambda d: d.itemsize, default=own)
    return frozenset({wider.name}) if wider.itemsize > own.itemsize else frozenset()


def _only_loses(key: str) -> bool:
    alternative = next((a for a in ALTERNATIVES if a.key == key), None)
    if alternative is not None:
        return alternative.same_value
    return key in _NAMED and _NAMED[key].verdict == INACCURATE


def inputs_of(reading: Reading, sample: Sample) -> dict[str, np.ndarray]:
    """The operation's inputs as float64, channels last and only those of the sample."""
    working = PRECISIONS[reading.precision].working.dtype
    inputs = {}
    for name in OPERATIONS[reading.operation].inputs:
        array = reading.tensors.get(name)
        if array is None:
            array = np.full(1, _DEFAULTS[name])
        if name in IN_LAYOUT:
            array = sample.keep(reading.matrix(array))
        else:
            array = np.broadcast_to(array, reading.channels)[sample.channels]
        if array.dtype.itemsize > working.itemsize:
            array = array.astype(working)
        inputs[name] = array.astype(np.float64)
    return inputs


def affine_residuals(
    reading: Reading, output: np.ndarray, sample: Sample
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The slope of y against x in each channel of a sample, what share of y's spread it leaves, and
    y's mean: (k,) each."""
    x = sample.keep(reading.matrix(reading.tensors["x"])).astype(np.float64)
    y = sample.keep(reading.matrix(output)).astype(np.float64)
    centered, level = x - x.mean(axis=0), y.mean(axis=0)
    slope = np.sum(centered * (y - level), axis=0) / np.sum(centered * centered, axis=0)
    left = np.mean(np.square(y - level - slope * centered), axis=0)
    return slope, np.sqrt(left / np.var(y, axis=0)), level


def arithmetic_of(precision: Precision, values: int = 0) -> Any:
    """The arithmetic for channels of so many values."""
    wide = wider_than(precision)
    if wide is not None:
        return wide
    if values <= 4 * _BUDGET_BALLS and importlib.util.find_spec("flint") is not None:
        from conformance.arithmetic import balls

        return balls
    return Extended(np.float64, precision)


def budget_of(precision: Precision) -> int:
    arithmetic = arithmetic_of(precision)
    if not isinstance(arithmetic, Extended):
        return _BUDGET_BALLS
    return _BUDGET if arithmetic.dtype == np.float64 else _BUDGET_WIDE


def margin_of(precision: Precision, values: int) -> float:
    """How far off a ratio may be, for one rounding of the wider numbers; 0 for balls."""
    arithmetic = arithmetic_of(precision, values)
    return arithmetic.margin if isinstance(arithmetic, Extended) else 0.0
