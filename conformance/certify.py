"""Expected values and their scales: the formulas in balls and in rounding; certified ones need python-flint.

A policy here is an answer that is acceptable where the formula leaves the working precision's
range or has no finite value; the named alternatives of `conformance.formula` are the other answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from conformance import conventions
from conformance.alternatives import ALTERNATIVES
from conformance.arithmetic import rounding
from conformance.arithmetic.weighted import Weighted, collapse, places_of
from conformance.case import values_per_channel
from conformance.formula import REFERENCE, Outputs, batch_axes, moments, train, update, update_once
from conformance.judge import CONVENTION, INACCURATE, POLICY, Expectation, Named, denominator, limit
from conformance.operations import IN_LAYOUT, OPERATIONS
from conformance.precision import PRECISIONS, Precision

Expected = dict[str, dict[str, Expectation]]

_SINGLE_PASS = "single-pass-variance"

FORMULAS = (
    Named(
        "overflow",
        "overflow",
        POLICY,
        "an intermediate is larger than the largest number: NaN, an infinity or beta is answered",
    ),
    Named(
        "underflow",
        "underflow",
        POLICY,
        "epsilon or an intermediate is subnormal, and was rounded as coarsely as those are",
    ),
    Named(
        "flush-to-zero",
        "flush-to-zero",
        POLICY,
        "epsilon or an intermediate is subnormal, and was taken for zero",
    ),
    Named(
        "zero-statistics",
        "zero-statistics",
        POLICY,
        "mean and variance of nothing are taken for 0",
    ),
    Named(
        "statistics-unchanged",
        "statistics-unchanged",
        POLICY,
        "a batch of one value per channel, or of none, does not change the running statistics",
    ),
    Named(
        "native-precision",
        "native-precision",
        INACCURATE,
        "computed in the half precision itself, not in float32",
    ),
    Named(
        "float32-inside",
        "float32-inside",
        INACCURATE,
        "computed in float32, and handed back as float64",
    ),
    *(
        Named(
            f"{_SINGLE_PASS}{how}-native",
            _SINGLE_PASS,
            INACCURATE,
            "variance computed as E[x^2] - E[x]^2, in the half precision itself or, of float64, in float32",
        )
        for how in ("", "-unclamped", "-unbiased")
    ),
    Named(
        "roundoff",
        "roundoff",
        POLICY,
        "zero variance and epsilon 0: the rounding error of the mean was normalized",
    ),
)

_BITS = (256, 512, 1024, 2048, 4096)


def expected(
    operation: str,
    precision: Precision,
    inputs: Mapping[str, np.ndarray],
    epsilon: float,
    attributes: Mapping[str, Any] | None = None,
    layout: str = "",
) -> Expected:
    """The reference's outputs, and those of every alternative and policy that differs, by key.

    `inputs` are float64 arrays in the order of the operation's arguments, channels last:
    x and dy (..., C), w (K, C), the others (C,). Outputs have the shapes of `case.output_shapes`.
    `attributes` are the case's, and so is the layout, which its positions are of. Of a large batch
    y and dx are given at the positions alone, shape (P,). Raises `balls.Uncertain` where 4096 bits do not fix a value.
    """
    from conformance.arithmetic import balls

    if operation == "reject":
        return {}
    for bits in _BITS:
        try:
            with balls.working_precision(bits), np.errstate(all="ignore"):
                return Evaluation(
                    balls, operation, precision, inputs, epsilon, attributes, layout
                ).all()
        except balls.Uncertain:
            if bits == _BITS[-1]:
                raise
    raise AssertionError("unreachable")


class Evaluation:
    """The formulas on one case's inputs, evaluated in an arithmetic of values and in rounding.

    `arithmetic` is `balls`, at the present precision, or `extended`, whose values are not proved.
    """

    def __init__(
        self,
        arithmetic: Any,
        operation: str,
        precision: Precision,
        inputs: Mapping[str, np.ndarray],
        epsilon: float,
        attributes: Mapping[str, Any] | None = None,
        layout: str = "",
        sample: tuple[np.ndarray, ...] | None = None,
    ) -> None:
        """`sample`: the rows and channels of y and dx that are wanted, all of them if None."""
        self.arithmetic: Any = arithmetic
        self.operation, self.precision = operation, precision
        self.epsilon, self.attributes = epsilon, (attributes := attributes or {})
        values = values_per_channel(inputs, "N" * (inputs["x"].ndim - 1) + "C", attributes)
        self.values = values if OPERATIONS[operation].reduces else 1
        self.most = limit(self.values)
        self.namespace: Any = arithmetic
        self.rounding: Any = rounding
        self.sample = sample
        if (
            sample is None
            and values > arithmetic.MOST_VALUES
            and len(attributes.get("batches", ())) <= 1
        ):
            places = places_of(attributes.get("positions", ()), inputs["x"].shape, layout)
            inputs, weights, self.sample = collapse(inputs, places)
            self.namespace = Weighted(arithmetic, weights)
            self.rounding = Weighted(rounding, weights)
        self.inputs = inputs
        self.exact = {name: arithmetic.array(array) for name, array in inputs.items()}

    def all(self) -> Expected:
        reference, rounded = self.evaluate(REFERENCE[self.operation])
        found: Expected = {"reference": reference, **self.policies(reference, rounded)}
        looser: Expected = {}
        declared = conventions.ALTERNATIVES if "layer" in self.attributes else ()
        others, algorithms = ([a for a in ALTERNATIVES if a.same_value == is_] for is_ in (0, 1))
        for alternative in (*others, *declared, *algorithms):
            is_half = self.precision.working is not self.precision
            if is_half and alternative.same_value and "native-precision" not in found:
                found["native-precision"] = self.narrowed(REFERENCE[self.operation])
            if self.operation not in alternative.operations:
                continue
            same_value = alternative.same_value
            formula = alternative.operations[self.operation]
            outputs, _ = self.evaluate(formula, unstable=same_value)
            namesakes = [a.key for a in ALTERNATIVES if a.name == alternative.name]
            if any(_same(outputs, found[key]) for key in namesakes if key in found):
                continue
            # A convention may be told from the reference by less than the bound, for those who keep well
            # within it; but not by so much less that what is just beyond the bound is taken for it.
            most = max(1.0, self.most / 16) if alternative.verdict == CONVENTION else self.most
            if not same_value and _apart(outputs, reference, self.precision, most):
                found[alternative.key] = outputs
            elif _less_exact(outputs, reference):
                (found if same_value else looser)[alternative.key] = outputs
            if is_half and alternative.name == _SINGLE_PASS and alternative.key in found:
                found[f"{alternative.key}-native"] = self.narrowed(formula)
        # A mistake that shows only in how much it may be off explains too much to come earlier.
        if self.precision.name != "float64":
            return found | looser
        wide = self.in_float32(found)
        closer = {
            key: outputs
            for key, outputs in looser.items()
            if _no_wider(outputs, wide["float32-inside"])
        }
        return found | closer | wide | looser

    def policies(
        self, reference: Mapping[str, Expectation], rounded: Mapping[str, Any]
    ) -> Expected:
        """What may be answered where the range runs out, or where nothing is defined."""
        found: Expected = {}
        overflow = _overflow(reference, rounded, self.precision)
        if overflow:
            found["overflow"] = overflow
        if self.may_underflow(reference):
            smallest = self.precision.working.smallest_normal
            for key, flush in (("underflow", False), ("flush-to-zero", True)):
                how: dict[str, Any] = {"smallest_normal": smallest, "unstable": True}
                outputs, _ = self.evaluate(REFERENCE[self.operation], flush=flush, **how)
                if _less_exact(outputs, reference):
                    found[key] = outputs
        if self.operation == "train" and self.values > 1 and self.is_zero_by_zero(reference):
            gamma, beta = (self.at_places(self.inputs[name]) for name in ("gamma", "beta"))
            found["roundoff"] = _roundoff(reference, gamma, beta, self.precision)
        return found | self.thin_batches()

    def at_places(self, per_channel: np.ndarray) -> np.ndarray:
        """Numbers (C,) at each place of y."""
        spread = np.broadcast_to(per_channel, self.inputs["x"].shape)
        return spread if self.sample is None else spread[self.sample]

    def is_zero_by_zero(self, reference: Mapping[str, Expectation]) -> bool:
        """Whether y is without a value for want of variance and epsilon, and not for what x holds."""
        finite = bool(np.isfinite(self.inputs["x"]).all())
        return finite and self.epsilon == 0 and bool(np.isnan(reference["y"].value).any())

    def in_float32(self, found: Expected) -> Expected:
        """What a float64 case loses in float32: more than by any way to compute it in float64."""
        formulas = {"float32-inside": REFERENCE[self.operation]} | {
            f"{a.key}-native": a.operations[self.operation]
            for a in ALTERNATIVES
            if a.name == _SINGLE_PASS and a.key in found
        }
        return {key: self.narrowed(formula) for key, formula in formulas.items()}

    def evaluate(
        self, formula: Callable[..., Outputs], precision: Precision | None = None, **how: Any
    ) -> tuple[dict[str, Expectation], dict[str, Any]]:
        """Values and scales by output, and the rounded outputs themselves."""
        u = (precision or self.precision.working).unit_roundoff
        model = rounding.Model(u, self.most * u, **how)
        narrows = model.unit_roundoff > self.precision.unit_roundoff
        enters = rounding.Rounded.narrowed if narrows else rounding.Rounded.exact
        wrapped = {name: enters(model, array) for name, array in self.exact.items()}
        certain = formula(self.namespace, **self.arguments(self.exact, lambda number: number))
        rounded = formula(
            self.rounding, **self.arguments(wrapped, partial(rounding.Rounded.converted, model))
        )
        rounded = {name: _stacked(rounded[name]) for name in certain}
        certain = {name: np.array(values) for name, values in certain.items()}
        if self.sample is not None:
            for name in IN_LAYOUT & set(certain):
                certain[name] = certain[name][self.sample]
                rounded[name] = rounded[name][self.sample]
        outputs = {name: self.expectation(certain[name], rounded[name]) for name in certain}
        return outputs, rounded

    def expectation(self, certain: np.ndarray, rounded: rounding.Rounded) -> Expectation:
        scale = np.asarray(rounded.error, dtype=np.float64)
        scale = np.where(np.isnan(scale), np.inf, scale)
        value = self.arithmetic.nearest(certain, scale)
        scale = np.where(np.isnan(value), np.inf, scale)
        return Expectation(value, self.arithmetic.short(scale))

    def arguments(
        self, tensors: Mapping[str, Any], convert: Callable[[Any], Any]
    ) -> dict[str, Any]:
        """The formula's arguments by name; `convert` takes a number in."""
        names = {"running_mean": "mean", "running_var": "var"}
        arguments = {names.get(name, name): tensor for name, tensor in tensors.items()}
        arguments["epsilon"] = convert(self.arithmetic.array(self.epsilon))
        if self.operation == "update":
            rates = self.attributes["rates"]
            arguments["rates"] = [convert(self.arithmetic.array(rate)) for rate in rates]
            arguments["batches"] = tuple(self.attributes["batches"])
        if self.operation == "dense":
            arguments["activation"] = self.attributes["activation"]
        return arguments

    def may_underflow(self, reference: Mapping[str, Expectation]) -> bool:
        """Whether an output or what stands under the root lies where rounding is absolute."""
        working = self.precision.working
        least = working.smallest_normal / working.unit_roundoff
        values = [np.abs(expectation.value).reshape(-1) for expectation in reference.values()]
        if "var" in self.inputs:
            values.append(np.abs(self.inputs["var"] + self.epsilon).reshape(-1))
        if "gamma" in self.inputs and "x" in self.inputs and "var" not in self.inputs:
            _, var = moments(self.namespace, self.exact["x"])
            values.append(np.abs(self.arithmetic.midpoint(var) + self.epsilon).reshape(-1))
        sizes = np.concatenate(values)
        return bool(np.any((sizes > 0) & (sizes < least)))

    def thin_batches(self) -> Expected:
        """What may be done with a batch of one value per channel, or of none."""
        found: Expected = {}
        if self.inputs["x"].size == 0 and self.operation in ("train", "update"):
            nothing = {"train": partial(train, moments=_no_moments), "update": _no_update}
            found["zero-statistics"], _ = self.evaluate(nothing[self.operation])
        if self.operation == "update" and self.skips:
            found["statistics-unchanged"], _ = self.evaluate(partial(update, step=self.skip))
        return found

    @property
    def skips(self) -> bool:
        """Whether a batch has one value per channel, or none."""
        rows = self.inputs["x"].shape[0]
        spatial = int(np.prod(self.inputs["x"].shape[1:-1]))
        return min(self.attributes["batches"]) * spatial <= 1 or rows == 0

    @staticmethod
    def skip(xp: Any, x: Any, mean: Any, var: Any, rate: Any) -> tuple[Any, Any]:
        """An update that leaves a batch of one value per channel, or none, out."""
        if int(np.prod(x.shape[:-1])) <= 1:
            return mean, var
        return update_once(xp, x, mean, var, rate)

    def narrowed(self, formula: Callable[..., Outputs]) -> dict[str, Expectation]:
        """A formula computed in the half precision itself, or in float32 of float64: its scale in
        units of the working u."""
        working = self.precision.working
        narrow = PRECISIONS["float32"] if working is self.precision else self.precision
        outputs, rounded = self.evaluate(
            formula,
            narrow,
            smallest_normal=narrow.smallest_normal,
            unstable=True,
        )
        factor = narrow.unit_roundoff / working.unit_roundoff
        scaled = {name: Expectation(e.value, e.scale * factor) for name, e in outputs.items()}
        return _beyond(scaled, rounded, narrow.largest) or scaled


