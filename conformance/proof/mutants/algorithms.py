"""Named algorithms: right formulas that lose digits. Each is inaccurate under its own name, and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from conformance.proof.mutants.kernel import (
    Half,
    Kernel,
    Whole,
    average,
    mutant,
    total,
)


def _single_pass(change: Any) -> Any:
    return lambda x, mean: change(average(np.square(x)) - np.square(mean))


def _folded(
    self: Kernel, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float
) -> Any:
    factor = gamma / np.sqrt(var + epsilon)
    return x * factor + (beta - mean * factor)


def _folded_gradients(
    self: Whole, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
) -> Any:
    root = np.sqrt(var + epsilon)
    return gamma * dy / root, (total(dy * x) - mean * total(dy)) / root, total(dy)


class NativeHalf(Half):
    """All of it in the half precision itself, as NumPy computes in it.

    A sequential sum of more values than 1/u stands still, and is as wrong as any: no bound holds there.
    """

    largest = 2**10
    name = "mutant-native-half"
    due, only = "native-precision", True
    dtypes: ClassVar[tuple[str, ...]] = ("float16", "bfloat16")

    @staticmethod
    def inside(a: Any) -> Any:
        return a


def _algorithm(name: str, due: str, **steps: Any) -> type[Kernel]:
    return mutant(name, due, base=Whole, only=True, **steps)


MUTANTS = (
    _algorithm(
        "single-pass-clamped",
        "single-pass-variance",
        var=_single_pass(lambda var: np.maximum(var, 0)),
    ),
    _algorithm("single-pass-unclamped", "single-pass-variance", var=_single_pass(lambda var: var)),
    _algorithm("inference-folded", "folded", infer=_folded, grad_infer=_folded_gradients),
    NativeHalf,
)
