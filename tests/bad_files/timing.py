"""No test of bad files waits for ever."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(name="_ends", autouse=True)
def ends() -> Iterator[None]:
    """A pipe that is opened, say, ends the test and not the patience."""

    def stop(*_: object) -> None:
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(150)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
