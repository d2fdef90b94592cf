"""What a user hands in: their tensors and what they know of them, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.errors import UserError
from conformance.precision import PRECISIONS

IN_LAYOUT = ("x", "y", "y2", "dy", "dx")
PER_CHANNEL = ("gamma", "beta", "mean", "var", "dgamma", "dbeta")
RUNNING = ("mean_before", "var_before", "mean_after", "var_after")
TENSORS = (*IN_LAYOUT, *PER_CHANNEL, *RUNNING)
NUMBERS = ("epsilon", "momentum", "rate")
EXPLAINED = ("y", "y2", "dx", "dgamma", "dbeta", "mean_after", "var_after")

_SYNONYMS = {
    **dict.fromkeys(("input", "inputs", "z"), "x"),
    **dict.fromkeys(("output", "outputs", "out"), "y"),
    **dict.fromkeys(("weight", "scale"), "gamma"),
    **dict.fromkeys(("bias", "offset", "shift", "b"), "beta"),
    **dict.fromkeys(("running_mean", "moving_mean"), "mean"),
    **dict.fromkeys(("running_var", "moving_var"), "var"),
    **dict.fromkeys(("running_variance", "moving_variance", "variance"), "var"),
    **dict.fromkeys(("grad_output", "upstream"), "dy"),
    "grad_input": "dx",
    "grad_weight": "dgamma",
    "grad_bias": "dbeta",
    "eps": "epsilon",
}
_LAYOUTS = {"channels_first": 1, "channels_last": -1}
_KINDS = {
    "train": "train",
    "training": "train",
    "infer": "infer",
    "inference": "infer",
    "eval": "infer",
}


@dataclass(frozen=True)
class Given:
    """Checked tensors by name: those of IN_LAYOUT in the shape of x, the others (C,) or (1,).

    `axis` is the channel axis, where it is known; `mode` train or infer; `dtype` a format's name.
    `notes` says what was made of the tensors before anything was compared.
    """

    tensors: Mapping[str, np.ndarray]
    epsilon: float | None = None
    momentum: float | None = None
    rate: float | None = None
    axis: int | None = None
    mode: str | None = None
    dtype: str | None = None
    notes: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return self.tensors[name]

    @property
    def rank(self) -> int:
        return self["x"].ndim

    @property
    def channels(self) -> int | None:
        """The number of channels that the tensors with one number a channel say."""
        sizes = {self[name].size for name in (*PER_CHANNEL, *RUNNING) if name in self} - {1}
        return next(iter(sizes), None)


def canonical(name: str) -> str | None:
    """The name that this package has for a tensor or number; None for what it does not know."""
    plain = name.rpartition(".")[2].lower()
    for when in ("_before", "_after"):
        if plain.endswith(when):
            base = _SYNONYMS.get(plain.removesuffix(when), plain.removesuffix(when))
            return f"{base}{when}" if f"{base}{when}" in RUNNING else None
    plain = _SYNONYMS.get(plain, plain)
    return plain if plain in (*TENSORS, *NUMBERS) else None


def gather(
    values: Mapping[str, Any],
    *,
    layout: str | int | None = None,
    mode: str | None = None,
    dtype: str | None = None,
) -> Given:
    """The checked tensors; names are those of `canonical`. Raises UserError for what does not fit."""
    named = _named(values)
    numbers = {name: _number(name, named.pop(name)) for name in NUMBERS if name in named}
    tensors = {name: _array(name, value) for name, value in named.items()}
    if "x" not in tensors:
        raise UserError("x is missing: hand in the input of the batch norm as x")
    if not any(name in tensors for name in EXPLAINED):
        raise UserError(
            f"nothing to explain: beside x hand in y, or one of {', '.join(EXPLAINED[1:])}"
        )
    if mode is not None and mode not in _KINDS:
        raise UserError(f"mode {mode!r} is not known: train or infer")
    if dtype is not None and dtype not in PRECISIONS:
        raise UserError(f"dtype {dtype!r} is not known: {', '.join(PRECISIONS)}")
    x = tensors["x"]
    if x.ndim < 2:
        raise UserError(f"x has shape {x.shape}: it needs a batch axis and a channel axis")
    if x.size == 0:
        raise UserError(f"x has shape {x.shape}: it is empty, there is nothing to compare")
    notes = []
    for name in IN_LAYOUT[1:]:
        if name in tensors:
            tensors[name], note = _like(x, name, tensors[name])
            notes += [note] if note else []
    axis = None if layout is None else _axis(layout, x)
    given = Given(
        tensors,
        axis=axis,
        mode=None if mode is None else _KINDS[mode],
        dtype=dtype,
        notes=tuple(notes),
        **numbers,
    )
    _check(given)
    return given


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, value in values.items():
        if value is None:
            continue
        known = canonical(name)
        if known is None:
            raise UserError(
                f"{name} is not a name of a tensor here: use {', '.join((*TENSORS, *NUMBERS))}"
            )
        if known in named:
            raise UserError(f"{name} and {origin[known]} are two names of {known}: hand in one")
        named[known], origin[known] = value, name
    return named


def _number(name: str, value: Any) -> float:
    try:
        number = float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        raise UserError(f"{name} is not one number: {str(value)[:80]!r}") from None
    if not math.isfinite(number) or number < 0:
        raise UserError(f"{name} is {number:g}: it has to be 0 or more")
    if name != "epsilon" and number > 1:
        raise UserError(f"{name} is {number:g}: it has to be from 0 to 1")
    return number


def _array(name: str, value: Any) -> np.ndarray:
    """A floating-point array of what NumPy or a framework calls a tensor."""
    for method in ("detach", "cpu"):
        if hasattr(value, method):
            value = getattr(value, method)()
    try:
        is_bfloat16 = str(getattr(value, "dtype", "")) == "torch.bfloat16"
        array = np.asarray(value.float() if is_bfloat16 else value)
        if is_bfloat16:
            array = array.astype(PRECISIONS["bfloat16"].dtype)
    except Exception as error:
        raise UserError(f"{name} cannot be made a NumPy array: {error}") from None
    if array.dtype.kind == "V" and array.dtype.itemsize == 2:  # what numpy.save makes of bfloat16
        array = array.view(PRECISIONS["bfloat16"].dtype)
    if array.dtype.name not in PRECISIONS:
        raise UserError(
            f"{name} has dtype {array.dtype.name}: convert it to one of {', '.join(PRECISIONS)}"
        )
    return array if name in IN_LAYOUT else array.reshape(-1)


def _like(x: np.ndarray, name: str, array: np.ndarray) -> tuple[np.ndarray, str]:
    """The tensor in the order of x's axes, if it has the channels first where x has them last or so."""
    if array.shape == x.shape:
        return array, ""
    for source, target, how in ((-1, 1, "channels last"), (1, -1, "channels first")):
        if array.ndim == x.ndim and np.moveaxis(array, source, target).shape == x.shape:
            note = f"{name} has shape {list(array.shape)}, x {list(x.shape)}: {name} was taken for {how} and transposed."
            return np.moveaxis(array, source, target), note
    raise UserError(f"{name} has shape {list(array.shape)}, x has {list(x.shape)}: they do not fit")


