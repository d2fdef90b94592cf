"""bnconf explain: which formula made a user's own tensors, and what to change."""

from __future__ import annotations

import argparse
from pathlib import Path

from conformance.commands import Commands
from conformance.explanation.given import NUMBERS, TENSORS


def add_to(commands: Commands) -> None:
    text = "Say which formula explains your own tensors, and what to change."
    explain = commands.add_parser(
        "explain",
        help=text,
        description=f"{text} Exit status 0: within the bound of the formula or a documented convention; 1: not.",
        epilog=f"Tensors, by the name of an array in an .npz, of an .npy file, or of an option that takes one: {', '.join(TENSORS)}; "
        "weight, bias, running_mean, running_var, eps and other usual names will do. "
        "mean and var are the running statistics used in inference, *_before and *_after those around one training step on x. "
        "What is not said of layout, mode and epsilon is searched for.",
    )
    explain.set_defaults(command=_explain)
    explain.add_argument(
        "files", nargs="*", type=Path, help=".npz or .npy files, or folders of them"
    )
    for name in TENSORS:
        option = f"--{name.replace('_', '-')}"
        explain.add_argument(option, type=Path, metavar="FILE.npy", help=argparse.SUPPRESS)
    explain.add_argument(
        "--layout",
        metavar="L",
        help="NCHW, NHWC, ..., channels_first, channels_last, or the channel axis",
    )
    explain.add_argument("--mode", choices=("train", "infer"), help="what was meant")
    explain.add_argument("--dtype", metavar="NAME", help="what it was to be computed in")
    explain.add_argument("--epsilon", metavar="E", help="the epsilon that was meant")
    explain.add_argument(
        "--momentum",
        metavar="M",
        help="above 0.5 the weight of the old statistic, below of the new batch",
    )
    explain.add_argument(
        "--rate", metavar="R", help="the weight of the new batch, instead of momentum"
    )


def _explain(arguments: argparse.Namespace) -> int:
    from conformance.explanation import explain
    from conformance.explanation.files import read

    named = {n: path for n in TENSORS if (path := getattr(arguments, n)) is not None}
    tensors = read(arguments.files, named)
    said = {n: value for n in NUMBERS if (value := getattr(arguments, n)) is not None}
    explained = explain(
        layout=arguments.layout,
        mode=arguments.mode,
        dtype=arguments.dtype,
        **{**tensors, **said},
    )
    print(explained)
    return 0 if explained.is_acceptable else 1
