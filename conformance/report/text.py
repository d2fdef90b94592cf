"""Text from results files, made fit to be shown: nothing in it can hide, reorder or break anything."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories that are not seen, reorder what is (Cf: bidirectional overrides), or are no characters."""


def visible(text: str) -> str:
    """The text on one line, with every character that cannot be seen spelled out: \\u202e."""
    return "".join(
        c if unicodedata.category(c) not in _UNSEEN else f"\\u{ord(c):04x}"
        for c in " ".join(text.split())
    )


def to_json(item: Any) -> str:
    """Compact JSON that may stand in a script of an HTML page.

    Floats are written in three digits, and infinity as 1e999, which JSON.parse reads as that.
    """
    if isinstance(item, dict):
        return "{" + ",".join(f"{_quoted(k)}:{to_json(v)}" for k, v in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ",".join(map(to_json, item)) + "]"
    if isinstance(item, float):
        return _number(item)
    return _quoted(item) if isinstance(item, str) else json.dumps(item)


def _number(number: float) -> str:
    if not math.isfinite(number):
        return "-1e999" if number < 0 else "1e999"
    mantissa, _, exponent = f"{number:.3g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    for c in "<>&\u2028\u2029":
        quoted = quoted.replace(c, f"\\u{ord(c):04x}")
    return quoted
