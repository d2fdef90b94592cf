"""How work is shared out to processes: each check once, and at the end by halves."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import workers
from conformance.cases import cases_folder, load_cases
from conformance.suite.plan import Plan, share
from conformance.workers import Job, Worker, Workers

TELLS_ITS_PROCESS = """\
import os, pathlib, time

class {name}:
    name = "{name}"

    def train(self, x, gamma, beta, epsilon):
        time.sleep(0.08)
        calls = pathlib.Path(__file__).with_name("{name}")
        with calls.open("a") as file:
            file.write(f"{{os.getpid()}}\\n")
        {harm}
        return x
"""
DIES_ONCE = "len(calls.read_text().split()) == 20 and os.abort()"
SMALL = ("affine", "dtypes", "epsilon", "scale-ladder", "typical")
CASES = [
    case.id
    for case in load_cases(cases_folder()).values()
    if case.family in SMALL
    and case.operation == "train"
    and case.attributes.get("preceded_by") is None
][:40]


def run(folder: Path, *divisible: bool, limit: int = 2, harm: str = "") -> list[dict[str, int]]:
    """For each of the plug-ins, how many checks each process did, the first one first."""
    everything = load_cases(cases_folder())
    cases = {name: everything[name] for name in CASES}
    specs = {}
    for name in [f"plug_in_{k}" for k in range(len(divisible))]:
        (folder / f"{name}.py").write_text(TELLS_ITS_PROCESS.format(name=name, harm=harm))
        specs[name] = f"{folder / name}.py:{name}"
    plan = Plan(cases, specs, frozenset(), "cpu", 60.0)
    jobs = [Job(n, "one", tuple(CASES), d) for n, d in zip(specs, divisible, strict=True)]
    with share(plan) as shared:
        results = [r for r in Workers(jobs, shared, 60.0, limit).results() if r is not None]
    checks = [(r.implementation, r.case) for r in results]
    assert sorted(checks) == sorted((name, case) for name in specs for case in CASES)
    processes = [(folder / name).read_text().split() for name in specs]
    return [{pid: pids.count(pid) for pid in dict.fromkeys(pids)} for pids in processes]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work is so quick here that half a second is worth dividing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "_WORTH_IT", 0.5)
    monkeypatch.setattr(workers, "_TIMES_TO_START", 0.5)
    return tmp_path


def test_a_long_job_is_divided_between_processes(folder):
    (counts,) = run(folder, True)
    assert len(counts) == 2
    assert sum(counts.values()) == len(CASES)
    assert min(counts.values()) >= 5


def test_a_job_of_one_process_stays_whole(folder):
    (counts,) = run(folder, False)
    assert list(counts.values()) == [len(CASES)]


def test_no_more_processes_work_than_may(folder):
    assert [list(counts.values()) for counts in run(folder, True, True, limit=1)] == [[40], [40]]


def test_whoever_has_nothing_left_helps_another(folder):
    """Three jobs in two processes: the third is divided, and no process has to start for it."""
    first, second, third = run(folder, True, True, True)
    assert len(third) == 2
    assert set(third) == set(first) | set(second)


@pytest.mark.parametrize(("left", "waiting"), [(0, []), (1, []), (2, [1]), (5, [2])])
def test_half_of_what_is_left_is_taken_and_never_nothing(folder, left, waiting):
    job = Job("mine", "group", tuple(CASES), divisible=True)
    busy = Worker(None, None, None, "group", 0.0, job=job, job_since=-1e6, begun=1)
    busy.left.extend(CASES[:left])
    all_of_them = Workers([job], None, 60.0, 2, running=[busy])
    all_of_them._waiting = {}
    assert all_of_them._divide([busy]) == bool(waiting)
    taken = [job.cases for jobs in all_of_them._waiting.values() for job in jobs]
    assert [len(cases) for cases in taken] == waiting
    assert [*busy.left, *(case for cases in taken for case in cases)] == CASES[:left]


def test_a_check_that_kills_its_process_leaves_the_halves_whole(folder):
    (counts,) = run(folder, True, harm=DIES_ONCE)
    assert len(counts) >= 2
    assert sum(counts.values()) == len(CASES)
