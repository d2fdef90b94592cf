"""Results as JUnit XML: a suite for each implementation, a test case for each case.

Valid against the schema of Jenkins' xUnit plug-in (junit-10.xsd), which pytest's own is held to.
A failure is a verdict that is not on record, or an entry of the record that is stale; a case that is
not offered is skipped. XML is written line by line: nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from conformance.ci.standing import Held, Overview, Standing
from conformance.ci.text import in_xml, ratio
from conformance.judge import CONFORMS, UNSUPPORTED

_RECORD = "the record of deviations"


def write(path: Path, overview: Overview) -> None:
    """Raises OSError where the file cannot be written."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines(overview))


def lines(overview: Overview) -> Iterator[str]:
    failures = overview.not_as_recorded + len(overview.stale)
    total = overview.total + len(overview.stale)
    seconds = _time(sum(_seconds(standing) for standing in overview.standings))
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        f'<testsuites name="batchnorm-conformance" tests="{total}" failures="{failures}" '
        f'errors="0" time="{seconds}">'
    )
    for standing in overview.standings:
        yield from _suite(standing)
    if overview.stale:
        count = len(overview.stale)
        yield f'<testsuite name="{_RECORD}" tests="{count}" failures="{count}" errors="0">'
        for deviation in overview.stale:
            message = "matches nothing or no longer happens; remove it from the record"
            yield f'<testcase classname="{_RECORD}" name={_quoted(str(deviation))}>'
            yield f'<failure type="stale" message="{message}"/></testcase>'
        yield "</testsuite>"
    yield "</testsuites>"


def _suite(standing: Standing) -> Iterator[str]:
    skipped = sum(one.is_as_recorded and _is_skipped(one) for one in standing.held)
    yield (
        f"<testsuite name={_quoted(standing.title)} package={_quoted(standing.framework)} "
        f'tests="{len(standing.results)}" failures="{len(standing.not_as_recorded)}" errors="0" '
        f'skipped="{skipped}" time="{_time(_seconds(standing))}">'
    )
    header = standing.header
    properties = {
        "suite": header.suite,
        "cases": header.cases,
        "device": header.device,
        "driver": header.driver or "",
        "machine": header.machine,
        "python": header.python,
        **{f"version of {name}": version for name, version in header.packages.items()},
    }
    yield "<properties>"
    for name, value in properties.items():
        yield f"<property name={_quoted(name)} value={_quoted(value)}/>"
    yield "</properties>"
    classname = _quoted(standing.title)
    for one in standing.held:
        head = f"<testcase classname={classname} name={_quoted(one.result.case)}"
        head += f' time="{_time(one.result.seconds)}"'
        content = _content(standing, one)
        yield f"{head}>{content}</testcase>" if content else f"{head}/>"
    yield "</testsuite>"


def _content(standing: Standing, one: Held) -> str:
    result = one.result
    verdict = f"{result.verdict}, {result.name}"
    if not one.is_as_recorded:
        expected = f"on record: {standing.expected(result.case)}"
        about = f"{verdict}; {expected}"
        lines = [about, f"ratio: {ratio(result.ratio)}" if result.ratio is not None else ""]
        lines += [result.message, f"repeat: {standing.repeat(result.case)}"]
        text = "\n".join(filter(None, lines))
        return f"<failure type={_quoted(verdict)} message={_quoted(about)}>{_text(text)}</failure>"
    if _is_skipped(one):
        return f"<skipped message={_quoted(result.message)}/>"
    if result.verdict == CONFORMS:
        return ""
    reason = f": {one.entry.reason}" if one.entry else ""
    return f"<system-out>{_text(f'{verdict}, as recorded{reason}')}</system-out>"


def _is_skipped(one: Held) -> bool:
    return one.result.verdict == UNSUPPORTED


def _seconds(standing: Standing) -> float:
    return math.fsum(r.seconds for r in standing.results if math.isfinite(r.seconds))


def _time(seconds: float) -> str:
    """Seconds as the schema wants them: digits, a point, three digits; groups of three without commas."""
    return f"{max(seconds, 0.0):.3f}" if math.isfinite(seconds) else "0.000"


def _quoted(text: str) -> str:
    return quoteattr(in_xml(text))


def _text(text: str) -> str:
    return escape(in_xml(text))
