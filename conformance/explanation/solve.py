"""Solved from the data where no known value fits: epsilon from y, the weight of the new batch from the running mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from conformance.explanation.reading import Reading
from conformance.explanation.sample import Sample
from conformance.explanation.trial import inputs_of


def epsilons(reading: Reading, output: np.ndarray, sample: Sample) -> tuple[float, ...]:
    """The epsilons that fit y best in training or inference: round numbers near the estimate first.

    y - beta is gamma (x - mean) / sqrt(var + epsilon): the slope of one against the other, by least
    squares in each channel, is 1 / sqrt(var + epsilon). Channels count by how sharply they tell.
    """
    inputs = inputs_of(reading, sample)
    with np.errstate(all="ignore"):
        x, beta = inputs["x"], inputs["beta"]
        mean = inputs["mean"] if "mean" in inputs else x.mean(axis=0)
        var = inputs["var"] if "var" in inputs else x.var(axis=0)
        centered = inputs["gamma"] * (x - mean)
        y = sample.keep(reading.matrix(output)).astype(np.float64)
        slope = np.sum((y - beta) * centered, axis=0) / np.sum(centered * centered, axis=0)
        solved = 1 / slope**2 - var
        usable = np.isfinite(solved) & (slope > 0)
        if not usable.any():
            return ()
        sharpest = np.argmin(np.where(usable, np.abs(var + np.abs(solved)), np.inf))
        weights = np.where(usable, 1 / (var + np.abs(solved)) ** 2, 0.0)
        estimates = (
            float(np.sum(weights * np.where(usable, solved, 0)) / np.sum(weights)),
            float(solved[sharpest]),
        )
    found = [float(f"{e:.{digits}g}") for digits in (1, 2, 3, 4, 8) for e in estimates if e > 0]
    return tuple(dict.fromkeys(found))


def rates(reading: Reading, outputs: Mapping[str, np.ndarray], sample: Sample) -> Iterator[float]:
    """The weights of the new batch that fit the running mean best, round numbers first.

    after - before is rate (mean of the batch - before), by least squares over the channels.
    """
    inputs = inputs_of(reading, sample)
    kind = "running_mean" if "running_mean" in outputs else "running_var"
    with np.errstate(all="ignore"):
        new = inputs["x"].mean(axis=0) if kind == "running_mean" else inputs["x"].var(axis=0)
        after = np.broadcast_to(outputs[kind], reading.channels)[sample.channels]
        moved = new - inputs[kind]
        usable = np.isfinite(moved) & np.isfinite(after)
        moved, gone = moved[usable], (after.astype(np.float64) - inputs[kind])[usable]
        estimate = float(np.sum(moved * gone) / np.sum(moved * moved))
    if 0 <= estimate <= 1:
        yield from dict.fromkeys(float(f"{estimate:.{digits}g}") for digits in (1, 2, 3, 4, 8))
        yield from dict.fromkeys(1 - float(f"{1 - estimate:.{digits}g}") for digits in (1, 2, 3))
