"""A run on another device, as far as a machine without one can tell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import environment, report, results
from conformance.cases import cases_folder
from conformance.deviations import RECORD
from conformance.errors import UserError
from conformance.run import choose

ROOT = Path(__file__).resolve().parent.parent
NVIDIA_SMI = "#!/bin/sh\necho 'NVIDIA H200, 580.65.06'\n"
ON_BOTH = """
import numpy as np

class Mine:
    name = "mine"
    framework = "numpy"
    devices = ("cpu", "cuda")

    def start(self):
        assert self.device == "DEVICE"

    def train(self, x, gamma, beta, epsilon):
        shape, axes = (1, -1) + (1,) * (x.ndim - 2), (0, *range(2, x.ndim))
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        return gamma.reshape(shape) * (x - mean) / np.sqrt(var + epsilon) + beta.reshape(shape)
"""


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    """A machine that says it has a GPU."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(NVIDIA_SMI)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
    return tmp_path


def run_on(device, folder):
    (folder / f"{device}.py").write_text(ON_BOTH.replace("DEVICE", device))
    out = folder / f"{device}.jsonl"
    command = [sys.executable, "-m", "conformance", "run", "--impl", f"{folder}/{device}.py:Mine"]
    command += ["--device", device, "--case", "typical/train-*", "--out", str(out)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    return out


def test_the_device_is_named_with_its_driver(gpu):
    assert environment.device("cuda") == ("cuda: NVIDIA H200", "580.65.06")


def test_without_the_tool_the_device_is_named_by_its_kind(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment.device("cuda") == ("cuda", None)
    assert environment.device("cpu") == ("cpu", None)


def test_an_implementation_is_told_its_device_and_the_results_of_both_make_one_report(gpu):
    files = [run_on("cpu", gpu), run_on("cuda", gpu)]
    (on_gpu,) = results.read(files[1])
    assert (on_gpu.header.device, on_gpu.header.driver) == ("cuda: NVIDIA H200", "580.65.06")
    out = gpu / "report.md"
    report.write(files, out, cases_folder(), RECORD)
    text = out.read_text()
    assert "| mine | cuda: NVIDIA H200 | 580.65.06 |" in text
    assert "bnconf run --impl mine --device cuda" in text
    first = out.read_bytes()
    report.write(files[::-1], out, cases_folder(), RECORD)
    assert out.read_bytes() == first


def test_what_needs_a_gpu_is_left_out_on_the_cpu_and_refused_by_name():
    chosen, left_out = choose(["numpy", "torch"], "cpu")
    assert "torch.nn.functional.batch_norm-no_cudnn" not in {one.name for one in chosen}
    assert any("runs on cuda, not on cpu" in line for line in left_out)
    with pytest.raises(UserError, match="runs on cuda, not on cpu"):
        choose(["torch.nn.functional.batch_norm-no_cudnn"], "cpu")


def test_an_installed_plug_in_that_is_broken_does_not_keep_the_others_from_running(monkeypatch):
    from conformance.implementations import registry

    monkeypatch.setattr(registry, "is_installed", lambda one: one.framework == "numpy")
    monkeypatch.setattr(registry, "entry_points", lambda: {"no_such_package:Broken": None})
    chosen, left_out = choose([], "cpu")
    assert {one.framework for one in chosen} == {"numpy"}
    assert any("no_such_package:Broken" in line for line in left_out)
    with pytest.raises(UserError, match="no_such_package"):
        choose(["no_such_package:Broken"], "cpu")


def test_a_framework_that_is_not_installed_is_said_to_be_with_the_command_that_brings_it(
    monkeypatch,
):
    from conformance.implementations import registry

    monkeypatch.setattr(registry, "is_installed", lambda one: one.framework == "numpy")
    chosen, left_out = choose([], "cpu")
    assert {one.framework for one in chosen} == {"numpy"}
    assert any(
        "flax.nnx.BatchNorm-stable" in line
        and line.endswith("pip install 'batchnorm-conformance[flax]' brings it")
        for line in left_out
    )
    with pytest.raises(UserError, match="nothing to run on cpu: haiku"):
        choose(["numpy", "haiku"], "cpu")
