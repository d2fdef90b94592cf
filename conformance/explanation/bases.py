"""The readings that agree with all that the user said: one for each choice that was left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np

from conformance.explanation import defaults
from conformance.explanation.given import IN_LAYOUT, Given
from conformance.explanation.reading import Reading, axes_of
from conformance.precision import PRECISIONS


def forward(given: Given, output: str) -> list[Reading]:
    """Of y or y2: in inference if statistics are given for it, unless something else was said."""
    infers = "mean" in given if given.mode is None else given.mode == "infer"
    statistics = _statistics(given) if infers else {}
    tensors = _only(given, ("x", "gamma", "beta")) | statistics
    return _all(given, "infer" if infers else "train", precision_of(given, (output,)), tensors)


def gradients(given: Given, outputs: Iterable[str]) -> list[Reading]:
    infers = "mean" in given if given.mode is None else given.mode == "infer"
    statistics = _statistics(given) if infers else {}
    tensors = _only(given, ("x", "gamma", "dy")) | statistics
    operation = "grad-infer" if infers else "grad"
    return _all(given, operation, precision_of(given, outputs), tensors)


def updates(given: Given, rates: Iterable[float]) -> list[Reading]:
    """Of the running statistics after one batch; they begin with 0 and 1 if nothing else is given."""
    before = {"running_mean": np.zeros(1), "running_var": np.ones(1)}
    for name, kind in (("running_mean", "mean"), ("running_var", "var")):
        for source in (f"{kind}_before", kind):
            if source in given:
                before[name] = given[source]
                break
    tensors = _only(given, ("x",)) | before
    precision = precision_of(given, ())
    return [
        Reading("update", axis, 0.0, precision, tensors, rate=rate)
        for axis, rate in product(_axes(given), rates)
    ]


def precision_of(given: Given, outputs: Iterable[str]) -> str:
    """What the formula is taken to be computed and given out in: the narrower of x's dtype and the
    output's, but the output's own where that is wider and not only holds narrower numbers."""
    if given.dtype is not None:
        return given.dtype
    precision = given["x"].dtype.name
    for name in outputs:
        array = given[name]
        narrower = array.dtype.itemsize < PRECISIONS[precision].dtype.itemsize
        if narrower or (name in IN_LAYOUT and not holds(array, precision)):
            precision = array.dtype.name
    return precision


def holds(array: np.ndarray, precision: str) -> bool:
    """Whether all numbers of an array are numbers of a format."""
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = array.astype(PRECISIONS[precision].dtype).astype(array.dtype)
    return np.array_equal(narrow, array, equal_nan=True)


def _all(
    given: Given, operation: str, precision: str, tensors: Mapping[str, np.ndarray]
) -> list[Reading]:
    epsilons = defaults.epsilons() if given.epsilon is None else (given.epsilon,)
    return [
        Reading(operation, axis, epsilon, precision, tensors)
        for axis, epsilon in product(_axes(given), epsilons)
    ]


def _axes(given: Given) -> tuple[int, ...]:
    return axes_of(given) if given.axis is None else (given.axis,)


def _only(given: Given, names: Iterable[str]) -> dict[str, np.ndarray]:
    return {name: given[name] for name in names if name in given}


def _statistics(given: Given) -> dict[str, np.ndarray]:
    """The statistics of inference: those given for it, else the latest of the running ones."""
    for suffix in ("", "_after", "_before"):
        if f"mean{suffix}" in given and f"var{suffix}" in given:
            return {"mean": given[f"mean{suffix}"], "var": given[f"var{suffix}"]}
    return {"mean": np.zeros(1), "var": np.ones(1)}
