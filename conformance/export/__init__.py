"""Cases written in the forms that other suites run: what these have in common.

Such a suite has one tolerance for all its tests. The bound of this one is of each element, and is
written beside the expected outputs: `lower` and `upper` are value -+ limit * (u * scale + half an ulp).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import conformance
from conformance.case import Case, to_numbers
from conformance.errors import UserError
from conformance.judge import denominator, limit

INDEX = "index.json"


@dataclass(frozen=True)
class Exported:
    """`written` gives the test's name by case, `left_out` the reason."""

    written: Mapping[str, str]
    left_out: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"{len(self.written)} cases written, {len(self.left_out)} left out"]
        for reason, count in Counter(self.left_out.values()).most_common():
            lines.append(f"  {count}: {reason}")
        return "\n".join(lines)


class Inexpressible(Exception):
    """A case cannot be put in the other form; says why."""


def refuse_what_is_called(case: Case) -> None:
    """Raises Inexpressible for a case that is about how it is called, and not about its numbers."""
    if "layer" in case.attributes:
        raise Inexpressible("asks for the defaults of a layer, not for an operator")
    if case.attributes.get("memory", "contiguous") != "contiguous":
        raise Inexpressible("asks for tensors that do not lie in memory in C order; files do")
    if "preceded_by" in case.attributes:
        raise Inexpressible("asks for earlier calls; a test is one call")


Tensors = Mapping[str, np.ndarray]


def bounds(
    case: Case, key: str, turned: Callable[[Tensors], Tensors] = lambda outputs: outputs
) -> dict[str, Any]:
    """What is accepted of each element, in numbers of a case file: between `lower` and `upper`.

    Both are NaN where the formula has no finite value: NaN and the infinities are accepted there,
    and in y the channel's beta. From -Infinity to Infinity is anything, NaN too. `key` is the formula that the expected outputs follow; each of
    `policies` may be followed instead, in some elements or in all, and `answers` (nan, raises) are
    accepted too. `turned` makes of the case's outputs those of the other form.
    """
    question = case.question
    most = limit(question.values_per_channel)

    def between(formula: str) -> dict[str, dict[str, list[Any]]]:
        expected = question.expected[formula]
        width = {n: most * denominator(e, question.precision_of(n)) for n, e in expected.items()}
        lower = turned({name: e.value - width[name] for name, e in expected.items()})
        upper = turned({name: e.value + width[name] for name, e in expected.items()})
        return {
            name: {"lower": to_numbers(lower[name]), "upper": to_numbers(upper[name])}
            for name in lower
        }

    return {
        "case": case.id,
        "comment": case.comment,
        "flags": list(case.flags),
        "formula": key,
        "outputs": between(key),
        "policies": {policy: between(policy) for policy in question.policy_keys},
        "answers": sorted(case.policies),
    }


def make_folder(folder: Path) -> None:
    """Make a new folder. Raises UserError for one that holds something: nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; name a new folder")


def write_index(folder: Path, exported: Exported, what: str) -> None:
    """Which case became which test, and why the others did not."""
    index = {
        "what": what,
        "suite": f"batchnorm-conformance {conformance.__version__}",
        "written": dict(exported.written),
        "left_out": dict(exported.left_out),
    }
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def channels_first(array: np.ndarray, case: Case) -> np.ndarray:
    """x or y (in the case's layout) as (N, C, *spatial)."""
    return np.moveaxis(array, case.channel_axis, 1)
