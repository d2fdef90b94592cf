"""bnconf summary, junit, badge and diff: what is made of results for continuous integration."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from conformance.commands import (
    Command,
    Commands,
    add_command,
    add_record,
    add_results,
    positive,
    results_files,
    writing,
)


def add_to(commands: Commands) -> None:
    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        parser = add_command(commands, name, command, text)
        add_results(parser)
        add_record(parser)
        return parser

    add("summary", _summary, "Print results as Markdown, for the summary page of a CI job.")
    junit = add("junit", _junit, "Write results as JUnit XML.")
    junit.add_argument("--out", type=Path, required=True, metavar="FILE")
    badge = add("badge", _badge, "Write a badge for each implementation, for shields.io.")
    badge.add_argument("--out", type=Path, required=True, metavar="DIR")
    diff = add_command(commands, "diff", _diff, "Show what changed between two runs.")
    diff.add_argument("old", type=Path, metavar="OLD")
    diff.add_argument("new", type=Path, metavar="NEW")
    diff.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    diff.add_argument(
        "--factor",
        type=positive(float),
        default=2.0,
        help="by which a ratio has to change where the verdict did not (default 2)",
    )


def _summary(arguments: argparse.Namespace) -> int:
    from conformance.ci import job_summary, standing

    files = results_files(arguments)
    overview = standing.read(files, arguments.cases, arguments.deviations)
    _print(job_summary.page(overview))
    return 0


def _junit(arguments: argparse.Namespace) -> int:
    from conformance.ci import junit, standing

    overview = standing.read(results_files(arguments), arguments.cases, arguments.deviations)
    writing(arguments.out, lambda path: junit.write(path, overview))
    print(f"{arguments.out}: {overview}")
    return 0


def _badge(arguments: argparse.Namespace) -> int:
    from conformance.ci import badge, standing

    overview = standing.read(results_files(arguments), arguments.cases, arguments.deviations)
    writing(arguments.out, lambda folder: badge.write(folder, overview.standings))
    print(f"{arguments.out}: {len(overview.standings)} badges")
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    """0: no verdict of what both hold has changed; 1: some have."""
    from conformance import results
    from conformance.ci import comparison, comparison_text

    old, new = results.merge([arguments.old]), results.merge([arguments.new])
    found = comparison.compare(old, new, arguments.factor)
    form = {
        "text": comparison_text.as_text,
        "markdown": comparison_text.as_markdown,
        "json": comparison_text.as_json,
    }
    _print(form[arguments.format](found) + "\n")
    return 1 if found.verdicts else 0


def _print(text: str) -> None:
    """In UTF-8, whatever the locale says: it is piped into a file of Markdown or JSON."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    print(text, end="")
