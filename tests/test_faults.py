"""Implementations that do real harm, runs that are really killed: what was found stays, and all else is as without it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_run import (
    CALLED,
    SOME_CASES,
    THE_CASE,
    bnconf,
    harmful,
    one_line,
    plug_in,
    start,
    swept,
    wait_for,
)

from conformance import results
from conformance.cases import cases_folder

CASES = cases_folder()

# What is done at the third of five cases, and the verdict on that case. Whatever else it does, it goes on
# to answer; where it answers rightly, that is its verdict.
FAULTS = {
    "SIGSEGV": ("ctypes.string_at(0)", "crashed", "SIGSEGV"),
    "abort": ("os.abort()", "crashed", "SIGABRT"),
    "illegal instruction": ("os.kill(os.getpid(), signal.SIGILL)", "crashed", "SIGILL"),
    "os._exit(0)": ("os._exit(0)", "crashed", "exit status 0"),
    "hang": ("time.sleep(600)", "timeout", "no answer within 2 s"),
    "hang that ignores signals": (
        "[signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; ctypes.PyDLL(None).sleep(600)",
        "timeout",
        "no answer within 2 s",
    ),
    "stops itself": ("os.kill(os.getpid(), signal.SIGSTOP)", "timeout", "no answer within 2 s"),
    "error from C": (
        "ctypes.pythonapi.PyErr_SetString(ctypes.py_object(ValueError), b'no')",
        "wrong",
        "ValueError",
    ),
    "error without a text": (
        "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})",
        "wrong",
        "Odd",
    ),
    "a string": ("return 'y'", "wrong", "type"),
    "a generator": ("return (i for i in x)", "wrong", "type"),
    "an object that lies about itself": (
        "return type('Liar', (), {'shape': x.shape, 'dtype': x.dtype, 'ndim': x.ndim})()",
        "wrong",
        "type",
    ),
    "an array of objects": ("return x.astype(object)", "wrong", "dtype"),
    "an array that claims another's memory": (
        "return np.lib.stride_tricks.as_strided(x, x.shape, (0, 0))[:1]",
        "wrong",
        "shape",
    ),
    "prints megabytes": (
        "print('x' * 2**24); os.write(2, b'y' * 2**24); os.write(1, b'z' * 2**24)",
        "conforms",
        "",
    ),
    "closes Python's streams": (
        "sys.stdout.close(); sys.stderr.close(); sys.stdin.close()",
        "conforms",
        "",
    ),
    "closes the streams": ("[os.close(fd) for fd in (0, 1, 2)]", "conforms", ""),
    "closes every file": ("os.closerange(0, 1000)", "crashed", "the process"),
    "writes to every file": (
        "[os.write(fd, b'{}\\n') for fd in range(3, 40) if os.path.exists(f'/proc/self/fd/{fd}')"
        " and os.readlink(f'/proc/self/fd/{fd}').startswith('socket')]",
        "crashed",
        "wrote into what it had inherited",
    ),
    "NumPy's error mode": ("np.seterr(all='raise')", "conforms", ""),
    "environment and folder": (
        "os.environ.clear(); os.chdir('/'); sys.path.clear(); sys.setrecursionlimit(150)",
        "conforms",
        "",
    ),
    "signal handlers and alarms": (
        "signal.signal(signal.SIGALRM, signal.SIG_IGN); signal.alarm(1)",
        "conforms",
        "",
    ),
    "threads that go on": (
        "__import__('threading').Thread(target=time.sleep, args=(600,), daemon=True).start()",
        "conforms",
        "",
    ),
    "a child that goes on": (
        "__import__('subprocess').Popen(['sleep', '600'])",
        "conforms",
        "",
    ),
}


def run_of(folder: Path, spec: str) -> dict[str, results.Result]:
    """A run over one family alone, which is read sooner than all."""
    shutil.copytree(CASES, folder / "cases", ignore=lambda _, names: set(names) - {"channels.json"})
    call = ("--impl", spec, "--case", SOME_CASES, "--out", "r.jsonl", "--timeout", "2")
    answer = bnconf("run", *call, "--cases", "cases", cwd=folder)
    assert answer.returncode in (0, 1), answer.stderr
    assert answer.stderr == ""
    (run,) = results.read(folder / "r.jsonl")
    return {result.case: result for result in run.results}


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """The results by case of the implementation that does nothing of the kind."""
    folder = tmp_path_factory.mktemp("without")
    return run_of(folder, harmful(folder, "pass"))


def same(one: results.Result, other: results.Result) -> bool:
    return {**vars(one), "seconds": 0} == {**vars(other), "seconds": 0}


@pytest.mark.parametrize(("harm", "verdict", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_recorded_for_its_case_alone(tmp_path, without, harm, verdict, words):
    found = run_of(tmp_path, harmful(tmp_path, harm))
    assert list(found) == list(without)
    assert found[THE_CASE].verdict == verdict
    assert words in found[THE_CASE].message + found[THE_CASE].name
    for case, result in found.items():
        if case != THE_CASE or verdict == "conforms":
            assert same(result, without[case]), case


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells how much memory a process has"
)
def test_eating_memory_is_recorded_for_its_case_alone(tmp_path, without):
    """More than its share of the machine's memory: what is told of that is made small here."""
    plug_in(
        tmp_path,
        "from conformance import environment, workers\n"
        "workers.memory_available = lambda: 0.6 * 2**30\n"
        "from conformance.cli import main\nraise SystemExit(main())\n",
        "small.py",
    )
    spec = harmful(tmp_path, "eaten = [bytearray(b'x' * 2**25) for _ in range(200)]; time.sleep(9)")
    call = ["run", "--impl", spec, "--case", SOME_CASES, "--out", "r.jsonl", "-n", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    subprocess.run(
        [sys.executable, "small.py", *call], cwd=tmp_path, env=environment, check=False, timeout=60
    )
    (run,) = results.read(tmp_path / "r.jsonl")
    for result in run.results:
        if result.case == THE_CASE:
            assert result.verdict == "crashed"
            assert "GiB of memory" in result.message
        else:
            assert same(result, without[result.case])


SETTINGS = {
    "torch": (
        "torch.set_default_dtype(torch.float64); torch.set_num_threads(1);"
        "torch.set_grad_enabled(False)",
        "torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()",
    ),
    "jax": (
        "jax.config.update('jax_enable_x64', True)",
        "jax.config.jax_enable_x64",
    ),
    "tensorflow": (
        "tensorflow.config.run_functions_eagerly(True)",
        "tensorflow.config.functions_run_eagerly()",
    ),
}
TELLS = """
import os
import numpy as np
import {module}


def batch_norm(Z, gamma, beta, epsilon):
    open("seen", "a").write(repr(({state})) + "\\n")
    if len(Z) == 6 and Z.shape[1] == 3:
        {change}
        os.environ["{name}_SETTING"] = "odd"
    inside = [array.astype(np.float64) for array in (Z, gamma, beta)]
    z, gamma, beta = inside
    return (gamma * (z - z.mean(0)) / np.sqrt(z.var(0) + epsilon) + beta).astype(Z.dtype)
"""


@pytest.mark.parametrize("module", SETTINGS)
def test_a_framework_s_settings_are_put_back(tmp_path, module):
    if find_spec(module) is None:
        pytest.skip(f"needs {module}")
    change, state = SETTINGS[module]
    state = f"{state}, os.environ.get('{module.upper()}_SETTING')"
    text = TELLS.format(module=module, change=change, state=state, name=module.upper())
    call = ("run", "--impl", plug_in(tmp_path, text) + ":batch_norm", "--case", SOME_CASES)
    process = start(*call, cwd=tmp_path)
    with swept(process):
        assert process.wait(timeout=120) == 0
    seen = (tmp_path / "seen").read_text().splitlines()
    assert len(seen) == 5
    assert len(set(seen)) == 1


# Runs that are killed

SLOW = f"""
import time
import numpy as np


def batch_norm(Z, gamma, beta, epsilon):
    {CALLED}
    time.sleep(0.15)
    z, gamma, beta = (array.astype(np.float64) for array in (Z, gamma, beta))
    return (gamma * (z - z.mean(0)) / np.sqrt(z.var(0) + epsilon) + beta).astype(Z.dtype)
"""


def lines_but_for_seconds(path: Path) -> list[dict]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{**line, "seconds": 0} if line["kind"] == "result" else line for line in lines]


