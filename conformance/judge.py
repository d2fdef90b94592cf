"""The rule that judges: one implementation's answer to one case, held against the named formulas.

For one element, ratio = |got - value| / (u * scale + half an ulp of value). This is the test ratio
of LAPACK Working Note 41 (section 7) with Wilkinson's running error as the scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from conformance.operations import IN_LAYOUT
from conformance.precision import PRECISIONS, Precision

CONFORMS, CONVENTION, POLICY = "conforms", "convention", "policy"
INACCURATE, WRONG, UNSUPPORTED = "inaccurate", "wrong", "unsupported"
CRASHED, TIMEOUT = "crashed", "timeout"
VERDICTS = (CONFORMS, CONVENTION, POLICY, INACCURATE, WRONG, UNSUPPORTED, CRASHED, TIMEOUT)

# An implementation without a record of its own is green with any of these.
ACCEPTABLE = frozenset({CONFORMS, CONVENTION, POLICY, UNSUPPORTED})

ACCURATE_LIMIT = 4.0


@dataclass(frozen=True)
class Expectation:
    """What one formula gives for one output: float64 arrays of the output's shape.

    A NaN value means that the formula has no finite value there; its scale is infinite.
    """

    value: np.ndarray
    scale: np.ndarray

    @cached_property
    def is_finite(self) -> bool:
        return bool(np.all(np.isfinite(self.scale)))

    @cached_property
    def denominators(self) -> dict[Precision, np.ndarray]:
        """By precision: the error that a ratio of 1 stands for."""
        return {}


@dataclass(frozen=True)
class Named:
    """A formula that an output may follow: its key in `expected`, and what following it means."""

    key: str
    name: str
    verdict: str
    meaning: str


@dataclass(frozen=True)
class Question:
    """The part of a case that the judge needs. `expected` is ordered; the reference comes first.

    `positions` are the flat indices of y and dx that are held against `expected`, all of them if
    None; `beta` holds the channel's beta at each of them, in the shape of y's expected value.
    `promoted` are the parameters' dtypes where they are wider than x; `rejects` asks for a refusal.
    `due` names outputs that have to come in one dtype and no other.
    """

    dtype: str
    values_per_channel: int
    shapes: Mapping[str, tuple[int, ...]]
    required: int
    positions: np.ndarray | None
    beta: np.ndarray | None
    expected: Mapping[str, Mapping[str, Expectation]]
    formulas: Mapping[str, Named]
    policies: frozenset[str]
    rejects: bool = False
    promoted: frozenset[str] = frozenset()
    due: Mapping[str, str] = field(default_factory=dict)

    def precision_of(self, output: str) -> Precision:
        """The format that an output is due in: x's own, or for one number a channel its parameters'."""
        wider = next(iter(self.promoted), self.dtype)
        return PRECISIONS[self.dtype if output in IN_LAYOUT else wider]

    @property
    def policy_keys(self) -> list[str]:
        return [k for k in self.expected if k in self.formulas and self._verdict(k) == POLICY]

    @property
    def alternative_keys(self) -> list[str]:
        return [k for k in self.expected if k in self.formulas and self._verdict(k) != POLICY]

    def _verdict(self, key: str) -> str:
        return self.formulas[key].verdict


@dataclass(frozen=True)
class Answer:
    """What an implementation gave back: outputs by name, or the reason why there are none."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    raised: str | None = None
    unsupported: str | None = None
    changed_input: str | None = None
    malformed: str | None = None
    crashed: str | None = None
    timed_out: str | None = None


@dataclass(frozen=True)
class Judgement:
    """A verdict, its name, the largest ratio against the reference, and the errors of each output."""

    verdict: str
    name: str
    ratio: float | None = None
    outputs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    message: str = ""


def limit(values_per_channel: int) -> float:
    """The largest ratio of a stable summation of so many values (Higham and Mary 2019, section 3).

    The square root is for roundings that go either way. Those of a long constant column do not: a
    sequential sum of a thousand 0.1s has ratio 61. No case may hold a column like that.
    """
    return max(ACCURATE_LIMIT, math.sqrt(values_per_channel))


def denominator(expectation: Expectation, precision: Precision) -> np.ndarray:
    """The error that a ratio of 1 stands for."""
    known = expectation.denominators
    if precision not in known:
        value = np.where(np.isnan(expectation.value), 0.0, expectation.value)
        half_ulp = precision.ulp(value) / 2
        half_ulp = np.maximum(half_ulp, np.nextafter(0.0, 1.0))
        known[precision] = precision.working.unit_roundoff * expectation.scale + half_ulp
    return known[precision]


