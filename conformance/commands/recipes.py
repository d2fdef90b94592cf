"""bnconf recipes: layers trained in one library, taken over by the others, and the report of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from conformance.commands import Commands

_FOLDER = Path("reports/recipes")


def add_to(commands: Commands) -> None:
    text = "Porting recipes: train layers, take them over, and report."
    recipes = commands.add_parser("recipes", help=text, description=text)
    group = recipes.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("train", _train, "Train a layer, and write down what it holds."),
        ("port", _port, "Take over every layer that was trained, naively and by the recipe."),
        ("report", _report, "Make the page of recipes."),
    ):
        added = group.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        added.add_argument("--folder", type=Path, default=_FOLDER, metavar="DIR")
        if name == "report":
            added.add_argument("--out", type=Path, default=Path("reports/recipes.md"))
        else:
            added.add_argument(
                "--layer", action="append", required=True, metavar="NAME", help="keras, torch, ..."
            )


def _train(arguments: argparse.Namespace) -> int:
    from conformance.recipes import stages

    for name in arguments.layer:
        print(f"{stages.train(name, arguments.folder)}: trained")
    return 0


def _port(arguments: argparse.Namespace) -> int:
    from conformance.recipes import stages

    strange = []
    for name in arguments.layer:
        path, found = stages.port(name, arguments.folder)
        print(f"{path}: ported")
        strange += found
    for line in strange:
        print(f"NOT AS RECORDED {line}")
    return 1 if strange else 0


def _report(arguments: argparse.Namespace) -> int:
    from conformance.recipes import report

    pairs = report.write(arguments.folder, arguments.out)
    print(f"{arguments.out}: {pairs} pairs")
    return 0
