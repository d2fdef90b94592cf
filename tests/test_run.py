"""The command line as a whole: plug-ins that are right, wrong, broken and dangerous."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from conformance import results
from conformance.deviations import RECORD

ROOT = Path(__file__).resolve().parent.parent

REFERENCE = """
import numpy as np


def batch_norm(Z, gamma, beta, epsilon):
    inside = (array.astype(np.float64) for array in (Z, gamma, beta))
    X, gamma, beta = inside
    mean = np.mean(X, axis=0, keepdims=True)
    var = np.var(X, axis=0, keepdims=True)
    return (gamma * (X - mean) / np.sqrt(var + epsilon) + beta).astype(Z.dtype)
"""

# Does HARM on the third of the five cases that SOME_CASES matches, and not before.
HARMFUL = """
import ctypes, os, signal, sys, time
import numpy as np


class Mine:
    name = "NAME"
    framework = "FRAMEWORK"
    channel_axis = -1

    def train(self, x, gamma, beta, epsilon):
        if x.shape == (6, 3):
            HARM
        X = x.astype(np.float64)
        y = gamma * (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + epsilon) + beta
        return y.astype(x.dtype)
"""
SOME_CASES = "channels/train-NC-?-channels"
THE_CASE = "channels/train-NC-3-channels"
ONE_CASE = "tiny-batches/train-float32-3-by-rows"

HOLD_THE_INTERPRETER = "ctypes.PyDLL(None).sleep(600)"

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "conformance", *map(str, arguments)]


def start(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.Popen:
    """The program, started in a process group of its own."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def bnconf(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """The program's answer; it must come within a minute and leave no process behind."""
    process = start(*arguments, cwd=cwd, **environment)
    with swept(process):
        out, error = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


@contextmanager
def swept(process: subprocess.Popen) -> Iterator[None]:
    """End whatever is left of its process group afterwards, and fail if there was anything."""
    try:
        yield
    finally:
        left = not is_gone(process.pid)
        if left:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert not left, "a process was left behind"


def is_gone(group: int) -> bool:
    """Whether no process of the group is left, after a moment's patience."""
    for _ in range(20):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def plug_in(folder: Path, text: str, file: str = "mine.py") -> str:
    """Write a plug-in; the path of its file."""
    (folder / file).write_text(text, encoding="utf-8")
    return str(folder / file)


def harmful(folder: Path, harm: str, name: str = "mine", framework: str = "numpy") -> str:
    """Write a plug-in that does harm; how it is named in a call."""
    text = HARMFUL.replace("NAME", name).replace("FRAMEWORK", framework).replace("HARM", harm)
    return plug_in(folder, text, f"{name}.py") + ":Mine"


def seen(out: Path) -> dict[tuple[str, str], str]:
    """The verdicts in a results file with a footer, by implementation and case."""
    (run,) = results.read(out)
    return {(r.implementation, r.case): r.verdict for r in run.results}


def one_line(text: str) -> str:
    assert "Traceback" not in text
    assert len(text.splitlines()) == 1, text
    return text


# Verdicts


