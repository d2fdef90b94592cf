"""The page that people open: index.html, the data of each family, and the pictures beside it.

All is static and works from a file: what a view needs is loaded with script elements and images that
lie beside the page. Nothing is asked of any other host; the page's own policy (CSP) would refuse it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from conformance.commands import writing
from conformance.report import pictures
from conformance.report.encode import encode
from conformance.report.script_json import to_json
from conformance.report.templates import environment

_PAGE = Path(__file__).resolve().parent / "page"
_SCRIPTS = (
    "dom",
    "data",
    "filters",
    "matrix",
    "cell",
    "case",
    "implementation",
    "compare",
    "pictures",
    "main",
)


def write(gathered: Mapping[str, Any], folder: Path) -> None:
    """Write index.html, data/FAMILY.js and pictures/NAME.svg into the folder.

    Raises UserError where they cannot be written, and where pictures are to be drawn without matplotlib.
    """
    files = render(gathered, recipes=(folder / "recipes.md").is_file())
    for name, text in files.items():
        writing(folder / name, partial(write_text, text))
    for old in [*folder.glob("data/*.js"), *folder.glob("pictures/*.svg")]:
        if old.relative_to(folder).as_posix() not in files:
            writing(old, Path.unlink)


def render(gathered: Mapping[str, Any], *, recipes: bool) -> dict[str, str]:
    """The files of the page by their path. `recipes`: recipes.md lies beside it."""
    encoded = encode(gathered)
    drawn = pictures.draw(gathered)
    index = {
        **encoded.index,
        "pictures": [[p.name, p.title, p.description] for p in drawn],
    }
    script = _script()
    template = environment(escape=True).get_template("page/index.html.jinja")
    page = template.render(
        style=(_PAGE / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=to_json(index),
        suite=gathered["suite"],
        recipes=recipes,
    )
    return {
        "index.html": page,
        **{
            f"data/{family}.js": f"family({to_json(family)},{to_json(details)})\n"
            for family, details in encoded.families.items()
        },
        **{f"pictures/{picture.name}.svg": picture.svg for picture in drawn},
    }


def _script() -> str:
    """The page's script: its files one after another, in one scope."""
    parts = [(_PAGE / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return '\n(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def write_text(text: str, path: Path) -> None:
    """Write a file of the report, and its folder if that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
