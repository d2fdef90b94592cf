"""The one test of the suite: a case on an implementation has the verdict that is on record."""

from __future__ import annotations

import pytest

from conformance.suite.journal import Check
from conformance.suite.runner import Runner


def test_verdict_is_as_recorded(check: Check, runner: Runner) -> None:
    result = runner.run(check)
    if not runner.record.is_as_recorded(*check, result.verdict, result.name):
        expected = runner.record.expected(*check)
        pytest.fail(f"{result.verdict}, {result.name}; on record: {expected}", pytrace=False)
