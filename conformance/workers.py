"""The processes that run cases: started, given work, watched, ended, and followed by others.

They may hang, die, or eat memory; this process does not run any case. Each framework has its processes,
in which its implementations are run one after another, so that it is imported as seldom as can be. Towards
the end, when there is no other work, a process takes half of what is left for another to do.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
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
_PORTION = 16  # cases that a worker is given at once; the others can still be taken by another
_WORTH_IT = 2.0  # seconds of work, below which a job is not divided,
_TIMES_TO_START = 2.0  # and how often a process could be started in it that has to be
_SUITE = Path(__file__).resolve().parent / "suite"


@dataclass(frozen=True)
class Job:
    """An implementation's cases that are left to do. Jobs with the same `process` may share one; one
    that is `divisible` may be done in several."""

    implementation: str
    process: str
    cases: tuple[str, ...]
    divisible: bool


@dataclass
class Worker:
    """A process, and what it is at."""

    process: subprocess.Popen[Any]
    channel: Channel
    log: IO[bytes]
    group: str
    deadline: float
    born: float = field(default_factory=time.monotonic)
    time_to_start: float = 0.0
    job: Job | None = None
    job_since: float = 0.0
    begun: int = 0
    """Cases of the job."""
    left: deque[str] = field(default_factory=deque)
    """Cases of the job that it was not told of yet."""
    given: deque[str] = field(default_factory=deque)
    """Those that it was told of, and has not begun."""
    check: Check | None = None
    since: float = 0.0
    was_ready: bool = False
    waits: bool = False
    """For another to have got so far that it is known whether it should be helped."""
    has_begun: bool = False
    ended_for: str = ""
    """Why it was killed, if it was."""
    verdict: str = CRASHED

    def time_left(self) -> float:
        """Seconds that what can be taken from it will need at its pace so far; 0 where that is not known."""
        if self.job is None or not self.job.divisible:
            return 0.0
        pace = (time.monotonic() - self.job_since) / self.begun if self.begun else 0.0
        return pace * len(self.left)


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
                    for worker in [one for one in self.running if one.waits]:
                        self._give_work(worker)
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
            coming = Counter(w.group for w in self.running if w.waits or not w.was_ready)
            left = [g for g, jobs in self._waiting.items() if len(jobs) > coming[g]]
            if left:
                self._start(min(left, key=lambda group: groups[group]))
            elif coming or not self._divide(self.running):
                break
        return len(self.running) > before

    def _divide(self, workers: Sequence[Worker], starts: bool = True) -> bool:
        """Let half of what a worker has left wait for another, if that ends sooner; whether it did.

        Where another process has first to start, it must have more to do than it takes to start.
        """
        longest = max(workers, key=Worker.time_left, default=None)
        if longest is None or longest.job is None or len(longest.left) < 2:
            return False
        half = longest.time_left() / 2
        if half < _WORTH_IT or (starts and half < _TIMES_TO_START * longest.time_to_start):
            return False
        taken = [longest.left.pop() for _ in range(len(longest.left) // 2)][::-1]
        jobs = self._waiting.setdefault(longest.group, [])
        jobs.append(replace(longest.job, cases=tuple(taken)))
        return True

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
                worker.job
                and implementation == worker.job.implementation
                and worker.given
                and case == worker.given[0]
            ):
                worker.check, worker.since, worker.has_begun = (implementation, case), now, True
                worker.given.popleft()
                worker.begun += 1
            case {"kind": "starting"}:
                worker.deadline = now + TIME_TO_START
            case {"kind": "started"}:
                worker.since = now
                worker.time_to_start = worker.time_to_start or now - worker.born
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
        if not worker.left:
            self._give_job(worker)
        worker.waits = worker.job is None and self._may_be_of_help(worker)
        if worker.waits:
            worker.deadline = math.inf
            return
        with contextlib.suppress(OSError):  # it has died since; its end of the stream tells
            if worker.job is None:
                worker.deadline = time.monotonic() + _TIME_TO_END
                worker.channel.say_no_more()
                return
            worker.given.extend(
                worker.left.popleft() for _ in range(min(_PORTION, len(worker.left)))
            )
            work = {"implementation": worker.job.implementation, "cases": list(worker.given)}
            worker.channel.say(json.dumps(work))

    def _may_be_of_help(self, worker: Worker) -> bool:
        """Whether there may come something for it to do, and nothing for another in its place."""
        others = [one for one in self.running if one.group == worker.group and one.left]
        return not self._waiting and any(one.job and one.job.divisible for one in others)

    def _give_job(self, worker: Worker) -> None:
        if worker.group not in self._waiting:
            self._divide([one for one in self.running if one.group == worker.group], starts=False)
        jobs = self._waiting.get(worker.group, [])
        worker.job = jobs.pop(0) if jobs else None
        if not jobs:
            self._waiting.pop(worker.group, None)
        if worker.job is not None:
            worker.deadline = time.monotonic() + self.timeout
            worker.job_since, worker.begun = time.monotonic(), 0
            worker.left.extend(worker.job.cases)

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
        if worker.job is not None and (rest_of_it := (*worker.given, *worker.left)):
            rest = replace(worker.job, cases=rest_of_it)
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
