"""The command line: bnconf, and python -m conformance."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from conformance import __version__
from conformance.cases import cases_folder
from conformance.deviations import RECORD
from conformance.errors import UserError

_DEFAULT_RESULTS = Path("reports/results")


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


def _run(arguments: argparse.Namespace) -> int:
    from conformance import run, summary

    outcome = run.make(
        run.Request(
            selectors=tuple(arguments.impl),
            case_globs=tuple(arguments.case),
            device=arguments.device,
            out=arguments.out,
            workers=arguments.n,
            timeout=arguments.timeout,
            cases=arguments.cases,
            deviations=arguments.deviations,
        )
    )
    print(summary.of(outcome, arguments.out))
    if not outcome.complete:
        return 130
    return 0 if outcome.is_green else 1


def _report(arguments: argparse.Namespace) -> int:
    from conformance import report

    files = arguments.results or sorted(_DEFAULT_RESULTS.glob("*.jsonl"))
    if not files:
        raise UserError(f"{_DEFAULT_RESULTS}: no results (*.jsonl) here; make a run, or name files")
    report.write(files, arguments.out, arguments.cases, arguments.deviations)
    print(f"{arguments.out}: made from {len(files)} results files")
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from conformance import results

    runs = results.merge(arguments.results)
    _writing(arguments.out, lambda path: results.write(path, runs))
    print(f"{arguments.out}: {sum(len(run.results) for run in runs)} results of {len(runs)} runs")
    return 0


def _cases_list(arguments: argparse.Namespace) -> int:
    from conformance.cases import load_cases

    for case in load_cases(arguments.cases, arguments.glob).values():
        print(f"{case.id}  {case.comment}")
    return 0


def _cases_show(arguments: argparse.Namespace) -> int:
    from conformance.cases import load_cases
    from conformance.show import show

    print("\n\n".join(show(c) for c in load_cases(arguments.cases, arguments.glob).values()))
    return 0


def _cases_build(arguments: argparse.Namespace) -> int:
    build = _cases_tool()
    counts: dict[str, int] = {}
    _writing(arguments.cases, lambda folder: counts.update(build.build(folder)))
    for family, count in counts.items():
        print(f"{family}: {count} cases")
    return 0


def _cases_verify(arguments: argparse.Namespace) -> int:
    build = _cases_tool()
    wrong = total = 0
    for path, count, differences in build.verify(arguments.cases):
        total += count
        wrong += len(differences)
        print(f"{path}: {count} cases, {'all certified' if not differences else 'NOT certified'}")
        for difference in differences:
            print(f"  {difference}")
    print(f"{total} cases, {wrong} differences")
    return 1 if wrong else 0


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


def _cases_tool() -> ModuleType:
    try:
        from conformance.catalogue import build
    except ModuleNotFoundError as error:
        raise UserError(
            f"building and certifying cases needs {error.name}; "
            "pip install 'batchnorm-conformance[cases]' brings it"
        ) from None
    return build


def _writing(path: Path, write: Callable[[Path], None]) -> None:
    try:
        write(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bnconf", description="Hold implementations of batch normalization against the cases."
    )
    parser.add_argument("--version", action="version", version=f"bnconf {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        group: argparse._SubParsersAction[argparse.ArgumentParser],
        name: str,
        command: Callable[[argparse.Namespace], int],
        text: str,
    ) -> argparse.ArgumentParser:
        added = group.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        added.add_argument(
            "--cases", type=Path, default=cases_folder(), metavar="DIR", help="the case files"
        )
        return added

    run = add(commands, "run", _run, "Run cases on implementations.")
    run.add_argument(
        "--impl",
        action="append",
        default=[],
        metavar="NAME",
        help="a name, a framework, a glob, FILE.py:NAME or MODULE:NAME; all installed if left out",
    )
    run.add_argument("--case", action="append", default=[], metavar="GLOB", help="all if left out")
    run.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    run.add_argument("--out", type=Path, metavar="FILE", help="write the results here (JSON lines)")
    run.add_argument("-n", type=_positive(int), metavar="N", help="worker processes")
    run.add_argument(
        "--timeout",
        type=_positive(float),
        default=60.0,
        metavar="SECONDS",
        help="for one case (default 60)",
    )
    _add_record(run)

    report = add(commands, "report", _report, "Make the compatibility report from results.")
    report.add_argument(
        "results", nargs="*", type=Path, help=f"results files; {_DEFAULT_RESULTS}/*.jsonl if none"
    )
    report.add_argument("--out", type=Path, default=Path("reports/compatibility.md"))
    _add_record(report)

    merge = add(commands, "merge", _merge, "Merge results files of several runs into one.")
    merge.add_argument("results", nargs="+", type=Path)
    merge.add_argument("--out", type=Path, required=True)

    cases = commands.add_parser("cases", help="List, show, build or verify the frozen cases.")
    of_cases = cases.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("list", _cases_list, "Print the id and comment of each case."),
        ("show", _cases_show, "Print cases for a person to read."),
    ):
        add(of_cases, name, command, text).add_argument("glob", nargs="*")
    add(of_cases, "build", _cases_build, "Write the case files from the catalogue.")
    add(of_cases, "verify", _cases_verify, "Certify the case files anew.")

    add(commands, "implementations", _implementations, "List the implementations.")
    bench = add(commands, "bench", _bench, "Time the suite beside the bare calls.")
    bench.add_argument("--impl", action="append", default=[], metavar="FRAMEWORK")
    return parser


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deviations", type=Path, default=RECORD, metavar="FILE", help="the record of deviations"
    )


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = kind(text)
        if not number > 0:
            raise ValueError
        return number

    parse.__name__ = "positive number"
    return parse
