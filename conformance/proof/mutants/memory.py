"""Mistakes in reading memory: tensors that do not lie one number after another, read as if they did."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.operations import OPERATIONS
from conformance.proof.mutants.kernel import Kernel, Whole, mutant


def _forwards(a: Any) -> Any:
    """The array with every stride positive: axes that run backwards are turned round."""
    return a[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in a.strides)]


def _contiguous(a: Any) -> Any:
    """What lies in memory from the first number on; inside what `a` covers."""
    start = _forwards(a)
    strides = np.empty(a.shape, a.dtype).strides
    return np.lib.stride_tricks.as_strided(start, a.shape, strides)


def _is_reversed(a: Any) -> bool:
    return min(a.strides, default=0) < 0


def _is_strided(a: Any) -> bool:
    return abs(a.strides[-1]) == 2 * a.itemsize


def _is_transposed(a: Any) -> bool:
    return a.flags.f_contiguous and not a.flags.c_contiguous


def _is_sliced(a: Any) -> bool:
    regular = _is_reversed(a) or _is_strided(a) or a.flags.f_contiguous
    return not regular and not a.flags.c_contiguous


_LIES = {
    "reversed": _is_reversed,
    "strided": _is_strided,
    "transposed": _is_transposed,
    "sliced": _is_sliced,
}


def _misread(operation: str, tensor: str, memory: str) -> type[Kernel]:
    """One operation, which reads one tensor wrongly where it lies in memory in one way."""
    method, arguments = OPERATIONS[operation].method, OPERATIONS[operation].arguments
    place = arguments.index(tensor)

    def asked(self: Whole, *given: Any) -> Any:
        seen = list(given)
        if given[place].size and _LIES[memory](given[place]):
            seen[place] = _contiguous(given[place])
        return getattr(Whole, method)(self, *seen)

    name = f"{operation}-misreads-{memory}-{tensor}"
    return mutant(name, base=Whole, operation=method, **dict[str, Any]({method: asked}))


def _in_place_if_strided(self: Kernel, x: Any, *others: Any) -> Any:
    """A copy is made of contiguous x only."""
    y = Kernel.train(self, x, *others)
    if not x.flags.c_contiguous:
        x[...] = y
    return y


MUTANTS = (
    *(
        _misread(operation, tensor, memory)
        for operation in ("train", "infer", "grad", "grad-infer")
        for tensor in ("x", "dy")
        if tensor in OPERATIONS[operation].inputs
        for memory in _LIES
    ),
    mutant("changes-x-that-is-not-contiguous", train=_in_place_if_strided),
)