def _no_moments(xp: Any, x: Any) -> tuple[Any, Any]:
    zero = xp.sum(x, axis=batch_axes(x))
    return zero, zero


_no_update = partial(update, step=partial(update_once, moments=_no_moments))


def _stacked(rounded: Any) -> rounding.Rounded:
    """One array of the outputs of several batches."""
    if isinstance(rounded, rounding.Rounded):
        return rounded
    parts = [
        [np.broadcast_to(getattr(one, part), one.shape) for one in rounded]
        for part in ("value", "error", "floor", "peak")
    ]
    return rounding.Rounded(rounded[0].model, *(np.stack(part) for part in parts))


def _overflow(
    reference: Mapping[str, Expectation],
    rounded: Mapping[str, rounding.Rounded],
    precision: Precision,
) -> dict[str, Expectation] | None:
    """Where an intermediate is too large for what is computed in, or the result for its format."""
    found = _beyond(reference, rounded, precision.working.largest) or dict(reference)
    for name in IN_LAYOUT & set(found):
        with np.errstate(invalid="ignore"):
            over = np.abs(found[name].value) > precision.largest
        found[name] = Expectation(
            np.where(over, np.nan, found[name].value), np.where(over, np.inf, found[name].scale)
        )
    same = all(
        np.array_equal(found[name].value, reference[name].value, equal_nan=True)
        for name in reference
    )
    return None if same else found