def test_the_reference_as_a_plain_function_is_green_on_all_cases(tmp_path):
    spec = plug_in(tmp_path, REFERENCE) + ":batch_norm"
    answer = bnconf("run", "--impl", spec, "--out", "r.jsonl", cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "all as recorded" in answer.stdout
    verdicts = seen(tmp_path / "r.jsonl")
    assert len(verdicts) >= 200
    assert all(
        (verdict == "unsupported") != ("/train-" in case) for (_, case), verdict in verdicts.items()
    )
    assert not list(tmp_path.glob("r.jsonl?*"))


@pytest.fixture(scope="module")
def epsilon_outside(tmp_path_factory):
    """A run of the reference with epsilon moved outside the root: folder, answer, results."""
    folder = tmp_path_factory.mktemp("outside")
    mistaken = REFERENCE.replace("np.sqrt(var + epsilon)", "(np.sqrt(var) + epsilon)")
    assert mistaken != REFERENCE
    spec = plug_in(folder, mistaken) + ":batch_norm"
    answer = bnconf("run", "--impl", spec, "--out", "r.jsonl", cwd=folder)
    (run,) = results.read(folder / "r.jsonl")
    return folder, answer, run.results


def test_epsilon_outside_the_root_is_found_by_name(epsilon_outside):
    _, answer, found = epsilon_outside
    assert (answer.returncode, answer.stderr) == (1, "")
    accepted = ("conforms", "policy", "unsupported")
    wrong = {r.case: f"{r.verdict}, {r.name}" for r in found if r.verdict not in accepted}
    assert len(wrong) > 80
    assert {k: v for k, v in wrong.items() if v != "wrong, epsilon-outside-sqrt"} == {}


def test_a_failure_prints_the_line_that_repeats_it_alone(epsilon_outside):
    folder, answer, found = epsilon_outside
    failures = [line for line in answer.stdout.splitlines() if line.startswith("FAIL ")]
    assert len(failures) == sum(r.verdict in ("wrong", "inaccurate") for r in found)
    program, *arguments = shlex.split(failures[0].partition("; repeat: ")[2])
    assert program == "bnconf"
    again = bnconf(*arguments, cwd=folder)
    assert again.returncode == 1
    assert again.stdout.splitlines()[0] == failures[0]


def test_a_class_that_offers_only_inference_is_green(tmp_path):
    text = """
import numpy as np


class Mine:
    def infer(self, x, mean, var, gamma, beta, epsilon):
        column = (-1,) + (1,) * (x.ndim - 2)
        X, *others = (array.astype(np.float64) for array in (x, mean, var, gamma, beta))
        mean, var, gamma, beta = (array.reshape(column) for array in others)
        return (gamma * (X - mean) / np.sqrt(var + epsilon) + beta).astype(x.dtype)
"""
    spec = plug_in(tmp_path, text) + ":Mine"
    globs = ("--case", "typical/*", "--case", "tiny-batches/*")
    answer = bnconf("run", "--impl", spec, *globs, "--out", "r.jsonl", cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    for (_, case), verdict in seen(tmp_path / "r.jsonl").items():
        assert verdict == ("conforms" if "/infer-" in case else "unsupported"), case


def test_relative_paths_are_those_of_the_caller(tmp_path):
    plug_in(tmp_path, REFERENCE)
    call = ("--impl", "mine.py:batch_norm", "--case", ONE_CASE, "--out", "new/folder/r.jsonl")
    assert bnconf("run", *call, cwd=tmp_path).returncode == 0
    assert list(seen(tmp_path / "new/folder/r.jsonl").values()) == ["conforms"]


UNUSUAL_PLUG_INS = {
    "a dataclass": f"""
from __future__ import annotations
from dataclasses import dataclass
{REFERENCE}

@dataclass
class Mine:
    inside: str = "float64"

    def train(self, *arguments):
        return batch_norm(*arguments)
""",
    "prints": f"print('imported')\n{REFERENCE}\nMine = batch_norm\n",
    "prints at exit": f"import atexit\natexit.register(print, 'bye')\n{REFERENCE}\nMine = batch_norm",
    "imports its neighbour": "from neighbour import batch_norm as Mine\n",
}


@pytest.mark.parametrize("text", UNUSUAL_PLUG_INS.values(), ids=list(UNUSUAL_PLUG_INS))
def test_a_plug_in_may_do_what_any_module_may(tmp_path, text):
    plug_in(tmp_path, REFERENCE, "neighbour.py")
    spec = plug_in(tmp_path, text) + ":Mine"
    answer = bnconf("run", "--impl", spec, "--case", ONE_CASE, cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_settings_of_the_project_it_is_started_in_do_not_matter(tmp_path):
    spec = plug_in(tmp_path, REFERENCE) + ":batch_norm"
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError\n")
    call = ("run", "--impl", spec, "--case", ONE_CASE)
    for settings in ({}, {"PYTEST_ADDOPTS": "--no-such-option", "PYTEST_PLUGINS": "nothing"}):
        answer = bnconf(*call, cwd=tmp_path, **settings)
        assert (answer.returncode, answer.stderr) == (0, "")


# Implementations that end or hang their process


HARM = {
    "segfault": ("ctypes.string_at(0)", "crashed"),
    "exit": ("os._exit(3)", "crashed"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "crashed"),
    "hang": ("while True: pass", "timeout"),
    "hang in C": (HOLD_THE_INTERPRETER, "timeout"),
    "sys.exit": ("sys.exit('no')", "wrong"),
    "interrupt": ("raise KeyboardInterrupt", "crashed"),
}


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory):
    """The verdicts by case of the plug-in that does no harm."""
    folder = tmp_path_factory.mktemp("unharmed")
    spec = harmful(folder, "pass")
    call = ("run", "--impl", spec, "--case", SOME_CASES, "--out", "r.jsonl", "-n", "1")
    answer = bnconf(*call, cwd=folder)
    assert answer.returncode == 0
    verdicts = {case: verdict for (_, case), verdict in seen(folder / "r.jsonl").items()}
    assert len(verdicts) == 5
    return verdicts


@pytest.mark.parametrize(("harm", "verdict"), HARM.values(), ids=HARM)
def test_harm_stays_with_the_case_that_does_it(tmp_path, unharmed, harm, verdict):
    call = ("--case", SOME_CASES, "--out", "r.jsonl", "--timeout", "2", "-n", "1")
    answer = bnconf("run", "--impl", harmful(tmp_path, harm), *call, cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (1, "")
    expected = {("mine", case): seen for case, seen in (unharmed | {THE_CASE: verdict}).items()}
    assert seen(tmp_path / "r.jsonl") == expected
    assert not list(tmp_path.glob("r.jsonl?*"))


def test_harm_stays_with_the_case_that_does_it_with_two_workers(tmp_path, unharmed):
    plug_ins = [
        ("segfault", "numpy", "ctypes.string_at(0)", "crashed"),
        ("hang", "json", HOLD_THE_INTERPRETER, "timeout"),
    ]
    call, expected = [], {}
    for name, framework, harm, verdict in plug_ins:
        call += ["--impl", harmful(tmp_path, harm, name, framework)]
        own = unharmed | {THE_CASE: verdict}
        expected |= {(name, case): verdict for case, verdict in own.items()}
    call += ["--case", SOME_CASES, "--out", "r.jsonl", "--timeout", "2", "-n", "2"]
    answer = bnconf("run", *call, cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (1, "")
    assert seen(tmp_path / "r.jsonl") == expected


def test_cases_that_hang_one_after_the_other_each_take_the_timeout_alone(tmp_path):
    text = "import time\n\ndef batch_norm(Z, gamma, beta, epsilon):\n    time.sleep(600)\n"
    spec = plug_in(tmp_path, text) + ":batch_norm"
    globs = ("--case", ONE_CASE, "--case", THE_CASE)
    call = ("run", "--impl", spec, *globs, "--timeout", "1", "--out", "r.jsonl")
    process = start(*call, cwd=tmp_path)
    with swept(process):
        assert process.wait(timeout=12) == 1
    assert list(seen(tmp_path / "r.jsonl").values()) == ["timeout", "timeout"]


# Interrupts


CALLED = "open('calls', 'a').write('.')"


def interrupt(folder: Path, *arguments: str, how, calls: int) -> int:
    """Start a run, interrupt it after so many calls of plug-ins; its exit status."""
    process = start("run", *arguments, "--out", "r.jsonl", cwd=folder)
    with swept(process):
        wait_for(folder / "calls", calls)
        how(process.pid)
        return process.wait(timeout=30)


def wait_for(path: Path, size: int) -> None:
    for _ in range(200):
        if path.exists() and path.stat().st_size >= size:
            return
        time.sleep(0.1)
    raise TimeoutError(path)


def kept(out: Path) -> list[str]:
    """The verdicts in a results file that has a header and no footer."""
    with pytest.raises(results.MissingFooter):
        results.read(out)
    header, *records = map(json.loads, out.read_text().splitlines())
    assert header["kind"] == "header"
    assert {record["kind"] for record in records} == {"result"}
    return [record["verdict"] for record in records]


INTERRUPTS = {
    "SIGINT": lambda pid: os.kill(pid, signal.SIGINT),
    "SIGTERM": lambda pid: os.kill(pid, signal.SIGTERM),
    "at the terminal": lambda pid: os.killpg(pid, signal.SIGINT),
}


@pytest.mark.parametrize("how", INTERRUPTS.values(), ids=INTERRUPTS)
def test_an_interrupt_keeps_what_was_done_and_leaves_no_process(tmp_path, how):
    slow = f"    {CALLED}\n    __import__('time').sleep(0.4)\n    inside ="
    slow = REFERENCE.replace("    inside =", slow)
    call = ("--impl", plug_in(tmp_path, slow) + ":batch_norm", "--case", "typical/*")
    assert interrupt(tmp_path, *call, how=how, calls=3) == 130
    verdicts = kept(tmp_path / "r.jsonl")
    assert 2 <= len(verdicts) < 26
    assert set(verdicts) == {"conforms"}
    assert not list(tmp_path.glob("r.jsonl?*"))


def test_an_interrupt_ends_workers_that_hang_in_c(tmp_path):
    call = ["--case", SOME_CASES, "-n", "2"]
    harm = f"{CALLED}; {HOLD_THE_INTERPRETER}"
    for name, framework in (("one", "numpy"), ("two", "json")):
        call += ["--impl", harmful(tmp_path, harm, name, framework)]
    assert interrupt(tmp_path, *call, how=INTERRUPTS["SIGINT"], calls=2) == 130
    assert kept(tmp_path / "r.jsonl") == ["conforms"] * 4


def test_an_interrupt_while_a_plug_in_is_imported_leaves_no_process(tmp_path):
    text = f"import time\n{CALLED}\ntime.sleep(600)\n"
    call = ("run", "--impl", plug_in(tmp_path, text) + ":Mine", "--case", ONE_CASE)
    process = start(*call, cwd=tmp_path)
    with swept(process):
        wait_for(tmp_path / "calls", 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert "Traceback" not in process.stderr.read()


# Bad calls


BROKEN_PLUG_INS = {
    "SyntaxError": ("def batch_norm(:\n", "mine.py:Mine", "cannot be imported: SyntaxError"),
    "ImportError": (
        "import no_such_package\n",
        "mine.py:Mine",
        "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'",
    ),
    "error of two lines": ("raise ValueError('a\\nb')\n", "mine.py:Mine", "ValueError: a;"),
    "error in the constructor": (
        "class Mine:\n    def __init__(self, size): self.train = None\n",
        "mine.py:Mine",
        "cannot be imported: TypeError",
    ),
    "missing name": (REFERENCE, "mine.py:Mine", "mine.py has no 'Mine'"),
    "no operation": ("class Mine: pass\n", "mine.py:Mine", "offers no operation"),
    "operations that are None": (
        "class Mine:\n    train = infer = None\n",
        "mine.py:Mine",
        "offers no operation",
    ),
    "a number": ("Mine = 3\n", "mine.py:Mine", "offers no operation"),
    "segfault": ("import ctypes\nctypes.string_at(0)\n", "mine.py:Mine", "died (exit status -11)"),
    "exit": ("import os\nos._exit(0)\n", "mine.py:Mine", "the process that imports it died"),
    "exit after a number": (
        "import os\nprint(3, flush=True)\nos._exit(0)\n",
        "mine.py:Mine",
        "the process that imports it died",
    ),
    "sys.exit": ("import sys\nsys.exit(3)\n", "mine.py:Mine", "cannot be imported: SystemExit"),
    "name taken": (
        "class Mine:\n    name = 'numpy.batch_norm'\n    def train(self): pass\n",
        "mine.py:Mine",
        "numpy.batch_norm is this package's own",
    ),
    "name of two lines": (
        "class Mine:\n    name = 'a\\nb'\n    def train(self): pass\n",
        "mine.py:Mine",
        "name must be a printable string",
    ),
    "channel_axis": (
        "class Mine:\n    channel_axis = 2\n    def train(self): pass\n",
        "mine.py:Mine",
        "channel_axis must be 1 or -1, not 2",
    ),
    "framework": (
        "class Mine:\n    framework = 3\n    def train(self): pass\n",
        "mine.py:Mine",
        "framework must be",
    ),
    "dtypes": (
        "class Mine:\n    dtypes = None\n    def train(self): pass\n",
        "mine.py:Mine",
        "dtypes must be",
    ),
    "ranks": (
        "class Mine:\n    ranks = 2\n    def train(self): pass\n",
        "mine.py:Mine",
        "ranks must be",
    ),
    "missing file": ("", "yours.py:Mine", "there is no file yours.py"),
    "missing module": ("", "no_such_package:Mine", "No module named 'no_such_package'"),
    "unknown name": (
        "",
        "nobody",
        "--impl nobody: no such implementation; known: numpy.batch_norm",
    ),
}

BAD_CALLS = {
    "glob without a match": (("--case", "nothing/*"), "--case nothing/*: matches no case"),
    "no GPU for NumPy": (("--device", "cuda"), "runs on cpu, not on cuda"),
    "folder without cases": (("--cases", "."), "no case files"),
    "missing record": (("--deviations", "missing.toml"), "missing.toml: cannot be read"),
    "no name": (("--impl", ""), "--impl"),
}


def assert_refused(folder: Path, *arguments: str) -> str:
    """The one line of a call that is refused, and leaves the results file as it was."""
    out = folder / "r.jsonl"
    out.write_text("what was there before\n")
    before = sorted(folder.rglob("*"))
    answer = bnconf("run", *arguments, "--out", out, cwd=folder)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert answer.stdout == ""
    assert out.read_text() == "what was there before\n"
    assert sorted(path for path in folder.rglob("*") if "__pycache__" not in str(path)) == before
    line = one_line(answer.stderr)
    assert line.startswith("bnconf: ")
    return line


@pytest.mark.parametrize(
    ("text", "spec", "words"), BROKEN_PLUG_INS.values(), ids=list(BROKEN_PLUG_INS)
)
def test_a_broken_plug_in_is_refused_in_one_line(tmp_path, text, spec, words):
    plug_in(tmp_path, text)
    line = assert_refused(tmp_path, "--impl", spec, "--case", ONE_CASE)
    assert words in line
    assert spec in line


@pytest.mark.parametrize(("arguments", "words"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_bad_call_is_refused_in_one_line(tmp_path, arguments, words):
    line = assert_refused(tmp_path, "--impl", "numpy.batch_norm", "--case", ONE_CASE, *arguments)
    assert words in line


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU")
def test_no_gpu_for_a_framework_is_refused_in_one_line(tmp_path):
    line = assert_refused(tmp_path, "--impl", "torch", "--case", ONE_CASE, "--device", "cuda")
    assert "finds no CUDA device; use --device cpu" in line


def test_two_plug_ins_of_one_name_are_refused(tmp_path):
    specs = [harmful(tmp_path, "pass"), plug_in(tmp_path, "from mine import Mine\n", "b.py")]
    line = assert_refused(tmp_path, "--impl", specs[0], "--impl", f"{specs[1]}:Mine")
    assert "are both named mine" in line


@pytest.mark.parametrize(
    "option", [("-n", "0"), ("-n", "two"), ("--timeout", "0"), ("--timeout", "nan"), ("--out", "")]
)
def test_an_option_without_a_sensible_value_is_refused(tmp_path, option):
    answer = bnconf("run", "--impl", "numpy.batch_norm", "--case", ONE_CASE, *option, cwd=tmp_path)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("out", ["file/r.jsonl", "folder", ".", ".."])
def test_results_that_cannot_be_written_are_refused_in_one_line(tmp_path, out):
    cwd = tmp_path / "cwd"
    (cwd / "folder").mkdir(parents=True)
    (cwd / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    call = ("run", "--impl", "numpy.batch_norm", "--case", ONE_CASE, "--out", out)
    answer = bnconf(*call, cwd=cwd)
    assert answer.returncode == 2
    assert f"--out {out}: cannot be written" in one_line(answer.stderr)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_in_one_line(tmp_path):
    (tmp_path / "r.jsonl").symlink_to("/dev/full")
    call = ("run", "--impl", "numpy.batch_norm", "--case", ONE_CASE, "--out", "r.jsonl")
    answer = bnconf(*call, cwd=tmp_path)
    assert answer.returncode == 2
    assert "r.jsonl: cannot be written: No space left" in one_line(answer.stderr)


# The record of deviations

RECORDED_CASE = "zero-variance/infer-float32-epsilon-0"


def run_on_record(folder: Path, text: str) -> subprocess.CompletedProcess:
    """Run a case that deviates as the record says, with `text` as the record."""
    (folder / "record.toml").write_text(text, encoding="utf-8")
    call = ("run", "--impl", "numpy.batch_norm", "--case", RECORDED_CASE)
    return bnconf(*call, "--deviations", "record.toml", cwd=folder)


def record_less_one() -> str:
    """The text of the record without the entry that covers the case."""
    entries = RECORD.read_text(encoding="utf-8").split("[[deviation]]")
    glob = RECORDED_CASE.replace("float32", "*")
    one = [e for e in entries if f'case = "{glob}"\n' in e and 'implementation = "*"' in e]
    assert len(one) == 1
    return "[[deviation]]".join(entry for entry in entries if entry is not one[0])


def test_a_run_on_the_whole_record_is_green(tmp_path):
    answer = run_on_record(tmp_path, RECORD.read_text(encoding="utf-8"))
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_deviation_that_is_not_on_record_turns_the_run_red(tmp_path):
    answer = run_on_record(tmp_path, record_less_one())
    assert (answer.returncode, answer.stderr) == (1, "")
    assert answer.stdout.startswith(f"FAIL {RECORDED_CASE} on numpy.batch_norm: policy, nan")
    assert "on record: conforms" in answer.stdout


def test_the_line_that_repeats_a_failure_names_the_record_too(tmp_path):
    answer = run_on_record(tmp_path, record_less_one())
    failure = answer.stdout.splitlines()[0]
    _, *arguments = shlex.split(failure.partition("; repeat: ")[2])
    assert bnconf(*arguments, cwd=tmp_path).stdout.splitlines()[0] == failure


def test_an_entry_that_matches_nothing_turns_the_run_red(tmp_path):
    entry = f"""
[[deviation]]
implementation = "nobody"
case = "{RECORDED_CASE}"
verdict = "wrong"
name = "odd"
reason = "Nobody is hurt."
"""
    answer = run_on_record(tmp_path, RECORD.read_text(encoding="utf-8") + entry)
    assert (answer.returncode, answer.stderr) == (1, "")
    assert answer.stdout.startswith("STALE deviation ")
    assert "(nobody; " in answer.stdout


@pytest.mark.parametrize("borderline", ["false", "true"])
def test_an_entry_that_no_longer_happens_turns_the_run_red(tmp_path, borderline):
    entry = f"""
[[deviation]]
implementation = "numpy.batch_norm"
case = "{ONE_CASE}"
verdict = "wrong"
name = "odd"
reason = "It was mended."
borderline = {borderline}
"""
    (tmp_path / "record.toml").write_text(entry + RECORD.read_text(encoding="utf-8"), "utf-8")
    call = ("run", "--impl", "numpy.batch_norm", "--case", ONE_CASE)
    answer = bnconf(*call, "--deviations", "record.toml", cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (1, "")
    assert answer.stdout.startswith("STALE " if borderline == "true" else "FAIL ")
