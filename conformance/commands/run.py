"""bnconf run, implementations and bench: what runs implementations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.commands import (
    Commands,
    add_command,
    add_how_to_ask,
    add_record,
    positive,
    writing,
)

if TYPE_CHECKING:
    from conformance.run import Outcome


def add_to(commands: Commands) -> None:
    run = add_command(commands, "run", _run, "Run cases on implementations.")
    run.add_argument(
        "--impl",
        action="append",
        default=[],
        metavar="NAME",
        help="a name, a framework, a glob, FILE.py:NAME, MODULE:NAME or 'exec:COMMAND'; all installed if left out",
    )
    which = run.add_mutually_exclusive_group()
    which.add_argument(
        "--case", action="append", default=[], metavar="GLOB", help="all if left out"
    )
    which.add_argument(
        "--core", action="store_true", help="the few cases that notice every known mistake"
    )
    add_how_to_ask(run, "case")
    run.add_argument("--out", type=Path, metavar="FILE", help="write the results here (JSON lines)")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML here, too")
    run.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="finish the run that has left this results file; what was asked for stands in it",
    )
    run.add_argument("-n", type=positive(int), metavar="N", help="worker processes")
    add_record(run)
    add_command(commands, "implementations", _implementations, "List the implementations.")
    bench = add_command(commands, "bench", _bench, "Time the suite beside the bare calls.")
    bench.add_argument("--impl", action="append", default=[], metavar="FRAMEWORK")


def _run(arguments: argparse.Namespace) -> int:
    from conformance import run, summary
    from conformance.proof import core

    out = arguments.resume or arguments.out
    if arguments.resume is not None:
        outcome = run.resume(arguments.resume, arguments.n)
    else:
        outcome = run.make(
            run.Request(
                selectors=tuple(arguments.impl),
                case_globs=tuple(core.read() if arguments.core else arguments.case),
                device=arguments.device,
                out=out,
                workers=arguments.n,
                timeout=arguments.timeout,
                cases=arguments.cases,
                deviations=arguments.deviations,
            )
        )
    print(summary.of(outcome, out))
    if arguments.junit is not None:
        _write_junit(arguments.junit, outcome)
    if not outcome.complete:
        return 130
    return 0 if outcome.is_green else 1


def _write_junit(path: Path, outcome: Outcome) -> None:
    from conformance.ci import junit, standing

    held = standing.of_run(outcome.run, outcome.record, outcome.specs, outcome.repeat_options)
    writing(path, lambda place: junit.write(place, standing.Overview(held, outcome.stale)))


def _implementations(arguments: argparse.Namespace) -> int:
    from conformance.implementations import registry

    for name, implementation in registry.built_in().items():
        framework = implementation.framework
        state = "installed" if registry.is_installed(implementation) else "not installed"
        print(f"{name}  ({framework}, {state}; {', '.join(implementation.devices)})")
    for name, point in registry.entry_points().items():
        print(f"{name}  (plug-in {point.value})")
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from conformance import bench

    print(bench.run(arguments.impl, arguments.cases))
    return 0
