"""The pytest plugin: one test for every check of a plan, grouped so that a framework has one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.suite.runner import Plan, Runner


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plan", type=Path, help="the plan of a run, written by `bnconf run`")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUNNER] = Runner(Plan.read(config.getoption("--plan")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    checks = metafunc.config.stash[_RUNNER].plan.checks
    metafunc.parametrize("check", checks, ids=["-".join(check) for check in checks])


@pytest.fixture(scope="session")
def runner(pytestconfig: pytest.Config) -> Runner:
    return pytestconfig.stash[_RUNNER]


_RUNNER = pytest.StashKey[Runner]()
