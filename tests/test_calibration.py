"""The suite against kernels known to be right and known to be wrong."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from conformance.cases import cases_folder, load_cases
from conformance.judge import CONFORMS, INACCURATE, POLICY, UNSUPPORTED, WRONG
from conformance.proof import core
from conformance.proof.mutants import MUTANTS
from conformance.proof.mutants.kernel import Half, Whole
from conformance.proof.prove import Prover, Trial
from conformance.proof.right import RIGHT

# Kernels of NumPy may warn of empty slices and the like, as they do where nobody asks for errors.
pytestmark = pytest.mark.filterwarnings("ignore")

# One for all tests of a process: large tensors are made once, and equal answers judged once.
PROVER = Prover(load_cases(cases_folder()))
CASES = PROVER.cases
LARGE = 2**16
ONLY = [mutant for mutant in MUTANTS if mutant.only]
OUTSIDE_ROOT = [mutant for mutant in MUTANTS if mutant.due == "epsilon-outside-sqrt"]
SPOILED = [
    type(kernel.__name__, (kernel,), {"name": f"right-{kernel.__name__}", "verdicts": frozenset()})
    for kernel in (Whole, Half)
]


@cache
def by_core(kernel) -> Trial:
    """By its small cases, and by the others if none of those notices the kernel."""
    small = [name for name in core.read() if PROVER.cases[name].inputs["x"].size <= LARGE]
    trial = PROVER.trial(kernel, small)
    return trial if trial.telling else PROVER.trial(kernel, set(core.read()) - set(small))


def is_tried_late(case_id: str) -> bool:
    """Rounding alone could move epsilon-outside-sqrt to the reference, so that it is tried last."""
    keys = list(CASES[case_id].expected)
    return keys.index("single-pass-variance") < keys.index("epsilon-outside-sqrt")


def parametrize(kernels):
    return pytest.mark.parametrize("kernel", kernels, ids=[kernel.name for kernel in kernels])


def test_names_are_unique():
    names = [kernel.name for kernel in (*RIGHT, *MUTANTS)]
    assert len(set(names)) == len(names)


@parametrize([*RIGHT, *SPOILED])
def test_no_right_kernel_is_accused(kernel):
    trial = PROVER.trial(kernel)
    assert not trial.wrong
    assert trial.strays == ()


@parametrize(MUTANTS)
def test_every_mutant_is_noticed_by_the_core(kernel):
    assert by_core(kernel).telling


@parametrize(ONLY)
def test_a_convention_or_an_algorithm_is_only_ever_called_that(kernel):
    assert kernel.due
    assert PROVER.trial(kernel).strays == ()


@parametrize(OUTSIDE_ROOT)
def test_epsilon_outside_the_root_is_always_called_that(kernel):
    others = {
        found.case: (found.verdict, found.name)
        for found in PROVER.findings(kernel, CASES)
        if found.verdict not in (CONFORMS, POLICY, UNSUPPORTED)
        and (found.verdict, found.name) != (WRONG, "epsilon-outside-sqrt")
        # The root of a variance of 0, a constant channel's, has no derivative.
        and not ("/grad-" in found.case and "-constant-" in found.case)
    }
    assert {name for name in others if not is_tried_late(name)} == set()
    assert set(others.values()) <= {(INACCURATE, "single-pass-variance")}


def test_the_core_holds_cases_that_there_are_each_once_and_in_order():
    names = core.read()
    assert names
    assert set(names) <= set(CASES)
    assert names == [name for name in CASES if name in set(names)]


def test_no_case_of_the_core_can_be_spared():
    """A smallest set has no case without which it notices as much."""
    noticing = [{found.case for found in by_core(mutant).telling} for mutant in MUTANTS]
    assert {next(iter(cases)) for cases in noticing if len(cases) == 1} == set(core.read())


def test_state_does_not_pass_from_case_to_case():
    seen = []

    class Remembering(Whole):
        name = "remembering"

        def train(self, x, gamma, beta, epsilon):
            seen.append(self)
            return np.zeros_like(x)

    PROVER.trial(Remembering, ["typical/train-float32-NC-16x5", "typical/train-float64-NC-16x5"])
    assert len(set(map(id, seen))) == 2
