"""Implementations in other languages and processes: the one in C, and programs that do harm."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from conformance import results
from conformance.cases import cases_folder, read_family
from conformance.errors import UserError
from conformance.implementations import program, registry
from conformance.implementations.base import Malformed
from conformance.implementations.call import ask
from conformance.implementations.program import Program
from conformance.judge import judge
from conformance.precision import PRECISIONS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
COMPILER = shutil.which("cc")
PYTHON = shlex.join([sys.executable, "-I", "-S"])
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

FOUR = [f"channels/train-NC-{count}-channels" for count in (1, 2, 3, 5)]
THIRD = FOUR[2]


@pytest.fixture(scope="session")
def cases():
    families = ("channels", "conventions", "dtypes", "large-batch", "reject", "running-statistics")
    read = [case for name in families for case in read_family(cases_folder() / f"{name}.json")]
    return {case.id: case for case in read}


def spec_of(harm: str, log: Path | None = None) -> str:
    arguments = [str(HERE / "exec" / "child.py"), harm, *([str(log)] if log else [])]
    return f"exec:{PYTHON} {shlex.join(arguments)}"


@contextmanager
def loaded(spec: str) -> Iterator[Program]:
    implementation = registry.load(spec)
    assert isinstance(implementation, Program)
    try:
        yield implementation
    finally:
        implementation.close()


def judged(implementation, case):
    return judge(case.question, ask(implementation, case))


def script(folder: Path, text: str) -> str:
    (folder / "program.py").write_text(text, encoding="utf-8")
    return f"exec:{PYTHON} {shlex.quote(str(folder / 'program.py'))}"


def bnconf(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "conformance", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=180, check=False
    )


def becomes(condition: Callable[[], bool]) -> bool:
    """Whether it holds within half a minute."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_gone(process: int) -> bool:
    """Whether the process has ended, be it that nobody has asked for its status yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return True
        return not subprocess.run(
            ["ps", "-p", str(process)], capture_output=True, check=False
        ).stdout
    return state == "Z"


# The example in C


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Callable[..., Path]:
    if COMPILER is None:
        pytest.skip("there is no C compiler here")
    folder = tmp_path_factory.mktemp("compiled")

    def compile_(name: str, *flags: str) -> Path:
        command = [COMPILER, "-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", *flags]
        command += ["-o", str(folder / name), str(HERE / "exec" / "batch_norm.c"), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return folder

    return compile_


def test_batch_normalization_in_c_conforms(compiled):
    folder = compiled("batch_norm")
    families = "typical exact gradients inference running-statistics layouts calls reject empty zero-variance scale-ladder"
    globs = [part for family in families.split() for part in ("--case", f"{family}/*")]
    command = ["run", "--impl", "exec:./batch_norm", *globs, "--out", "out.jsonl", "-n", "1"]
    answer = bnconf(*command, cwd=folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (run,) = results.read(folder / "out.jsonl")
    assert run.header.implementations == {"c-two-pass": "c"}
    assert {"conforms", "policy"} == {r.verdict for r in run.results} - {"unsupported"}
    assert {r.message for r in run.results if r.verdict == "unsupported"} <= {
        "does not offer dense",
        "does not offer float16",
        "does not offer bfloat16",
    }
    conforming = [r for r in run.results if r.verdict == "conforms"]
    assert len(conforming) > 300
    rejected = {r.name for r in run.results if r.case.startswith("reject/")}
    assert rejected == {"raises"}


def test_its_twin_that_adds_epsilon_outside_the_root_is_called_so(compiled):
    folder = compiled("twin", "-DEPSILON_OUTSIDE_SQRT")
    command = ["run", "--impl", "exec:./twin", "--case", "epsilon/train-float??-epsilon-0.1"]
    answer = bnconf(*command, "--out", "twin.jsonl", cwd=folder)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    (run,) = results.read(folder / "twin.jsonl")
    assert [(r.verdict, r.name) for r in run.results] == [("wrong", "epsilon-outside-sqrt")] * 2
    assert "repeat: bnconf run --impl exec:./twin --case epsilon/" in answer.stdout


# Programs that do harm: the case pays for it, and no other


MALFORMED = {
    "garbage": "not a line of JSON",
    "a-list": "must be an object",
    "a-number": "must be an object",
    "empty-line": "not a line of JSON",
    "not-utf-8": "not UTF-8",
    "utf-16": "not UTF-8",
    "deep": "not a line of JSON",
    "long-integer": "not a line of JSON",
    "flood-stdout": "a line is longer than",
    "two-lines": "more than one line",
    "two-kinds": "must hold one of outputs, unsupported, error",
    "neither": "must hold one of outputs, unsupported, error",
    "twice": "the key 'id' stands twice",
    "wrong-id": "for id 4, not 3",
    "unknown-output": "gave y, z, not y, mean, var",
    "missing-output": "gave mean, not y, mean, var",
    "wrong-count": "values, shape [6, 3] needs 18",
    "negative-size": "a list of whole numbers",
    "impossible-shape": "no array has the shape",
    "unknown-dtype": "unknown dtype 'object'",
    "no-number": "'one' is not a number",
    "true": "a flat list of numbers",
    "too-large-a-number": "beyond binary64",
    "too-large-an-integer": "beyond binary64",
    "bare-nan": "NaN is not JSON",
    "base64-of-the-wrong-length": "output y: ",
}
OTHERS = {
    "none": ("conforms", "accurate", ""),
    "flood-stderr": ("conforms", "accurate", ""),
    "unsupported": ("unsupported", "unsupported", "not today"),
    "error": ("wrong", "raises", "Refusal: no thank you"),
    "segfault": (
        "crashed",
        "crashed",
        "it ended by SIGSEGV; standard error: about to?[31m read / at 0",
    ),
    "exit": ("crashed", "crashed", "exit status 7"),
    "leave-a-flood": ("crashed", "crashed", "exit status 7; standard error: "),
    "cut-off": ("crashed", "crashed", "exit status 0"),
    "close-stdout": ("crashed", "crashed", "its standard output was closed"),
    "hang": ("timeout", "timeout", "no answer within 0.5 s"),
}
HARMS = {harm: ("wrong", "outputs", why) for harm, why in MALFORMED.items()} | OTHERS


@pytest.mark.parametrize("harm", HARMS)
def test_harm_is_told_by_its_case_alone(harm, cases):
    with loaded(spec_of(harm)) as implementation:
        seen = []
        for name in FOUR:
            implementation.timeout = 0.5 if (harm, name) == ("hang", THIRD) else 60.0
            seen.append(judged(implementation, cases[name]))
    verdict, name, why = HARMS[harm]
    assert [one.verdict for one in seen] == ["conforms", "conforms", verdict, "conforms"], seen[2]
    assert seen[2].name == name
    assert why in seen[2].message


def test_an_answer_that_makes_no_sense_is_no_refusal_of_bad_input(tmp_path, cases):
    greeting = '{"batchnorm-conformance": 1, "operations": ["train"]}'
    spec = script(tmp_path, f"input(); print('{greeting}', flush=True); input(); print('oops')")
    with loaded(spec) as implementation:
        seen = judged(implementation, cases["reject/train-gamma-too-short"])
    assert (seen.verdict, seen.name) == ("wrong", "outputs")


def test_a_line_that_nobody_asked_for_is_told(tmp_path, cases):
    greeting = '{"batchnorm-conformance": 1, "operations": ["train"]}'
    text = f"""
