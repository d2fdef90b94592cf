"""What the implementations of the package say of themselves, and where else that is written down."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conformance import Implementation
from conformance.cases import cases_folder, load_cases
from conformance.implementations import registry
from conformance.implementations.call import ask

ROOT = Path(__file__).resolve().parent.parent
BUILT_IN = registry.built_in()
ON_CPU = {c.framework for c in BUILT_IN.values() if "cpu" in c.devices}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def assigned(path, name):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_every_framework_has_a_session():
    assert set(assigned(ROOT / "noxfile.py", "FRAMEWORKS")) == ON_CPU


def test_the_tests_run_formulas_that_exist():
    for selector in assigned(ROOT / "noxfile.py", "FORMULA"):
        assert registry.matching(selector)


@pytest.mark.parametrize("framework", sorted({c.framework for c in BUILT_IN.values()} - {"numpy"}))
def test_every_framework_can_be_installed_by_its_name(framework):
    assert PROJECT["optional-dependencies"][framework]


def test_what_is_tested_has_a_pinned_version():
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    for implementation in BUILT_IN.values():
        if "cpu" in implementation.devices:
            named = implementation.packages or (implementation.framework,)
            assert pinned & {name.lower() for name in named}, implementation.name


@pytest.mark.parametrize("implementation", BUILT_IN.values(), ids=list(BUILT_IN))
def test_an_implementation_says_what_it_offers(implementation):
    assert implementation.name in BUILT_IN
    assert implementation.dtypes
    assert set(implementation.ranks) <= {2, 3, 4, 5}
    assert set(implementation.devices) <= {"cpu", "cuda"}
    assert implementation.channel_axis in (1, -1)
    assert implementation.__module__.startswith("conformance.implementations.")


class Raises(Implementation):
    name = "raises"
    framework = "numpy"

    def __init__(self, message):
        self.message = message

    def train(self, *arguments):
        raise ValueError(self.message)


def test_a_message_tells_no_address_of_the_process():
    (case,) = load_cases(cases_folder(), ["typical/train-float32-NC-16x5"]).values()
    answer = ask(Raises("<function batch_norm at 0x7effc7e3e980> took 0x10 bytes"), case)
    assert answer.raised == "ValueError: <function batch_norm at 0x...> took 0x10 bytes"


@pytest.mark.parametrize("place", [sys.prefix, str(ROOT)])
def test_a_message_tells_no_place_of_the_machine(place):
    (case,) = load_cases(cases_folder(), ["typical/train-float32-NC-16x5"]).values()
    answer = ask(Raises(f"in {place}/lib/layer.py, line 3" + 1000 * "!"), case)
    assert answer.raised.startswith("ValueError: in lib/layer.py, line 3!")
    assert len(answer.raised) < 600


def test_a_message_that_cannot_be_written_is_told_as_far_as_it_can():
    class Unreadable(str):
        def __str__(self):
            raise RuntimeError

    (case,) = load_cases(cases_folder(), ["typical/train-float32-NC-16x5"]).values()
    assert ask(Raises("lone \udc80"), case).raised == "ValueError: lone ?"
    assert ask(Raises(Unreadable()), case).raised == "ValueError: its message cannot be read"


def test_knowing_the_implementations_imports_no_framework():
    modules = sorted({m for c in BUILT_IN.values() for m in (c.modules or (c.framework,))})
    code = (
        "import sys; from conformance.implementations import registry; registry.built_in(); "
        f"print([m for m in {modules} if m in sys.modules and m != 'numpy'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert answer.stdout.strip() == "[]"
