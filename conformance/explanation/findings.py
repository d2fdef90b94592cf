"""What an explanation is: a finding for each thing that was handed in, and its text."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

from conformance.judge import ACCEPTABLE, CONFORMS, CONVENTION, INACCURATE, POLICY, WRONG

_WORST_FIRST = (WRONG, INACCURATE, CONVENTION, POLICY, CONFORMS)
_WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """What explains one of the things handed in: a verdict and name of the suite, and sentences.

    `ratio` is that to the formula which was expected, `own_ratio` that to the one which explains it;
    each is to be held against `limit`.
    """

    subject: str
    verdict: str
    name: str
    sentence: str
    ratio: float
    own_ratio: float
    limit: float
    details: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """The findings, the worst first; as text with `str`."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return self.findings[0].verdict

    @property
    def name(self) -> str:
        return self.findings[0].name

    @property
    def is_acceptable(self) -> bool:
        """Whether all is within the bound of the formula, or another documented definition of it."""
        return all(finding.verdict in ACCEPTABLE for finding in self.findings)

    @property
    def advice(self) -> tuple[str, ...]:
        """What to change, each once."""
        return tuple(dict.fromkeys(line for f in self.findings for line in f.advice))

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            lines += _filled(f"{finding.name} ({finding.verdict}): {finding.sentence}")
            for detail in finding.details:
                lines += _filled(detail, "    ")
        for note in self.notes:
            lines += _filled(note)
        lines += ["", "What to change:"] if self.advice else ["", "Nothing to change."]
        for line in self.advice:
            lines += _filled(line, "  - ", "    ")
        return "\n".join(lines)


def worst_first(findings: list[Finding], notes: tuple[str, ...]) -> Explanation:
    ordered = sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.verdict))
    return Explanation(tuple(ordered), notes)


def _filled(text: str, first: str = "", others: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=first if others is None else others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def number(value: float) -> str:
    """A ratio or count for people: 0.8, 4,100, 2.5e+09."""
    if not math.isfinite(value):
        return "infinite"
    if value >= 1e7:
        return f"{value:.1e}"
    return f"{float(f'{value:.2g}'):,g}" if value < 1e6 else f"{float(f'{value:.2g}'):,.0f}"


def listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
