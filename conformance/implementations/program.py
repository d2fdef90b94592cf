"""An implementation behind standard input and output, in any language: --impl 'exec:COMMAND' (PROTOCOL.md)."""

from __future__ import annotations

import base64
import json
import math
import shlex
from functools import partial
from typing import Any

import numpy as np

from conformance.case import LAYOUTS, NON_FINITE, to_array, to_numbers
from conformance.errors import UserError
from conformance.fields import check_fields, decode
from conformance.generator import Deferred, record_of
from conformance.implementations._child import Child
from conformance.implementations.base import (
    Crashed,
    Implementation,
    Malformed,
    TimedOut,
    Unsupported,
)
from conformance.operations import OPERATIONS
from conformance.precision import PRECISIONS
from conformance.text import one_line

PREFIX = "exec:"
VERSION = 1
LARGE = 2**16  # numbers; a larger tensor may be sent in another form, where the program reads that
LARGEST_WRITTEN = 2**20  # numbers that are written out for a program that reads nothing else
_LONGEST_HEAD = 2**20  # bytes of an answer, beside its numbers
_LONGEST_NUMBER = 32  # bytes

_GREETING = {"batchnorm-conformance": int, "operations": list}
_GREETING_OPTIONAL = {
    "name": str,
    "framework": str,
    "dtypes": list,
    "ranks": list,
    "channel_axis": int,
    "devices": list,
    "reads": list,
}
_FORMS = ("generator", "base64")
_DTYPES = {name: p.dtype for name, p in PRECISIONS.items()} | {
    name: np.dtype(name) for name in ("int32", "int64")
}


class Refusal(Exception):
    """The program's own word for an input that it does not take."""


