"""The operations of batch normalization that a case can ask for, and what goes in and comes out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """`inputs` are the tensors, in the order of the method's arguments; epsilon follows them.

    `outputs` are all that the reference gives; `required` those that an implementation must.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    required: tuple[str, ...]


OPERATIONS = {
    "train": Operation(("x", "gamma", "beta"), ("y", "mean", "var"), ("y",)),
    "infer": Operation(("x", "mean", "var", "gamma", "beta"), ("y",), ("y",)),
}
