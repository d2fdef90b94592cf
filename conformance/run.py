"""Makes a run: chooses cases and implementations, has pytest run them, and gathers what it found.

The processes that run cases may hang or die; this one does not run any. What they did is in their
journals, so that a new process takes up where a dead one left off, and an interrupt loses nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import conformance
from conformance import environment, results
from conformance.case import Case
from conformance.cases import cases_digest, cases_folder, load_cases, select
from conformance.deviations import (
    RECORD,
    Deviation,
    Record,
    load_deviations,
    matches_nothing,
    no_longer_happens,
)
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.implementations.registry import Chosen
from conformance.precision import HAS_BFLOAT16
from conformance.probe import MARK
from conformance.results import Header, Result, Run
from conformance.suite.journal import Check, read_journals
from conformance.suite.runner import TIME_TO_START, Plan

TIMEOUT = 60.0  # seconds for one case
_SUITE = Path(__file__).resolve().parent / "suite"


@dataclass(frozen=True)
class Request:
    """What the caller asks for. `workers` is None to let the number of frameworks decide."""

    selectors: tuple[str, ...]
    case_globs: tuple[str, ...]
    device: str
    out: Path | None
    workers: int | None
    timeout: float
    cases: Path
    deviations: Path


@dataclass(frozen=True)
class Outcome:
    """What a run found. `left_out` are lines on implementations that were not run."""

    run: Run
    specs: Mapping[str, str]
    repeat_options: str
    record: Record
    stale: tuple[Deviation, ...]
    left_out: tuple[str, ...]
    complete: bool

    @property
    def not_as_recorded(self) -> list[Result]:
        return [
            r
            for r in self.run.results
            if not self.record.is_as_recorded(r.implementation, r.case, r.verdict, r.name)
        ]

    @property
    def is_green(self) -> bool:
        return self.complete and not self.stale and not self.not_as_recorded


def make(request: Request) -> Outcome:
    """Run what is asked for, and write the results file if one is asked for.

    Raises UserError for a bad call, file or plug-in, before anything is run.
    """
    all_cases = load_cases(request.cases)
    cases = list(select(all_cases, request.case_globs))
    cases, lines = _without_bfloat16(cases, all_cases)
    for case in cases:
        for tensor in all_cases[case].inputs.values():
            np.asarray(tensor)  # a large one is generated, and its hash looked at, only now
    deviations = load_deviations(request.deviations)
    chosen, left_out = choose(request.selectors, request.device)
    left_out += lines
    built_in = {name: cls.framework for name, cls in registry.built_in().items()}
    versions = versions_of(chosen)
    recorded = {one.name: one.framework for one in chosen if one.built_in}
    device, driver = environment.device(request.device)
    header = Header(
        suite=conformance.__version__,
        cases=cases_digest(request.cases),
        packages=versions,
        python=sys.version.partition(" ")[0],
        machine=environment.machine(),
        device=device,
        driver=driver,
        implementations={one.name: one.framework for one in chosen},
    )
    checks = [(one.name, case) for one in chosen for case in cases]
    with _Workplace(request.out) as folder:
        plan = Plan(
            specs={one.name: one.spec for one in chosen},
            processes={one.name: one.process for one in chosen},
            recorded=recorded,
            versions=versions,
            checks=checks,
            cases=str(request.cases),
            deviations=str(request.deviations),
            device=request.device,
            timeout=request.timeout,
            journal=str(folder),
        )
        found, complete = _run_to_the_end(plan, folder, request.workers or os.cpu_count() or 1)
        run = Run(header, [found[check] for check in checks if check in found])
        if request.out is not None:
            try:
                results.write(request.out, [run], complete=complete)
            except OSError as error:
                raise UserError(
                    f"--out {request.out}: cannot be written: {error.strerror}; name another file"
                ) from None
    record = plan.record()
    verdicts = {check: (r.verdict, r.name) for check, r in found.items()}
    stale = [
        *matches_nothing(deviations, built_in, all_cases),
        *no_longer_happens(record, all_cases, verdicts),
    ]
    options = "" if request.device == "cpu" else f" --device {request.device}"
    if request.deviations != RECORD:
        options += f" --deviations {shlex.quote(str(request.deviations))}"
    if request.cases != cases_folder():
        options += f" --cases {shlex.quote(str(request.cases))}"
    if request.timeout != TIMEOUT:
        options += f" --timeout {request.timeout:g}"
    return Outcome(run, plan.specs, options, record, tuple(stale), left_out, complete)


def versions_of(chosen: Sequence[Chosen]) -> dict[str, str]:
    """The versions of their packages and of NumPy; of each framework under its own name, too."""
    packages = {package for one in chosen for package in one.packages}
    versions = environment.versions(packages | {"numpy"})
    for one in chosen:  # a framework may be distributed under another name, or under several
        own = next((versions[package] for package in one.packages if package in versions), None)
        if own is not None:
            versions.setdefault(one.framework, own)
    return versions


def _without_bfloat16(
    names: list[str], cases: Mapping[str, Case]
) -> tuple[list[str], tuple[str, ...]]:
    """NumPy alone has no bfloat16: without ml_dtypes those cases cannot be asked."""
    if HAS_BFLOAT16:
        return names, ()
    kept = [name for name in names if cases[name].dtype != "bfloat16"]
    if not kept:
        raise UserError("all of these cases are in bfloat16, which needs ml_dtypes; pip install it")
    left = len(names) - len(kept)
    line = f"{left} cases in bfloat16, which needs ml_dtypes; pip install ml_dtypes brings it"
    return kept, (line,) if left else ()


def choose(selectors: Sequence[str], device: str) -> tuple[list[Chosen], tuple[str, ...]]:
    """The implementations to run, and a line for those that were meant and cannot be, by reason.

    Without selectors: all of this package, and installed plug-ins, that this machine can run.
    Raises UserError where a selector names none that can.
    """
    built_in = registry.built_in()
    groups = [registry.matching(selector) or [selector] for selector in selectors]
    chosen: list[Chosen] = []
    left_out: dict[str, list[str]] = {}
    available = _Availability(device)
    for specs in groups or [[*built_in, *registry.entry_points()]]:
        before = len(chosen)
        for spec in specs:
            try:
                chosen.append(available(spec))
            except UserError as error:
                if selectors and specs == [spec]:
                    raise
                reason = error.reason if isinstance(error, Unavailable) else str(error)
                left_out.setdefault(reason, []).append(spec)
        if len(chosen) == before:
            reasons = (f"{', '.join(names)}: {reason}" for reason, names in left_out.items())
            raise UserError(f"nothing to run on {device}: {'; '.join(reasons)}")
    lines = (f"{', '.join(names)}: {reason}" for reason, names in left_out.items())
    return registry.unique(chosen), tuple(lines)


class Unavailable(UserError):
    """An implementation cannot be run here, for a reason that others may share."""

    def __init__(self, spec: str, reason: str) -> None:
        super().__init__(f"{spec}: {reason}")
        self.reason = reason


class _Availability:
    """What can run on a device; a framework is asked once whether it finds that."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._reasons: dict[str, str] = {}

    def __call__(self, spec: str) -> Chosen:
        """Raises Unavailable for what this package has and cannot run here, else UserError."""
        implementation = registry.built_in().get(spec)
        if implementation is None:
            return _probe(spec, self._device)
        framework = implementation.framework
        if self._device not in implementation.devices:
            on = ", ".join(implementation.devices)
            raise Unavailable(spec, f"runs on {on}, not on {self._device}")
        if not registry.is_installed(implementation):
            how = f"pip install 'batchnorm-conformance[{framework}]' brings it"
            raise Unavailable(spec, f"{framework} is not installed; {how}")
        if self._device != "cpu" and framework not in self._reasons:
            try:
                _probe(spec, self._device)
                self._reasons[framework] = ""
            except UserError as error:
                self._reasons[framework] = str(error)
        if reason := self._reasons.get(framework):
            raise Unavailable(spec, reason)
        return registry.describe(spec)