@pytest.mark.parametrize("calls", [0, 1, 6, 12])
def test_a_killed_run_is_read_and_resumed_to_the_same_file(tmp_path, calls):
    spec = plug_in(tmp_path, SLOW) + ":batch_norm"
    call = ("run", "--impl", spec, "--case", "typical/train-*", "--timeout", "30")
    whole = bnconf(*call, "--out", "whole.jsonl", cwd=tmp_path)
    assert whole.returncode == 0
    (tmp_path / "calls").unlink()

    process = start(*call, "--out", "r.jsonl", cwd=tmp_path)
    with swept(process):
        if calls:
            wait_for(tmp_path / "calls", calls)
        else:
            wait_for(tmp_path / "r.jsonl", 1)
        process.kill()
        process.wait()
    left = results.read_unfinished(tmp_path / "r.jsonl")
    assert max(calls - 2, 0) <= len(left.results) <= calls + 2

    before = (tmp_path / "calls").stat().st_size if calls else 0
    again = bnconf("run", "--resume", "r.jsonl", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.replace("r.jsonl", "whole.jsonl") == whole.stdout
    assert lines_but_for_seconds(tmp_path / "r.jsonl") == lines_but_for_seconds(
        tmp_path / "whole.jsonl"
    )
    anew = (tmp_path / "calls").stat().st_size - before
    total = sum(
        result.verdict == "conforms" for result in results.read(tmp_path / "r.jsonl")[0].results
    )
    assert anew == total - sum(result.verdict == "conforms" for result in left.results)


def test_a_run_killed_twice_is_resumed_twice(tmp_path):
    spec = plug_in(tmp_path, SLOW) + ":batch_norm"
    call = ("run", "--impl", spec, "--case", "typical/train-*")
    arguments = (*call, "--out", "r.jsonl")
    for calls in (3, 8):
        process = start(*arguments, cwd=tmp_path)
        with swept(process):
            wait_for(tmp_path / "calls", calls)
            process.kill()
            process.wait()
        arguments = ("run", "--resume", "r.jsonl")
    assert bnconf(*arguments, cwd=tmp_path).returncode == 0
    results.read(tmp_path / "r.jsonl")


def test_a_worker_that_hangs_in_c_does_not_outlive_a_killed_run(tmp_path):
    harm = f"{CALLED}; ctypes.PyDLL(None).sleep(600)"
    spec = harmful(tmp_path, harm)
    process = start("run", "--impl", spec, "--case", SOME_CASES, cwd=tmp_path)
    wait_for(tmp_path / "calls", 1)
    children = _children(process.pid)
    assert children
    process.kill()
    process.communicate()
    for _ in range(50):
        if not any(Path(f"/proc/{child}").exists() for child in children):
            return
        time.sleep(0.1)
    for child in children:
        os.kill(child, signal.SIGKILL)
    raise AssertionError("a worker outlived the run")


def _children(process: int) -> list[int]:
    if sys.platform != "linux":
        pytest.skip("only Linux ends a process with its parent")
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_a_file_that_cannot_be_resumed_is_refused_in_one_line(tmp_path):
    spec = plug_in(tmp_path, SLOW) + ":batch_norm"
    call = ("run", "--impl", spec, "--case", "typical/train-float32-NC-16x5", "--out", "r.jsonl")
    assert bnconf(*call, cwd=tmp_path).returncode == 0
    whole = (tmp_path / "r.jsonl").read_text()
    header, *rest = whole.splitlines()
    changes = {
        "packages was": {"packages": {"numpy": "1.0"}},
        "cases was": {"cases": "0" * 64},
        "python was": {"python": "3.9.0"},
    }
    for words, change in changes.items():
        (tmp_path / "r.jsonl").write_text(
            "\n".join([json.dumps({**json.loads(header), **change}), *rest]) + "\n"
        )
        answer = bnconf("run", "--resume", "r.jsonl", cwd=tmp_path)
        assert answer.returncode == 2
        assert words in one_line(answer.stderr)
    for text in ("", "\n", "{}", header[:40], "[" * 100_000, "\x00" * 10):
        (tmp_path / "r.jsonl").write_text(text)
        answer = bnconf("run", "--resume", "r.jsonl", cwd=tmp_path)
        assert answer.returncode == 2
        assert "r.jsonl" in one_line(answer.stderr)
        assert (tmp_path / "r.jsonl").read_text() == text


def test_a_complete_file_is_resumed_without_doing_anything(tmp_path):
    spec = plug_in(tmp_path, SLOW) + ":batch_norm"
    call = ("run", "--impl", spec, "--case", "typical/train-float32-NC-16x5", "--out", "r.jsonl")
    first = bnconf(*call, cwd=tmp_path)
    before, calls = (tmp_path / "r.jsonl").read_bytes(), (tmp_path / "calls").read_bytes()
    again = bnconf("run", "--resume", "r.jsonl", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert (tmp_path / "r.jsonl").read_bytes() == before
    assert (tmp_path / "calls").read_bytes() == calls
