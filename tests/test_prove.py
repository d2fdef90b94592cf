"""bnconf prove, and the smallest set of cases: on kernels and cases made up for it."""

from __future__ import annotations

import itertools
import random
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from conformance import cli, results
from conformance.cases import cases_folder
from conformance.errors import UserError
from conformance.proof import core, prove
from conformance.proof.mutants.kernel import Kernel, mutant
from conformance.proof.prove import Finding, Trial, noticed_by_one_family

FUNCTION = """
import numpy as np


def batch_norm(Z, gamma, beta, epsilon):
    X, gamma, beta = (array.astype(np.float64) for array in (Z, gamma, beta))
    root = np.sqrt(X.var(axis=0, keepdims=True) + epsilon)
    return (gamma * (X - X.mean(axis=0, keepdims=True)) / root + beta).astype(Z.dtype)
"""
FAMILIES = ("epsilon", "tiny-batches")


def named(name, kernel, **attributes):
    return type(name, (kernel,), {"name": name, **attributes})


IGNORED = mutant("ignored", "epsilon-ignored", root=lambda var, epsilon: np.sqrt(var))
MISNAMED = named("misnamed", IGNORED, due="folded")
HARMLESS = named("harmless", Kernel)
RIGHT = named("right", Kernel, verdicts=frozenset())
ACCUSED = named("accused", IGNORED, verdicts=frozenset())


