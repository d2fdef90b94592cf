"""Looks for failing cases and shrinks them, in a process of its own: python -m conformance.search.hunt PLAN.

It may hang or die of what an implementation does, so that every case is written down before it is
put, and every failure at once; Hypothesis takes it from there to the smallest failing case.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import IO, Any

import hypothesis
from hypothesis.errors import Flaky, NoSuchExample

from conformance.arithmetic.balls import Uncertain
from conformance.case import Case
from conformance.cases import read_envelope
from conformance.catalogue import build
from conformance.catalogue.draft import Draft, Family
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.implementations.base import Implementation
from conformance.implementations.call import ask
from conformance.judge import CONFORMS, CONVENTION, POLICY, UNSUPPORTED, Judgement, judge
from conformance.operations import OPERATIONS
from conformance.precision import HAS_BFLOAT16
from conformance.search import gradable, right
from conformance.search.strategies import Domain, drafts
from conformance.workers import TIME_TO_START

FAMILY = Family("found", "Cases that `bnconf search` found.", lambda: ())
ASKED, FOUND, DONE, WATCH = "asked.json", "found-{}.json", "done.json", "watch"
"""ASKED is there while an implementation is asked: if it is left, that took the process along."""

TRIES = 200
"""Cases that are tried to shrink a failing one: some 5 s, after which little gets any smaller."""


@dataclass(frozen=True)
class Plan:
    """What to look for, in the implementation that `spec` names or, without one, in the right kernels.

    `passed_over` holds verdicts and names that are not worth a report.
    """

    spec: str | None
    device: str
    operations: tuple[str, ...]
    examples: int
    seed: int
    timeout: float
    passed_over: tuple[tuple[str, str], ...]
    folder: str

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        fields = json.loads(path.read_text(encoding="utf-8"))
        passed_over = tuple((verdict, name) for verdict, name in fields["passed_over"])
        operations = tuple(fields["operations"])
        return cls(**{**fields, "operations": operations, "passed_over": passed_over})

    @cached_property
    def place(self) -> Path:
        return Path(self.folder)


@dataclass(frozen=True)
class Kind:
    """What makes two failures one finding: each kind is shrunk once, on the first that showed it."""

    operation: str
    verdict: str
    name: str


class Hunt:
    """One search: its implementations, what it has found, and how many examples it has tried."""

    def __init__(self, plan: Plan, watch: IO[str]) -> None:
        self.plan, self.watch = plan, watch
        self.implementations = self._started()
        self.domain = domain_of(self.implementations, plan.operations)
        self.found: list[Kind] = []
        self.target: Kind | None = None
        self.failing: Implementation | None = None
        self.left = TRIES
        self.tried = self.rejected = self.not_offered = 0

    def run(self) -> None:
        """One kind of failure after another, until as many examples as planned were tried."""
        while self.tried < self.plan.examples and self._finds_another():
            pass
        self._write(
            DONE,
            {"tried": self.tried, "rejected": self.rejected, "not_offered": self.not_offered},
        )

    def _finds_another(self) -> bool:
        """Whether the examples that are left hold a failure of a kind not found before."""
        self.target = self.failing = None
        self.left = TRIES
        settings = hypothesis.settings(
            max_examples=self.plan.examples - self.tried,
            database=None,
            deadline=None,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        )
        seed = Random(f"{self.plan.seed}/{len(self.found)}")
        # Flaky: it answers one way and then another, or TRIES came to its end. What it last failed
        # on is written down, and is the smallest.
        with contextlib.suppress(NoSuchExample, Flaky):
            hypothesis.find(drafts(self.domain), self.fails, settings=settings, random=seed)
        return self._add_target()

    def _add_target(self) -> bool:
        if self.target is not None:
            self.found.append(self.target)
        return self.target is not None

    def fails(self, draft: Draft) -> bool:
        """Whether an implementation fails on the case: in the way that is being shrunk, if one is."""
        looking = self.target is None
        self.left -= not looking
        if self.left < 0:
            return False
        case = self._certified(draft)
        if case is None:
            self.rejected += looking
            hypothesis.reject()
        self.tried += looking
        return any(self._fails(one, *case) for one in self._asked(case[0]))

    @staticmethod
    def _certified(draft: Draft) -> tuple[Case, dict[str, Any]] | None:
        """The case and its record; None for what proves nothing, or cannot be graded."""
        try:
            record = build.record_of(FAMILY, draft)
        except (build.ProvesNothing, Uncertain):
            return None
        (case,) = read_envelope(build.envelope_of(FAMILY, [record]), FAMILY.name, FAMILY.name)
        return (case, record) if gradable.why_not(case) is None else None

    def _asked(self, case: Case) -> Iterator[Implementation]:
        for one in self.implementations if self.failing is None else [self.failing]:
            if self.plan.spec is not None or right.is_asked(one, case):
                yield one

    def _fails(self, one: Implementation, case: Case, record: dict[str, Any]) -> bool:
        self._write(ASKED, {"implementation": one.name, "record": record})
        faulthandler.dump_traceback_later(self.plan.timeout, exit=True, file=self.watch)
        try:
            answer = ask(one, case)
        finally:
            faulthandler.cancel_dump_traceback_later()
            (self.plan.place / ASKED).unlink()
        judged = judge(case.question, answer)
        self.not_offered += judged.verdict == UNSUPPORTED and self.target is None
        if judged.verdict in (CONFORMS, CONVENTION, POLICY, UNSUPPORTED):
            return False
        kind = Kind(case.operation, judged.verdict, judged.name)
        if kind in self.found or (judged.verdict, judged.name) in self.plan.passed_over:
            return False
        if self.target is None:
            self.target, self.failing = kind, one
        if kind != self.target:
            return False
        failure = _failure(one, kind, judged, record)
        self._write(FOUND.format(len(self.found)), failure)
        return True

    def _write(self, name: str, content: Any) -> None:
        """At once and whole, so that whoever reads it finds the one before or this one."""
        path = self.plan.place / name
        path.with_suffix(".new").write_text(json.dumps(content), encoding="utf-8")
        os.replace(path.with_suffix(".new"), path)

    def _started(self) -> list[Implementation]:
        if self.plan.spec is None:
            return right.kernels()
        implementation = registry.load(self.plan.spec)
        implementation.device = self.plan.device
        implementation.start()
        return [implementation]


def domain_of(implementations: list[Implementation], operations: tuple[str, ...]) -> Domain:
    """What at least one of them offers. Raises UserError where that is no operation at all."""
    offered = [
        name
        for name in operations
        if any(getattr(one, OPERATIONS[name].method) is not None for one in implementations)
    ]
    if not offered:
        raise UserError(f"offers none of {', '.join(operations)}; name another --operation")
    dtypes = ("float32", "float64", "float16", *(["bfloat16"] if HAS_BFLOAT16 else []))
    return Domain(
        tuple(offered),
        tuple(name for name in dtypes if any(name in one.dtypes for one in implementations)),
        tuple(sorted({rank for one in implementations for rank in one.ranks})),
    )


def _failure(
    one: Implementation, kind: Kind, judged: Judgement, record: dict[str, Any]
) -> dict[str, Any]:
    """What is written down of a failure; ratios may be infinite."""
    errors = {name: error.get("ratio", 0.0) for name, error in judged.outputs.items() if error}
    return {
        "implementation": one.name,
        **asdict(kind),
        "ratio": judged.ratio,
        "output": max(errors, key=errors.__getitem__, default=None),
        "message": judged.message,
        "record": record,
    }


def main(path: str) -> int:
    """Exit status 0, or 2 with the reason as the last line of what is printed."""
    plan = Plan.read(Path(path))
    with open(plan.place / WATCH, "w", encoding="utf-8") as watch:
        faulthandler.dump_traceback_later(TIME_TO_START, exit=True, file=watch)
        try:
            hunt = Hunt(plan, watch)
        except (UserError, Exception) as error:
            print(f"could not be started: {' '.join(str(error).split())}")
            return 2
        faulthandler.cancel_dump_traceback_later()
        hunt.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
