"""The operations of batch normalization that a case can ask for, and what goes in and comes out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """`arguments` are those of the implementation's method, in order; `inputs` the tensors among them.

    `outputs` are all that the reference gives; the first `required` of them have to be answered.
    """

    method: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    required: int
    reduces: bool
    """Whether values of a batch are summed, so that their number enters the limit."""


_STATISTICS = ("running_mean", "running_var")

OPERATIONS = {
    "train": Operation(
        "train",
        ("x", "gamma", "beta", "epsilon"),
        ("x", "gamma", "beta"),
        ("y", "mean", "var"),
        required=1,
        reduces=True,
    ),
    "infer": Operation(
        "infer",
        ("x", "mean", "var", "gamma", "beta", "epsilon"),
        ("x", "mean", "var", "gamma", "beta"),
        ("y",),
        required=1,
        reduces=False,
    ),
    "update": Operation(
        "update",
        ("x", *_STATISTICS, "epsilon", "rate"),
        ("x", *_STATISTICS),
        _STATISTICS,
        required=2,
        reduces=True,
    ),
    "grad": Operation(
        "grad",
        ("x", "gamma", "beta", "epsilon", "dy"),
        ("x", "gamma", "beta", "dy"),
        ("dx", "dgamma", "dbeta"),
        required=3,
        reduces=True,
    ),
    "grad-infer": Operation(
        "grad_infer",
        ("x", "mean", "var", "gamma", "beta", "epsilon", "dy"),
        ("x", "mean", "var", "gamma", "beta", "dy"),
        ("dx", "dgamma", "dbeta"),
        required=3,
        reduces=True,
    ),
    "dense": Operation(
        "dense",
        ("x", "w", "gamma", "beta", "epsilon", "activation"),
        ("x", "w", "gamma", "beta"),
        ("y",),
        required=1,
        reduces=True,
    ),
    # Bad input to one of the methods above; nothing but a refusal is expected.
    "reject": Operation("", (), (), (), required=0, reduces=False),
}

METHODS = tuple(operation.method for operation in OPERATIONS.values() if operation.method)

IN_LAYOUT = frozenset({"x", "y", "dx", "dy"})
"""Tensors that have an axis of channels among others; all others but w are one number a channel."""
