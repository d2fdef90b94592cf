"""The suite against kernels known to be right and known to be wrong, on every frozen case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mutants import MUTANTS
from right_kernels import RIGHT

from conformance import Implementation
from conformance.case import Case
from conformance.cases import cases_folder, load_cases
from conformance.implementations.call import ask
from conformance.judge import CONFORMS, CONVENTION, INACCURATE, POLICY, WRONG, Judgement, judge

CASES = load_cases(cases_folder())
NAMED = [mutant for mutant in MUTANTS if mutant.due is not None]
CONVENTIONS = [mutant for mutant in MUTANTS if mutant.verdicts == {CONVENTION}]
OUTSIDE_ROOT = next(mutant for mutant in MUTANTS if mutant.due == "epsilon-outside-sqrt")


def judgements(kernel: type[Implementation]) -> Iterator[tuple[Case, Judgement]]:
    """One instance answers all cases, as in a run."""
    instance = kernel()
    for case in CASES.values():
        yield case, judge(case.question, ask(instance, case))


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


@parametrize(MUTANTS)
def test_every_mutant_is_noticed(kernel):
    assert any(found.verdict in kernel.verdicts for _, found in judgements(kernel))


@parametrize(NAMED)
def test_a_known_mistake_gets_its_name(kernel):
    assert any(found.name == kernel.due for _, found in judgements(kernel))


@parametrize(CONVENTIONS)
def test_a_convention_is_not_accused(kernel):
    assert accusations(kernel) == []


def test_epsilon_outside_the_root_is_always_called_that():
    others = {
        case.id: (found.verdict, found.name)
        for case, found in judgements(OUTSIDE_ROOT)
        if found.verdict not in (CONFORMS, POLICY)
        and (found.verdict, found.name) != (WRONG, "epsilon-outside-sqrt")
    }
    assert others == {}
