"""What a run shows of itself while it goes on: how far it is, what it is at, and for how long yet."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType

from conformance.workers import Worker

_AT_A_TERMINAL = 0.2  # seconds between two lines, of which one takes the other's place
_IN_A_LOG = 30.0


class Progress:
    """On standard error: a line that changes at a terminal, one now and then in a log."""

    def __init__(self, total: int, done_before: int) -> None:
        self._total = total
        self._done_before = done_before
        self._terminal = sys.stderr.isatty()
        self._pause = _AT_A_TERMINAL if self._terminal else _IN_A_LOG
        self._began = self._shown = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            self._print("\r\x1b[K")

    def show(self, done: int, workers: Sequence[Worker]) -> None:
        now = time.monotonic()
        if now - self._shown < self._pause:
            return
        self._shown = now
        line = self._line(done, workers, now)
        self._print(f"\r\x1b[K{line[:100]}" if self._terminal else f"{line}\n")

    def _line(self, done: int, workers: Sequence[Worker], now: float) -> str:
        rate = (done - self._done_before) / (now - self._began)
        left = f", about {_duration((self._total - done) / rate)} left" if rate else ""
        at = [
            f"{worker.check[1]} on {worker.check[0]} for {_duration(now - worker.since)}"
            if worker.check
            else f"{worker.group} starts"
            for worker in workers
            if worker.check or not worker.was_ready
        ]
        return "; ".join([f"{done} of {self._total} checks{left}", *at])

    @staticmethod
    def _print(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
