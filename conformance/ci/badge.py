"""A badge for each implementation, as JSON for the endpoint of shields.io.

https://shields.io/badges/endpoint-badge: schemaVersion 1, label, message, color, isError.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.ci.standing import Standing
from conformance.ci.text import printable
from conformance.judge import CONFORMS, CONVENTION, INACCURATE, POLICY, UNSUPPORTED, VERDICTS

_COLORS = {
    CONFORMS: "brightgreen",
    POLICY: "green",
    CONVENTION: "green",
    INACCURATE: "yellow",
    UNSUPPORTED: "lightgrey",
}
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def write(folder: Path, standings: Sequence[Standing]) -> list[Path]:
    """A file for each implementation and device; the files written. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    for standing in standings:
        name = file_name(standing.title)
        if name.casefold() in written:
            name = f"{name}-{_hash(standing.title)}"
        path = written[name.casefold()] = folder / f"{name}.json"
        path.write_text(json.dumps(badge(standing), indent=1) + "\n", encoding="utf-8")
    return list(written.values())


def badge(standing: Standing) -> dict[str, Any]:
    """How many of the cases that are offered conform; the colour is that of the gravest verdict."""
    failed = len(standing.not_as_recorded)
    counts = standing.counts
    offered = len(standing.results) - counts[UNSUPPORTED]
    gravest = max((v for v in counts if v != UNSUPPORTED), key=_gravity, default=UNSUPPORTED)
    message = f"{counts[CONFORMS]} of {offered} conform" if offered else "nothing offered"
    color = _COLORS.get(gravest, "orange")
    if failed:
        message, color = f"{failed} not as recorded", "red"
    return {
        "schemaVersion": 1,
        "label": printable(standing.title, 100) or "batch norm",
        "message": message,
        "color": color,
        "isError": bool(failed),
    }


def _gravity(verdict: str) -> int:
    return VERDICTS.index(verdict)


def file_name(title: str) -> str:
    """A name that every file system takes; where the title had to be changed it ends in a hash of it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", title)[:80].strip(".-")
    if name and name == title and not _RESERVED.fullmatch(name):
        return name
    return f"{name or 'badge'}-{_hash(title)}"


def _hash(title: str) -> str:
    return hashlib.sha256(title.encode("utf-8", "backslashreplace")).hexdigest()[:8]
