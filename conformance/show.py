"""A case as text for a person to read."""

from __future__ import annotations

import textwrap

import numpy as np

from conformance.case import Case
from conformance.judge import limit
from conformance.operations import IN_LAYOUT


def show(case: Case) -> str:
    """Everything about a case: what goes in, what is expected, and which other formulas differ."""
    question = case.question
    lines = [
        case.id,
        f"  {case.comment}",
        f"  operation {case.operation}, {case.dtype}, layout {case.layout}, epsilon {case.epsilon:g}",
        f"  flags: {', '.join(case.flags) or 'none'}",
    ]
    lines += [f"  {name}: {value}" for name, value in case.attributes.items()]
    lines.append(
        "  expected: a clear error"
        if question.rejects
        else f"  bound: ratio <= {limit(question.values_per_channel):.3g}"
    )
    for name, array in case.inputs.items():
        lines += _array(f"{name} {list(array.shape)}", np.asarray(array).astype(np.float64))
    for name, expectation in question.expected.get("reference", {}).items():
        sampled = name in IN_LAYOUT and case.positions is not None
        title = f"expected {name}{f' at {len(expectation.value)} positions' if sampled else ''}"
        lines += _array(title, expectation.value)
        lines += _array(f"scale of {name}, in units of u", expectation.scale)
    others = [key for key in question.expected if key != "reference"]
    if others:
        lines.append("  formulas that differ here:")
        lines += [
            f"    {key}: {question.formulas[key].verdict}, {question.formulas[key].meaning}"
            for key in others
        ]
    return "\n".join(lines)


def _array(title: str, array: np.ndarray) -> list[str]:
    text = np.array2string(array, max_line_width=96, threshold=64, precision=9)
    return [f"  {title}:", textwrap.indent(text, "    ")]
