"""The compatibility report: what people read, made from results alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from conformance.errors import UserError
from conformance.report.data import collect
from conformance.text import one_line


def write(files: Sequence[Path], out: Path, cases: Path, deviations: Path) -> None:
    """Make the report from results files. The same results give the same bytes.

    Raises UserError for results that cannot be read or merged, and where `out` cannot be written.
    """
    try:
        import jinja2
    except ModuleNotFoundError:
        raise UserError(
            "the report needs jinja2; pip install 'batchnorm-conformance[report]' brings it"
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"cell": cell, "code": code, "anchor": anchor, "quote": shlex.quote}
    template = environment.get_template("compatibility.md.jinja")
    text = template.render(**collect(files, cases, deviations))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}; name another") from None


def cell(text: str) -> str:
    """Text that cannot break out of a line or a table's cell of Markdown, nor bring in HTML."""
    line = " ".join(one_line(text).split())
    escaped = "".join(f"\\{c}" if c in "\\|`*_[]#~" else c for c in line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(words: str) -> str:
    """A command as code, between more backticks than stand together in it."""
    line = " ".join(one_line(words).split())
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{line}{space}{fence}"


def anchor(text: str) -> str:
    """The end of a link to a heading of that text, as GitHub makes it."""
    return re.sub(r"[^\w-]", "", one_line(text).lower().replace(" ", "-"))