def _beyond(
    outputs: Mapping[str, Expectation],
    rounded: Mapping[str, rounding.Rounded],
    largest: float,
) -> dict[str, Expectation] | None:
    """The outputs without a value where an intermediate is beyond `largest`, if it is anywhere."""
    found, any_over = {}, False
    for name, expectation in outputs.items():
        shape = expectation.value.shape
        over = np.asarray(np.broadcast_to(rounded[name].peak > largest, shape), dtype=bool)
        any_over |= bool(over.any())
        found[name] = Expectation(
            np.where(over, np.nan, expectation.value), np.where(over, np.inf, expectation.scale)
        )
    return found if any_over else None


def _roundoff(
    reference: Mapping[str, Expectation], gamma: np.ndarray, beta: np.ndarray, precision: Precision
) -> dict[str, Expectation]:
    """Zero variance and epsilon 0: the rounding error of the mean is all that is left to normalize.

    It comes out as one standard deviation: y within 2 |gamma| of beta, at a ratio of 4.
    """
    y = reference["y"]
    undefined = np.isnan(y.value)
    scale = np.abs(gamma) / (2 * precision.working.unit_roundoff)
    return {
        **reference,
        "y": Expectation(np.where(undefined, beta, y.value), np.where(undefined, scale, y.scale)),
    }


