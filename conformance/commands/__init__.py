"""The commands of bnconf, one file for each group; each adds itself to the parser.

What a command needs is imported when it is called: `bnconf cases list` must not wait for anything else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.cases import cases_folder
from conformance.deviations import RECORD
from conformance.errors import UserError
from conformance.implementations.base import TIMEOUT

DEFAULT_RESULTS = Path("reports/results")

Commands = Any
"""What `ArgumentParser.add_subparsers` gives."""
Command = Callable[[argparse.Namespace], int]


def add_command(group: Commands, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    """A new command, which returns the exit status; like all, it can be told where the cases lie."""
    added: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
    added.set_defaults(command=command)
    added.add_argument(
        "--cases", type=Path, default=cases_folder(), metavar="DIR", help="the case files"
    )
    return added


def add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deviations", type=Path, default=RECORD, metavar="FILE", help="the record of deviations"
    )


def add_how_to_ask(parser: argparse.ArgumentParser, of_one: str) -> None:
    """Where an implementation runs, and how long it may take for one case or example."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--timeout",
        type=positive(float),
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"for one {of_one} (default {TIMEOUT:g})",
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", nargs="*", type=Path, help=f"results files; {DEFAULT_RESULTS}/*.jsonl if none"
    )


def results_files(arguments: argparse.Namespace) -> list[Path]:
    """The results files named, or those of the default folder. Raises UserError if there is none."""
    files: list[Path] = arguments.results or sorted(DEFAULT_RESULTS.glob("*.jsonl"))
    if not files:
        raise UserError(f"{DEFAULT_RESULTS}: no results (*.jsonl) here; make a run, or name files")
    return files


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = kind(text)
        if not number > 0:
            raise ValueError
        return number

    parse.__name__ = "positive number"
    return parse


def writing(path: Path, write: Callable[[Path], object]) -> None:
    """Raises UserError where what is to be written cannot be."""
    try:
        write(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another") from None