import os, sys, time
input(); print('{greeting}', flush=True)
while not os.path.exists(sys.argv[0] + '.greeted'):
    time.sleep(0.01)
print('hello', flush=True)
open(sys.argv[0] + '.done', 'w').close()
time.sleep(600)
"""
    spec = script(tmp_path, text)
    with loaded(spec) as implementation:
        (tmp_path / "program.py.greeted").touch()
        assert becomes((tmp_path / "program.py.done").exists)
        seen = judged(implementation, cases[THIRD])
    assert (seen.verdict, seen.name) == ("wrong", "outputs")
    assert seen.message == "a line was written that nothing had asked for"


def test_a_program_that_ends_between_two_answers_has_crashed_in_the_second(tmp_path, cases):
    greeting = '{"batchnorm-conformance": 1, "operations": ["train"]}'
    with loaded(script(tmp_path, f"input(); print('{greeting}')")) as implementation:
        seen = judged(implementation, cases[THIRD])
    assert (seen.verdict, seen.message) == ("crashed", "exit status 0")


def test_a_crash_in_a_run_leaves_the_other_results_as_they_are(tmp_path):
    well, ill = spec_of("none"), spec_of("segfault")
    command = ["run", "--impl", well, "--impl", ill, "--case", "channels/train-NC-?-channels"]
    answer = bnconf(*command, "--out", "out.jsonl", cwd=tmp_path)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "SIGSEGV" in answer.stdout
    (run,) = results.read(tmp_path / "out.jsonl")
    disturbed, undisturbed = (
        {r.case: (r.verdict, r.outputs) for r in run.results if spec.endswith(r.implementation)}
        for spec in (ill, well)
    )
    assert disturbed.pop(THIRD) == ("crashed", {})
    assert undisturbed.pop(THIRD)[0] == "conforms"
    assert len(disturbed) == 4
    assert disturbed == undisturbed


# Nothing outlives the one who started it


def test_what_hangs_ends_with_all_that_it_started(tmp_path, cases):
    log = tmp_path / "log"
    with loaded(spec_of("hang-with-a-child", log)) as implementation:
        for name in FOUR[:3]:
            implementation.timeout = 1.0 if name == THIRD else 60.0
            verdict = judged(implementation, cases[name]).verdict
    assert verdict == "timeout"
    processes = [int(line) for line in log.read_text().splitlines() if line.isdigit()]
    assert len(processes) == 2
    assert becomes(lambda: all(map(is_gone, processes)))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_with_the_one_who_started_it(how, tmp_path):
    log = tmp_path / "log"
    text = f"""
