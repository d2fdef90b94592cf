"""The sentences of a finding: what was found, against what, and how it was compared."""

from __future__ import annotations

import math

import numpy as np

from conformance.explanation import advice
from conformance.explanation.findings import Finding, listed, number
from conformance.explanation.reading import axis_text
from conformance.explanation.search import Found, conforms
from conformance.explanation.trial import Outcome, inputs_of, margin_of
from conformance.judge import CONFORMS, INACCURATE, POLICY, WRONG
from conformance.precision import PRECISIONS

_MODE = {
    "train": "in training",
    "infer": "in inference",
    "grad": "through training",
    "grad-infer": "through inference",
    "update": "after one batch",
}
_MOST_REJECTED = 3
CANCELS = ("single-pass-variance", "folded")
_LOSES = (*CANCELS, "native-precision", "float32-inside")


def finding(subject: str, found: Found, plural: bool = False, open_choices: bool = True) -> Finding:
    outcome, said = found.outcome, found.said
    departures = outcome.reading.departures
    judgement = outcome.judgement
    verb = "agree" if plural else "agrees"
    name = departures[0].name if departures else judgement.name
    verdict = judgement.verdict
    if departures:
        verdicts = [departure.verdict for departure in departures]
        verdict = _worst(verdicts if conforms(outcome) else [*verdicts, verdict])
        parts = "; and with ".join(f"{d.does}, not {d.rather}" for d in departures)
        sentence = f"{subject} {verb} with {parts}"
        if not conforms(outcome):
            sentence += f". Besides, {judgement.message}"
    elif verdict == CONFORMS:
        sentence = f"{subject} {verb} with the formula {_setting(outcome)}"
    elif name == "unexplained":
        sentence = f"no formula known here explains {subject}; nearest is the reference {_setting(outcome)}"
    elif verdict == POLICY:
        what = judgement.message or "elsewhere no number is due"
        sentence = f"{subject} {verb} with the formula where it has a number; {what}"
    else:
        sentence = f"{subject}: {judgement.message}"
    details = [
        *_choices(found, open_choices),
        *_lost(outcome),
        *_no_numbers(subject, outcome),
        _how(outcome),
    ]
    return Finding(
        subject=subject,
        verdict=verdict,
        name=name,
        sentence=f"{sentence} ({ratios(outcome, said)}).",
        ratio=said.ratio,
        own_ratio=outcome.own_ratio,
        limit=outcome.limit,
        details=tuple(details),
        advice=() if _is_little(outcome) else advice.of(outcome, said),
    )


def _is_little(outcome: Outcome) -> bool:
    """Whether nothing is wrong but a digit that the algorithm loses."""
    return not outcome.reading.departures and digits_lost(outcome) == 1


def _worst(verdicts: list[str]) -> str:
    return WRONG if WRONG in verdicts else INACCURATE if INACCURATE in verdicts else verdicts[0]


def _setting(outcome: Outcome) -> str:
    reading = outcome.reading
    parts = [_MODE[reading.operation]]
    if reading.operation == "update":
        parts.append(f"weight of the new batch {reading.rate:g}")
    else:
        parts.append(f"epsilon {reading.epsilon:g}")
    return ", ".join((*parts, axis_text(reading.axis)))


def ratios(outcome: Outcome, said: Outcome) -> str:
    own = outcome.own_ratio
    differs = outcome.reading is not said.reading or own != said.ratio
    against = f" against {number(said.ratio)}" if differs else ""
    return f"ratio {number(own)}{against}, limit {number(outcome.limit)}"


def _choices(found: Found, open_choices: bool) -> list[str]:
    """What else fits of the choices that were left open, and what does not."""
    lines = []
    if open_choices and found.alike:
        alike = listed(sorted({_choice(o, found.outcome) for o in found.alike} - {""}))
        lines.append(f"{alike} would do as well: these data do not tell them apart.")
    rejected = [
        f"{choice} (ratio {number(o.ratio)})"
        for o in found.rejected
        if o.reading is not found.said.reading and (choice := _choice(o, found.outcome))
    ]
    if open_choices and rejected:
        lines.append(f"Tried and rejected: {listed(rejected[:_MOST_REJECTED])}.")
    return lines


def _choice(outcome: Outcome, chosen: Outcome) -> str:
    """Where one reading of the open choices differs from the chosen one, if it is in one of them."""
    reading, other = outcome.reading, chosen.reading
    parts = []
    if reading.epsilon != other.epsilon:
        parts.append(f"epsilon {reading.epsilon:g}")
    if reading.rate != other.rate:
        parts.append(f"weight {reading.rate:g}")
    if reading.axis != other.axis:
        parts.append(axis_text(reading.axis))
    return parts[0] if len(parts) == 1 else ""


def digits_lost(outcome: Outcome) -> int:
    """How many decimal digits an algorithm lost of those that the direct formula keeps; 0 for none."""
    if outcome.judgement.name not in _LOSES or conforms(outcome):
        return 0
    most = PRECISIONS[outcome.reading.precision].working.digits * math.log10(2)
    lost = math.log10(max(outcome.ratio, 1.0)) if math.isfinite(outcome.ratio) else most
    return max(round(min(lost, most)), 1)


def _lost(outcome: Outcome) -> list[str]:
    lost = digits_lost(outcome)
    if not lost:
        return []
    digits = f"About {lost} digit{'s are' if lost > 1 else ' is'} lost"
    if outcome.judgement.name not in CANCELS:
        return [f"{digits}."]
    inputs = inputs_of(outcome.reading, outcome.sample)
    mean = inputs["mean"] if "mean" in inputs else inputs["x"].mean(axis=0)
    var = inputs["var"] if "var" in inputs else inputs["x"].var(axis=0)
    steepest = np.nanmax(np.where(var > 0, np.abs(mean) / np.sqrt(var), 0.0))
    little = ": too little to change anything for" if lost == 1 else ""
    return [f"{digits} at a mean of up to {number(float(steepest))} standard deviations{little}."]


def _no_numbers(subject: str, outcome: Outcome) -> list[str]:
    lines = []
    for name, array in {**outcome.reading.tensors, subject: outcome.outputs.get(subject)}.items():
        if array is None or name not in ("x", "y", "y2", "dx", "dy"):
            continue
        channels = np.flatnonzero(
            ~np.isfinite(outcome.reading.matrix(array).astype(np.float32)).all(axis=0)
        )
        if len(channels):
            shown = ", ".join(map(str, channels[:8])) + (", ..." if len(channels) > 8 else "")
            lines.append(
                f"{name} holds NaN or infinity in {len(channels)} channel{'s' if len(channels) > 1 else ''}: {shown}."
            )
    return lines


def _how(outcome: Outcome) -> str:
    """What was compared, and how exactly the ratios are known."""
    reading, sample = outcome.reading, outcome.sample
    values = len(reading.matrix(reading.tensors["x"]))
    elements = values * reading.channels
    text = f"Compared in {reading.precision} {_setting(outcome)}, {values:,} values a channel"
    if len(sample.channels) < reading.channels:
        text += f"; {len(sample.channels):,} of {reading.channels:,} channels"
    if reading.operation != "update" and sample.size < elements:
        text += f", {sample.size:,} of {elements:,} elements"
        text += ", those furthest off among them" if sample.has_worst else ""
    margin = margin_of(PRECISIONS[reading.precision], values)
    if margin >= 0.5:
        text += "; this machine has no wider numbers than float64, so that a ratio says no more than its order (pip install python-flint helps for small tensors)"
    return f"{text}."
