"""What was gathered as the page's data: names and sentences once, results by number.

Results of a case that are alike (the same explanation, the same errors in three digits) are one
*outcome*; an implementation's answer to the case is the number of its outcome, -1 where it was not asked.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.deviations import Deviation
from conformance.fields import parse
from conformance.judge import VERDICTS
from conformance.operations import OPERATIONS
from conformance.report.explanations import MEANINGS, sentence
from conformance.report.tables import tables
from conformance.results import Result
from conformance.text import one_line

_ERRORS = ("ratio", "abs")


@dataclass
class Numbered:
    """Items in the order of their first appearance, each with its number."""

    numbers: dict[Any, int] = field(default_factory=dict)

    def __call__(self, item: Any) -> int:
        return self.numbers.setdefault(item, len(self.numbers))

    @property
    def items(self) -> list[Any]:
        return list(self.numbers)


@dataclass(frozen=True)
class Encoded:
    """`index` is what the page opens with, `families` what it loads when a case is looked at."""

    index: dict[str, Any]
    families: Mapping[str, dict[str, Any]]


def encode(gathered: Mapping[str, Any]) -> Encoded:
    columns = gathered["columns"]
    answered = [
        {r.case: (r, d) for r, d in zip(c["results"], c["recorded"], strict=True)} for c in columns
    ]
    asked = {case for answers in answered for case in answers}
    cases = [case for case in gathered["cases"].values() if case.id in asked]
    families, operations, dtypes = Numbered(), Numbered(), Numbered()
    for operation in OPERATIONS:
        if any(case.operation == operation for case in cases):
            operations(operation)
    explanations, deviations = Numbered(), Numbered()
    rows, outcomes_of, answers_of = [], [], []
    details: dict[str, dict[str, Any]] = {}
    for case in cases:
        outcomes = Numbered()
        seen: set[tuple[str, str]] = set()
        answers = []
        for by_case in answered:
            if case.id not in by_case:
                answers.append(-1)
                continue
            result, deviation = by_case[case.id]
            seen.add((result.name, result.message))
            explanation = explanations(_explanation(result, deviation, deviations))
            answers.append(outcomes((explanation, *_errors(result))))
        family, _, name = case.id.partition("/")
        rows.append([
            families(family), name, operations(case.operation), dtypes(case.dtype), case.comment
        ])  # fmt: skip
        outcomes_of.append(
            [x for explanation, ratio, _ in outcomes.items for x in (explanation, ratio)]
        )
        answers_of.append(answers)
        details.setdefault(family, {"cases": {}})["cases"][name] = {
            **tables(case, seen),
            "errors": [errors for _, _, errors in outcomes.items],
        }
    envelopes = {family: parse(gathered["folder"] / f"{family}.json") for family in families.items}
    for family, envelope in envelopes.items():
        details[family]["flags"] = {
            flag: [note["effect"], note["links"]] for flag, note in envelope["notes"].items()
        }
    index = {
        "suite": gathered["suite"],
        "verdicts": [[verdict, MEANINGS[verdict]] for verdict in VERDICTS],
        "implementations": [_implementation(column) for column in columns],
        "notRun": [one_line(f"{n['name']} (nox -s {n['session']})") for n in gathered["not_run"]],
        "families": [[family, envelopes[family]["description"]] for family in families.items],
        "operations": operations.items,
        "dtypes": dtypes.items,
        "explanations": explanations.items,
        "deviations": deviations.items,
        "cases": rows,
        "outcomes": outcomes_of,
        "answers": answers_of,
    }
    return Encoded(index, details)


def _explanation(result: Result, deviation: Deviation | None, known: Numbered) -> tuple[Any, ...]:
    """(verdict, name, sentence, number of the entry on record or -1)"""
    number = -1 if deviation is None else known((deviation.reason, deviation.link))
    verdict = VERDICTS.index(result.verdict)
    return (verdict, one_line(result.name), one_line(sentence(result)), number)


def _errors(result: Result) -> tuple[float | None, tuple[Any, ...]]:
    """The ratio, and for each output its name and errors, in three digits so that alike are one."""
    errors = tuple(
        (one_line(output), *(_digits(found.get(error), 2) for error in _ERRORS))
        for output, found in result.outputs.items()
    )
    return _digits(result.ratio, 3), errors


def _digits(number: float | None, digits: int) -> float | None:
    return None if number is None else float(f"{number:.{digits}g}")


def _implementation(column: Mapping[str, Any]) -> dict[str, Any]:
    run, conventions = column["run"], column["conventions"]
    device = column["device"]
    kind = device.partition(":")[0]
    repeat = f"bnconf run --impl {shlex.quote(one_line(column['name']))}"
    return {
        **{key: one_line(column[key]) for key in ("name", "framework", "version", "device")},
        **{key: one_line(run[key] or "") for key in ("driver", "machine", "python", "packages")},
        "repeat": repeat if kind == "cpu" else f"{repeat} --device {shlex.quote(one_line(kind))}",
        "conventions": None if conventions is None else _conventions(conventions),
    }


def _conventions(row: Mapping[str, Any]) -> dict[str, Any]:
    """The table's texts, and the numbers that a port converts."""
    declared = row["declared"]
    texts = {key: text for key, text in row.items() if key not in ("name", "device", "declared")}
    return {
        **texts,
        "numbers": [
            f"{declared.epsilon:g}",
            None if declared.momentum is None else f"{declared.rate:g}",
            declared.momentum_weighs,
            declared.running_variance,
        ],
    }
