"""Pictures as SVG by matplotlib: the same results give the same bytes, and the colours follow the reader's theme."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

from conformance.errors import UserError

# Matplotlib knows no themes: it draws in these, and in the SVG each becomes a pair for light and dark.
PAPER, INK, FAINT, LINE, BAND = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = ("#060606", "#070707", "#080808", "#090909", "#0a0a0a", "#0b0b0b")
VERDICT = {
    "conforms": "#0c0c0c",
    "convention": "#0d0d0d",
    "policy": "#0e0e0e",
    "inaccurate": "#0f0f0f",
    "wrong": "#101010",
    "crashed": "#111111",
    "timeout": "#111111",
}
_PAIRS = {
    PAPER: ("#ffffff", "#14171c"),
    INK: ("#1a1f27", "#e8ebef"),
    FAINT: ("#55606e", "#a8b1bd"),
    LINE: ("#d5dae1", "#363d48"),
    BAND: ("#e6f2ec", "#1c2c26"),
    SERIES[0]: ("#bb1f2f", "#ff8078"),
    SERIES[1]: ("#1b62b5", "#74b4ff"),
    SERIES[2]: ("#9a5200", "#f3aa4e"),
    SERIES[3]: ("#6a4fb3", "#b7a1ff"),
    SERIES[4]: ("#00707a", "#4fd0da"),
    SERIES[5]: ("#8a0a55", "#ff8fc8"),
    VERDICT["conforms"]: ("#2b7a57", "#5cc296"),
    VERDICT["convention"]: ("#1b62b5", "#74b4ff"),
    VERDICT["policy"]: ("#6a4fb3", "#b7a1ff"),
    VERDICT["inaccurate"]: ("#9a5200", "#f3aa4e"),
    VERDICT["wrong"]: ("#bb1f2f", "#ff8078"),
    VERDICT["crashed"]: ("#8a0a55", "#ff8fc8"),
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "batchnorm-conformance",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": LINE,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.parse_math": False,
}
_FONTS = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_SHORTER = (
    (r"^.*?<svg", "<svg"),
    (r"<metadata>.*?</metadata>", ""),
    (r"(\d\.\d)\d+", r"\1"),  # a tenth of a point is enough
    (r"\.0\b(?=[^\d.]*)", ""),
    (r"\s+", " "),
    (r" font-family: [^;\"]*;", ""),
    (r"(font: (?:bold |700 )?[\d.]+px) [^;\"]*", r"\1 inherit"),
    (r' transform="rotate\(-0 [^)]*\)"', ""),
    (r'<g id="[^"]*"', "<g"),
    (r"> <", ">\n<"),
    (r"<g ?/>\n", ""),
)
"""What of matplotlib's SVG can be said shorter."""


@dataclass(frozen=True)
class Picture:
    """An SVG file: its name without the ending, what it shows, and what can be seen in it, in words."""

    name: str
    title: str
    description: str
    svg: str


@contextmanager
def figure(width: float, height: float) -> Iterator[Any]:
    """An empty figure, in inches; what is drawn on it has this package's style.

    Raises UserError where matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise UserError(
            "the report's pictures need matplotlib; "
            "pip install 'batchnorm-conformance[report]' brings it"
        ) from None
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield Figure(figsize=(width, height))


def finish(drawn: Any, name: str, title: str, description: str) -> Picture:
    """The figure as a picture; called within `figure`."""
    stream = io.StringIO()
    drawn.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    for pattern, shorter in _SHORTER:
        text = re.sub(pattern, shorter, text, flags=re.DOTALL)
    for colour in _PAIRS:
        text = text.replace(colour, f"var(--c{colour[-2:]})")
    theme = " ".join(
        f"--c{c[-2:]}: light-dark({light}, {dark});" for c, (light, dark) in _PAIRS.items()
    )
    head = (
        f'<title id="title">{escape(title)}</title>\n<desc id="desc">{escape(description)}</desc>\n'
        f"<style>svg {{ color-scheme: light dark; font-family: {_FONTS}; {theme} }}</style>\n"
    )
    opened = text.index(">") + 1
    start = text[: opened - 1] + ' role="img" aria-labelledby="title desc">\n'
    return Picture(name, title, description, start + head + text[opened:].strip() + "\n")
