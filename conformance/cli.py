"""The command line: bnconf, and python -m conformance."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from conformance import __version__
from conformance.commands import cases, ci, explain, prove, recipes, report, run, search
from conformance.errors import UserError

_GROUPS = (run, report, ci, cases, explain, recipes, prove, search)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0: all as recorded; 1: something is not; 2: the call or a file is bad."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except UserError as error:
        print(f"bnconf: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bnconf: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bnconf", description="Hold implementations of batch normalization against the cases."
    )
    parser.add_argument("--version", action="version", version=f"bnconf {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.add_to(commands)
    return parser
