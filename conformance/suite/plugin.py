"""The pytest plugin: one test for every check of a plan, grouped so that a framework has one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.suite.runner import Plan, Runner


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plan", type=Path, help="the plan of a run, written by `bnconf run`")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "xdist_group(name): the framework; one worker imports it")
    config.stash[_RUNNER] = Runner(Plan.read(config.getoption("--plan")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan = metafunc.config.stash[_RUNNER].plan
    groups = {
        framework: pytest.mark.xdist_group(framework) for framework in plan.frameworks.values()
    }
    metafunc.parametrize(
        "check",
        [
            pytest.param((name, case), marks=groups[plan.frameworks[name]], id=f"{name}-{case}")
            for name, case in plan.checks
        ],
    )


@pytest.fixture(scope="session")
def runner(pytestconfig: pytest.Config) -> Runner:
    return pytestconfig.stash[_RUNNER]


_RUNNER = pytest.StashKey[Runner]()
