"""One frozen case, and the question that it puts to the judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from conformance.generator import Deferred
from conformance.judge import Expectation, Named, Question
from conformance.operations import IN_LAYOUT, OPERATIONS

LAYOUTS = ("NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC")
MEMORY = ("contiguous", "transposed", "strided", "sliced", "reversed")
LAYER = {
    "training": ("train",),
    "inference": ("infer",),
    "trained": ("train", "infer"),
    "frozen": ("train",),
}
"""The calls of a new layer, of which the last is looked at; a frozen one is made untrainable first."""
NON_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


ATTRIBUTES = {
    "positions": "flat indices, in C order, of the elements of y and dx that are checked",
    "batches": "lengths of the batches that x holds along its first axis",
    "rates": "weight of each batch as the new one",
    "activation": "identity, relu, tanh or sigmoid",
    "memory": "how x and dy lie in memory",
    "preceded_by": "ids of cases that are asked first",
    "layer": "training, inference, trained or frozen: how a new layer is called, if there is one",
    "call": "the operation whose method is given the bad input",
}


@dataclass(frozen=True)
class Case:
    """One frozen case. `inputs` are arrays, x and dy in `layout`, w (K, C), and the others (C,).

    `expected[formula][output]` holds the lists `value` and `scale` as they stand in the file.
    `attributes` are those of ATTRIBUTES that the case has.
    """

    id: str
    operation: str
    dtype: str
    layout: str
    epsilon: float
    flags: tuple[str, ...]
    comment: str
    inputs: Mapping[str, np.ndarray | Deferred]
    expected: Mapping[str, Mapping[str, Mapping[str, list[Any]]]]
    attributes: Mapping[str, Any]
    formulas: Mapping[str, Named]
    policies: frozenset[str]

    @property
    def family(self) -> str:
        return self.id.partition("/")[0]

    @property
    def compiled_for(self) -> tuple[Any, ...]:
        """What frameworks compile for anew: cases that are alike in this can share the outcome."""
        return (self.dtype, self.operation, *(tensor.shape for tensor in self.inputs.values()))

    @property
    def channel_axis(self) -> int:
        return self.layout.index("C")

    @property
    def positions(self) -> tuple[int, ...] | None:
        positions = self.attributes.get("positions")
        return None if positions is None else tuple(positions)

    @cached_property
    def question(self) -> Question:
        """What the judge is told of this case."""
        operation = OPERATIONS[self.operation]
        x = self.inputs["x"]
        parameters = {str(a.dtype) for name, a in self.inputs.items() if name not in IN_LAYOUT}
        shapes = {} if self.operation == "reject" else self._shapes()
        positions = None if self.positions is None else np.array(self.positions)
        checked = {
            name: (len(positions),) if positions is not None and name in IN_LAYOUT else shape
            for name, shape in shapes.items()
        }
        return Question(
            dtype=self.dtype,
            values_per_channel=values_per_channel(self.inputs, self.layout, self.attributes)
            if operation.reduces
            else 1,
            shapes=shapes,
            required=operation.required,
            positions=positions,
            beta=self._beta(shapes["y"], positions) if "y" in shapes else None,
            expected=_Expected(self.expected, checked),
            formulas=self.formulas,
            policies=self.policies,
            rejects=self.operation == "reject",
            promoted=frozenset(parameters - {str(x.dtype)}),
        )

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return output_shapes(self.operation, self.inputs, self.layout, self.attributes)

    def _beta(self, shape: tuple[int, ...], positions: np.ndarray | None) -> np.ndarray:
        """beta at each element of y that is checked."""
        along_channels = [1] * len(shape)
        along_channels[self.channel_axis] = -1
        beta = np.asarray(self.inputs["beta"], dtype=np.float64).reshape(along_channels)
        beta = np.broadcast_to(beta, shape)
        return beta if positions is None else beta.reshape(-1)[positions]


class _Expected(Mapping[str, Mapping[str, Expectation]]):
    """The outputs of each formula, made into arrays when they are asked for: most answers are right,
    and held against the reference alone."""

    def __init__(
        self,
        written: Mapping[str, Mapping[str, Mapping[str, list[Any]]]],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self._written, self._shapes = written, shapes
        self._made: dict[str, Mapping[str, Expectation]] = {}

    def __getitem__(self, key: str) -> Mapping[str, Expectation]:
        if key not in self._made:
            self._made[key] = {
                name: Expectation(
                    to_array(pair["value"]).reshape(self._shapes[name]),
                    to_array(pair["scale"]).reshape(self._shapes[name]),
                )
                for name, pair in self._written[key].items()
            }
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)


def output_shapes(
    operation: str,
    inputs: Mapping[str, np.ndarray | Deferred],
    layout: str,
    attributes: Mapping[str, Any],
) -> dict[str, tuple[int, ...]]:
    """The shape of each output, in the case's layout."""
    x = inputs["x"].shape
    channels = (inputs["w"].shape[-1] if operation == "dense" else x[layout.index("C")],)
    like_x = (x[0], *channels) if operation == "dense" else x
    running = (len(attributes.get("batches", ())), *channels)
    return {
        name: like_x if name in IN_LAYOUT else running if name.startswith("running") else channels
        for name in OPERATIONS[operation].outputs
    }


def values_per_channel(
    inputs: Mapping[str, np.ndarray | Deferred], layout: str, attributes: Mapping[str, Any]
) -> int:
    """How many values one statistic is taken of; the most, where there are several batches."""
    x = inputs["x"].shape
    channels = x[layout.index("C")] if layout and "w" not in inputs else x[-1] if x else 1
    rows = int(np.prod(x)) // max(channels, 1)
    if "batches" in attributes and x[0]:
        rows = max(attributes["batches"], default=0) * rows // x[0]
    return max(rows, 1)


def to_array(numbers: list[Any]) -> np.ndarray:
    """The numbers of a case file as float64, shape (n,)."""
    return np.array(numbers, dtype=np.float64)


def to_numbers(array: np.ndarray) -> list[Any]:
    """What `to_array` reads, in C order: JSON numbers, and names for what JSON has no number for."""
    numbers = array.reshape(-1).tolist()
    if np.isfinite(array).all():
        return numbers
    names = {str(number): name for name, number in NON_FINITE.items()}
    return [names.get(str(number), number) for number in numbers]
