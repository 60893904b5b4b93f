"""Figures of the cohort report: resampling, curves, reliability, beeswarm, check strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyBboxPatch

from radiocard.report.figures import (
    AGAINST,
    FOR,
    INK,
    LINE,
    MUTED,
    axis_style,
    drawing,
    named,
    row_names,
    short,
    to_svg,
)
from radiocard.report.schema_cohort import CheckStrip
from radiocard.report.schema_evidence import Beeswarm, CurveSet, Reliability, Resampling
from radiocard.report.text import number, visible

_DASHES: Sequence[object] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
# Blue over grey to orange: distinguishable with every common colour deficiency, dark enough on white.
VALUE_MAP = LinearSegmentedColormap.from_list("low_high", [FOR, "#8f9aa3", AGAINST])


def curves(
    sets: CurveSet,
    *,
    kind: Literal["roc", "pr"],
    key: str,
    palette: Mapping[str, str],
    names: Mapping[str, str],
) -> Markup:
    """Draw one-against-rest curves of one model, with the area of each class in the legend."""
    with drawing(3.55, 3.9) as figure:
        axes = figure.add_subplot()
        axis_style(axes, grid="both")
        if kind == "roc":
            axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=":")
        for i, curve in enumerate(sets.curves):
            x, y = np.asarray(curve.points, dtype=float).T
            area = curve.area
            text = short(named(curve.label, names), limit=28)
            if area is not None:
                text += f"  {area.value:.2f}"
                text += (
                    f" ({area.low:.2f} to {area.high:.2f})" if area.low is not None and area.high is not None else ""
                )
            axes.plot(
                x,
                y,
                color=palette.get(curve.label, MUTED),
                lw=1.6,
                ls=_DASHES[i % len(_DASHES)],
                label=text,
                drawstyle="default" if kind == "roc" else "steps-post" if x[0] > x[-1] else "steps-pre",
                solid_capstyle="butt",
            )
        _unit_square(axes)
        axes.set_xlabel("1 − specificity" if kind == "roc" else "Sensitivity (recall)")
        axes.set_ylabel("Sensitivity" if kind == "roc" else "Positive predictive value", rotation_mode="anchor")
        figure.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=7.5, handlelength=2.6,
                      labelspacing=0.25, borderaxespad=0.2)  # fmt: skip
        title = "ROC curves" if kind == "roc" else "Precision-recall curves"
        return to_svg(figure, key=key, alt=f"{title} of {sets.model}, each class against the others")


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(-0.015, 1.015)
    axes.set_ylim(-0.015, 1.015)
    axes.set_aspect("equal")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(ticks, ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks(ticks, ["0", "0.25", "0.5", "0.75", "1"])


def reliability(model: Reliability, *, key: str) -> Markup:
    """Draw the share that came true against the mean probability of each bin."""
    with drawing(3.3, 3.3) as figure:
        axes = figure.add_subplot()
        axis_style(axes, grid="both")
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=":")
        axes.text(0.06, 0.1, "perfect", rotation=45, fontsize=7, color=MUTED, transform_rotates_text=True)
        x = np.array([b.predicted for b in model.bins])
        y = np.array([b.observed for b in model.bins])
        for b in model.bins:
            if b.low is not None and b.high is not None:
                axes.plot([b.predicted] * 2, [b.low, b.high], color=FOR, lw=1.1, alpha=0.7)
        axes.plot(x, y, color=FOR, lw=1.3)
        axes.scatter(x, y, s=24, color=FOR, zorder=3, linewidths=0.8, edgecolors="white")
        _unit_square(axes)
        axes.set_xlabel("Mean probability of the answer")
        axes.set_ylabel("Share of answers that were right", rotation_mode="anchor")
        words = "; ".join(f"{number(b.predicted, 2)} predicted, {number(b.observed, 2)} right" for b in model.bins)
        return to_svg(figure, key=key, alt=f"Reliability curve of {model.model}: {words}")


def beeswarm(swarm: Beeswarm, *, scale: str, key: str, names: Mapping[str, str]) -> Markup:
    """Draw the SHAP values of each feature, one dot a patient, coloured by the feature's value."""
    rows = swarm.rows
    with drawing(4.3, 0.95 + 0.36 * len(rows)) as figure:
        axes = figure.add_subplot()
        axis_style(axes)
        axes.axvline(0, color=MUTED, lw=0.8)
        for i, row in enumerate(rows):
            axes.text(0.0, i - 0.42, short(row.name, limit=64), transform=axes.get_yaxis_transform(), fontsize=7.2,
                      va="center")  # fmt: skip
            if not row.points:
                continue
            x = np.array([p[0] for p in row.points])
            tone = [VALUE_MAP(p[1]) if p[1] is not None else (1, 1, 1, 1) for p in row.points]
            axes.scatter(x, i + swarm_offsets(x, span=_span(swarm)), s=9, c=tone, linewidths=0.25, edgecolors=MUTED)
        axes.set_ylim(len(rows) - 0.6, -0.65)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"SHAP value [{scale}]: right speaks for {short(named(swarm.label, names), limit=24)}")
        axes.margins(x=0.05)
        return to_svg(figure, key=key, alt=f"SHAP values of {len(rows)} features for class {swarm.label}")


def _span(swarm: Beeswarm) -> float:
    values = [p[0] for row in swarm.rows for p in row.points]
    return (max(values) - min(values)) or 1.0 if values else 1.0


