"""The templates of the report, rendered by Jinja."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conformance.errors import UserError
from conformance.report.text import visible


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
    made.filters["cell"] = _cell
    made.filters["code"] = _code
    return made


def _cell(text: str) -> str:
    """Text that cannot break out of a Markdown table's cell, nor bring in HTML."""
    escaped = "".join(f"\\{c}" if c in "\\|`*_[]" else c for c in visible(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    """Text that cannot end a Markdown code span."""
    return visible(text).replace("`", "\\u0060")
