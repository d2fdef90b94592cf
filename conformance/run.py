"""Makes a run: chooses cases and implementations, has workers run them, and keeps what they find.

A results file holds every result as soon as there is one, so that a run that ends early, however that
comes about, loses nothing and can be taken up again.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import conformance
from conformance import environment, results
from conformance.case import Case
from conformance.cases import cases_digest, cases_folder, load_cases, select
from conformance.choice import choose
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
from conformance.implementations.base import TIMEOUT
from conformance.implementations.registry import Chosen
from conformance.precision import HAS_BFLOAT16
from conformance.progress import Progress
from conformance.results import Header, Result, Run
from conformance.suite.plan import Plan, share
from conformance.suite.runner import Check
from conformance.workers import Job, Workers


@dataclass(frozen=True)
class Request:
    """What the caller asks for, and what a results file says was asked for.

    `resumed` are results that an earlier run with the same request has left, under its header.
    """

    selectors: tuple[str, ...] = ()
    case_globs: tuple[str, ...] = ()
    device: str = "cpu"
    timeout: float = TIMEOUT
    cases: Path = field(default_factory=cases_folder)
    deviations: Path = RECORD
    out: Path | None = None
    workers: int | None = None
    resumed: Run | None = None

    def options(self) -> str:
        """Those, besides the implementation and the case, that repeat a check alone."""
        options = "" if self.device == "cpu" else f" --device {self.device}"
        if self.deviations != RECORD:
            options += f" --deviations {shlex.quote(str(self.deviations))}"
        if self.cases != cases_folder():
            options += f" --cases {shlex.quote(str(self.cases))}"
        if self.timeout != TIMEOUT:
            options += f" --timeout {self.timeout:g}"
        return options

    def written(self) -> dict[str, object]:
        """As it stands in a header: what is not left to its default."""
        everything = {
            "impl": list(self.selectors),
            "case": list(self.case_globs),
            "device": "" if self.device == "cpu" else self.device,
            "timeout": "" if self.timeout == TIMEOUT else self.timeout,
            "cases": "" if self.cases == cases_folder() else str(self.cases),
            "deviations": "" if self.deviations == RECORD else str(self.deviations),
        }
        return {name: value for name, value in everything.items() if value}


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

    @cached_property
    def not_as_recorded(self) -> list[Result]:
        return [
            r
            for r in self.run.results
            if not self.record.is_as_recorded(r.implementation, r.case, r.verdict, r.name)
        ]

    @property
    def is_green(self) -> bool:
        return self.complete and not self.stale and not self.not_as_recorded


def resume(path: Path, workers: int | None) -> Outcome:
    """Finish the run that has left this results file. Raises UserError where it cannot be gone on with."""
    left = results.read_unfinished(path)
    asked = left.header.request
    request = Request(
        selectors=tuple(asked.get("impl", ())),
        case_globs=tuple(asked.get("case", ())),
        device=asked.get("device", "cpu"),
        timeout=asked.get("timeout", TIMEOUT),
        cases=Path(asked["cases"]) if "cases" in asked else cases_folder(),
        deviations=Path(asked["deviations"]) if "deviations" in asked else RECORD,
        out=path,
        workers=workers,
        resumed=left,
    )
    return make(request)


def make(request: Request) -> Outcome:
    """Run what is asked for, and write the results file if one is asked for.

    Raises UserError for a bad call, file or plug-in, before anything is run.
    """
    all_cases = load_cases(request.cases)
    cases, lines = _without_bfloat16(select(all_cases, request.case_globs), all_cases)
    deviations = load_deviations(request.deviations)
    chosen, left_out = choose(request.selectors, request.device)
    versions = versions_of(chosen)
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
        request=request.written(),
    )
    plan = Plan(
        cases={name: all_cases[name] for name in _asked(cases, all_cases)},
        specs={one.name: one.spec for one in chosen},
        guarded=frozenset(one.name for one in chosen if not one.built_in),
        device=request.device,
        timeout=request.timeout,
    )
    checks = [(one.name, case) for one in chosen for case in cases]
    found = _resumed(request, header, set(checks))
    by_shape = sorted(cases, key=lambda case: all_cases[case].compiled_for)
    jobs = [
        Job(one.name, one.process if one.built_in else f"plug-in {one.name}", left, one.built_in)
        for one in chosen
        for order in [by_shape if one.built_in else cases]
        if (left := tuple(case for case in order if (one.name, case) not in found))
    ]
    complete = _carry_out(request, header, plan, jobs, found)
    run = Run(header, [found[check] for check in checks if check in found])
    if request.out is not None and complete:
        results.write(request.out, [run])
    built_in = {name: cls.framework for name, cls in registry.built_in().items()}
    recorded = {one.name: one.framework for one in chosen if one.built_in}
    record = Record(deviations, recorded, versions, request.device)
    verdicts = {check: (r.verdict, r.name) for check, r in found.items()}
    stale = [
        *matches_nothing(deviations, built_in, all_cases),
        *no_longer_happens(record, all_cases, verdicts),
    ]
    options = request.options()
    return Outcome(run, plan.specs, options, record, tuple(stale), (*left_out, *lines), complete)


def _carry_out(
    request: Request, header: Header, plan: Plan, jobs: list[Job], found: dict[Check, Result]
) -> bool:
    """Add to `found` what is missing, in the file too; whether that came to its end."""
    limit = request.workers or os.cpu_count() or 1
    total = len(found) + sum(len(job.cases) for job in jobs)
    with share(plan) as shared, _growing(request, header) as keep, _ended_by_signals():
        for result in found.values():
            keep(result)
        workers = Workers(jobs, shared, request.timeout, limit)
        progress = Progress(total, len(found))
        try:
            with closing(workers.results()) as coming, progress:
                for new in coming:
                    if new is not None:
                        found[new.implementation, new.case] = new
                        keep(new)
                    progress.show(len(found), workers.running)
        except KeyboardInterrupt:
            return False
    return True


@contextmanager
def _growing(request: Request, header: Header) -> Iterator[Callable[[Result], None]]:
    """What to call with each result, so that the file that was asked for holds it."""
    if request.out is None:
        yield lambda result: None
    else:
        with results.Growing(request.out, header) as file:
            yield file.add


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _resumed(request: Request, header: Header, due: set[Check]) -> dict[Check, Result]:
    """The results of an earlier run, by check. Raises UserError if it was another, or elsewhere."""
    if request.resumed is None:
        return {}
    for name, now in vars(header).items():
        if (before := getattr(request.resumed.header, name)) != now:
            raise UserError(
                f"--resume {request.out}: {name} was {before}, and is {now} now; make the run anew"
            )
    found = {(r.implementation, r.case): r for r in request.resumed.results}
    if unknown := set(found) - due:
        raise UserError(f"--resume {request.out}: holds {unknown.pop()}, which nobody asked for")
    return found


def versions_of(chosen: list[Chosen]) -> dict[str, str]:
    packages = {package for one in chosen for package in one.packages}
    versions = environment.versions(packages | {"numpy"})
    for one in chosen:  # a framework may be distributed under another name, or under several
        own = next((versions[package] for package in one.packages if package in versions), None)
        if own is not None:
            versions.setdefault(one.framework, own)
    return versions


def _asked(cases: list[str], all_cases: Mapping[str, Case]) -> list[str]:
    """These cases, and those that precede one of them."""
    earlier = [name for case in cases for name in all_cases[case].attributes.get("preceded_by", ())]
    return list(dict.fromkeys([*cases, *earlier]))


def _without_bfloat16(
    chosen: Mapping[str, Case], cases: Mapping[str, Case]
) -> tuple[list[str], tuple[str, ...]]:
    """NumPy alone has no bfloat16: without ml_dtypes those cases cannot be asked."""
    names = list(chosen)
    if HAS_BFLOAT16:
        return names, ()
    kept = [name for name in names if cases[name].dtype != "bfloat16"]
    if not kept:
        raise UserError("all of these cases are in bfloat16, which needs ml_dtypes; pip install it")
    left = len(names) - len(kept)
    line = f"{left} cases in bfloat16, which needs ml_dtypes; pip install ml_dtypes brings it"
    return kept, (line,) if left else ()
