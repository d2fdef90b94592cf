"""bnconf report and merge: what is made of results."""

from __future__ import annotations

import argparse
from pathlib import Path

from conformance.commands import (
    Commands,
    add_command,
    add_record,
    add_results,
    results_files,
    writing,
)


def add_to(commands: Commands) -> None:
    report = add_command(
        commands,
        "report",
        _report,
        "Make the compatibility report, and the page beside it, from results.",
    )
    add_results(report)
    report.add_argument("--out", type=Path, default=Path("reports/compatibility.md"))
    add_record(report)
    merge = add_command(commands, "merge", _merge, "Merge results files of several runs into one.")
    merge.add_argument("results", nargs="+", type=Path)
    merge.add_argument("--out", type=Path, required=True)


def _report(arguments: argparse.Namespace) -> int:
    from conformance import report

    files = results_files(arguments)
    report.write(files, arguments.out, arguments.cases, arguments.deviations)
    page = arguments.out.parent / "index.html"
    print(f"{arguments.out} and {page}: made from {len(files)} results files")
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from conformance import results

    runs = results.merge(arguments.results)
    writing(arguments.out, lambda path: results.write(path, runs))
    print(f"{arguments.out}: {sum(len(run.results) for run in runs)} results of {len(runs)} runs")
    return 0
