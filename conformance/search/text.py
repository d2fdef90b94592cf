"""What a search prints and writes: failing cases as files of cases, and a line on each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from conformance.catalogue.build import envelope_of, text_of
from conformance.search.hunt import FAMILY
from conformance.search.make import Finding, Request, Search


@dataclass(frozen=True)
class Printed:
    """A search in words: `envelope` and `line` of each finding, and a last line on the search."""

    findings: tuple[tuple[str, str], ...]
    last: str


def printed(search: Search, request: Request) -> Printed:
    call = repeat(search, request)
    return Printed(
        tuple(
            (cases_file("found", [finding]), f"{line(finding)}; repeat: {call}")
            for finding in search.findings
        ),
        last_line(search, call),
    )


def cases_file(name: str, findings: Iterable[Finding]) -> str:
    """The cases as the text of a file that is to be called name.json."""
    records = {id_of(name, finding): record_of(name, finding) for finding in findings}
    return text_of(envelope_of(replace(FAMILY, name=name), list(records.values())))


def record_of(name: str, finding: Finding) -> dict[str, Any]:
    comment = f"{finding.record['comment']}: {finding.verdict} ({finding.name}) on "
    return {
        **finding.record,
        "id": id_of(name, finding),
        "comment": comment + finding.implementation,
    }


def id_of(name: str, finding: Finding) -> str:
    """Operation and dtype come first, as in the catalogue; no two findings of a search share the rest."""
    what = dict.fromkeys((finding.verdict, finding.name, finding.implementation))
    parts = (finding.operation, finding.record["dtype"], *what)
    return f"{name}/{re.sub(r'[^A-Za-z0-9.-]+', '-', '-'.join(parts))}"


def line(finding: Finding) -> str:
    """Verdict, name, ratio and output."""
    ratio = "" if finding.ratio is None else f", ratio {finding.ratio:.3g}"
    output = "" if finding.output is None else f" in {finding.output}"
    message = f" ({' '.join(finding.message.split())[:200]})" if finding.message else ""
    known = ", which is on record of it" if finding.known else ""
    return (
        f"FOUND {finding.operation} of {finding.implementation}: {finding.verdict}, {finding.name}"
        f"{ratio}{output}{message}{known}"
    )


def last_line(search: Search, call: str) -> str:
    if search.refused:
        return f"{search.refused}; repeat: {call}"
    new = sum(not finding.known for finding in search.findings)
    found = f"{len(search.findings)} found, {new} of them not on record"
    if search.ended:
        return f"{search.name}: ended early: {search.ended}; {found}"
    counts = search.counts
    parts = [f"{counts['tried']} examples"]
    parts += [f"{counts['not_offered']} answers not offered"] * bool(counts["not_offered"])
    parts += [f"{counts['rejected']} rejected, as they cannot be graded"] * bool(counts["rejected"])
    return f"{search.name}: {', '.join(parts)}; {found}"


def repeat(search: Search, request: Request) -> str:
    """The call that makes this search again."""
    what = "--right" if search.spec is None else f"--impl {shlex.quote(search.spec)}"
    operations = "".join(f" --operation {name}" for name in request.operations)
    options = "" if request.device == "cpu" else f" --device {request.device}"
    return (
        f"bnconf search {what} --examples {request.examples} --seed {request.seed}"
        f"{operations}{options}{' --new-only' if request.new_only else ''}"
    )
