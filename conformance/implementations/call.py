"""Asks one implementation one case: tensors in its layout go in, the answer comes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.case import Case
from conformance.implementations.base import Implementation, Unsupported
from conformance.judge import Answer
from conformance.operations import OPERATIONS


def ask(implementation: Implementation, case: Case) -> Answer:
    """The implementation's answer, whatever it does short of ending the process."""
    method = getattr(implementation, case.operation, None)
    refusal = _not_offered(implementation, case, method)
    if refusal is not None:
        return Answer(unsupported=refusal)
    arguments = arguments_of(implementation, case)
    before = [argument.tobytes() for argument in arguments]
    try:
        with np.errstate(all="ignore"):
            result = method(*arguments, case.epsilon)  # type: ignore[misc]
    except Unsupported as error:
        return Answer(unsupported=str(error))
    except Exception as error:
        return Answer(raised=f"{type(error).__name__}: {error}")
    for name, argument, bytes_before in zip(
        OPERATIONS[case.operation].inputs, arguments, before, strict=True
    ):
        if argument.tobytes() != bytes_before:
            return Answer(changed_input=name)
    return _answer(implementation, case, result)


def arguments_of(implementation: Implementation, case: Case) -> list[np.ndarray]:
    """Fresh contiguous arrays in the order of the method's arguments, x in its layout."""
    arguments = []
    for name in OPERATIONS[case.operation].inputs:
        array = case.inputs[name]
        if name == "x":
            array = np.moveaxis(array, case.channel_axis, implementation.channel_axis)
        arguments.append(np.array(array, order="C"))
    return arguments


def _not_offered(implementation: Implementation, case: Case, method: Any) -> str | None:
    if method is None:
        return f"does not offer {case.operation}"
    if case.dtype not in implementation.dtypes:
        return f"does not offer {case.dtype}"
    if len(case.layout) not in implementation.ranks:
        return f"does not offer rank {len(case.layout)}"
    return None


def _answer(implementation: Implementation, case: Case, result: Any) -> Answer:
    names = OPERATIONS[case.operation].outputs
    arrays = result if isinstance(result, tuple | list) else (result,)
    if len(arrays) not in (len(OPERATIONS[case.operation].required), len(names)):
        return Answer(malformed=f"gave {len(arrays)} outputs, not {' or '.join(names)}")
    outputs = dict(zip(names, arrays, strict=False))
    y = outputs["y"]
    if isinstance(y, np.ndarray) and y.ndim == len(case.layout):
        outputs["y"] = np.moveaxis(y, implementation.channel_axis, case.channel_axis)
    return Answer(outputs=outputs)
