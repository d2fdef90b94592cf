"""One frozen case, and the question that it puts to the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from conformance.judge import Expectation, Named, Question
from conformance.operations import OPERATIONS

LAYOUTS = ("NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC")
NON_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


@dataclass(frozen=True)
class Case:
    """One frozen case. `inputs` are arrays of `dtype`, x in `layout` and the others (C,).

    `expected[formula][output]` holds the lists `value` and `scale` as they stand in the file.
    """

    id: str
    operation: str
    dtype: str
    layout: str
    epsilon: float
    flags: tuple[str, ...]
    comment: str
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, Mapping[str, Mapping[str, list[Any]]]]
    positions: tuple[int, ...] | None
    formulas: Mapping[str, Named]
    policies: frozenset[str]

    @property
    def family(self) -> str:
        return self.id.partition("/")[0]

    @property
    def channel_axis(self) -> int:
        return self.layout.index("C")

    @cached_property
    def question(self) -> Question:
        """What the judge is told of this case."""
        x, channels = self.inputs["x"], self.inputs["gamma"].shape
        shapes = {"y": x.shape, "mean": channels, "var": channels}
        positions = None if self.positions is None else np.array(self.positions)
        along_channels = [1] * x.ndim
        along_channels[self.channel_axis] = -1
        beta = self.inputs["beta"].astype(np.float64).reshape(along_channels)
        beta = np.broadcast_to(beta, x.shape)
        y_shape: tuple[int, ...] = x.shape
        if positions is not None:
            beta, y_shape = beta.reshape(-1)[positions], positions.shape
        expected = {
            key: {
                name: Expectation(
                    to_array(pair["value"]).reshape(y_shape if name == "y" else shapes[name]),
                    to_array(pair["scale"]).reshape(y_shape if name == "y" else shapes[name]),
                )
                for name, pair in outputs.items()
            }
            for key, outputs in self.expected.items()
        }
        return Question(
            dtype=self.dtype,
            values_per_channel=x.size // x.shape[self.channel_axis]
            if self.operation == "train"
            else 1,
            shapes={name: shapes[name] for name in OPERATIONS[self.operation].outputs},
            positions=positions,
            beta=beta,
            expected=expected,
            formulas=self.formulas,
            policies=self.policies,
        )


def to_array(numbers: list[Any]) -> np.ndarray:
    """The numbers of a case file as float64, shape (n,)."""
    return np.array([NON_FINITE[n] if type(n) is str else n for n in numbers], dtype=np.float64)
