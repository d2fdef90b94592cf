"""The templates of the report, rendered by Jinja."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from conformance.errors import UserError
from conformance.text import one_line


def environment(*, escape: bool) -> Any:
    """Jinja over this folder. `escape`: what is put into a template is escaped for HTML.

    Raises UserError where Jinja is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError:
        raise UserError(
            "the report needs jinja2; pip install 'batchnorm-conformance[report]' brings it"
        ) from None
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=escape,
    )
    made.filters |= {"cell": cell, "code": code, "anchor": anchor, "quote": shlex.quote}
    return made


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
