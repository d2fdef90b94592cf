"""Text from results, which may hold anything, made fit for Markdown, XML and a terminal."""

from __future__ import annotations

import math
import re

LONGEST = 300  # characters of one piece of text in a table

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN = re.compile(r"[^\w\s.,/()'=+%–-]|(?<![^\W_])_|_(?![^\W_])")


def printable(text: str, longest: int = LONGEST) -> str:
    """One line of at most `longest` characters, all of which can be seen."""
    line = " ".join(text.split())
    line = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return "".join(c if c.isprintable() else f"<{ord(c):x}>" for c in line)


def markdown(text: str, longest: int = LONGEST) -> str:
    """Text that stays text in a Markdown document, in a table's cell or inside <code>: marks are
    character references, which have no structure (CommonMark 0.31, section 2.5). An underscore between
    letters is no mark."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", printable(text, longest))


def in_xml(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold (section 2.2)."""
    return _NOT_IN_XML.sub("", text)


def ratio(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.3g}" if math.isfinite(number) else "not finite"
