"""The compatibility report: what people read, made from results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from conformance.commands import writing
from conformance.report import html
from conformance.report.data import collect
from conformance.report.templates import environment


def write(files: Sequence[Path], out: Path, cases: Path, deviations: Path) -> None:
    """Make the report from results files: `out` in Markdown, and the page index.html beside it.

    The same results give the same bytes. Raises UserError for results that cannot be read or merged,
    for a package that is not installed, and where the files cannot be written.
    """
    gathered = collect(files, cases, deviations)
    text = markdown(gathered)
    html.write(gathered, out.parent)
    writing(out, partial(html.write_text, text))


def markdown(gathered: Mapping[str, Any]) -> str:
    """compatibility.md."""
    template = environment(escape=False).get_template("compatibility.md.jinja")
    rendered: str = template.render(**gathered)
    return rendered
