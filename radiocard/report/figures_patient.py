"""Figures of the patient report: slices with contours, bull's eyes, strip plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Wedge

from radiocard.report.figures import INK, LINE, MUTED, axis_style, drawing, named, row_names, to_svg
from radiocard.report.schema_patient import BullsEye, ColourBar, SlicePicture
from radiocard.report.schema_why import FeatureStory
from radiocard.report.text import number, visible

CONTOURS: Mapping[str, tuple[str, str]] = {
    "lv_endo": ("LV endocardium", "#ff5a4f"),
    "lv_epi": ("LV epicardium", "#3ddc84"),
    "rv": ("RV cavity", "#4db8ff"),
    "scar": ("Scar", "#ffd54a"),
}
_OTHER = "#ffd54a"
_LEVELS = {"basal": "Basal", "mid": "Mid-ventricular", "apical": "Apical"}
_PHASES = {"ed": "end-diastole", "es": "end-systole"}
WALLS = ("Anterior", "Septal", "Inferior", "Lateral")


def contour_style(region: str) -> tuple[str, str]:
    """Return the plain name and the colour of a contour."""
    return CONTOURS.get(region, (region, _OTHER))


def slice_svg(picture: SlicePicture) -> Markup:
    """Draw one slice in millimetres: grey picture, contours, scale bar, orientation letters.

    Parameters
    ----------
    picture : SlicePicture
        Picture with its contours in pixels.

    Returns
    -------
    Markup
        One ``<svg>`` element.
    """
    px, py = picture.pixel_mm
    width, height = picture.width_px * px, picture.height_px * py
    stroke = max(width, height) / 190
    parts = [
        f'<image x="0" y="0" width="{width:.2f}" height="{height:.2f}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{picture.png_base64}"/>',
        '<g class="contours">',
    ]
    for region, polygons in picture.contours.items():
        colour = contour_style(region)[1]
        for polygon in polygons:
            points = " ".join(f"{x * px:.2f},{y * py:.2f}" for x, y in polygon)
            if picture.bar:  # colours of a map may be those of the line
                parts.append(
                    f'<polygon points="{points}" fill="none" stroke="#000" stroke-opacity="0.7" '
                    f'stroke-width="{2.4 * stroke:.2f}" stroke-linejoin="round"/>'
                )
            parts.append(
                f'<polygon points="{points}" fill="none" stroke="{colour}" stroke-width="{stroke:.2f}" '
                'stroke-linejoin="round"/>'
            )
    parts.append("</g>")
    parts += _scale_bar(width, height) + _letters(picture, width, height)
    at = f"at {_PHASES[picture.phase]}" if picture.phase else "of late enhancement"
    what = f"of the {picture.bar.title} map" if picture.bar else at
    alt = f"{_LEVELS[picture.level]} short-axis slice {what}, {width:.0f} by {height:.0f} mm, contours: " + (
        ", ".join(contour_style(region)[0] for region in picture.contours) or "none"
    )
    return Markup(  # noqa: S704 (made here from numbers and escaped text)
        f'<svg class="slice" role="img" aria-label="{escape(visible(alt))}" viewBox="0 0 {width:.2f} {height:.2f}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _scale_bar(width: float, height: float) -> list[str]:
    length = next((n for n in (50, 20, 10, 5) if n < 0.45 * width), 1)
    size = height * 0.042
    x0, y = width * 0.035, height * 0.962
    tick = height * 0.012
    return [
        f'<path d="M{x0:.2f} {y - tick:.2f}v{2 * tick:.2f}M{x0:.2f} {y:.2f}h{length}M{x0 + length:.2f} {y - tick:.2f}'
        f'v{2 * tick:.2f}" stroke="#fff" stroke-width="{height / 170:.2f}" fill="none"/>',
        _picture_text(x0, y - 1.8 * tick, size, f"{length / 10:g} cm", "start"),
    ]


def _letters(picture: SlicePicture, width: float, height: float) -> list[str]:
    letters = picture.letters
    if letters is None:
        return []
    size = height * 0.055
    middle = height / 2 + size * 0.35
    return [
        _picture_text(width * 0.02, middle, size, letters.left, "start"),
        _picture_text(width * 0.98, middle, size, letters.right, "end"),
        _picture_text(width / 2, size * 1.05, size, letters.top, "middle"),
        _picture_text(width / 2, height * 0.98, size, letters.bottom, "middle"),
    ]


def _picture_text(x: float, y: float, size: float, text: str, anchor: str) -> str:
    common = f'x="{x:.2f}" y="{y:.2f}" font-size="{size:.2f}" text-anchor="{anchor}" font-family="Arial, sans-serif"'
    clean = escape(visible(text))
    outline = (
        f'fill="#000" stroke="#000" stroke-opacity="0.75" stroke-width="{size * 0.22:.2f}" stroke-linejoin="round"'
    )
    return f'<text {common} {outline} aria-hidden="true">{clean}</text><text {common} fill="#fff">{clean}</text>'


def map_bar(bar: ColourBar, *, key: str) -> Markup:
    """Draw the colours of a map with the values at their ends.

    Parameters
    ----------
    bar : ColourBar
        Quantity, unit and ends.
    key : str
        Different for each figure of a page.
    """
    with drawing(3.6, 0.32, placed=True) as figure:
        _colour_bar(figure.add_axes((0.2, 0.3, 0.52, 0.42)), Normalize(bar.low, bar.high), bar.unit)
        return to_svg(figure, key=key, alt=f"Colours of {bar.title} from {bar.low:g} to {bar.high:g} {bar.unit}")


def bulls_eye(eye: BullsEye, *, key: str) -> Markup:
    """Draw segments 1 to 16 in the AHA layout: anterior on top, septum on the left.

    Parameters
    ----------
    eye : BullsEye
        Values by segment.
    key : str
        Different for each figure of a page.
    """
    known = [v for v in eye.values if v is not None]
    low, high = eye.limits or ((min(known), max(known)) if known else (0.0, 1.0))
    scale = Normalize(low, high if high > low else low + 1)
    with drawing(3.3, 3.45, placed=True) as figure:
        axes = figure.add_axes((0.0, 0.1, 1.0, 0.9))
        axes.set_aspect("equal")
        axes.axis("off")
        axes.set_xlim(-1.2, 1.2)
        axes.set_ylim(-1.2, 1.2)
        for segment, value in enumerate(eye.values, start=1):
            _segment(axes, segment, value, scale)
        if eye.proven:
            _walls(axes)
        _colour_bar(figure.add_axes((0.22, 0.075, 0.56, 0.032)), scale, eye.unit)
        words = ", ".join(f"segment {i}: {number(v)}" for i, v in enumerate(eye.values, start=1))
        return to_svg(figure, key=key, alt=f"Bull's eye of {eye.title} [{eye.unit}]: {words}")


def _segment(axes: Axes, segment: int, value: float | None, scale: Normalize) -> None:
    inner, outer, start, span = segment_place(segment)
    colour = mpl.colormaps["viridis"](scale(value)) if value is not None else (1.0, 1.0, 1.0, 1.0)
    axes.add_patch(
        Wedge(
            (0, 0),
            outer,
            start,
            start + span,
            width=outer - inner,
            facecolor=colour,
            edgecolor="white" if value is not None else MUTED,
            lw=1.4 if value is not None else 0.6,
            hatch=None if value is not None else "////",
        )
    )
    angle, radius = math.radians(start + span / 2), (inner + outer) / 2
    ink = INK if value is None or _luminance(colour) > 0.225 else "white"
    x, y = radius * math.cos(angle), radius * math.sin(angle)
    axes.text(x, y - 0.045, number(value, 0 if scale.vmax and scale.vmax >= 30 else 1), color=ink, fontsize=9.0,
              ha="center", va="center", fontweight="bold")  # fmt: skip
    axes.text(x, y + 0.075, str(segment), color=ink, fontsize=5.6, ha="center", va="center")


def segment_place(segment: int) -> tuple[float, float, float, float]:
    """Return inner radius, outer radius, start angle and span [degrees] of an AHA segment.

    Angles run counter-clockwise from the right. Segments 1 to 6 basal, 7 to 12 mid, 13 to 16
    apical, each ring from anterior (top) over the septum (left) [1]_.

    References
    ----------
    .. [1] Cerqueira et al., Circulation 105 (2002), doi:10.1161/hc0402.102975
    """
    if segment <= 6:
        return 0.72, 1.0, 60.0 + 60 * (segment - 1), 60.0
    if segment <= 12:
        return 0.44, 0.72, 60.0 + 60 * (segment - 7), 60.0
    return 0.12, 0.44, 45.0 + 90 * (segment - 13), 90.0


def _luminance(rgba: Sequence[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgba[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _walls(axes: Axes) -> None:
    places = ((0, 1.1, 0), (-1.1, 0, 90), (0, -1.1, 0), (1.1, 0, -90))
    for name, (x, y, turn) in zip(WALLS, places, strict=True):
        axes.text(x, y, name, fontsize=7.5, color=MUTED, ha="center", va="center", rotation=turn,
                  rotation_mode="anchor" if not turn else "default")  # fmt: skip


def _colour_bar(axes: Axes, scale: Normalize, unit: str) -> None:
    low, high = float(scale.vmin or 0.0), float(scale.vmax or 0.0)
    steps = 48
    tones = [mpl.colormaps["viridis"](i / (steps - 1)) for i in range(steps)]
    axes.broken_barh([(i / steps, 1.15 / steps) for i in range(steps)], (0, 1), facecolors=tones, linewidths=0)
    axes.set_ylim(0, 1)
    axes.set_xlim(0, 1)
    axes.axis("off")
    for x, value, side in ((-0.04, low, "right"), (1.04, high, "left")):
        text = number(value, 0) if side == "right" else f"{number(value, 0)} {visible(unit)}"
        axes.text(x, 0.5, text, transform=axes.transAxes, ha=side, va="center", fontsize=7.5, color=INK)


def strip(feature: FeatureStory, *, key: str, palette: Mapping[str, str], names: Mapping[str, str]) -> Markup:
    """Draw the training values of each class as dots, and this patient as a line through all.

    Parameters
    ----------
    feature : FeatureStory
        Feature with the training values by class.
    key : str
        Different for each figure of a page.
    palette, names : mapping of str to str
        Colour and plain name of each class.
    """
    rows = list(feature.strip.items())
    with drawing(4.3, 0.66 + 0.29 * len(rows)) as figure:
        axes = figure.add_subplot()
        axis_style(axes)
        for row, (label, values) in enumerate(rows):
            axes.axhline(row, color=LINE, lw=0.6, zorder=0)
            ordered = np.sort(np.asarray(values, dtype=float))
            # Neighbours in value get different heights, so that equal values stay countable.
            lift = 0.2 * np.sin(np.arange(ordered.size) * 2.4)
            axes.scatter(ordered, row + lift, s=9, color=palette.get(label, MUTED), alpha=0.75, linewidths=0)
            if (median := feature.medians.get(label)) is not None:
                axes.plot([median] * 2, [row - 0.34, row + 0.34], color=INK, lw=1.4, solid_capstyle="butt")
        axes.set_ylim(len(rows) - 0.45, -0.95)
        if feature.value is not None:
            axes.axvline(feature.value, color=INK, lw=1.0, ls=(0, (3, 2)))
            axes.plot([feature.value], [-0.78], marker="v", color=INK, ms=5.5, clip_on=False)
        row_names(axes, [named(label, names) for label, _ in rows])
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=5)
        axes.margins(x=0.06)
        if feature.unit:
            axes.set_xlabel(visible(feature.unit), labelpad=1, color=MUTED)
        alt = f"{feature.name}: values of the training patients by class; this patient at {number(feature.value)} "
        return to_svg(figure, key=key, alt=alt + feature.unit)
