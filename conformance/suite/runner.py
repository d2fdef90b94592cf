"""Runs one check, a case on an implementation, in this process."""

from __future__ import annotations

import faulthandler
import json
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from conformance.case import Case
from conformance.cases import load_cases
from conformance.conventions import question_for
from conformance.deviations import Record, load_deviations
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.implementations.base import Implementation
from conformance.implementations.call import ask_after_others
from conformance.judge import Answer, judge
from conformance.results import Result
from conformance.suite.journal import Check, Journal

# Importing a framework and compiling for it the first time may take longer than any case.
TIME_TO_START = 300.0


@dataclass(frozen=True)
class Plan:
    """What a run is to do, as it is handed to the processes that do it.

    `specs` and `processes` are by implementation name; `checks` are what is left to do.
    """

    specs: dict[str, str]
    processes: dict[str, str]
    recorded: dict[str, str]
    versions: dict[str, str]
    checks: list[Check]
    cases: str
    deviations: str
    device: str
    timeout: float
    journal: str

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "checks": [tuple(check) for check in fields["checks"]]})

    def record(self) -> Record:
        deviations = load_deviations(Path(self.deviations))
        return Record(deviations, self.recorded, self.versions, self.device)


class Runner:
    """Everything that a process keeps between checks: cases, started implementations, journal."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._started: dict[str, Implementation | str] = {}

    @cached_property
    def cases(self) -> dict[str, Case]:
        return load_cases(Path(self.plan.cases))

    @cached_property
    def journal(self) -> Journal:
        return Journal(Path(self.plan.journal))

    @cached_property
    def record(self) -> Record:
        return self.plan.record()

    def run(self, check: Check) -> Result:
        """The result, which is also in the journal. Ends the process if the case hangs."""
        name, case_id = check
        case = self.cases[case_id]
        self.journal.begin(check)
        watch = self.journal.watch
        try:
            if name not in self._started:
                faulthandler.dump_traceback_later(TIME_TO_START, exit=True, file=watch)
                self._start(name)
            implementation = self._started[name]
            faulthandler.dump_traceback_later(self.plan.timeout, exit=True, file=watch)
            began = time.perf_counter()
            if isinstance(implementation, str):
                answer = Answer(raised=implementation)
            else:
                answer = ask_after_others(implementation, case, self.cases)
            seconds = time.perf_counter() - began
        finally:
            faulthandler.cancel_dump_traceback_later()
        asked = case.question
        if not isinstance(implementation, str):
            asked = question_for(implementation, case)
        result = Result.of(case_id, name, judge(asked, answer), round(seconds, 6))
        self.journal.end(result)
        return result

    def _start(self, name: str) -> Implementation | str:
        """The started implementation, or why it could not be started."""
        try:
            implementation = registry.load(self.plan.specs[name])
            implementation.device = self.plan.device
            implementation.start()
            self._started[name] = implementation
        except (UserError, Exception) as error:
            self._started[name] = f"could not be started: {error}"
        return self._started[name]
