"""What the report says, gathered from results, cases and the record of deviations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.case import Case
from conformance.cases import cases_digest, load_cases
from conformance.deviations import Deviation, Record, load_deviations
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.judge import CONFORMS, VERDICTS
from conformance.report.explanations import MEANINGS
from conformance.results import DifferentCases, Result, Run, merge, read

NOT_ON_RECORD = "Not on record."
GRAVITY = ("crashed", "timeout", "wrong", "inaccurate", "convention", "policy", "unsupported")
"""The verdicts of a deviation, the gravest first."""


def collect(files: Sequence[Path], cases_at: Path, deviations_at: Path) -> dict[str, Any]:
    """The variables of the report's template."""
    runs = merge(files)
    if runs[0].header.cases != cases_digest(cases_at):
        raise DifferentCases(
            f"{files[0]}: was run on other cases than those in {cases_at}; make the run again"
        )
    cases = load_cases(cases_at)
    for run in runs:
        unknown = next((r.case for r in run.results if r.case not in cases), None)
        if unknown is not None:
            path = next(path for path in files if run in read(path))
            raise UserError(f"{path}: {unknown} is no case of {cases_at}; make the run again")
    deviations = load_deviations(deviations_at)
    known = {name: cls.framework for name, cls in registry.built_in().items()}
    conventions = {(row["name"], row["device"]): row for run in runs for row in _conventions(run)}
    columns = [
        _column(run, name, cases, deviations, known)
        | {"conventions": conventions.get((name, run.header.device))}
        for run in runs
        for name in run.header.implementations
    ]
    columns.sort(key=lambda column: (column["device"], _place(column["name"], known)))
    on_cpu = {name: "cpu" in one.devices for name, one in registry.built_in().items()}
    families = sorted({case.family for case in cases.values()})
    ran = {column["name"] for column in columns}
    return {
        "suite": runs[0].header.suite,
        "total": len(cases),
        "families": families,
        "operations": sorted({case.operation for case in cases.values()}),
        "runs": [_run(run) for run in runs],
        "columns": columns,
        "not_run": [
            {"name": name, "session": framework if on_cpu[name] else "gpu"}
            for name, framework in known.items()
            if name not in ran
        ],
        "verdicts": VERDICTS,
        "meanings": MEANINGS,
        "conventions": list(conventions.values()),
        "cases": cases,
        "folder": cases_at,
    }


def _conventions(run: Run) -> Iterator[dict[str, Any]]:
    """What is declared of the layers that were run, and whether the cases of it were answered so."""
    built_in = registry.built_in()
    verdicts = {(r.implementation, r.case): r.verdict for r in run.results}
    for name in run.header.implementations:
        declared = built_in[name].conventions if name in built_in else None
        if declared is None:
            continue

        def cell(text: str, *cases: str, name: str = name) -> str:
            seen = {verdicts.get((name, f"conventions/{case}"), "not run") for case in cases}
            return text if seen == {"conforms"} else f"{text} ({', '.join(sorted(seen))})"

        momentum = "to be given"
        if declared.momentum is not None:
            weight = f"{declared.momentum:g}, weight of the {declared.momentum_weighs}"
            momentum = cell(weight, "update-momentum")
        frozen = declared.frozen.replace("-", " ")
        yield {
            "name": name,
            "device": run.header.device,
            "declared": declared,
            "epsilon": cell(f"{declared.epsilon:g}", "train-epsilon"),
            "momentum": momentum,
            "variance": cell(declared.running_variance, "update-momentum"),
            "output": cell(declared.half_output.replace("x", "bfloat16"), "train-half"),
            "statistics": cell(declared.half_statistics.replace("x", "bfloat16"), "update-half"),
            "fresh": cell(declared.fresh.replace("-", " "), "infer-fresh"),
            "frozen": "–" if frozen == "none" else cell(frozen, "infer-frozen", "update-frozen"),
        }


def _run(run: Run) -> dict[str, Any]:
    packages = ", ".join(f"{name} {version}" for name, version in run.header.packages.items())
    return {**vars(run.header), "packages": packages}


def _place(name: str, known: Mapping[str, str]) -> tuple[int, str]:
    names = list(known)
    return (names.index(name) if name in names else len(names), name)


def _column(
    run: Run,
    name: str,
    cases: Mapping[str, Case],
    deviations: Sequence[Deviation],
    known: Mapping[str, str],
) -> dict[str, Any]:
    """One implementation on one device."""
    header = run.header
    kind = header.device.partition(":")[0]
    record = Record(deviations, known, header.packages, kind)
    results = [result for result in run.results if result.implementation == name]
    framework = header.implementations[name]
    version = header.packages.get(framework)
    return {
        "name": name,
        "framework": framework,
        "version": version or "unknown",
        "device": header.device,
        "counts": {v: n for v in VERDICTS if (n := sum(result.verdict == v for result in results))},
        "checks": len(results),
        "by_family": _by_family(results, cases),
        "worst": _worst(results, cases),
        "deviations": _found(results, record),
        "results": results,
        "recorded": [_on_record(result, record) for result in results],
        "run": _run(run),
    }


def _by_family(results: Sequence[Result], cases: Mapping[str, Case]) -> dict[tuple[str, str], str]:
    counted: dict[tuple[str, str], Counter[str]] = {}
    for result in results:
        case = cases[result.case]
        counted.setdefault((case.family, case.operation), Counter())[result.verdict] += 1
    return {
        place: ", ".join(f"{counter[v]} {v}" for v in VERDICTS if counter[v])
        for place, counter in counted.items()
    }


def _worst(results: Sequence[Result], cases: Mapping[str, Case]) -> dict[str, str]:
    """The largest ratio of each family, over the results that a ratio says something of."""
    worst: dict[str, float] = {}
    for result in results:
        family = cases[result.case].family
        if result.ratio is not None and result.verdict != "policy":
            worst[family] = max(worst.get(family, 0.0), result.ratio)
    return {family: _ratio(ratio) for family, ratio in worst.items()}


def _ratio(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "not finite"
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}" if ratio < 1e6 else f"{ratio:.1e}"


def _on_record(result: Result, record: Record) -> Deviation | None:
    """The entry of the record that says what was seen here; None for what conforms."""
    if result.verdict == CONFORMS:
        return None
    deviation = record.find(result.implementation, result.case)
    seen = deviation is not None and deviation.allows(result.verdict, result.name)
    return deviation if seen else None


def _found(results: Sequence[Result], record: Record) -> list[dict[str, Any]]:
    """The deviations that were seen, each with what is on record of it, the gravest first."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for result in results:
        if result.verdict == CONFORMS:
            continue
        deviation = _on_record(result, record)
        key = (result.verdict, result.name, deviation.number if deviation else 0)
        entry = found.setdefault(
            key,
            {
                "verdict": result.verdict,
                "name": result.name,
                "reason": deviation.reason if deviation else NOT_ON_RECORD,
                "link": deviation.link if deviation else "",
                "cases": [],
            },
        )
        entry["cases"].append(result.case)
    return sorted(found.values(), key=lambda e: (GRAVITY.index(e["verdict"]), e["cases"][0]))
