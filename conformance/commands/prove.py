"""bnconf prove: kernels known to be wrong and known to be right, against all cases."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from conformance.commands import Commands, add_command, positive, writing

if TYPE_CHECKING:
    from conformance.proof.prove import Trial


def add_to(commands: Commands) -> None:
    text = "Prove that the cases notice every wrong kernel and accuse no right one."
    prove = add_command(commands, "prove", _prove, text)
    prove.add_argument("-n", type=positive(int), metavar="N", help="worker processes")
    prove.add_argument(
        "--families", action="store_true", help="print what each family alone notices"
    )
    prove.add_argument(
        "--core", action="store_true", help="write the smallest set of cases that notices as much"
    )


def _prove(arguments: argparse.Namespace) -> int:
    from conformance.proof import core
    from conformance.proof.prove import prove

    began = time.perf_counter()
    trials = []
    for trial in prove(arguments.cases, arguments.n):
        trials.append(trial)
        print("\n".join(_lines(trial)), flush=True)
    print()
    if arguments.families:
        _print_families(arguments, trials)
    print(_summary(trials, time.perf_counter() - began))
    if not all(trial.passes for trial in trials):
        return 1
    if arguments.core:
        from conformance.cases import load_cases

        names = core.smallest(trials, load_cases(arguments.cases))
        writing(core.CORE, lambda path: core.write(path, names))
        print(f"{core.CORE}: {len(names)} cases notice all of them")
    return 0


def _lines(trial: Trial) -> Iterator[str]:
    if trial.noticed:
        first, count = trial.noticed[0], len(trial.noticed)
        cases = "1 case" if count == 1 else f"{count} cases"
        yield f"{trial.kernel}: {first.case} {first.verdict} {first.name}; noticed by {cases}"
    elif not trial.wrong and not trial.strays:
        yield f"{trial.kernel}: not accused"
    if trial.wrong and not trial.telling:
        due = f" under the name {trial.due}" if trial.due else ""
        yield f"{trial.kernel}: NOT NOTICED{due}"
    for stray in trial.strays:
        yield f"{trial.kernel}: ACCUSED by {stray.case} {stray.verdict} {stray.name}"


def _summary(trials: Sequence[Trial], seconds: float) -> str:
    wrong = [trial for trial in trials if trial.wrong]
    right = [trial for trial in trials if not trial.wrong]
    thin = [trial.kernel for trial in wrong if len(trial.noticed) == 1]
    misnamed = [trial.kernel for trial in wrong if trial.strays]
    lines = [
        f"noticed by one case alone: {', '.join(thin) or 'none'}",
        f"mutants noticed: {sum(bool(t.telling) for t in wrong)} of {len(wrong)}",
        f"right kernels accused: {sum(bool(t.strays) for t in right)} of {len(right)}",
        f"named algorithms accused of anything else: {', '.join(misnamed) or 'none'}",
        f"time: {seconds:.0f} s",
    ]
    return "\n".join(lines)


def _print_families(arguments: argparse.Namespace, trials: Sequence[Trial]) -> None:
    from conformance.cases import case_files
    from conformance.proof.prove import noticed_by_one_family

    alone = noticed_by_one_family(trials)
    families = [path.stem for path in case_files(arguments.cases)]
    for family in families:
        if names := alone.get(family):
            print(f"without {family}, {len(names)} get through: {', '.join(names)}")
    spare = [family for family in families if family not in alone]
    print(f"nothing gets through without any one of: {', '.join(spare) or 'none'}\n")
