"""What all figures share: palette, matplotlib without global state, safe inline SVG."""

from __future__ import annotations

import hashlib
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radiocard.report.text import visible

INK = "#1b2a35"
MUTED = "#5b6b77"
LINE = "#d5dde2"
FOR = "#0b6fa4"
AGAINST = "#c4560f"
# Okabe and Ito, "Color Universal Design" (2008), darkened where needed for white paper.
CLASS_COLOURS = ("#0072b2", "#d55e00", "#00805d", "#b0538c", "#b07800", "#3a9bd5", "#5d4a9c", "#6b6b6b")
FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.titlesize": 8.5,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Give each class its colour, by its place in the list of classes."""
    return {label: CLASS_COLOURS[i % len(CLASS_COLOURS)] for i, label in enumerate(labels)}


def short(text: str, *, limit: int = 28) -> str:
    """Return text with hidden characters visible, cut to ``limit`` characters."""
    clean = visible(text).replace("\n", " ")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


@contextmanager
def drawing(width: float, height: float, *, placed: bool = False) -> Iterator[Figure]:
    """Give an empty figure of ``width`` x ``height`` inches under the report's settings.

    With ``placed`` the caller places the axes; otherwise they fill the figure.
    """
    with mpl.rc_context(_SETTINGS):
        yield Figure(figsize=(width, height), layout=None if placed else "constrained")


def to_svg(figure: Figure, *, key: str, alt: str) -> Markup:
    """Return a figure as inline SVG whose ids cannot meet those of another figure.

    Parameters
    ----------
    figure : Figure
        Made inside :func:`drawing`, which must still be open.
    key : str
        Different for each figure of a page.
    alt : str
        What the figure shows, for readers who do not see it.

    Returns
    -------
    Markup
        One ``<svg>`` element; text stays text.
    """
    buffer = io.BytesIO()
    salt = hashlib.sha256(key.encode()).hexdigest()[:8]
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg")
    svg = buffer.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    svg = re.sub(r"(?<=[\d])(\.\d{2})\d+", r"\1", svg)
    # The style element of a figure would reach the whole page.
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.S)
    ids = set(re.findall(r"\sid=\"([^\"]+)\"", svg))
    svg = re.sub(r"(\sid=\")([^\"]+)\"", rf'\1f{salt}-\2"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#f{salt}-\1)", svg)
    svg = re.sub(r"xlink:href=\"#([^\"]+)\"", lambda m: f'xlink:href="#f{salt}-{m[1]}"' if m[1] in ids else m[0], svg)
    svg = re.sub(r"(style=\"[^\"]*)'DejaVu Sans'", rf"\1{FONT}", svg)
    head, body = svg.split(">", 1)
    head = re.sub(r"\s(width|height)=\"([\d.]+)pt\"", "", head)
    width = figure.get_size_inches()[0] * 96
    words = escape(visible(alt))
    attributes = f' class="figure" role="img" aria-label="{words}" style="width:{width:.0f}px" stroke-linejoin="round"'
    return Markup(head + attributes + ">" + body)  # noqa: S704 (made here; text escaped by matplotlib)


def row_names(axes: Axes, names: Sequence[str], *, width: int = 24) -> None:
    """Write the names of the rows 0, 1, ... left of the axes, each on at most two lines."""
    axes.set_yticks([])
    for row, name in enumerate(names):
        lines = textwrap.wrap(visible(name), width) or [""]
        if len(lines) > 2:
            lines = [lines[0], short(" ".join(lines[1:]), limit=width)]
        for i, line in enumerate(lines):
            axes.text(
                -0.015,
                row + 0.36 * (i - (len(lines) - 1) / 2),
                line,
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=7.6,
            )


def axis_style(axes: Axes, *, grid: str | None = None) -> None:
    """Thin spines, light grid along one axis or both."""
    if grid:
        axes.grid(visible=True, axis="both" if grid == "both" else "x" if grid == "x" else "y", color=LINE, lw=0.6)
        axes.set_axisbelow(True)


def named(label: str, names: Mapping[str, str]) -> str:
    """Return the plain name of a class, or its label."""
    return names.get(label) or label
