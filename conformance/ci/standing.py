"""Where each implementation stands: its results, each held against the record of deviations."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conformance.cases import cases_digest, cases_folder, load_cases
from conformance.deviations import (
    RECORD,
    Deviation,
    Record,
    load_deviations,
    matches_nothing,
    no_longer_happens,
)
from conformance.implementations import registry
from conformance.results import DifferentCases, Header, Result, Run, merge

_UNKNOWN_SPEC = "FILE.py:NAME"  # results do not tell where a plug-in lies


@dataclass(frozen=True)
class Held:
    """A result beside the record. `entry` is the one that records it, if any does."""

    result: Result
    is_as_recorded: bool
    entry: Deviation | None


@dataclass(frozen=True)
class Standing:
    """One implementation on one device. `spec` is how the command line names it, and `options` what
    else a run of it is given."""

    name: str
    header: Header
    results: Sequence[Result]
    record: Record
    spec: str
    options: str

    @cached_property
    def held(self) -> list[Held]:
        """Every result, in the order of the run."""
        held = []
        for r in self.results:
            check = (self.name, r.case, r.verdict, r.name)
            entry = self.record.entry_for(*check)
            held.append(Held(r, entry is not None or self.record.is_as_recorded(*check), entry))
        return held

    @cached_property
    def not_as_recorded(self) -> list[Result]:
        return [one.result for one in self.held if not one.is_as_recorded]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each verdict was given."""
        return Counter(result.verdict for result in self.results)

    @property
    def framework(self) -> str:
        return self.header.implementations[self.name]

    @property
    def version(self) -> str:
        return self.header.packages.get(self.framework, "unknown")

    @property
    def title(self) -> str:
        """The name, and the device unless that is the CPU."""
        device = self.header.device
        return self.name if device == "cpu" else f"{self.name} on {device}"

    def expected(self, case: str) -> str:
        """What is on record, in words."""
        return self.record.expected(self.name, case)

    def repeat(self, case: str) -> str:
        """The command that repeats one case."""
        named = f"--impl {shlex.quote(self.spec)} --case {shlex.quote(case)}"
        return f"bnconf run {named}{self.options}"


@dataclass(frozen=True)
class Overview:
    """All that was run, what of the record is stale, and, where any of this package were run, those of
    it that were not."""

    standings: Sequence[Standing]
    stale: Sequence[Deviation]
    not_run: Sequence[str] = ()

    @property
    def total(self) -> int:
        return sum(len(standing.results) for standing in self.standings)

    @property
    def not_as_recorded(self) -> int:
        return sum(len(standing.not_as_recorded) for standing in self.standings)

    def __str__(self) -> str:
        """In a line: what is wrong, or that nothing is."""
        total, wrong, stale = self.total, self.not_as_recorded, len(self.stale)
        line = (
            f"{wrong:,} of {total:,} results not as recorded"
            if wrong
            else f"all {total:,} results as recorded"
        )
        entries = "1 stale entry" if stale == 1 else f"{stale} stale entries"
        return f"{line}, {entries} in the record" if stale else line


def of_run(run: Run, record: Record, specs: Mapping[str, str], options: str = "") -> list[Standing]:
    """The standings of one run, in its order. `specs` names implementations as the command line did."""
    by_name: dict[str, list[Result]] = {name: [] for name in run.header.implementations}
    for result in run.results:
        by_name[result.implementation].append(result)
    return [
        Standing(name, run.header, results, record, specs.get(name, _UNKNOWN_SPEC), options)
        for name, results in by_name.items()
    ]


def read(files: Sequence[Path], cases_at: Path, deviations_at: Path) -> Overview:
    """What results files say, held against the record.

    An entry is stale if a run by itself would call it so. Raises what `results.merge` raises, and
    DifferentCases where the results are of other cases than those in `cases_at`.
    """
    runs = merge(files)
    if runs[0].header.cases != cases_digest(cases_at):
        raise DifferentCases(
            f"{files[0]}: was run on other cases than those in {cases_at}; make the run again"
        )
    cases = load_cases(cases_at)
    deviations = load_deviations(deviations_at)
    known = {name: cls.framework for name, cls in registry.built_in().items()}
    standings: list[Standing] = []
    stale = {d.number: d for d in matches_nothing(deviations, known, cases)}
    for run in runs:
        kind = run.header.device.partition(":")[0]
        record = Record(deviations, known, run.header.packages, kind)
        specs = {name: name for name in run.header.implementations if name in known or ":" in name}
        standings += of_run(run, record, specs, _options(kind, cases_at, deviations_at))
        verdicts = {(r.implementation, r.case): (r.verdict, r.name) for r in run.results}
        stale |= {d.number: d for d in no_longer_happens(record, cases, verdicts)}
    places = {name: place for place, name in enumerate(known)}
    standings.sort(key=lambda s: (s.header.device, places.get(s.name, len(places)), s.name))
    ran = {standing.name for standing in standings}
    not_run = [name for name in known if name not in ran] if ran & known.keys() else []
    return Overview(standings, [stale[number] for number in sorted(stale)], not_run)


def _options(device: str, cases: Path, deviations: Path) -> str:
    options = "" if device == "cpu" else f" --device {device}"
    if deviations != RECORD:
        options += f" --deviations {shlex.quote(str(deviations))}"
    if cases != cases_folder():
        options += f" --cases {shlex.quote(str(cases))}"
    return options
