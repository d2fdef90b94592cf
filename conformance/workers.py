"""The processes that run cases: started, given work, watched, ended, and followed by others.

They may hang, die, or eat memory; this process does not run any case. Each framework has its processes,
in which its implementations are run one after another, so that it is imported as seldom as can be.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from conformance.environment import child_environment, memory_available, memory_of
from conformance.errors import UserError
from conformance.judge import CRASHED, TIMEOUT
from conformance.results import Result, parse_result
from conformance.suite.channel import Channel, Garbled
from conformance.suite.runner import Check

# Importing a framework and compiling for it the first time may take longer than any case.
TIME_TO_START = 300.0
_TIME_TO_END = 20.0
_TICK = 0.05  # seconds between two looks at deadlines and memory
_SUITE = Path(__file__).resolve().parent / "suite"


@dataclass(frozen=True)
class Job:
    """An implementation's cases that are left to do. Jobs with the same `process` may share one."""

    implementation: str
    process: str
    cases: tuple[str, ...]


@dataclass
class Worker:
    """A process, and what it is at."""

    process: subprocess.Popen[Any]
    channel: Channel
    log: IO[bytes]
    group: str
    deadline: float
    job: Job | None = None
    left: list[str] = field(default_factory=list)
    """Cases of the job that were not begun."""
    check: Check | None = None
    since: float = 0.0
    was_ready: bool = False
    has_begun: bool = False
    ended_for: str = ""
    """Why it was killed, if it was."""
    verdict: str = CRASHED


@dataclass
class Workers:
    """At most `limit` processes at a time, over the plan in `shared`."""

    jobs: Sequence[Job]
    shared: IO[bytes]
    timeout: float
    limit: int
    running: list[Worker] = field(default_factory=list)

    def results(self) -> Generator[Result | None, None, None]:
        """Results as they come, and None now and then while there is none.

        Raises UserError where pytest cannot run, or the suite itself fails. No process is left behind.
        """
        self._waiting: dict[str, list[Job]] = {}
        for job in self.jobs:
            self._waiting.setdefault(job.process, []).append(job)
        self._memory = 0.75 * memory_available() / self.limit
        self._selector = selectors.DefaultSelector()
        looked = 0.0
        try:
            while self._start_more() or self.running:
                for key, _ in self._selector.select(_TICK):
                    yield from self._listen(key.data)
                if time.monotonic() - looked > _TICK:
                    looked = time.monotonic()
                    self._watch()
                    yield None
        finally:
            for worker in self.running:
                _kill_group(worker)
                worker.process.wait()
            self._selector.close()

    def _start_more(self) -> bool:
        """Start what there is place and work for, one process for each framework first; whether any."""
        before = len(self.running)
        while len(self.running) < self.limit:
            groups = Counter(worker.group for worker in self.running)
            coming = Counter(worker.group for worker in self.running if not worker.was_ready)
            left = [g for g, jobs in self._waiting.items() if len(jobs) > coming[g]]
            if not left:
                break
            self._start(min(left, key=lambda group: groups[group]))
        return len(self.running) > before

    def _start(self, group: str) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "pytest", "-c", str(_SUITE / "pytest.ini")]
        command += ["-p", "conformance.suite.plugin", f"--plan={self.shared.fileno()}"]
        command += [f"--channel={theirs.fileno()}", f"--parent={os.getpid()}"]
        log = tempfile.TemporaryFile(prefix="bnconf-")  # noqa: SIM115
        with theirs:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=child_environment(),
                pass_fds=(self.shared.fileno(), theirs.fileno()),
                process_group=0,  # an interrupt is for this process alone
            )
        now = time.monotonic()
        worker = Worker(process, Channel(ours), log, group, now + TIME_TO_START)
        self.running.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _listen(self, worker: Worker) -> Iterator[Result]:
        try:
            heard = worker.channel.heard()
            if heard is not None:
                for message in heard:
                    yield from self._understand(worker, message)
                return
        except Garbled:
            worker.ended_for = "it wrote into what it had inherited"
        yield from self._bury(worker)

    def _understand(self, worker: Worker, message: dict[str, Any]) -> Iterator[Result]:
        now = time.monotonic()
        worker.deadline = now + self.timeout
        match message:
            case {"kind": "ready"}:
                worker.was_ready = True
                self._give_work(worker)
            case {"kind": "begin", "check": [implementation, case]} if (
                worker.job and implementation == worker.job.implementation and case in worker.left
            ):
                worker.check, worker.since, worker.has_begun = (implementation, case), now, True
                worker.left.remove(case)
            case {"kind": "starting"}:
                worker.deadline = now + TIME_TO_START
            case {"kind": "started"}:
                worker.since = now
            case {"kind": "result", "implementation": implementation, "case": case} if (
                worker.check == (implementation, case)
            ):
                del message["kind"]
                worker.check = None
                yield parse_result(message, "a result of a worker")
            case {"kind": "broken", "text": str(text)}:
                raise UserError(
                    f"the suite itself failed on {worker.check}, which is worth a report: "
                    f"{' '.join(text.split())[-1000:]}"
                )
            case _:
                raise Garbled

    def _give_work(self, worker: Worker) -> None:
        jobs = self._waiting.get(worker.group, [])
        worker.job = jobs.pop(0) if jobs else None
        if not jobs:
            self._waiting.pop(worker.group, None)
        with contextlib.suppress(OSError):  # it has died since; its end of the stream tells
            if worker.job is None:
                worker.deadline = time.monotonic() + _TIME_TO_END
                worker.channel.say_no_more()
                return
            worker.left = list(worker.job.cases)
            work = {"implementation": worker.job.implementation, "cases": worker.left}
            worker.channel.say(json.dumps(work))

    def _watch(self) -> None:
        """Kill those that take too long, or too much; the end of their streams tells the rest."""
        for worker in self.running:
            if worker.ended_for:
                continue
            if time.monotonic() > worker.deadline:
                worker.ended_for = f"no answer within {self.timeout:g} s"
                worker.verdict = TIMEOUT
            elif memory_of(worker.process.pid) > self._memory:
                worker.ended_for = f"it took more than {self._memory / 2**30:.1f} GiB of memory"
            if worker.ended_for:
                _kill_group(worker)

    def _bury(self, worker: Worker) -> Iterator[Result]:
        """A worker's end: the case that it died of gets its verdict, the others another worker."""
        self._selector.unregister(worker.channel)
        self.running.remove(worker)
        with contextlib.suppress(subprocess.TimeoutExpired):  # the stream may end before it does
            worker.process.wait(1 if worker.job else _TIME_TO_END)
        how = worker.ended_for or _how_it_ended(worker.process.poll())
        _kill_group(worker)
        worker.process.wait()
        output = _read(worker.log)
        worker.channel.close()
        if worker.job is None and worker.was_ready:
            return
        if not worker.has_begun:
            raise UserError(f"pytest could not run: {how}: {output or 'it said nothing'}")
        if worker.check is not None:
            implementation, case = worker.check
            yield Result(case, implementation, worker.verdict, worker.verdict, message=how)
        if worker.job is not None and worker.left:
            rest = replace(worker.job, cases=tuple(worker.left))
            self._waiting[worker.group] = [rest, *self._waiting.get(worker.group, [])]


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "the process went silent"
    if status < 0:
        return f"the process died: {signal.Signals(-status).name}"
    return f"the process ended, with exit status {status}"


def _read(log: IO[bytes]) -> str:
    with log:
        log.seek(0)
        return " ".join(log.read().decode(errors="replace").split())[-2000:]


def _kill_group(worker: Worker) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, signal.SIGKILL)
