"""Where no formula explains y: what can be said of it all the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.explanation.trial import Outcome, affine_residuals, inputs_of

_RESIDUAL = 1e-3


def diagnose(outcome: Outcome, output: np.ndarray) -> list[str]:
    with np.errstate(all="ignore"):
        return list(_lines(outcome, output))


def _lines(outcome: Outcome, output: np.ndarray) -> Iterator[str]:
    reading, sample = outcome.reading, outcome.sample
    inputs = inputs_of(reading, sample)
    y = sample.keep(reading.matrix(output)).astype(np.float64)
    x = inputs["x"]
    mean = inputs["mean"] if "mean" in inputs else x.mean(axis=0)
    var = inputs["var"] if "var" in inputs else x.var(axis=0)
    if np.all(y[np.isfinite(y)] >= 0) and np.any(y == 0):
        yield "y has no number below 0 and has zeros: an activation seems to follow. Hand in y from before it."
    slope, residual, level = affine_residuals(reading, output, sample)
    affine = np.isfinite(residual) & (residual < _RESIDUAL)
    if not affine.any():
        yield "In no channel is y a multiple of x and a constant: it is not a batch norm of this x along this axis, or another operation is in between."
        return
    factor = slope * np.sqrt(var + reading.epsilon)
    offset = level - slope * (x.mean(axis=0) - mean)
    yield (
        f"In {int(affine.sum())} of {len(affine)} channels looked at, y is a multiple of x and a constant. The factor stands for "
        f"gamma {_some(factor[affine])} ({_some(inputs['gamma'][affine])} was given or assumed), the constant for beta {_some(offset[affine])} "
        f"({_some(inputs['beta'][affine])})."
    )


def _some(numbers: np.ndarray) -> str:
    return ", ".join(f"{value:.6g}" for value in numbers[:3]) + (
        ", ..." if len(numbers) > 3 else ""
    )