def _axis(layout: str | int, x: np.ndarray) -> int:
    if isinstance(layout, str) and layout.lstrip("-").isdigit():
        layout = int(layout)
    if isinstance(layout, int):
        axis = layout
    elif layout.lower() in _LAYOUTS:
        axis = _LAYOUTS[layout.lower()]
    elif layout.upper().count("C") == 1 and len(layout) == x.ndim:
        axis = layout.upper().index("C")
    else:
        raise UserError(
            f"layout {layout!r} does not fit x of shape {list(x.shape)}: a letter for each axis "
            "with one C (NCHW), channels_first, channels_last, or the number of the channel axis"
        )
    if not -x.ndim <= axis < x.ndim:
        raise UserError(f"layout {layout}: x of shape {list(x.shape)} has no axis {axis}")
    return axis % x.ndim


def _check(given: Given) -> None:
    x = given["x"]
    sizes = {name: given[name].size for name in (*PER_CHANNEL, *RUNNING) if name in given}
    if len(set(sizes.values()) - {1}) > 1:
        said = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UserError(f"one number a channel is due, but the lengths differ: {said}")
    channels = given.channels
    fits = x.shape if given.axis is None else (x.shape[given.axis],)
    if channels is not None and channels not in fits:
        where = "no axis" if given.axis is None else f"not axis {given.axis}"
        first = next(name for name, size in sizes.items() if size == channels)
        raise UserError(
            f"{first} has {channels} values, and {where} of x {list(x.shape)} has that length"
        )
    if "gamma" in given and not np.any(given["gamma"]):
        raise UserError(
            "gamma is 0 in every channel: y is beta whatever the formula, which proves nothing"
        )
    if "dy" not in given and any(name in given for name in ("dx", "dgamma", "dbeta")):
        raise UserError("dy is missing: gradients need the upstream gradient, of the shape of y")
    for one, other in (("mean", "var"), ("var", "mean")):
        if one in given and other not in given:
            raise UserError(f"{one} is given without {other}: hand in both, or neither")
