"""Which deviations cluster: implementations by the names of their verdicts, like beside like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from conformance.judge import CONFORMS, UNSUPPORTED
from conformance.report.data import GRAVITY
from conformance.report.pictures import canvas
from conformance.text import one_line

_MARKERS = {"convention": "D", "policy": "_", "inaccurate": "^", "wrong": "X"}


def pictures(gathered: Mapping[str, Any]) -> Iterator[canvas.Picture]:
    rows: dict[str, Counter[tuple[str, str]]] = {}
    for column in gathered["columns"]:
        device = "" if column["device"] == "cpu" else f" on {column['device']}"
        rows[one_line(column["name"] + device)[:60]] = Counter(
            (r.verdict, one_line(r.name))
            for r in column["results"]
            if r.verdict not in (CONFORMS, UNSUPPORTED)
        )
    total = sum(rows.values(), Counter())
    if not total:
        return
    names = sorted(total, key=lambda key: (GRAVITY.index(key[0]), -total[key], key[1]))
    counts = np.array([[row[key] for key in names] for row in rows.values()])
    order = alike_together(counts > 0)
    with canvas.figure(11.0, 0.185 * len(rows) + 2.4) as figure:
        panel = figure.subplots()
        _map(panel, [list(rows)[at] for at in order], names, counts[order])
        figure.tight_layout()
        yield canvas.finish(
            figure,
            "deviations",
            "Which deviations go together",
            "Implementations (rows) against the names of their verdicts (columns, the gravest first); a mark is "
            "larger the more cases show it. Rows with the same deviations stand beside one another: what is built "
            "on the same kernel shares its deviations.",
        )


def alike_together(has: np.ndarray) -> list[int]:
    """An order of the rows: the most deviations first, and next to each the most alike of those left.

    has: (rows, names), bool. Likeness is the Jaccard index, the share of names that both have.
    """
    left = list(range(len(has)))
    order = [left.pop(int(np.argmax(has.sum(axis=1))))]
    while left:
        last = has[order[-1]]
        both = (has[left] & last).sum(axis=1)
        either = np.maximum((has[left] | last).sum(axis=1), 1)
        order.append(left.pop(int(np.argmax(both / either))))
    return order


def _map(panel: Any, rows: list[str], names: list[tuple[str, str]], counts: np.ndarray) -> None:
    panel.set_xlim(-0.7, len(names) - 0.3)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_yticks(range(len(rows)), rows)
    panel.set_xticks(
        range(len(names)),
        [n if len(n) < 34 else n[:32] + "…" for _, n in names],
        rotation=55,
        ha="left",
        rotation_mode="anchor",
    )
    panel.xaxis.tick_top()
    panel.tick_params(length=0)
    panel.grid(color=canvas.LINE, linewidth=0.5)
    panel.set_axisbelow(True)
    for side in panel.spines.values():
        side.set_visible(False)
    for at, (verdict, _) in enumerate(names):
        panel.get_xticklabels()[at].set_color(canvas.VERDICT[verdict])
        seen = np.flatnonzero(counts[:, at])
        sizes = 14 + 16 * np.log10(counts[seen, at])
        marker = _MARKERS.get(verdict, "s")
        panel.scatter(
            np.full(len(seen), at), seen, s=sizes, marker=marker, color=canvas.VERDICT[verdict],
            linewidths=2 if marker == "_" else 0,
        )  # fmt: skip