from conformance.implementations import registry
program = registry.load({spec_of("hang-with-a-child", log)!r})
import numpy as np
one = np.ones(2)
while True:
    program.train(np.ones((3, 2)), one, one, 1.0)
"""
    starter = subprocess.Popen([sys.executable, "-c", text], env=ENVIRONMENT, process_group=0)

    def processes() -> list[int]:
        lines = log.read_text().splitlines() if log.exists() else []
        return [int(line) for line in lines if line.isdigit()]

    try:
        assert becomes(lambda: len(processes()) == 2)
        assert not any(map(is_gone, processes()))
    finally:
        os.killpg(starter.pid, how)
        starter.wait()
    assert becomes(lambda: all(map(is_gone, processes())))


def test_a_program_may_end_by_itself_when_its_input_is_closed(tmp_path):
    greeting = '{"batchnorm-conformance": 1, "operations": ["train"]}'
    text = f"""
import sys
input(); print('{greeting}', flush=True)
sys.stdin.read()
open(sys.argv[0] + '.ended', 'w').close()
"""
    with loaded(script(tmp_path, text)):
        pass
    assert (tmp_path / "program.py.ended").exists()


# What is sent


def test_a_request_holds_the_case_without_its_id_and_expected_values(tmp_path, cases):
    case = cases["running-statistics/update-float32-two-rate-0.1"]
    log = tmp_path / "log"
    with loaded(spec_of("none", log)) as implementation:
        assert judged(implementation, case).verdict == "conforms"
        assert judged(implementation, cases[THIRD]).verdict == "conforms"
    greeting, first, second, third = map(json.loads, log.read_text().splitlines()[1:])
    assert greeting == {"batchnorm-conformance": 1, "device": "cpu"}
    assert set(first) == {"id", "operation", "dtype", "layout", "epsilon", "rate", "inputs"}
    assert [m["rate"] for m in (first, second)] == case.attributes["rates"]
    assert [m["inputs"]["x"]["shape"][0] for m in (first, second)] == case.attributes["batches"]
    assert first["inputs"]["running_mean"] != second["inputs"]["running_mean"]
    x = np.asarray(cases[THIRD].inputs["x"])
    assert third["inputs"]["x"] == {"shape": [6, 3], "values": x.reshape(-1).tolist()}
    assert set(third) == {"id", "operation", "dtype", "layout", "epsilon", "inputs"}
    assert (third["id"], third["layout"], third["dtype"]) == (3, "NC", "float32")


@pytest.mark.parametrize(
    ("axis", "layout", "order"), [(1, "NCHW", (0, 1, 2, 3)), (-1, "NHWC", (0, 2, 3, 1))]
)
def test_tensors_come_in_the_layout_of_the_program(axis, layout, order, tmp_path, cases):
    text = f"""
