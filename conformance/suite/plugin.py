"""The pytest plugin: a worker's checks come over a channel, and each is a test of its own."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.suite.channel import Channel
from conformance.suite.plan import shared
from conformance.suite.runner import Check, Runner


class CheckItem(pytest.Item):
    """The one test of the suite: put a case to an implementation, and judge the answer."""

    def __init__(self, *, check: Check, runner: Runner, **how: Any) -> None:
        super().__init__(**how)
        self.check = check
        self.runner = runner

    def runtest(self) -> None:
        """Whatever an implementation does is a verdict; an exception here is the suite's own."""
        try:
            self.runner.run(self.check)
        except Exception:
            text = traceback.format_exc()
            self.runner.channel.say(json.dumps({"kind": "broken", "text": text}))
            raise


def pytest_addoption(parser: pytest.Parser) -> None:
    for name in ("--plan", "--channel", "--parent"):
        parser.addoption(name, type=int, help="inherited from `bnconf run`, which starts this")


def pytest_collection(session: pytest.Session) -> bool:
    """Nothing is collected: what is to be done is heard later."""
    return True


def pytest_runtestloop(session: pytest.Session) -> bool:
    config = session.config
    _die_with(config.getoption("--parent"))
    _silence()
    channel = Channel(socket.socket(fileno=config.getoption("--channel")))
    runner = Runner(shared(config.getoption("--plan")), channel)
    for check in _checks(channel):
        item = CheckItem.from_parent(session, name="-".join(check), check=check, runner=runner)
        config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return True


def pytest_runtest_protocol(item: pytest.Item) -> bool:
    """The verdict goes over the channel: there is nothing to set up, to report or to tear down."""
    item.runtest()
    return True


def _checks(channel: Channel) -> Iterator[Check]:
    while True:
        channel.say('{"kind": "ready"}')
        heard = channel.heard()
        while heard is not None and not (jobs := list(heard)):
            heard = channel.heard()
        if heard is None:
            return
        for job in jobs:
            for case in job["cases"]:
                yield job["implementation"], case


def _silence() -> None:
    """Whatever implementations print or read leads nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _die_with(parent: int) -> None:
    """No worker outlives the run, however that ends (Linux alone can be asked for it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
