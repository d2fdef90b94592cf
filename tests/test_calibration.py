"""The suite against kernels known to be right and known to be wrong, on every frozen case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from mutants import MUTANTS
from mutants.operations import Whole
from right_kernels import RIGHT

from conformance import Implementation
from conformance.case import Case
from conformance.cases import cases_folder, load_cases
from conformance.implementations.call import ask
from conformance.judge import (
    CONFORMS,
    CONVENTION,
    INACCURATE,
    POLICY,
    UNSUPPORTED,
    WRONG,
    Judgement,
    judge,
)
from conformance.operations import OPERATIONS

# The large ones last: a mutant that is noticed before does not pay for them.
CASES = dict(
    sorted(load_cases(cases_folder()).items(), key=lambda item: item[1].inputs["x"].size > 2**16)
)
NAMED = [mutant for mutant in MUTANTS if mutant.due is not None]
CONVENTIONS = [mutant for mutant in MUTANTS if mutant.verdicts == {CONVENTION}]
OUTSIDE_ROOT = [mutant for mutant in MUTANTS if mutant.due == "epsilon-outside-sqrt"]


def is_tried_late(case: Case) -> bool:
    """Rounding alone could move epsilon-outside-sqrt to the reference, so that it is tried last."""
    keys = list(case.expected)
    return keys.index("single-pass-variance") < keys.index("epsilon-outside-sqrt")


@cache
def made(case_id: str) -> Case:
    """The case with its large tensors made, once for all kernels."""
    case = CASES[case_id]
    return replace(case, inputs={name: np.asarray(a) for name, a in case.inputs.items()})


def judgements(kernel: type[Implementation]) -> Iterator[tuple[Case, Judgement]]:
    """One instance answers all cases, as in a run."""
    instance = kernel()
    for case in CASES.values():
        if case.inputs["x"].size > getattr(kernel, "largest", 2**25):
            continue
        method = OPERATIONS[case.attributes.get("call", case.operation)].method
        if getattr(kernel, method) is None:
            continue
        yield case, judge(case.question, ask(instance, made(case.id)))


def accusations(kernel: type[Implementation]) -> list[str]:
    return [
        f"{case.id}: {found.verdict} {found.name} at a ratio of {found.ratio}"
        for case, found in judgements(kernel)
        if found.verdict in (WRONG, INACCURATE)
    ]


def parametrize(kernels):
    return pytest.mark.parametrize("kernel", kernels, ids=[kernel.name for kernel in kernels])


def test_names_are_unique():
    names = [kernel.name for kernel in (*RIGHT, *MUTANTS)]
    assert len(set(names)) == len(names)


@parametrize(RIGHT)
def test_no_right_kernel_is_accused(kernel):
    assert accusations(kernel) == []


def test_the_kernel_that_mutants_spoil_is_not_accused():
    assert accusations(Whole) == []


@parametrize(MUTANTS)
def test_every_mutant_is_noticed(kernel):
    assert any(found.verdict in kernel.verdicts for _, found in judgements(kernel))


@parametrize(NAMED)
def test_a_known_mistake_gets_its_name(kernel):
    assert any(found.name == kernel.due for _, found in judgements(kernel))


@parametrize(CONVENTIONS)
def test_a_convention_is_not_accused(kernel):
    assert accusations(kernel) == []


@parametrize(OUTSIDE_ROOT)
def test_epsilon_outside_the_root_is_always_called_that(kernel):
    others = {
        case.id: (found.verdict, found.name)
        for case, found in judgements(kernel)
        if found.verdict not in (CONFORMS, POLICY, UNSUPPORTED)
        and (found.verdict, found.name) != (WRONG, "epsilon-outside-sqrt")
        # The root of a variance of 0, a constant channel's, has no derivative.
        and not (case.operation == "grad" and "-constant-" in case.id)
    }
    assert {c for c in others if not is_tried_late(CASES[c])} == set()
    assert set(others.values()) <= {(INACCURATE, "single-pass-variance")}