import json, sys
offer = {{"batchnorm-conformance": 1, "operations": ["train"], "channel_axis": {axis}}}
for line in sys.stdin:
    r = json.loads(line)
    r = {{"id": r["id"], "unsupported": r["layout"] + str(r["inputs"]["x"]["shape"])}} if "id" in r else offer
    print(json.dumps(r), flush=True)
"""
    case = next(c for c in cases.values() if c.operation == "train" and c.layout == "NCHW")
    shape = [case.inputs["x"].shape[axis] for axis in order]
    with loaded(script(tmp_path, text)) as implementation:
        assert judged(implementation, case).message == f"{layout}{shape}"


def test_the_device_is_told_before_the_first_request(tmp_path, cases):
    log = tmp_path / "log"
    with loaded(spec_of("none", log)) as implementation:
        assert list(implementation.devices) == ["cpu", "cuda"]
        implementation.device = "cuda"
        implementation.start()
        assert judged(implementation, cases[THIRD]).verdict == "conforms"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["device"] for line in lines if isinstance(line, dict) and "device" in line] == [
        "cpu",
        "cuda",
    ]


def test_a_large_tensor_goes_in_base64_where_that_is_read(tmp_path, cases):
    case = cases["large-batch/train-float32-rows-70001"]
    log = tmp_path / "log"
    with loaded(spec_of("reads-base64", log)) as implementation:
        assert judged(implementation, case).verdict == "conforms"
        assert judged(implementation, cases[THIRD]).verdict == "conforms"
    large, small = map(json.loads, log.read_text().splitlines()[2:])
    assert set(large["inputs"]["x"]) == {"shape", "base64"}
    assert set(small["inputs"]["x"]) == set(large["inputs"]["gamma"]) == {"shape", "values"}


def test_a_large_tensor_goes_as_its_generator_where_that_is_read(tmp_path, cases):
    case = cases["large-batch/train-float32-length-70001"]
    text = f"""
import base64, json, sys
sys.path[:0] = {sys.path!r}
import numpy as np
from grader import tensor
for line in sys.stdin:
    r = json.loads(line)
    if "id" not in r:
        print('{{"batchnorm-conformance": 1, "operations": ["train"], "reads": ["generator"]}}', flush=True)
        continue
    assert "generator" in r["inputs"]["x"], r["layout"]
    x, gamma, beta = (tensor(r["inputs"][name], r["dtype"]).astype(float) for name in ("x", "gamma", "beta"))
    x = x[0].T
    y = (gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + r["epsilon"]) + beta).T[None].astype("<f4")
    y = {{"shape": y.shape, "base64": base64.b64encode(y.tobytes()).decode()}}
    print(json.dumps({{"id": r["id"], "outputs": {{"y": y}}}}), flush=True)