def _probe(spec: str, device: str) -> Chosen:
    """Load it in a process of its own, so that whatever loading it does stays there."""
    command = [sys.executable, "-m", "conformance.probe", spec, device]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            timeout=TIME_TO_START,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"--impl {spec}: was not imported within {TIME_TO_START:g} s; mend the file"
        ) from None
    lines = [line for line in answer.stdout.splitlines() if line.startswith(MARK)]
    if not lines:
        raise UserError(
            f"--impl {spec}: the process that imports it died (exit status {answer.returncode})"
        )
    fields = json.loads(lines[-1].removeprefix(MARK))
    if "error" in fields:
        raise UserError(fields["error"])
    return Chosen(**{**fields, "packages": tuple(fields["packages"])})


def _run_to_the_end(plan: Plan, folder: Path, workers: int) -> tuple[dict[Check, Result], bool]:
    """All results, and whether none is missing.

    Each framework has a process of its own, `workers` of them at a time, and each implementation if
    there is but one framework; one that died is followed by another, which takes up what is left.
    """
    found: dict[Check, Result] = {}
    waiting: dict[str, list[Check]] = {}
    several = len(set(plan.processes.values())) > 1
    for check in plan.checks:
        group = plan.processes[check[0]] if several or workers == 1 else check[0]
        waiting.setdefault(group, []).append(check)
    places = {group: folder / str(number) for number, group in enumerate(waiting)}
    running: dict[str, tuple[subprocess.Popen[Any], list[Check]]] = {}
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                group, checks = next(iter(waiting.items()))
                running[group] = (
                    _pytest(replace(plan, checks=checks), places[group]),
                    checks,
                )
                del waiting[group]
            time.sleep(0.02)
            for group, (process, checks) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[group]
                found |= read_journals(places[group], plan.timeout)
                left = [check for check in checks if check not in found]
                if len(left) == len(checks):
                    output = (places[group] / "pytest.log").read_text(errors="replace")
                    raise UserError(f"pytest could not run: {' '.join(output.split())[-2000:]}")
                if left:
                    waiting[group] = left
        return found, True
    except KeyboardInterrupt:
        for group in running:
            found |= read_journals(places[group], None)
        return found, False
    finally:
        for process, _ in running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        signal.signal(signal.SIGTERM, before)


