"""A panel for each framework, in each its implementations as lines: those that are alike are one line."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from conformance.report.pictures import canvas
from conformance.text import one_line

Series = tuple[float | None, ...]
"""Ratios, one at each place of the horizontal axis; None where there is no answer."""

_COLUMNS = 3
_FLOOR = 0.05
_FEWEST = 3  # answers that make a line
_ALIKE = 2.5  # ratios within this factor of each other are drawn as one line


@dataclass(frozen=True)
class Axis:
    """The horizontal axis: where each case stands, its mark, and the largest ratio that conforms there."""

    places: Sequence[float]
    marks: Sequence[str]
    limits: Sequence[float]
    label: str
    ceiling: float
    """Ratios from here on are drawn at the upper edge, and so are those that are not finite."""


def collect(
    columns: Sequence[Mapping[str, Any]], cases: Sequence[str], output: str
) -> dict[str, dict[str, Series]]:
    """Series by name, by framework: the ratio of one output in each of the cases."""
    found: dict[str, dict[str, Series]] = {}
    for column in columns:
        ratios = {r.case: r.outputs.get(output, {}).get("ratio") for r in column["results"]}
        series = tuple(ratios.get(case) for case in cases)
        if sum(ratio is not None for ratio in series) >= _FEWEST:
            device = "" if column["device"] == "cpu" else f" on {column['device']}"
            name = one_line(column["name"] + device)
            found.setdefault(one_line(column["framework"]), {})[name] = series
    return found


def groups(members: Mapping[str, Series], axis: Axis) -> list[tuple[list[str], Series]]:
    """Names whose series are alike where they are drawn, with that of the first; the largest last."""
    found: list[tuple[list[str], Series]] = []
    for name, ratios in members.items():
        series = tuple(None if r is None else _shown(r, axis) for r in ratios)
        for names, other in found:
            if _alike(series, other):
                names.append(name)
                break
        else:
            found.append(([name], series))
    return sorted(found, key=lambda group: max(r for r in group[1] if r is not None))


def _alike(a: Series, b: Series) -> bool:
    for p, q in zip(a, b, strict=True):
        if p is None or q is None:
            if p is not q:
                return False
            continue
        low, high = sorted((max(p, 0.5), max(q, 0.5)))
        if high > low * _ALIKE:
            return False
    return True


def _shown(ratio: float, axis: Axis) -> float:
    return min(max(ratio, _FLOOR), axis.ceiling)


def size(by_framework: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height of the figure, in inches."""
    return 11.0, 2.3 * math.ceil(len(by_framework) / _COLUMNS) + 0.5


def draw(figure: Any, by_framework: Mapping[str, Mapping[str, Series]], axis: Axis) -> None:
    """Fill the figure with the panels."""
    rows = math.ceil(len(by_framework) / _COLUMNS)
    panels = list(figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    for panel, (framework, members) in zip(panels, by_framework.items(), strict=False):
        _panel(panel, framework, members, axis)
    for panel in panels[len(by_framework) :]:
        panel.set_visible(False)
    figure.supxlabel(axis.label, fontsize=9, color=canvas.FAINT)
    figure.supylabel("ratio: 1 is one rounding at each step", fontsize=9, color=canvas.FAINT)
    figure.tight_layout(h_pad=1.4, w_pad=1.2, rect=(0.01, 0.01, 1, 1))


def _panel(panel: Any, framework: str, members: Mapping[str, Series], axis: Axis) -> None:
    panel.set_title(framework)
    panel.set_yscale("log")
    decades = round(math.log10(axis.ceiling))
    panel.set_ylim(_FLOOR, axis.ceiling * 10 ** (0.45 * decades))  # above it, room for the names
    ticks = range(0, decades + 1, 2)
    marks = [("10" + str(d).translate(_RAISED) if d else "1") for d in ticks]
    panel.set_yticks([10.0**d for d in ticks], [*marks[:-1], f"≥ {marks[-1]}"])
    panel.set_xticks(axis.places, axis.marks)
    panel.minorticks_off()
    panel.tick_params(labelbottom=True, length=0)
    panel.grid(axis="y", color=canvas.LINE, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.fill_between(axis.places, _FLOOR, axis.limits, color=canvas.BAND, linewidth=0)
    beginning = _beginning(list(members))
    texts = []
    within, beyond = cycle(_WITHIN), cycle(_BEYOND)
    for names, series in groups(members, axis):
        asked = [
            (x, r, most)
            for x, r, most in zip(axis.places, series, axis.limits, strict=True)
            if r is not None
        ]
        conforms = all(r <= most for _, r, most in asked)
        colour, marker, sign = next(within if conforms else beyond)
        x, y = [p[0] for p in asked], [p[1] for p in asked]
        panel.plot(x, y, color=colour, linewidth=1.4, marker=marker, markersize=3.5, clip_on=False)
        texts.append((_names([name[beginning:] for name in names], sign), colour))
    _labels(panel, texts[::-1])


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_WITHIN = (
    (canvas.VERDICT["conforms"], "o", "●"),
    (canvas.SERIES[1], "s", "■"),
    (canvas.SERIES[3], "D", "◆"),
    (canvas.SERIES[4], "v", "▼"),
)
_BEYOND = (
    (canvas.SERIES[0], "^", "▲"),
    (canvas.SERIES[2], "P", "✚"),
    (canvas.SERIES[5], "X", "✖"),
)
"""Colour, marker, and the marker as a character, of lines within the band and of those beyond it."""


def _beginning(names: Sequence[str]) -> int:
    """The length of the modules that all names of a panel begin with."""
    modules = [name.split(".")[:-1] for name in names]
    common = 0
    for parts in zip(*modules, strict=False):
        if len(set(parts)) > 1:
            break
        common += len(parts[0]) + 1
    return common


def _names(names: Sequence[str], sign: str) -> str:
    """The names of a line, as many as fit on two lines of text."""
    for shown in range(len(names), 0, -1):
        rest = f" and {len(names) - shown} more" if shown < len(names) else ""
        text = f"{sign} {', '.join(names[:shown])}{rest}"
        lines = textwrap.wrap(text, 44, subsequent_indent="   ", break_on_hyphens=False)
        if len(lines) <= 2:
            break
    return "\n".join(line[:60] for line in lines[:2])


def _labels(panel: Any, texts: Sequence[tuple[str, str]]) -> None:
    """Below one another from the panel's upper left corner, above all lines; the gravest first."""
    down = 1.0
    for text, colour in texts:
        panel.text(
            0.02, down, text, color=colour, fontsize=7, transform=panel.transAxes, va="top",
            linespacing=1.1,
        )  # fmt: skip
        down -= 0.08 * (text.count("\n") + 1)
