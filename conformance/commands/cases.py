"""bnconf cases: the frozen cases listed, shown, built, certified, and written for other suites."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from types import ModuleType

from conformance.commands import Commands, add_command, writing
from conformance.errors import UserError


def add_to(commands: Commands) -> None:
    cases = commands.add_parser(
        "cases", help="List, show, build, verify or export the frozen cases."
    )
    group = cases.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("list", _list, "Print the id and comment of each case."),
        ("show", _show, "Print cases for a person to read."),
    ):
        add_command(group, name, command, text).add_argument("glob", nargs="*")
    add_command(group, "build", _build, "Write the case files from the catalogue.")
    add_command(group, "verify", _verify, "Certify the case files anew.")
    export = add_command(group, "export", _export, "Write cases as tests of another suite.")
    export.add_argument("glob", nargs="*")
    export.add_argument("--format", choices=("onnx", "webnn"), required=True)
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")


def _list(arguments: argparse.Namespace) -> int:
    from conformance.cases import load_cases

    for case in load_cases(arguments.cases, arguments.glob).values():
        print(f"{case.id}  {case.comment}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from conformance.cases import load_cases
    from conformance.show import show

    print("\n\n".join(show(c) for c in load_cases(arguments.cases, arguments.glob).values()))
    return 0


def _build(arguments: argparse.Namespace) -> int:
    build = _tool()
    counts: dict[str, int] = {}
    writing(arguments.cases, lambda folder: counts.update(build.build(folder)))
    for family, count in counts.items():
        print(f"{family}: {count} cases")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    build = _tool()
    wrong = total = 0
    for path, count, differences in build.verify(arguments.cases):
        total += count
        wrong += len(differences)
        print(f"{path}: {count} cases, {'all certified' if not differences else 'NOT certified'}")
        for difference in differences:
            print(f"  {difference}")
    print(f"{total} cases, {wrong} differences")
    return 1 if wrong else 0


def _export(arguments: argparse.Namespace) -> int:
    from conformance.cases import load_cases
    from conformance.export import INDEX, onnx, webnn

    write = {"onnx": onnx.write, "webnn": webnn.write}[arguments.format]
    cases = load_cases(arguments.cases, arguments.glob)
    exported = []
    writing(arguments.out, lambda folder: exported.append(write(cases, folder)))
    print(exported[0])
    print(f"{arguments.out / INDEX}: names each of them")
    return 0


def _tool() -> ModuleType:
    try:
        importlib.import_module("flint")
        from conformance.catalogue import build
    except ModuleNotFoundError as error:
        raise UserError(
            f"building and certifying cases needs {error.name}; "
            "pip install 'batchnorm-conformance[cases]' brings it"
        ) from None
    return build