class Program(Implementation):
    """What the program offers, it says when it is started; that is done here for the first time.

    It is started anew for the next request after it crashed, hung, or answered what makes no sense.
    """

    def __init__(self, spec: str) -> None:
        """Raises UserError where the program cannot be started, or does not greet as it should."""
        try:
            self._command = shlex.split(spec.removeprefix(PREFIX))
        except ValueError as error:
            raise UserError(
                f"--impl {spec}: {error}; quote the command as a shell reads it"
            ) from None
        if not self._command:
            raise UserError(f"--impl {spec}: names no command; write exec:COMMAND")
        self._child: Child | None = None
        self._greeted_for = self.device
        self._requests = 0
        try:
            greeting = self._start()
        except (UserError, Crashed, TimedOut, Malformed) as error:
            raise UserError(f"--impl {spec}: {error}") from None
        self.name = greeting.get("name", spec.removeprefix(PREFIX))  # type: ignore[misc]
        self.framework = greeting.get("framework", "exec")  # type: ignore[misc]
        self.packages = (spec,)  # type: ignore[misc]  # no distribution of Python's says its version
        self.process = spec  # type: ignore[misc]
        for field in ("dtypes", "ranks", "channel_axis", "devices"):
            setattr(self, field, greeting.get(field, getattr(Implementation, field)))
        self._reads = greeting.get("reads", ())
        self.takes_generators = "generator" in self._reads
        for operation in greeting["operations"]:
            setattr(self, OPERATIONS[operation].method, partial(self._ask, operation))

    def start(self) -> None:
        if self.device != self._greeted_for:
            self.close()

    def close(self) -> None:
        """End the program; the next request starts it anew."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _start(self) -> dict[str, Any]:
        """Start the program; what it said on the greeting."""
        self._child = Child(self._command)
        self._greeted_for = self.device
        return self._exchange(
            {"batchnorm-conformance": VERSION, "device": self.device}, 0, _read_greeting
        )

    def _ask(self, operation: str, *arguments: Any) -> Any:
        named = dict(zip(OPERATIONS[operation].arguments, arguments, strict=True))
        x = named["x"]
        dtype = x.dtype.name
        self._requests += 1
        request = {
            "id": self._requests,
            "operation": operation,
            "dtype": dtype,
            "layout": self._layout(x.ndim),
            **{name: v for name, v in named.items() if not isinstance(v, np.ndarray | Deferred)},
            "inputs": {
                name: self._written(name, tensor, dtype)
                for name, tensor in named.items()
                if isinstance(tensor, np.ndarray | Deferred)
            },
        }
        numbers = sum(t.size for t in named.values() if isinstance(t, np.ndarray | Deferred))
        if self._child is None:
            try:
                self._start()
            except UserError as error:
                raise Crashed(f"it could not be started anew: {error}") from None
        return self._exchange(request, numbers, partial(_read_answer, request))

    def _exchange(self, message: dict[str, Any], numbers: int, read: Any) -> Any:
        """What `read` makes of the answer; whatever goes wrong, the program is ended."""
        assert self._child is not None
        longest = _LONGEST_HEAD + _LONGEST_NUMBER * numbers
        line = json.dumps(message, allow_nan=False).encode()
        try:
            return read(_parse(self._child.exchange(line, self.timeout, longest)))
        except (Crashed, TimedOut, Malformed):
            self.close()
            raise

    def _layout(self, rank: int) -> str:
        """Of x; that of the cases, NC, where x has a rank that no layout has."""
        fitting = (layout for layout in LAYOUTS if len(layout) == rank)
        return next((a for a in fitting if a.index("C") == self.channel_axis % rank), "NC")

    def _written(self, name: str, tensor: np.ndarray | Deferred, dtype: str) -> dict[str, Any]:
        """The tensor as a case file has it, or in base64. Raises Unsupported if it is too large."""
        record: dict[str, Any] = {"shape": list(tensor.shape)}
        if tensor.dtype.name != dtype:
            record["dtype"] = tensor.dtype.name
        if isinstance(tensor, Deferred):
            return {**record, "generator": record_of(tensor.generator), "sha256": tensor.sha256}
        if tensor.size > LARGE and "base64" in self._reads:
            little = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
            return {**record, "base64": base64.b64encode(little.tobytes()).decode()}
        if tensor.size > LARGEST_WRITTEN:
            raise Unsupported(
                f"{name} has {tensor.size} numbers; above {LARGEST_WRITTEN} they are sent to a program "
                "that reads base64 or generators"
            )
        return {**record, "values": to_numbers(_in_binary64(tensor))}


def _in_binary64(tensor: np.ndarray) -> np.ndarray:
    return tensor if tensor.dtype.kind in "iu" else tensor.astype(np.float64)


def _parse(line: bytes) -> Any:
    try:
        return decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise Malformed(f"the answer is not UTF-8: {line[:40]!r}") from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the answer is not a line of JSON: {error}: {line[:40]!r}") from None


def _read_greeting(record: Any) -> dict[str, Any]:
    """The greeting, checked; `registry` checks what every plug-in declares. Raises Malformed."""
    _check(record, _GREETING, "the greeting", _GREETING_OPTIONAL)
    if record["batchnorm-conformance"] != VERSION:
        raise Malformed(
            f"the greeting is of version {record['batchnorm-conformance']}, not {VERSION}"
        )
    for field, known in (
        ("operations", [name for name, operation in OPERATIONS.items() if operation.method]),
        ("dtypes", list(PRECISIONS)),
        ("reads", list(_FORMS)),
    ):
        for item in record.get(field, ()):
            if item not in known:
                raise Malformed(
                    f"the greeting: unknown {field} {item!r}; known: {', '.join(known)}"
                )
    greeting: dict[str, Any] = record
    return greeting


def _read_answer(request: dict[str, Any], record: Any) -> Any:
    """The arrays that a method returns. Raises Unsupported, Refusal or Malformed."""
    kinds = {"outputs": dict, "unsupported": str, "error": str}
    if isinstance(record, dict):  # a reason may have lines, or be missing
        why = {key: one_line(text) for key, text in record.items() if isinstance(text, str)}
        record |= {key: text or "no reason given" for key, text in why.items()}
    _check(record, {"id": int}, "the answer", kinds)
    if record["id"] != request["id"]:
        raise Malformed(f"the answer is for id {record['id']}, not {request['id']}")
    if len(record) != 2:
        raise Malformed(f"the answer must hold one of {', '.join(kinds)}")
    if "unsupported" in record:
        raise Unsupported(record["unsupported"])
    if "error" in record:
        raise Refusal(record["error"])
    due = OPERATIONS[request["operation"]]
    given = record["outputs"]
    if set(given) not in (set(due.outputs), set(due.outputs[: due.required])):
        raise Malformed(f"gave {', '.join(given) or 'nothing'}, not {', '.join(due.outputs)}")
    arrays = tuple(
        _read_tensor(given[name], request["dtype"], f"output {name}")
        for name in due.outputs
        if name in given
    )
    return arrays if len(arrays) > 1 else arrays[0]


def _read_tensor(record: Any, dtype: str, where: str) -> np.ndarray:
    """Numbers are rounded to the dtype. Raises Malformed."""
    _check(record, {"shape": list}, where, {"values": list, "base64": str, "dtype": str})
    dtype, shape = record.get("dtype", dtype), record["shape"]
    if dtype not in _DTYPES:
        raise Malformed(f"{where}: unknown dtype {dtype!r}; known: {', '.join(_DTYPES)}")
    if ("values" in record) == ("base64" in record):
        raise Malformed(f"{where}: needs either values or base64")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise Malformed(f"{where}: the shape must be a list of whole numbers")
    target = _DTYPES[dtype]
    try:
        if "base64" in record:
            raw = base64.b64decode(record["base64"], validate=True)
            array = np.frombuffer(raw, target.newbyteorder("<")).astype(target)
        else:
            with np.errstate(all="ignore"):
                array = _to_array(record["values"]).astype(target)
    except ValueError as error:
        raise Malformed(f"{where}: {error}") from None
    if len(array) != math.prod(shape):
        raise Malformed(f"{where}: has {len(array)} values, shape {shape} needs {math.prod(shape)}")
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError):
        raise Malformed(f"{where}: no array has the shape {shape}") from None


def _to_array(values: list[Any]) -> np.ndarray:
    """In float64. Raises ValueError for what is not a number of binary64, by that or by name."""
    if not set(map(type, values)) <= {int, float, str}:
        raise ValueError("values must be a flat list of numbers")
    for name in {value for value in values if type(value) is str} - set(NON_FINITE):
        raise ValueError(f'{name!r} is not a number; known: "NaN", "Infinity", "-Infinity"')
    try:
        array = to_array(values)
    except OverflowError:
        raise ValueError("a number is beyond binary64") from None
    named = sum(type(value) is str and value != "NaN" for value in values)
    if np.isinf(array).sum() != named:
        raise ValueError("a number is beyond binary64")
    return array


def _check(record: Any, required: Any, where: str, optional: Any) -> None:
    try:
        check_fields(record, required, where, optional=optional)
    except UserError as error:
        raise Malformed(str(error)) from None
