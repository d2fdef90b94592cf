"""Asks one implementation one case: tensors in its layout go in, the answer comes out."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import LAYER, Case
from conformance.conventions import is_asked
from conformance.generator import Deferred
from conformance.implementations.base import (
    Crashed,
    Implementation,
    Malformed,
    TimedOut,
    Unsupported,
)
from conformance.judge import Answer
from conformance.operations import IN_LAYOUT, OPERATIONS

_PLACES = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]))
_ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}\b")
_LONGEST = 500  # characters of a message


class _ChangedInput(Exception):
    """An argument was written to; names it."""


def ask(implementation: Implementation, case: Case) -> Answer:
    """The implementation's answer, whatever it does short of ending the process."""
    operation = case.attributes.get("call", case.operation)
    as_layer = is_asked(implementation, case)
    method = getattr(implementation, "layer" if as_layer else OPERATIONS[operation].method, None)
    refusal = _not_offered(implementation, case, method)
    if refusal is not None or method is None:
        return Answer(unsupported=refusal or f"does not offer {operation}")
    try:
        with np.errstate(all="ignore"):
            if as_layer:
                return _ask_layer(implementation, case, method)
            if case.operation == "update":
                return _ask_for_each_batch(implementation, case, method)
            arguments = arguments_of(implementation, case)
            return _answer(implementation, case, _call(method, arguments))
    except Unsupported as error:
        return Answer(unsupported=_text_of(error))
    except Crashed as error:
        return Answer(crashed=_text_of(error))
    except TimedOut as error:
        return Answer(timed_out=_text_of(error))
    except Malformed as error:
        return Answer(malformed=_text_of(error))
    except _ChangedInput as error:
        return Answer(changed_input=str(error))
    except (Exception, SystemExit) as error:
        return Answer(raised=f"{type(error).__name__}: {_text_of(error)}")


def ask_after_others(
    implementation: Implementation, case: Case, cases: Mapping[str, Case]
) -> Answer:
    """The answer, after those to the cases that precede it, which it must leave as they were."""
    earlier = [ask(implementation, cases[name]) for name in case.attributes.get("preceded_by", ())]
    before = [_answer_bytes(answer) for answer in earlier]
    answer = ask(implementation, case)
    if any(_answer_bytes(one) != kept for one, kept in zip(earlier, before, strict=True)):
        return Answer(malformed="an array handed out for an earlier call was written to")
    return answer


def _text_of(error: BaseException) -> str:
    """What the exception says, in characters that can be written anywhere, and without the places of
    this machine and the addresses of this process."""
    try:
        text = str(error).encode("utf-8", "replace").decode()
    except Exception:
        return "its message cannot be read"
    for place in _PLACES:
        text = text.replace(f"{place}{os.sep}", "")
    return _ADDRESS.sub("0x...", text)[:_LONGEST]


def _answer_bytes(answer: Answer) -> list[bytes]:
    arrays = answer.outputs.values()
    return [array.tobytes() for array in arrays if isinstance(array, np.ndarray)]


def arguments_of(implementation: Implementation, case: Case) -> dict[str, Any]:
    """The arguments of the method by name and in its order: fresh arrays, x in its layout."""
    operation = OPERATIONS[case.attributes.get("call", case.operation)]
    arguments: dict[str, Any] = {}
    for name in operation.arguments:
        if name == "epsilon":
            arguments[name] = case.epsilon
        elif name in case.inputs:
            arguments[name] = _fresh(implementation, case, name)
        elif name == "rate":
            arguments[name] = case.attributes["rates"][0]
        else:
            arguments[name] = case.attributes[name]
    return arguments


def batches_of(implementation: Implementation, case: Case) -> Iterator[tuple[np.ndarray, float]]:
    """The batches of an `update`, each with its rate."""
    x = np.moveaxis(np.asarray(case.inputs["x"]), case.channel_axis, implementation.channel_axis)
    start = 0
    for size, rate in zip(case.attributes["batches"], case.attributes["rates"], strict=True):
        yield np.array(x[start : start + size], order="C"), rate
        start += size


def _fresh(implementation: Implementation, case: Case, name: str) -> np.ndarray | Deferred:
    tensor = case.inputs[name]
    in_its_layout = case.channel_axis == implementation.channel_axis % len(case.layout)
    if isinstance(tensor, Deferred) and implementation.takes_generators and in_its_layout:
        return tensor
    array = np.asarray(tensor)
    memory = "contiguous"
    if name in IN_LAYOUT and array.ndim == len(case.layout) and array.ndim > 1:
        array = np.moveaxis(array, case.channel_axis, implementation.channel_axis)
        memory = case.attributes.get("memory", memory)
    return _laid_out(array, memory)