def _no_wider(outputs: Mapping[str, Expectation], others: Mapping[str, Expectation]) -> bool:
    return all(bool(np.all(one.scale <= others[name].scale)) for name, one in outputs.items())


def _same(outputs: Mapping[str, Expectation], others: Mapping[str, Expectation]) -> bool:
    return all(
        np.array_equal(one.value, others[name].value, equal_nan=True)
        and np.array_equal(one.scale, others[name].scale)
        for name, one in outputs.items()
    )


def _less_exact(outputs: Mapping[str, Expectation], reference: Mapping[str, Expectation]) -> bool:
    """Whether the same value comes with a scale more than twice as large somewhere."""
    return any(bool(np.any(outputs[name].scale > 2 * reference[name].scale)) for name in reference)


def _apart(
    outputs: Mapping[str, Expectation],
    reference: Mapping[str, Expectation],
    precision: Precision,
    most: float,
) -> bool:
    """Whether somewhere the formula's value lies outside the reference's bound, and its own.

    One number a channel may come in float32 beside a half precision, which tells more apart.
    """
    for name, expectation in reference.items():
        a, b = outputs[name], expectation
        due = precision if name in IN_LAYOUT else precision.working
        with np.errstate(invalid="ignore"):
            reach = most * np.maximum(denominator(a, due), denominator(b, due))
            apart = np.abs(a.value - b.value) > reach
        if np.any(apart | (np.isnan(a.value) != np.isnan(b.value))):
            return True
    return False
