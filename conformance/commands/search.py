"""bnconf search: random cases outside the catalogue, shrunk to the smallest that fails."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.commands import Commands, add_how_to_ask, add_record, positive, writing
from conformance.errors import UserError
from conformance.operations import OPERATIONS


def add_to(commands: Commands) -> None:
    text = "Look for failing cases outside the catalogue, and shrink them."
    search = commands.add_parser("search", help=text, description=text)
    search.set_defaults(command=_search)
    search.add_argument(
        "--impl", action="append", default=[], metavar="NAME", help="what `bnconf run` takes"
    )
    search.add_argument("--right", action="store_true", help="the kernels known to be right")
    search.add_argument(
        "--examples", type=positive(int), default=200, metavar="N", help="200 if left out"
    )
    search.add_argument("--seed", type=int, default=0, metavar="S", help="0 if left out")
    search.add_argument(
        "--operation",
        action="append",
        default=[],
        choices=[name for name in OPERATIONS if name != "reject"],
        help="all if left out",
    )
    add_how_to_ask(search, "example")
    search.add_argument(
        "--new-only", action="store_true", help="pass over what is on record of an implementation"
    )
    search.add_argument(
        "--out", type=Path, metavar="FILE.json", help="write the cases found, as a file of cases"
    )
    add_record(search)


def _search(arguments: argparse.Namespace) -> int:
    """Exit status 0: nothing found; 1: something is; 2: an implementation could not be searched."""
    from conformance.search import make

    request = make.Request(
        selectors=tuple(arguments.impl),
        right=arguments.right,
        operations=tuple(arguments.operation),
        examples=arguments.examples,
        seed=arguments.seed,
        timeout=arguments.timeout,
        device=arguments.device,
        new_only=arguments.new_only,
        deviations=arguments.deviations,
    )
    if arguments.out is not None:
        _check_out(arguments.out)
    searches = make.make(request)
    from conformance.search import text

    findings: list[make.Finding] = []
    status = 0
    for search in searches:
        printed = text.printed(search, request)
        for envelope, line in printed.findings:
            print(f"{envelope}{line}", flush=True)
        print(printed.last, file=sys.stderr if search.refused else sys.stdout, flush=True)
        findings += search.findings
        if arguments.out is not None:
            cases = text.cases_file(arguments.out.stem, findings)
            writing(arguments.out, lambda path, cases=cases: path.write_text(cases))  # type: ignore[misc]
        status = max(status, 2 if search.refused else 1 if search.findings else 0)
        if search.ended == make.INTERRUPTED:
            return 130
    return status


def _check_out(out: Path) -> None:
    """Before the search, so that nothing found is lost for it."""
    if out.suffix != ".json" or out.stem in ("", "schema"):
        raise UserError(f"--out {out}: a file of cases is called NAME.json, and not schema.json")
    writing(out, lambda path: path.open("a").close())
