"""JSON that may stand in a script of a page, whatever is in it."""

from __future__ import annotations

import json
import math
from typing import Any


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