def _pytest(plan: Plan, folder: Path) -> subprocess.Popen[Any]:
    """A pytest over the plan's checks, in a process group of its own: an interrupt is for us alone."""
    folder.mkdir(exist_ok=True)
    path = folder / "plan.json"
    replace(plan, journal=str(folder)).write(path)
    command = [sys.executable, "-m", "pytest", "-c", str(_SUITE / "pytest.ini")]
    command += ["-p", "conformance.suite.plugin", "--plan", str(path), "-q", "--tb=no"]
    command += ["--no-header", "--no-summary", "--capture=fd", "-p", "no:warnings"]
    command.append(str(_SUITE / "test_conformance.py"))
    with open(folder / "pytest.log", "wb") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=child_environment(),
            process_group=0,
        )


def child_environment() -> dict[str, str]:
    """The package can be imported in a child process from wherever this one was started."""
    root = str(Path(conformance.__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


class _Workplace:
    """The folder of the journals: beside the results file if there is one, gone when all is done."""

    def __init__(self, out: Path | None) -> None:
        self._out = out

    def __enter__(self) -> Path:
        if self._out is None:
            self._folder = Path(tempfile.mkdtemp(prefix="bnconf-"))
            return self._folder
        if self._out.is_dir():
            raise UserError(f"--out {self._out}: cannot be written: it is a folder; name a file")
        self._folder = self._out.with_name(self._out.name + ".partial")
        try:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            with open(self._out, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise UserError(
                f"--out {self._out}: cannot be written: {error.strerror}; name another file"
            ) from None
        return self._folder

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None or self._out is None:
            shutil.rmtree(self._folder, ignore_errors=True)
