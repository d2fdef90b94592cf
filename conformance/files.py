"""Files that others wrote: opened only if they are files, and read only up to a bound."""

from __future__ import annotations

import stat
from pathlib import Path

from conformance.errors import UserError


def read_bytes(path: Path, most: int, refusal: type[UserError] = UserError) -> bytes:
    """All that the file holds. Raises `refusal` if that is more than `most` bytes, or it is no file.

    A pipe is not opened, for it may never answer, and a device may never end.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise refusal(f"{path}: cannot be read: it is not a regular file; name a file")
        if found.st_size > most:
            raise refusal(f"{path}: holds more than the {most} bytes that are read; split it")
        with open(path, "rb") as file:
            content = file.read(found.st_size + 1)
    except OSError as error:
        raise refusal(f"{path}: cannot be read: {error.strerror}; name another file") from None
    if len(content) != found.st_size:
        raise refusal(f"{path}: cannot be read: its size changed meanwhile; try again")
    return content


def read_text(path: Path, most: int, kind: str, refusal: type[UserError] = UserError) -> str:
    """The same as text. `kind` is what the file should be, for the message."""
    try:
        return read_bytes(path, most, refusal).decode("utf-8")
    except UnicodeDecodeError:
        raise refusal(f"{path}: not {kind}: not UTF-8 text; take the file anew") from None
