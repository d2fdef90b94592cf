"""Times the suite beside the bare calls: what the framework costs, and what the suite adds.

Each part runs in a process of its own: importing the framework and starting its implementations,
the bare calls of all cases without any harness, and the full `bnconf run`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.case import Case
from conformance.cases import load_cases
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.implementations.base import Implementation, Unsupported
from conformance.implementations.call import arguments_of, batches_of
from conformance.operations import OPERATIONS


@dataclass(frozen=True)
class Timing:
    """Seconds of a framework's implementations that share a process, and the number of their checks.

    importing: to import and start it, and to end a process that has.
    idle: a full run of a single case by NumPy, that is everything but the framework and the cases.
    """

    framework: str
    checks: int
    importing: float
    bare: float
    full: float
    idle: float

    @property
    def per_check(self) -> float:
        """Milliseconds that the suite adds to a check, its start-up not counted."""
        return 1000 * (self.full - self.idle - self.importing - self.bare) / self.checks

    @property
    def ratio(self) -> float:
        return self.full / (self.importing + self.bare)


def run(frameworks: Sequence[str], cases: Path) -> str:
    """The table of all installed frameworks, or of those named."""
    known = {
        registry.process_of(cls): registry.is_installed(cls)
        for cls in registry.built_in().values()
        if "cpu" in cls.devices
    }
    for framework in frameworks:
        if framework not in known:
            raise UserError(f"--impl {framework}: no such framework; known: {', '.join(known)}")
        if not known[framework]:
            raise UserError(f"--impl {framework}: is not installed")
    chosen = frameworks or [name for name, installed in known.items() if installed]
    rows = [
        "framework   checks  import s  bare s  full s  full/(import+bare)  suite ms/check  start-up s"
    ]
    for timing in (_time(framework, cases) for framework in chosen):
        rows.append(
            f"{timing.framework:<10}  {timing.checks:6d}  {timing.importing:8.2f}  "
            f"{timing.bare:6.2f}  {timing.full:6.2f}  {timing.ratio:18.2f}  "
            f"{timing.per_check:14.2f}  {timing.idle:10.2f}"
        )
    return "\n".join(rows)


def _time(framework: str, cases: Path) -> Timing:
    command = [sys.executable, "-m", "conformance.bench", framework, str(cases)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        answered = time.perf_counter()
        process.wait()
        ending = time.perf_counter() - answered
    if process.returncode != 0:
        raise UserError(
            f"the bare calls of {framework} failed; bnconf run --impl {framework} tells"
        )
    bare = json.loads(line)
    bare["importing"] += ending
    a_case = next(iter(load_cases(cases)))
    idle = _seconds_of_run(cases, ["numpy.batch_norm"], "--case", a_case)
    names = [implementation.name for implementation in _of(framework)]
    return Timing(framework, full=_seconds_of_run(cases, names), idle=idle, **bare)


def _of(process: str) -> list[type[Implementation]]:
    return [
        cls
        for cls in registry.built_in().values()
        if registry.process_of(cls) == process and "cpu" in cls.devices
    ]


def _seconds_of_run(cases: Path, names: Sequence[str], *options: str) -> float:
    command = [sys.executable, "-m", "conformance", "run", "--cases", str(cases), "-n", "1"]
    began = time.perf_counter()
    command += [*(f"--impl={name}" for name in names), *options]
    answer = subprocess.run(command, capture_output=True, check=False)
    if answer.returncode not in (0, 1):
        raise UserError(f"the run of {names} failed: {answer.stderr.decode().strip()}")
    return time.perf_counter() - began


def _bare(framework: str, folder: Path) -> dict[str, float]:
    """Import and start; then every call of every case, as the suite would make it."""
    cases = load_cases(folder)
    began = time.perf_counter()
    implementations = [implementation() for implementation in _of(framework)]
    for implementation in implementations:
        implementation.start()
    importing = time.perf_counter() - began
    calls = [
        call
        for implementation in implementations
        for case in cases.values()
        for one in [*(cases[name] for name in case.attributes.get("preceded_by", ())), case]
        for call in _calls(implementation, one)
    ]
    began = time.perf_counter()
    for method, arguments in calls:
        _call(method, arguments)
    bare = time.perf_counter() - began
    return {"checks": len(implementations) * len(cases), "importing": importing, "bare": bare}


def _calls(implementation: Implementation, case: Case) -> Iterator[tuple[Any, list[Any]]]:
    """Method and arguments; one call for each batch of an update."""
    method = getattr(implementation, OPERATIONS[case.operation].method or "train")
    arguments = arguments_of(implementation, case)
    if case.operation != "update":
        yield method, list(arguments.values())
        return
    for x, rate in batches_of(implementation, case):
        yield method, list((arguments | {"x": x, "rate": rate}).values())


def _call(method: Callable[..., Any] | None, arguments: list[Any]) -> None:
    if method is None:
        return
    try:
        method(*arguments)
    except (Unsupported, Exception):
        return


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    print(json.dumps(_bare(sys.argv[1], Path(sys.argv[2]))), flush=True)