def _laid_out(array: np.ndarray, memory: str) -> np.ndarray:
    """A copy of the array with the same values, lying in memory as `memory` says."""
    if memory == "transposed":
        return np.array(array, order="F")
    if memory == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        view = wide[..., ::2]
    elif memory == "sliced":
        view = np.zeros([size + 2 for size in array.shape], array.dtype)[
            (slice(1, -1),) * array.ndim
        ]
    elif memory == "reversed":
        view = np.empty_like(array, order="C")[::-1]
    else:
        return np.array(array, order="C")
    view[...] = array
    return view


def _call(method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The method's result; raises _ChangedInput if it wrote to an argument."""
    arrays = {name: a for name, a in arguments.items() if isinstance(a, np.ndarray)}
    before = {name: array.copy() for name, array in arrays.items()}
    result = method(*arguments.values())
    for name, array in arrays.items():
        if not np.array_equal(_bits(array), _bits(before[name])):
            raise _ChangedInput(name)
    return result


def _bits(array: np.ndarray) -> np.ndarray:
    """The same memory as unsigned integers: NaN is equal to itself, and -0 is not 0."""
    return array.view(f"u{array.itemsize}")


def _ask_for_each_batch(
    implementation: Implementation, case: Case, method: Callable[..., Any]
) -> Answer:
    """One call for each batch; what one gives back goes into the next."""
    arguments = arguments_of(implementation, case)
    collected: dict[str, list[Any]] = {"running_mean": [], "running_var": []}
    for x, rate in batches_of(implementation, case):
        arguments |= {"x": x, "rate": rate}
        result = _call(method, arguments)
        if not isinstance(result, tuple | list) or len(result) != len(collected):
            return Answer(malformed="gave something else than running_mean and running_var")
        for (name, values), array in zip(collected.items(), result, strict=True):
            if not isinstance(array, np.ndarray) or array.shape != arguments[name].shape:
                return Answer(malformed=f"gave a {name} that is not an array of the channels")
            arguments[name] = array
            values.append(np.array(array))
    return Answer(outputs={name: np.stack(values) for name, values in collected.items()})


def _ask_layer(implementation: Implementation, case: Case, method: Callable[..., Any]) -> Answer:
    """A new layer is called once. x gets axes of length 1, where the layer takes no (N, C)."""
    x = np.array(case.inputs["x"])
    ones = (1,) * (min(implementation.ranks) - x.ndim)
    shape = (*x.shape, *ones) if implementation.channel_axis == 1 else (len(x), *ones, x.shape[1])
    calls, frozen = LAYER[case.attributes["layer"]], case.attributes["layer"] == "frozen"
    result = _call(method, {"x": x.reshape(shape), "calls": calls, "frozen": frozen})
    if not isinstance(result, tuple | list) or len(result) != 3:
        return Answer(malformed="gave something else than y, running_mean and running_var")
    y, mean, var = result
    if case.operation == "update":
        return Answer(outputs={"running_mean": mean[None], "running_var": var[None]})
    return Answer(outputs={"y": y.reshape(x.shape) if y.shape == shape else y})


def _not_offered(implementation: Implementation, case: Case, method: Any) -> str | None:
    if method is None:
        return f"does not offer {case.attributes.get('call', case.operation)}"
    if case.operation == "reject":
        return None
    if case.dtype not in implementation.dtypes:
        return f"does not offer {case.dtype}"
    if len(case.layout) not in implementation.ranks and not is_asked(implementation, case):
        return f"does not offer rank {len(case.layout)}"
    return None


def _answer(implementation: Implementation, case: Case, result: Any) -> Answer:
    operation = OPERATIONS[case.operation]
    arrays = result if isinstance(result, tuple | list) else (result,)
    if operation.outputs and len(arrays) not in (operation.required, len(operation.outputs)):
        return Answer(malformed=f"gave {len(arrays)} outputs, not {', '.join(operation.outputs)}")
    outputs = dict(zip(operation.outputs, arrays, strict=False))
    for name in IN_LAYOUT & set(outputs):
        array = outputs[name]
        if isinstance(array, np.ndarray) and array.ndim == len(case.layout):
            outputs[name] = np.moveaxis(array, implementation.channel_axis, case.channel_axis)
    return Answer(outputs=outputs)
