"""Text that others wrote, made safe to print: one line of printable characters, and no longer than is read."""

from __future__ import annotations

import reprlib

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = 80
_repr.maxlevel = 2


def one_line(text: str, most: int = 4000) -> str:
    """The text without anything that a terminal or a browser could act on, or that would hide something.

    White space becomes a space, and what is not printable (control characters, overrides of the
    direction, lone surrogates) its escape in Python. What is longer than `most` loses its middle.
    """
    if len(text) > most:
        half = (most - 5) // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode("ascii")


def shown(value: object) -> str:
    """What a value looks like, for a message: as `repr`, but neither long nor deep."""
    return _repr.repr(value)
