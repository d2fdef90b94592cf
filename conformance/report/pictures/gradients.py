"""Errors of the gradients: dx, dgamma and dbeta of each implementation, on ordinary inputs and at large means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.judge import limit
from conformance.report.pictures import canvas
from conformance.text import one_line

_CASES = {
    "ordinary x": "gradients/grad-float32-NC-16x5",
    "mean 100": "gradients/grad-float32-mean-100",
    "mean 4,096": "gradients/grad-float32-mean-4096",
    "mean 100,000": "gradients/grad-float32-mean-100000",
}
_OUTPUTS = (("dx", "o", "●", 0, -0.27), ("dgamma", "^", "▲", 1, 0.0), ("dbeta", "s", "■", 4, 0.27))
"""Output, marker, the marker as a character, colour, and place within the line."""
_FLOOR, _CEILING = 1e-3, 1e9


def pictures(gathered: Mapping[str, Any]) -> Iterator[canvas.Picture]:
    rows = []
    for column in gathered["columns"]:
        results = {r.case: r for r in column["results"]}
        errors = [_ratios(results.get(case)) for case in _CASES.values()]
        if any(errors):
            device = "" if column["device"] == "cpu" else f" on {column['device']}"
            rows.append((one_line(column["name"] + device)[:60], errors))
    if not rows:
        return
    limits = [
        limit(gathered["cases"][c].question.values_per_channel) if c in gathered["cases"] else 4.0
        for c in _CASES.values()
    ]
    with canvas.figure(11.0, 0.2 * len(rows) + 1.1) as figure:
        panels = figure.subplots(1, len(_CASES), sharey=True, sharex=True)
        for at, (panel, title) in enumerate(zip(panels, _CASES, strict=True)):
            _panel(panel, title, [(name, errors[at]) for name, errors in rows], limits[at])
        for place, (output, _, sign, colour, _) in enumerate(_OUTPUTS):
            where = 0.01 + 0.075 * place
            figure.text(where, 0.985, f"{sign} {output}", color=canvas.SERIES[colour], va="top")
        figure.supxlabel(
            "ratio: 1 is one rounding at each step",
            fontsize=9,
            color=canvas.FAINT,
        )
        figure.tight_layout(w_pad=0.6, rect=(0, 0, 1, 0.99))
        yield canvas.finish(
            figure,
            "gradients",
            "Errors of the gradients in training (float32)",
            "One line for each implementation that has gradients. The shaded band is what rounding may cause. "
            "A single-pass variance loses dx and dgamma as the mean of x grows; dbeta, a sum of dy, stays.",
        )


def _ratios(result: Any) -> dict[str, float]:
    if result is None:
        return {}
    return {name: errors["ratio"] for name, errors in result.outputs.items() if "ratio" in errors}


def _panel(panel: Any, title: str, rows: list[tuple[str, dict[str, float]]], most: float) -> None:
    panel.set_title(title)
    panel.set_xscale("log")
    panel.set_xlim(_FLOOR / 2, _CEILING * 2)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_xticks([1, 1e3, 1e6, 1e9], ["1", "10³", "10⁶", "≥ 10⁹"])
    panel.minorticks_off()
    panel.set_yticks(range(len(rows)), [name for name, _ in rows])
    panel.tick_params(length=0)
    for at in range(0, len(rows), 2):
        panel.axhspan(at - 0.5, at + 0.5, color=canvas.LINE, alpha=0.35, linewidth=0, zorder=0)
    panel.axvspan(_FLOOR / 2, most, color=canvas.BAND, linewidth=0, zorder=-1)
    for output, marker, _, colour, within in _OUTPUTS:
        points = [(_shown(e[output]), at + within) for at, (_, e) in enumerate(rows) if output in e]
        x, y = [p[0] for p in points], [p[1] for p in points]
        panel.plot(x, y, linestyle="", marker=marker, markersize=3.5, color=canvas.SERIES[colour])


def _shown(ratio: float) -> float:
    return min(max(ratio, _FLOOR), _CEILING) if math.isfinite(ratio) else _CEILING