def judge(question: Question, answer: Answer) -> Judgement:
    """The verdict on an answer; never raises for anything that an answer can hold."""
    if answer.unsupported is not None:
        return Judgement(UNSUPPORTED, UNSUPPORTED, message=answer.unsupported)
    if answer.crashed is not None:
        return Judgement(CRASHED, CRASHED, message=answer.crashed)
    if answer.timed_out is not None:
        return Judgement(TIMEOUT, TIMEOUT, message=answer.timed_out)
    if answer.malformed is not None:
        return Judgement(WRONG, "outputs", message=answer.malformed)
    if question.rejects:
        if answer.raised is not None:
            return Judgement(CONFORMS, "raises", message=answer.raised)
        return Judgement(POLICY, "accepts", message="bad input was computed with")
    if answer.raised is not None:
        verdict = POLICY if "raises" in question.policies else WRONG
        return Judgement(verdict, "raises", message=answer.raised)
    if answer.changed_input is not None:
        return Judgement(WRONG, "input-changed", message=f"{answer.changed_input} was written to")
    for name, message in _misshapen(question, answer.outputs):
        return Judgement(WRONG, name, message=message)
    got = {name: _checked(question, name, array) for name, array in answer.outputs.items()}
    judged = _explain(question, got)
    wider = {answer.outputs[name].dtype.name for name in IN_LAYOUT & set(got)} - {question.dtype}
    if judged.verdict == CONFORMS and wider and not question.due:
        return replace(judged, verdict=CONVENTION, name="promoted-output")
    return judged


def _checked(question: Question, name: str, array: Any) -> np.ndarray:
    """The elements of an output that are held against `expected`, in float64."""
    if question.positions is not None and name in IN_LAYOUT:
        array = np.reshape(array, -1)[question.positions]
    return np.asarray(array).astype(np.float64)


def _explain(question: Question, got: Mapping[str, np.ndarray]) -> Judgement:
    precisions = {name: question.precision_of(name) for name in got}
    reference = question.expected["reference"]
    ratios = {name: _ratio(got[name], reference[name], precisions[name]) for name in got}
    errors = {
        name: _errors(got[name], reference[name], ratios[name], precisions[name]) for name in got
    }
    worst = max((error["ratio"] for error in errors.values() if error), default=0.0)
    most = limit(question.values_per_channel)

    def judged(verdict: str, name: str, message: str = "") -> Judgement:
        return Judgement(verdict, name, worst, errors, message)

    undefined = {name: np.isnan(reference[name].value) for name in got}
    if not any(flags.any() for flags in undefined.values()) and worst <= most:
        return judged(CONFORMS, "accurate" if worst <= ACCURATE_LIMIT else "stable")

    answered = {name: _no_number_or_beta(name, got[name], question) for name in got}
    followed = {
        name: (ratio <= most) | (undefined[name] & answered[name]) for name, ratio in ratios.items()
    }
    if all(np.all(flags) for flags in followed.values()):
        return judged(POLICY, _name_of(np.concatenate([got[n][undefined[n]] for n in got])))

    def follows(key: str, name: str) -> Any:
        """Where an output follows a formula, or has no number to follow."""
        expectation = question.expected[key][name]
        within = _ratio(got[name], expectation, precisions[name]) <= most
        no_number = answered[name]
        if question.formulas[key].verdict == WRONG:  # its NaN is 0/0, and not a range that ran out
            no_number = ~np.isfinite(got[name]) | (undefined[name] & no_number)
        return within | (np.isnan(expectation.value) & no_number)

    spared = {name: np.zeros(ratios[name].shape, dtype=bool) for name in got}
    for key in question.policy_keys:
        within = {name: follows(key, name) for name in got}
        if all(np.all(within[name] | followed[name]) for name in got):
            return judged(POLICY, question.formulas[key].name, question.formulas[key].meaning)
        # Where the range runs out, or nothing is defined, another formula may be answered so too.
        for name in got:
            free = undefined[name] | np.isnan(question.expected[key][name].value)
            spared[name] |= free & within[name]
    if "nan" in question.policies and all(
        np.all(followed[name] | np.isnan(got[name])) for name in got
    ):
        return judged(POLICY, "nan")

    def is_rounded(key: str, name: str) -> Any:
        """Where an output is a formula's value to the last place, whatever rounding might have done."""
        value = question.expected[key][name].value
        with np.errstate(invalid="ignore"):
            return np.abs(got[name] - value) <= precisions[name].ulp(value)

    def tells(key: str) -> bool:
        """Whether the formula has a number where the reference was not followed: NaN alone may be
        had in many ways, and a mistake is not named for it."""
        if question.formulas[key].verdict != WRONG:
            return True
        numbers = {name: ~np.isnan(question.expected[key][name].value) for name in got}
        return any(np.any(numbers[name] & ~followed[name]) for name in got)

    for explains in (is_rounded, follows):
        for key in filter(tells, question.alternative_keys):
            if all(np.all(explains(key, name) | spared[name]) for name in got):
                named = question.formulas[key]
                return judged(named.verdict, named.name, named.meaning)
    # Half of the digits right: the formula is recognizably followed, with too large an error.
    strange = any(np.any(undefined[name] & ~answered[name]) for name in got)
    if worst <= 1 / math.sqrt(PRECISIONS[question.dtype].working.unit_roundoff) and not strange:
        return judged(INACCURATE, "unexplained")
    return judged(WRONG, "unexplained")


