"""A verdict explained in a sentence."""

from __future__ import annotations

from conformance.judge import CONFORMS, CONVENTION, INACCURATE, POLICY, UNSUPPORTED, WRONG
from conformance.results import Result

MEANINGS = {
    CONFORMS: "The formula, within the bound: differences from another framework are rounding.",
    CONVENTION: "Another documented definition: convert the number when you port.",
    POLICY: "The formula has no finite value here, or the number format runs out; one of the acceptable answers was given.",
    INACCURATE: "The right formula, with digits lost; the name says to which algorithm.",
    WRONG: "Another formula, or none that is known.",
    UNSUPPORTED: "Not offered.",
    "crashed": "The process died.",
    "timeout": "No answer came in time.",
}
"""What each verdict means for a person who ports a model."""

_SENTENCES = {
    (CONFORMS, "accurate"): "The reference formula: no error is larger than four times what one rounding at each step can cause.",
    (CONFORMS, "stable"): "The reference formula: the error is within √m of one rounding at each step, which a sum of m values may lose.",
    (CONFORMS, "raises"): "Refused with an error, as it should be",
    (POLICY, "raises"): "Refused with an error, which is acceptable here",
    (POLICY, "accepts"): "Bad input was computed with; a clear error would have said so.",
    (POLICY, "nan"): "The formula has no finite value here; the answer is NaN.",
    (POLICY, "infinity"): "The formula has no finite value here; the answer is infinite.",
    (POLICY, "beta"): "The formula has no finite value here; the answer is beta.",
    (CONVENTION, "promoted-output"): "The right values, in a wider dtype than that of x.",
    (INACCURATE, "unexplained"): "The reference formula with more error than rounding can cause; no algorithm on the list explains it.",
    (WRONG, "unexplained"): "Neither the reference formula nor any other on the list gives this answer.",
    (WRONG, "raises"): "An error was raised where there is no reason for one",
    (WRONG, "input-changed"): "A tensor that was handed in was written to",
    (UNSUPPORTED, UNSUPPORTED): "Not offered",
    ("crashed", "crashed"): "The process died",
    ("timeout", "timeout"): "No answer came in time",
}  # fmt: skip


def sentence(result: Result) -> str:
    """What the verdict says, in a sentence; the message follows the ones that end without a full stop."""
    known = _SENTENCES.get((result.verdict, result.name))
    if known is None:
        if not result.message:
            return MEANINGS[result.verdict]
        return f"A named formula explains it: {result.message}."
    if known.endswith("."):
        return known
    return f"{known}: {result.message}" if result.message else f"{known}."
