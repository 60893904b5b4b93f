"""Report objects to one self-contained HTML page each; every text is escaped, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from radiocard.report import figures, figures_cohort, figures_patient, text
from radiocard.report.schema_base import Estimate
from radiocard.report.schema_cohort import CohortReport
from radiocard.report.schema_patient import PatientReport, SlicePicture
from radiocard.report.schema_why import Waterfall


def render_patient(report: PatientReport) -> str:
    """Draw the patient report.

    Parameters
    ----------
    report : PatientReport
        Everything the page shows.

    Returns
    -------
    str
        One HTML document: no script, no outside request.
    """
    labels = _patient_labels(report)
    names = {p.label: p.name for p in report.answer.probabilities if p.name} if report.answer else {}
    return _page(
        "patient.html",
        report,
        palette=figures.colours(labels),
        names=names,
        figures=figures_patient,
        slices=_by_image(report),
        levels={"basal": "Basal", "mid": "Mid", "apical": "Apical"},
        measure_groups=[(k, list(v)) for k, v in groupby(report.measures.rows, key=lambda r: r.group)]
        if report.measures
        else [],
        waterfalls=[(w, _steps(w, report.why.classes)) for w in report.why.classes] if report.why else [],
    )


def render_cohort(report: CohortReport) -> str:
    """Draw the cohort report.

    Parameters
    ----------
    report : CohortReport
        Everything the page shows.

    Returns
    -------
    str
        One HTML document: no script, no outside request.
    """
    return _page(
        "cohort.html",
        report,
        palette=figures.colours(report.classes),
        names=report.class_names,
        figures=figures_cohort,
        bulls_eye=figures_patient.bulls_eye,
    )


@dataclass(frozen=True)
class Step:
    """Place of one waterfall bar on its track [percent of the track]."""

    left: float
    width: float
    end: float


@dataclass(frozen=True)
class RangePlace:
    """Reference interval and value on the track of a clinical number [percent of the track]."""

    low: float
    width: float
    value: float
    outside: bool


def _page(template: str, report: PatientReport | CohortReport, **parts: Any) -> str:
    environment = _environment()
    style = environment.loader.get_source(environment, "style.css")[0] if environment.loader else ""
    return environment.get_template(template).render(r=report, style=Markup(style), **parts)  # noqa: S704 (our file)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("radiocard.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "num": text.number,
        "signed": text.signed,
        "pct": text.percent,
        "quantity": text.quantity,
        "p": text.p_value,
        "css": text.css_string,
        "count_text": lambda n: text.number(n, 0 if float(n).is_integer() else 1),
        "estimate": _estimate,
        "span_text": _span_text,
        "label": lambda label, names: names.get(label) or label,
    }
    environment.globals |= {
        "interval": text.interval,
        "range_place": range_place,
        "shade": lambda share: f"{min(max(share, 0.0), 1.0):.2f}",
        "contour_style": figures_patient.contour_style,
    }
    return environment


def _shown(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return text.visible(value)


def _estimate(estimate: Estimate | None, *, as_percent: bool, digits: int = 2) -> str:
    if estimate is None:
        return "–"
    return text.percent(estimate.value) if as_percent else text.number(estimate.value, digits)


def _span_text(estimate: Estimate | None, *, as_percent: bool, digits: int = 2) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    ends = (estimate.low, estimate.high)
    low, high = (f"{e * 100:.0f}" if as_percent else text.number(e, digits) for e in ends)
    return f"{low}{text.NBSP}to{text.NBSP}{high}"


def range_place(low: float | None, high: float | None, value: float | None) -> RangePlace | None:
    """Place a value beside its reference interval, which fills the middle third of the track.

    Returns
    -------
    RangePlace or None
        None where a limit or the value is unknown; values beyond the track stand at its end.
    """
    if low is None or high is None or value is None or high <= low:
        return None
    place = (value - low) / (high - low) * 34 + 33
    return RangePlace(33.0, 34.0, min(max(place, 1.5), 98.5), not 0 <= place <= 100)


def _patient_labels(report: PatientReport) -> list[str]:
    if report.answer:
        return sorted(p.label for p in report.answer.probabilities)
    stories = report.why.features if report.why else []
    return list(dict.fromkeys(label for story in stories for label in story.strip))


def _by_image(report: PatientReport) -> list[tuple[str, list[SlicePicture]]]:
    if not report.images:
        return []
    words, order = {"ed": "End-diastole", "es": "End-systole"}, ("basal", "mid", "apical")
    groups: dict[str, list[SlicePicture]] = {}
    for picture in report.images.slices:
        title = picture.bar.title if picture.bar else words.get(picture.phase or "", "Late enhancement")
        groups.setdefault(title, []).append(picture)
    return [(title, sorted(group, key=lambda s: order.index(s.level))) for title, group in groups.items()]


def _steps(waterfall: Waterfall, together: Sequence[Waterfall]) -> dict[str, Any]:
    """Place the bars of one waterfall on the track that all waterfalls of the page share."""
    ends = [v for w in together for v in _levels(w)]
    low, high = min(ends), max(ends)
    pad = 0.04 * ((high - low) or 1.0)
    low, span = low - pad, (high - low) + 2 * pad or 1.0

    def at(value: float) -> float:
        return round((value - low) / span * 100, 2)

    levels = list(_levels(waterfall))
    steps = [Step(at(min(a, b)), round(abs(at(b) - at(a)), 2), at(b)) for a, b in pairwise(levels)]
    return {"base": at(waterfall.base), "output": at(waterfall.output), "steps": steps}


def _levels(waterfall: Waterfall) -> Iterator[float]:
    level = waterfall.base
    yield level
    for item in waterfall.items:
        level += item.contribution
        yield level