"""
    text = text.replace(repr(sys.path), repr([str(HERE), *sys.path]))
    with loaded(script(tmp_path, text)) as implementation:
        seen = judged(implementation, case)
    assert seen.verdict == "conforms", seen


def test_what_is_too_large_to_be_written_out_is_unsupported(cases):
    case = cases["large-batch/train-float32-coin-16777216"]
    with loaded(spec_of("none")) as implementation:
        seen = judged(implementation, case)
    assert seen.verdict == "unsupported"
    assert "16777216 numbers" in seen.message


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_a_tensor_comes_back_as_it_went(dtype):
    numbers = [1.5, -0.0, np.nan, np.inf, -np.inf, PRECISIONS[dtype].smallest_subnormal]
    tensor = np.array([numbers, numbers]).astype(PRECISIONS[dtype].dtype)
    record = {"shape": [2, 6], "values": program.to_numbers(tensor.astype(np.float64))}
    assert program._read_tensor(json.loads(json.dumps(record)), dtype, "y").tobytes() == (
        tensor.tobytes()
    )
    large = np.tile(tensor, (6000, 1))
    sender = Program.__new__(Program)
    sender._reads = ("base64",)
    record = sender._written("y", large, dtype)
    assert "base64" in record
    back = program._read_tensor(json.loads(json.dumps(record)), dtype, "y")
    assert back.dtype == large.dtype
    assert back.tobytes() == large.tobytes()


# The greeting


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("exec:", "names no command"),
        ("exec:./a 'b", "No closing quotation"),
        ("exec:./there-is-none", "./there-is-none cannot be started: No such file or directory"),
        ("exec:/", "/ cannot be started: Permission denied"),
        ("exec:false", "exit status 1"),
        (
            f"exec:{PYTHON} -c 'import sys; sys.exit(\"no GPU\")'",
            "exit status 1; standard error: no GPU",
        ),
        ("exec:echo hello", "not a line of JSON"),
        ("exec:echo 1", "the greeting: must be an object"),
        ("exec:echo '{}'", "batchnorm-conformance is missing"),
        ("""exec:echo '{"batchnorm-conformance": 2, "operations": []}'""", "version 2, not 1"),
        ("""exec:echo '{"batchnorm-conformance": 1, "operations": []}'""", "offers no operation"),
        (
            """exec:echo '{"batchnorm-conformance": 1, "operations": ["fly"]}'""",
            "unknown operations 'fly'; known: train, infer, update, grad, grad-infer, dense",
        ),
        (
            """exec:echo '{"batchnorm-conformance": 1, "operations": ["train"], "reads": [{}]}'""",
            "unknown reads {}",
        ),
        (
            """exec:echo '{"batchnorm-conformance": 1, "operations": ["train"], "name": "a\\u0007"}'""",
            "the name must be one line of printable characters",
        ),
        (
            """exec:echo '{"batchnorm-conformance": 1, "operations": ["train"], "channel_axis": 2}'""",
            "channel_axis must be 1 or -1",
        ),
    ],
)
def test_a_greeting_that_will_not_do_is_told_in_one_line(spec, why):
    with pytest.raises(UserError, match=r"^--impl exec:") as caught:
        registry.load(spec)
    assert why in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_bad_command_ends_the_run_with_status_2(tmp_path):
    answer = bnconf("run", "--impl", "exec:./there-is-none", cwd=tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "./there-is-none cannot be started" in answer.stderr


def test_a_program_without_a_name_is_called_by_its_command():
    chosen = registry.describe(spec_of("none"))
    assert chosen.name == spec_of("none").removeprefix("exec:")
    assert (chosen.framework, chosen.built_in) == ("exec", False)
    assert registry.matching(chosen.spec) == []


def test_the_parser_of_answers_refuses_and_does_not_raise_anything_else():
    """Every answer cut off anywhere, and with any one character changed."""
    request = {"id": 1, "operation": "train", "dtype": "float32"}
    line = b'{"id": 1, "outputs": {"y": {"shape": [2, 1], "values": [1.5, "NaN"], "dtype": "float64"}}}'
    assert program._read_answer(request, program._parse(line)).dtype == np.float64
    refused = 0
    changed = [line[:k] for k in range(len(line))]
    changed += [
        line[:k] + bytes([c]) + line[k + 1 :] for k in range(len(line)) for c in b'0-]}",x\xff\x00e'
    ]
    for one in changed:
        try:
            program._read_answer(request, program._parse(one))
        except Malformed:
            refused += 1
    assert refused > len(changed) / 2