def _misshapen(question: Question, outputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    required = list(question.shapes)[: question.required]
    if not set(required) <= set(outputs) <= set(question.shapes):
        yield "outputs", f"gave {', '.join(map(str, outputs)) or 'nothing'}"
    for name, shape in question.shapes.items():
        if name not in outputs:
            continue
        array = outputs[name]
        if not isinstance(array, (np.ndarray, np.generic)):
            yield "type", f"{name} is of type {type(array).__name__}, not a NumPy array"
        elif array.shape != shape:
            yield "shape", f"{name} has shape {array.shape}, not {shape}"
        elif name in IN_LAYOUT and array.dtype.name not in {question.dtype} | question.promoted:
            yield "dtype", f"{name} has dtype {array.dtype.name}, not {question.dtype}"
        elif array.dtype.name != question.due.get(name, array.dtype.name):
            yield "dtype", f"{name} has dtype {array.dtype.name}, not {question.due[name]}"
        elif array.dtype.name not in PRECISIONS:
            yield "dtype", f"{name} has dtype {array.dtype.name}, not a floating-point one"


def _ratio(got: np.ndarray, expectation: Expectation, precision: Precision) -> np.ndarray:
    """Per element; infinite where a number was due and none came, 0 where anything may come."""
    with np.errstate(invalid="ignore", over="ignore"):
        ratio = np.abs(got - expectation.value) / denominator(expectation, precision)
    ratio[np.isnan(ratio)] = np.inf
    if expectation.is_finite:
        return ratio
    anything = np.isinf(expectation.scale) & ~np.isnan(expectation.value)
    return np.where(anything, 0.0, ratio)


def _worst(ratio: np.ndarray) -> float:
    return float(ratio.max()) if ratio.size else 0.0


def _no_number_or_beta(name: str, got: np.ndarray, question: Question) -> np.ndarray:
    """What IEEE arithmetic may answer, in one order of operations or another, where no number is due."""
    answers = ~np.isfinite(got)
    if name in ("dx", "dgamma"):
        answers |= got == 0  # y was taken for beta, and does not depend on x or gamma
    if name == "y" and question.beta is not None:
        ulp = PRECISIONS[question.dtype].ulp(question.beta)
        answers |= np.abs(np.where(answers, 0.0, got) - question.beta) <= ulp
    return answers


def _name_of(seen: np.ndarray) -> str:
    if np.isnan(seen).any():
        return "nan"
    return "infinity" if np.isinf(seen).any() else "beta"


def _errors(
    got: np.ndarray, expectation: Expectation, ratio: np.ndarray, precision: Precision
) -> dict[str, float]:
    """The largest errors over the elements that have a finite value: ratio, ulp, abs, rel."""
    value = expectation.value
    if not expectation.is_finite:
        finite = ~np.isnan(value)
        got, value, ratio = got[finite], value[finite], ratio[finite]
    if not value.size:
        return {}
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.abs(got - value)
        error[np.isnan(error)] = np.inf
        relative = error / np.abs(value)
        relative[error == 0] = 0.0
        ulp = error / precision.ulp(value)
    return {
        "ratio": _worst(ratio),
        "ulp": _worst(ulp),
        "abs": _worst(error),
        "rel": _worst(relative),
    }