def swarm_offsets(values: np.ndarray, *, span: float, height: float = 0.27) -> np.ndarray:
    """Return vertical offsets that keep dots of nearly equal value apart.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Horizontal places.
    span : float
        Width of the axis in the unit of the values.
    height : float
        Largest offset.

    Returns
    -------
    ndarray of float, shape (n,)
        Offsets within ``[-height, height]``.
    """
    bins = np.floor((values - values.min()) / (span / 60)).astype(int) if values.size else np.zeros(0, dtype=int)
    offsets = np.zeros(values.size)
    crowd = max(int(np.bincount(bins).max()), 1) if values.size else 1
    step = min(0.09, 2 * height / crowd)
    for b in np.unique(bins):
        members = np.flatnonzero(bins == b)
        order = np.arange(members.size)
        offsets[members] = np.where(order % 2, 1, -1) * ((order + 1) // 2) * step
    return np.clip(offsets, -height, height)


def check_strip(check: CheckStrip, *, key: str, palette: Mapping[str, str], names: Mapping[str, str]) -> Markup:
    """Draw each patient of a check as a dot, linked to its report; limits as lines, flagged dots ringed."""
    groups = list(check.groups.items())
    with drawing(4.3, 0.66 + 0.29 * len(groups)) as figure:
        axes = figure.add_subplot()
        axis_style(axes)
        for limit in (check.low, check.high):
            if limit is not None:
                axes.axvline(limit, color=AGAINST, lw=0.9, ls=(0, (4, 2)))
        values = [d.value for _, dots in groups for d in dots]
        span = (max(values) - min(values)) or 1.0 if values else 1.0
        for row, (label, dots) in enumerate(groups):
            axes.axhline(row, color=LINE, lw=0.6, zorder=0)
            places = np.array([d.value for d in dots])
            drawn = axes.scatter(
                places,
                row + swarm_offsets(places, span=span, height=0.36),
                s=[20 if d.flagged else 9 for d in dots],
                color=palette.get(label, FOR),
                edgecolors=[INK if d.flagged else "none" for d in dots],
                linewidths=[1.3 if d.flagged else 0 for d in dots],
            )
            drawn.set_urls([d.href for d in dots])
        row_names(axes, [named(label, names) for label, _ in groups])
        axes.set_ylim(len(groups) - 0.45, -0.55)
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=5)
        axes.margins(x=0.05)
        axes.set_xlabel(visible(check.unit), labelpad=1, color=MUTED)
        return to_svg(figure, key=key, alt=f"{check.title}: one dot a patient, flagged patients ringed")


def resampling(plan: Resampling, *, key: str) -> Markup:
    """Draw the division of patients into outer folds, and the inner folds of the first one."""
    outer, inner = plan.outer_folds or 5, plan.inner_folds or 3
    shown = min(outer, 10)
    with drawing(3.55, 0.95 + 0.21 * (shown + min(inner, 5)), placed=True) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        rows = shown + min(inner, 5) + 2.6
        axes.set_xlim(0, 1)
        axes.set_ylim(rows, -0.4)
        for fold in range(shown):
            for part in range(shown):
                _box(axes, 0.15 + 0.84 * part / shown, fold + 0.55, 0.84 / shown, test=part == fold)
            axes.text(0.135, fold + 0.95, f"fold {fold + 1}", ha="right", va="center", fontsize=7.2)
        axes.text(0.15, 0.15, "Outer folds: tested once per patient", fontsize=7.6, color=MUTED, va="center")
        top = shown + 1.75
        axes.text(0.15, top - 0.5, "Inner folds of fold 1: training patients only", fontsize=7.6, color=MUTED,
                  va="center")  # fmt: skip
        for fold in range(min(inner, 5)):
            left, width = 0.15 + 0.84 / shown, 0.84 * (shown - 1) / shown
            for part in range(inner):
                _box(axes, left + width * part / inner, top + fold, width / inner, test=part == fold, inner=True)
        return to_svg(figure, key=key, alt=f"Drawing of the resampling. {plan.sentence}")


def _box(axes: Axes, x: float, y: float, width: float, *, test: bool, inner: bool = False) -> None:
    colour = (AGAINST if not inner else "#e7a97f") if test else ("#cfe0ea" if not inner else "#e6eef3")
    axes.add_patch(
        FancyBboxPatch(
            (x + 0.004, y),
            width - 0.008,
            0.78,
            boxstyle="round,pad=0,rounding_size=0.008",
            mutation_aspect=8,
            facecolor=colour,
            lw=0,
        )
    )


def value_legend() -> Markup:
    """Draw the colour key of the beeswarm."""
    stops = "".join(
        f'<stop offset="{i / 8:.3f}" stop-color="{mpl.colors.to_hex(VALUE_MAP(i / 8))}"/>' for i in range(9)
    )
    return Markup(  # noqa: S704 (made here from constants)
        '<svg class="key" role="img" aria-label="Colour key: low to high feature value" viewBox="0 0 120 8" '
        f'xmlns="http://www.w3.org/2000/svg"><defs><linearGradient id="value-key">{stops}</linearGradient></defs>'
        f'<rect width="120" height="8" rx="4" fill="url(#value-key)" stroke="{INK}" stroke-width="0"/></svg>'
    )
