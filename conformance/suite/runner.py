"""Runs one check, a case on an implementation, in this process."""

from __future__ import annotations

import json
import time

import numpy as np

from conformance.conventions import question_for
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.implementations.base import Implementation
from conformance.implementations.call import ask_after_others
from conformance.judge import Answer, judge
from conformance.results import Result, to_line
from conformance.suite.channel import Channel
from conformance.suite.plan import Plan
from conformance.suite.settings import Settings

Check = tuple[str, str]
"""(implementation, case)"""


class Runner:
    """Everything that a worker keeps between checks: cases, started implementations, their settings."""

    def __init__(self, plan: Plan, channel: Channel) -> None:
        self.plan = plan
        self.channel = channel
        self._started: dict[str, Implementation | str] = {}
        self._settings: dict[str, Settings] = {}

    def run(self, check: Check) -> None:
        """Put the case to the implementation, and tell the run what came of it."""
        name, case_id = check
        case = self.plan.cases[case_id]
        self.channel.say(json.dumps({"kind": "begin", "check": check}))
        if name not in self._started:
            self.channel.say('{"kind": "starting"}')
            self._started[name] = self._start(name)
            self.channel.say('{"kind": "started"}')
        implementation = self._started[name]
        began = time.perf_counter()
        if isinstance(implementation, str):
            answer = Answer(raised=implementation)
        else:
            answer = ask_after_others(implementation, case, self.plan.cases)
        seconds = time.perf_counter() - began
        if name in self.plan.guarded:
            self._guard(name)
        question = case.question
        if not isinstance(implementation, str):
            question = question_for(implementation, case)
        with np.errstate(all="ignore"):
            judged = judge(question, answer)
        self.channel.say(to_line("result", Result.of(case_id, name, judged, round(seconds, 6))))

    def _guard(self, name: str) -> None:
        """What a case changes of the process's settings is put back. The first case may change them for
        good: some implementations set themselves up in their first call."""
        if name in self._settings:
            self._settings[name].restore()
        else:
            self._settings[name] = Settings()

    def _start(self, name: str) -> Implementation | str:
        """The started implementation, or why it could not be started."""
        try:
            implementation = registry.load(self.plan.specs[name])
            implementation.device = self.plan.device
            implementation.timeout = 0.8 * self.plan.timeout  # the run loses patience later
            implementation.start()
        except (UserError, Exception) as error:
            return f"could not be started: {error}"
        return implementation
