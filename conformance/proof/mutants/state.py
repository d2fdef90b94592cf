"""Mistakes of kernels that remember: what a call leaves behind shows in a later one."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.operations import METHODS, OPERATIONS
from conformance.proof.mutants.kernel import Half, Kernel, Whole

_CALLS = {name: operation for name, operation in OPERATIONS.items() if operation.method}


def _of(x: Any) -> tuple[Any, ...]:
    return x.shape, x.dtype


def _stateful(name: str, operation: str, call: Any) -> type[Kernel]:
    """A kernel of one operation; call(self, kept, answer, arguments) is what it gives."""
    method = _CALLS[operation].method

    def asked(self: Any, *arguments: Any) -> Any:
        named = dict(zip(_CALLS[operation].arguments, arguments, strict=True))
        return call(self.kept, lambda a: getattr(Half, method)(self, *a.values()), named)

    def start(self: Any) -> None:
        self.kept = {}

    alone = {other: None for other in METHODS if other != method}
    body = {"name": f"mutant-{operation}-{name}", "__init__": start, **alone, method: asked}
    return type(name, (Half,), body)


def _first_answer(kept: Any, answer: Any, arguments: Any) -> Any:
    return kept.setdefault(_of(arguments["x"]), answer(arguments))


def _first(*names: str) -> Any:
    """As constants in a graph that is compiled once for each shape."""

    def call(kept: Any, answer: Any, arguments: Any) -> Any:
        found = {name: np.copy(arguments[name]) for name in names if name in arguments}
        return answer({**arguments, **kept.setdefault(_of(arguments["x"]), found)})

    return call


def _first_dtype(kept: Any, answer: Any, arguments: Any) -> Any:
    """Compiled once for each shape, and not again for another dtype."""
    dtype = kept.setdefault(arguments["x"].shape, arguments["x"].dtype)
    found = answer(arguments)
    parts = found if isinstance(found, tuple) else (found,)
    parts = tuple(part.astype(dtype).astype(part.dtype) for part in parts)
    return parts if isinstance(found, tuple) else parts[0]


def _same_array(kept: Any, answer: Any, arguments: Any) -> Any:
    """One array for all results of a shape: what was handed out changes."""
    found = answer(arguments)
    parts = found if isinstance(found, tuple) else (found,)
    arrays = kept.setdefault(_of(arguments["x"]), [np.empty_like(part) for part in parts])
    for array, part in zip(arrays, parts, strict=True):
        array[...] = part
    return tuple(arrays) if isinstance(found, tuple) else arrays[0]


def _not_cleared(position: int) -> Any:
    """An output that is added to, and that nobody sets to zero between calls."""

    def call(kept: Any, answer: Any, arguments: Any) -> Any:
        parts = list(answer(arguments))
        parts[position] = kept["sum"] = parts[position] + kept.get("sum", 0)
        return tuple(parts)

    def by_channels(kept: Any, answer: Any, arguments: Any) -> Any:
        own = kept.setdefault(arguments["gamma"].shape, {})
        return call(own, answer, arguments)

    return by_channels


def _own_statistics(kept: Any, answer: Any, arguments: Any) -> Any:
    """The running statistics of the call before, whatever the caller hands in."""
    own = kept.get(arguments["x"].shape[-1])
    if own is not None:
        arguments = {**arguments, "running_mean": own[0], "running_var": own[1]}
    kept[arguments["x"].shape[-1]] = answer(arguments)
    return tuple(array.copy() for array in kept[arguments["x"].shape[-1]])


_KEPT = {
    "first-answer-kept": _first_answer,
    "first-dtype-kept": _first_dtype,
    "first-epsilon-kept": _first("epsilon"),
    "first-parameters-kept": _first("gamma", "beta"),
    "first-statistics-kept": _first("mean", "var", "running_mean", "running_var"),
    "first-weights-kept": _first("w"),
    "same-array-handed-out": _same_array,
}


def _concerns(operation: str, kept: str) -> bool:
    """Whether the operation has what is kept."""
    inputs = _CALLS[operation].inputs
    return {
        "first-epsilon-kept": operation != "update",
        "first-parameters-kept": "gamma" in inputs,
        "first-statistics-kept": "mean" in inputs or "running_mean" in inputs,
        "first-weights-kept": "w" in inputs,
    }.get(kept, True)


class StatisticsOfTheCallBefore(Kernel):
    name = "mutant-statistics-of-the-call-before"

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def moments(self, x: Any) -> tuple[Any, Any]:
        found = super().moments(x)
        before, self.kept[_of(x)] = self.kept.get(_of(x), found), found
        return before


class TrainedStatisticsInInference(Whole):
    """Inference by what the last training call found, and not by what is handed in."""

    name = "mutant-trained-statistics-in-inference"
    update = grad = grad_infer = dense = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def train(self, x: Any, *others: Any) -> Any:
        self.kept[x.shape[-1]] = self.moments(x)
        return super().train(x, *others)

    def infer(self, x: Any, mean: Any, var: Any, *others: Any) -> Any:
        return super().infer(x, *self.kept.get(x.shape[-1], (mean, var)), *others)


class FirstModeKept(Whole):
    """Whoever was in inference first stays in it: training then takes the statistics seen there."""

    name = "mutant-first-mode-kept"
    update = grad = grad_infer = dense = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def infer(self, x: Any, mean: Any, var: Any, *others: Any) -> Any:
        self.kept[x.shape[-1]] = (mean.copy(), var.copy())
        return super().infer(x, mean, var, *others)

    def train(self, x: Any, *others: Any) -> Any:
        if x.shape[-1] in self.kept:
            return super().infer(x, *self.kept[x.shape[-1]], *others)
        return super().train(x, *others)


MUTANTS: tuple[type[Kernel], ...] = (
    *(
        _stateful(name, operation, call)
        for operation in _CALLS
        for name, call in _KEPT.items()
        if _concerns(operation, name)
    ),
    *(
        _stateful(f"{output}-not-cleared", operation, _not_cleared(position))
        for operation in ("grad", "grad-infer")
        for position, output in ((1, "dgamma"), (2, "dbeta"))
    ),
    _stateful("own-statistics", "update", _own_statistics),
    StatisticsOfTheCallBefore,
    TrainedStatisticsInInference,
    FirstModeKept,
)