@pytest.fixture
def folder(tmp_path):
    for family in FAMILIES:
        shutil.copy(cases_folder() / f"{family}.json", tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Runs the command on these kernels alone: exit status and what was printed."""

    def call(*kernels, options=()):
        monkeypatch.setattr(prove, "KERNELS", {kernel.name: kernel for kernel in kernels})
        status = cli.main(["prove", "--cases", str(folder), "-n", "1", *options])
        return status, capsys.readouterr()

    return call


def test_each_kernel_has_a_line_and_all_have_a_summary(run):
    status, printed = run(RIGHT, IGNORED)
    first, second, *rest = printed.out.splitlines()
    assert status == 0
    assert first == "right: not accused"
    assert second.startswith("mutant-ignored: epsilon/")
    assert "wrong epsilon-ignored; noticed by" in second
    assert "mutants noticed: 1 of 1" in rest
    assert "right kernels accused: 0 of 1" in rest


@pytest.mark.parametrize(
    ("kernel", "line"),
    [
        (HARMLESS, "harmless: NOT NOTICED"),
        (MISNAMED, "misnamed: NOT NOTICED under the name folded"),
    ],
)
def test_a_mutant_that_survives_fails(run, kernel, line):
    status, printed = run(RIGHT, kernel)
    assert status == 1
    assert line in printed.out.splitlines()
    assert "mutants noticed: 0 of 1" in printed.out


def test_an_accused_right_kernel_fails(run):
    status, printed = run(ACCUSED, IGNORED)
    assert status == 1
    assert "accused: ACCUSED by epsilon/" in printed.out
    assert "right kernels accused: 1 of 1" in printed.out


def test_an_algorithm_under_another_name_fails(run):
    other = named("other", IGNORED, due="epsilon-ignored", only=True, root=lambda v, e: v + e)
    status, printed = run(other)
    assert status == 1
    assert "named algorithms accused of anything else: other" in printed.out


@pytest.mark.parametrize(
    ("declines", "stray"), [((), True), (("one-value-per-channel",), False), (("empty",), True)]
)
def test_a_right_kernel_declines_what_it_declares_and_nothing_else(folder, declines, stray):
    def train(self, x, *others):
        if x.size == x.shape[-1]:
            raise ValueError("one value")
        return Kernel.train(self, x, *others)

    kernel = named("declines", RIGHT, train=train, declines=frozenset(declines))
    found = prove.Prover(prove.load_cases(folder)).trial(kernel).strays
    assert {finding.name for finding in found} == ({"raises"} if stray else set())


def test_a_right_kernel_is_asked_all_that_it_offers(folder):
    kernel = named("none", RIGHT, train=lambda self, *_: unsupported())
    found = prove.Prover(prove.load_cases(folder)).trial(kernel).strays
    assert {finding.verdict for finding in found} == {"unsupported"}


def unsupported():
    from conformance import Unsupported

    raise Unsupported("not today")


def test_families_that_alone_notice_a_mutant_are_named(run):
    status, printed = run(IGNORED, named("late", IGNORED), options=["--families"])
    assert status == 0
    assert "nothing gets through without any one of:" in printed.out

    trials = [trial("a", "one/x", "two/y"), trial("b", "two/x", "two/y"), trial("c", "two/z")]
    assert noticed_by_one_family(trials) == {"two": ["b", "c"]}


def test_two_processes_find_what_one_does(folder):
    names = ["right-plain-function", "mutant-epsilon-ignored", "mutant-one-value-x"]
    found = list(prove.prove(folder, 2, names))
    assert found == list(prove.prove(folder, 1, names))
    assert [trial.kernel for trial in found] == names
    assert all(trial.passes for trial in found)


def test_without_bfloat16_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr(prove, "HAS_BFLOAT16", False)
    status, printed = run(RIGHT)
    assert status == 2
    assert "pip install 'batchnorm-conformance[proof]'" in printed.err


# The core


def trial(kernel, *cases, due=None):
    return Trial(kernel, due, True, tuple(Finding(case, "wrong", "a") for case in cases), ())


def sized(names, sizes=None):
    """Stands for cases: the core looks at nothing but the size of x."""
    return {
        name: SimpleNamespace(inputs={"x": np.empty((sizes or {}).get(name, 1))}) for name in names
    }


def test_the_core_is_as_small_as_any_set_and_the_first_of_those():
    scipy = pytest.importorskip("scipy")
    assert scipy
    for seed in range(20):
        draw = random.Random(seed)
        names = [f"f/{k}" for k in range(9)]
        sizes = {name: draw.randint(1, 3) for name in names}
        trials = [trial(f"m{k}", *draw.sample(names, draw.randint(1, 4))) for k in range(8)]
        rows = [{finding.case for finding in one.noticed} for one in trials]
        order = sorted(names, key=lambda name: (sizes[name], names.index(name)))
        expected = next(
            chosen
            for count in range(1, 10)
            for chosen in itertools.combinations(order, count)
            if all(row & set(chosen) for row in rows)
        )
        assert core.smallest(trials, sized(names, sizes)) == sorted(expected)


def test_the_core_gives_a_mutant_its_name():
    pytest.importorskip("scipy")
    findings = (Finding("f/0", "wrong", "other"), Finding("f/1", "wrong", "mine"))
    trials = [Trial("m", "mine", True, findings, ())]
    assert core.smallest(trials, sized(["f/0", "f/1"])) == ["f/1"]


def test_there_is_no_core_where_a_mutant_survives():
    with pytest.raises(UserError, match="no set of cases notices m;"):
        core.smallest([trial("m")], sized(["f/0"]))


def test_the_core_is_written_where_all_passes(run, tmp_path, monkeypatch):
    pytest.importorskip("scipy")
    path = tmp_path / "core.txt"
    monkeypatch.setattr(core, "CORE", path)
    assert run(RIGHT, HARMLESS, options=["--core"])[0] == 1
    assert not path.exists()
    assert run(RIGHT, IGNORED, options=["--core"])[0] == 0
    (name,) = core.read()
    assert name.startswith(("epsilon/", "tiny-batches/"))


def test_without_scipy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    with pytest.raises(UserError, match=r"pip install 'batchnorm-conformance\[proof\]'"):
        core.smallest([trial("m", "f/0")], sized(["f/0"]))


def test_a_run_of_the_core_runs_those_cases_and_no_others(tmp_path):
    plugin, out = tmp_path / "mine.py", tmp_path / "results.jsonl"
    plugin.write_text(FUNCTION)
    impl = f"{plugin}:batch_norm"
    assert cli.main(["run", "--impl", impl, "--core", "--out", str(out)]) == 0
    (found,) = results.read(out)
    assert [result.case for result in found.results] == core.read()


def test_the_core_and_globs_exclude_each_other(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--core", "--case", "epsilon/*"])
    assert end.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
