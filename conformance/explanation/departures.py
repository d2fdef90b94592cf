"""What may have been done instead of what the user said: each takes a reading and gives others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.explanation import defaults
from conformance.explanation.bases import holds
from conformance.explanation.given import IN_LAYOUT, Given
from conformance.explanation.reading import Departure, Reading, axes_of, axis_text
from conformance.judge import INACCURATE, WRONG
from conformance.precision import HAS_BFLOAT16, PRECISIONS

Departing = Callable[[Reading], Iterator[Reading]]


def of(given: Given, outputs: Mapping[str, np.ndarray]) -> tuple[Departing, ...]:
    """The departures for outputs of an operation that normalizes, the likeliest first."""

    def statistics(reading: Reading) -> Iterator[Reading]:
        return _statistics(given, reading)

    def axis(reading: Reading) -> Iterator[Reading]:
        return _axis(given, reading)

    def precision(reading: Reading) -> Iterator[Reading]:
        return _precision(outputs, reading)

    known = () if given.epsilon is None else (epsilon,)
    return (*known, statistics, axis, affine, precision)


def epsilon(reading: Reading) -> Iterator[Reading]:
    for other in defaults.epsilons():
        if other != reading.epsilon:
            yield from with_epsilon(reading, other)


def with_epsilon(reading: Reading, other: float, how: str = "") -> Iterator[Reading]:
    departure = Departure(
        "epsilon",
        f"epsilon-{other:g}" if other else "epsilon-ignored",
        WRONG,
        f"epsilon {other:g}{how}",
        f"{reading.epsilon:g}",
    )
    yield from _some(reading.departing(departure, epsilon=other))


def affine(reading: Reading) -> Iterator[Reading]:
    tensors = reading.tensors
    gamma, beta = tensors.get("gamma"), tensors.get("beta")

    def changed(name: str, does: str, *, without: tuple[str, ...] = (), **others: Any) -> Any:
        kept = {key: a for key, a in tensors.items() if key not in without} | others
        departure = Departure("affine", name, WRONG, does, "gamma and beta as given")
        return _some(reading.departing(departure, tensors=kept))

    if gamma is not None and beta is not None:
        yield from changed(
            "gamma-and-beta-swapped", "gamma and beta swapped", gamma=beta, beta=gamma
        )
        yield from changed(
            "gamma-and-beta-ignored",
            "neither gamma nor beta (1 and 0 instead)",
            without=("gamma", "beta"),
        )
    if gamma is not None:
        yield from changed("gamma-ignored", "no gamma (1 instead)", without=("gamma",))
    if beta is not None:
        yield from changed("beta-ignored", "no beta (0 instead)", without=("beta",))


_OPPOSITE = {"train": "infer", "infer": "train", "grad": "grad-infer", "grad-infer": "grad"}


def _statistics(given: Given, reading: Reading) -> Iterator[Reading]:
    """Other statistics than those that the reading normalizes by."""
    infers = reading.operation in ("infer", "grad-infer")
    plain = {key: a for key, a in reading.tensors.items() if key not in ("mean", "var")}
    rather = "the mean and var given" if infers else "those of the batch, as in training"
    inference = reading.operation if infers else _OPPOSITE[reading.operation]

    def by(name: str, does: str, mean: np.ndarray, var: np.ndarray) -> Iterator[Reading]:
        departure = Departure("statistics", name, WRONG, does, rather)
        tensors = {**plain, "mean": mean, "var": var}
        yield from _some(reading.departing(departure, operation=inference, tensors=tensors))

    if infers:
        departure = Departure(
            "statistics",
            "batch-statistics",
            WRONG,
            "the batch's own statistics, as in training",
            rather,
        )
        training = _OPPOSITE[reading.operation]
        yield from _some(reading.departing(departure, operation=training, tensors=plain))
        mean, var = reading.tensors["mean"], reading.tensors["var"]
        yield from by("mean-and-variance-swapped", "mean and var swapped", var, mean)
        yield from by(
            "standard-deviation-for-variance", "var taken for a standard deviation", mean, var * var
        )
    for suffix, name, does in (
        ("", "running-statistics", "the mean and var given, as in inference"),
        ("_before", "statistics-before-update", "the running statistics from before the update"),
        ("_after", "statistics-after-update", "the running statistics from after the update"),
    ):
        if f"mean{suffix}" in given and f"var{suffix}" in given:
            mean, var = given[f"mean{suffix}"], given[f"var{suffix}"]
            if infers and mean is reading.tensors["mean"]:
                continue
            yield from by(name, does, mean, var)
    yield from by(
        "initial-statistics",
        "a new layer's running statistics, mean 0 and variance 1",
        np.zeros(1),
        np.ones(1),
    )


def _axis(given: Given, reading: Reading) -> Iterator[Reading]:
    for other in (*axes_of(given), -1):
        if other == reading.axis or (other == -1 and not replace(reading, axis=-1).fits()):
            continue
        departure = Departure(
            "axis", "wrong-axis", WRONG, axis_text(other), axis_text(reading.axis)
        )
        changed = reading.departing(departure, axis=other)
        if changed is not None and changed.fits():
            yield changed


def _precision(outputs: Mapping[str, np.ndarray], reading: Reading) -> Iterator[Reading]:
    """A narrower format inside: on the way in, on the way out, or both."""
    own = PRECISIONS[reading.precision]
    for name in ("float32", "float16", "bfloat16"):
        narrow = PRECISIONS[name]
        is_own = narrow is own and reading.tensors["x"].dtype.itemsize > own.dtype.itemsize
        if (narrow.digits >= own.digits and not is_own) or (
            name == "bfloat16" and not HAS_BFLOAT16
        ):
            continue
        comes_out = is_own or all(holds(a, name) for key, a in outputs.items() if key in IN_LAYOUT)
        for which, what in ((None, "all that goes in"), (("x", "dy"), "x"), ((), "nothing else")):
            if which == () and (is_own or not comes_out):
                continue
            inside = {
                key: a.astype(narrow.dtype).astype(own.dtype)
                if which is None or key in which
                else a
                for key, a in reading.tensors.items()
            }
            rounded = f"{what}{' and what comes out' if comes_out else ''} rounded to it"
            if which == ():
                rounded = "what comes out rounded to it"
            departure = Departure(
                "precision", f"{name}-inside", INACCURATE, f"{name} inside ({rounded})", own.name
            )
            precision = name if comes_out else own.name
            yield from _some(reading.departing(departure, tensors=inside, precision=precision))


def _some(reading: Reading | None) -> Iterator[Reading]:
    if reading is not None:
        yield reading
