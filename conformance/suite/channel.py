"""What a run and the processes that work for it say to each other: JSON, a line each, over a socket.

To a worker: {"implementation", "cases"}, what to do next. From it: {"kind": "ready"} when it has nothing
to do, {"kind": "begin", "check"} before a case, {"kind": "starting"} and {"kind": "started"} around what
an implementation does once, and a result as it stands in a results file. Whoever dies says so by the end
of the stream, and what was said before that is not lost.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

_LONGEST = 2**26  # bytes of a line; an implementation that writes into the socket is cut off there


class Garbled(Exception):
    """Something else than a line of JSON came: an implementation has written into the socket."""


class Channel:
    """One end of the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def say(self, message: str) -> None:
        self._socket.sendall(message.encode() + b"\n")

    def say_no_more(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def heard(self) -> Iterator[dict[str, Any]] | None:
        """The lines that are there, after waiting for the first; None at the end of the stream."""
        try:
            received = self._socket.recv(2**16)
        except ConnectionError:
            return None
        if not received:
            return None
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        if len(self._buffer) > _LONGEST:
            raise Garbled
        return map(_parsed, lines)

    def close(self) -> None:
        self._socket.close()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise Garbled from None
    if not isinstance(message, dict):
        raise Garbled
    return message
