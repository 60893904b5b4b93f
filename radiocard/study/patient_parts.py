"""What the patient report says of a case besides its answer: checks, the light, demographics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from radiocard.cardiac.maps import MapMeasures
from radiocard.cardiac.scar import ScarMeasures
from radiocard.cohort.row import Measures as Measured
from radiocard.errors import Issue
from radiocard.image import Case
from radiocard.report.schema_base import CheckRow
from radiocard.report.schema_patient import Light
from radiocard.study.sure import Likeness

Checks = Mapping[str, tuple[str, tuple[str, ...]]]
CHECKS: Checks = {
    "Image and mask are on one grid": ("grid", ("E_GEOMETRY",)),
    "Grey values are finite": ("finite", ("E_NONFINITE",)),
    "Labels agree with anatomy": ("anatomy", ("E_LABEL_ANATOMY", "E_LABELS")),
    "Regions are complete and large enough": ("regions", ("E_EMPTY_ROI", "E_ROI_SIZE")),
    "Each region is one piece": ("components", ("W_COMPONENTS",)),
    "The slice stack has no gap": ("slices", ("W_SLICES",)),
}
CINE_CHECKS: Checks = {
    "End-systole is smaller than end-diastole": ("phases", ("W_PHASE",)),
    "Left and right stroke volumes are within the limit": ("stroke volume", ("W_STROKE_VOLUME",)),
    "Measurements are within physiology": ("physiology", ("W_PHYSIOLOGY",)),
}
MAP_CHECKS: Checks = {
    "Values are such as their unit has": ("units", ("E_UNITS", "E_VALUES")),
    "Values are fitted and not cut off": ("fitted", ("W_UNFITTED", "W_SATURATED")),
    "Blood is even": ("blood", ("W_PHYSIOLOGY",)),
}
LAST_CHECKS: Checks = {"Anterior and inferior are proven": ("orientation", ("W_ORIENTATION",))}
PASSED = (
    "All input checks that bear on the answer passed, and the patient is not unlike the training patients. "
    "This concerns the input, not the probability."
)
UNRELIABLE = frozenset({"W_PHASE", "W_MASK_ASK"})
NO_EFFECT_ON_ANSWER = frozenset(
    {"W_ORIENTATION", "W_LEVELS", "W_FEATURE_UNDEFINED", "W_CONSTANT", "W_IDENTICAL_IMAGES"}
)


def checks_of(heart: Measured) -> Checks:
    """Return the input checks that bear on a study, in words."""
    own = MAP_CHECKS if isinstance(heart, MapMeasures) else {} if isinstance(heart, ScarMeasures) else CINE_CHECKS
    return {**CHECKS, **own, **LAST_CHECKS}


def mask_check(clinical: Mapping[str, Any]) -> Checks:
    """Return the check of masks that a network drew; nothing where a person did."""
    network = clinical.get("mask_network")
    if not network:
        return {}
    sure = clinical.get("mask_confidence")
    least = f", least certain region {100 * float(sure):.0f} % sure" if sure is not None else ""
    judged = "accepted by its quality estimate" if clinical.get("mask_verdict") else "not judged by a quality estimate"
    text = f"Masks drawn by the network {network} and {judged}{least}"
    return {text: ("MASK", ("W_MASK_WARN", "W_MASK_ASK"))}


def check_rows(issues: Iterable[Issue], checks: Checks) -> list[CheckRow]:
    """List the findings first, then every check that found nothing."""
    found = list(issues)
    rows = [
        CheckRow(
            code=i.code,
            severity=i.severity or "warn",
            message=i.message,
            passed=False,
            field=i.field,
            hint=i.hint or None,
        )
        for i in found
    ]
    codes = {issue.code for issue in found}
    rows += [
        CheckRow(code=short, severity="pass", message=message, passed=True)
        for message, (short, concerned) in checks.items()
        if not codes & set(concerned)
    ]
    return rows


def light(issues: Iterable[Issue], *, override: str | None, like: Likeness) -> Light:
    """Set the light from the input checks, and from how unlike the training patients this one is."""
    found = [issue for issue in issues if issue.code not in NO_EFFECT_ON_ANSWER]
    causes = list(dict.fromkeys([*([like.sentence] if like.alarm else []), *(issue.message for issue in found)]))
    if override:
        return Light(level="not reliable", causes=[override, *causes])
    if like.level == "very unusual" or any(issue.code in UNRELIABLE for issue in found):
        return Light(level="not reliable", causes=causes)
    if causes:
        return Light(level="caution", causes=causes)
    return Light(level="reliable", causes=[PASSED])


def demographics(case: Case) -> dict[str, str]:
    """Return the known covariates with their units; the diagnosis is not among them."""
    clinical, shown = case.clinical, {}
    words = {"F": "female", "M": "male"}
    if clinical.get("sex"):
        shown["Sex"] = words.get(str(clinical["sex"]), str(clinical["sex"]))
    for column, name, unit in (("age_y", "Age", "y"), ("height_cm", "Height", "cm"), ("weight_kg", "Weight", "kg")):
        if clinical.get(column) is not None:
            shown[name] = f"{float(clinical[column]):.0f} {unit}"
    for column, name in (("site", "Site"), ("vendor", "Scanner")):
        if clinical.get(column):
            shown[name] = str(clinical[column])
    if clinical.get("field_strength_t") is not None:
        shown["Field strength"] = f"{float(clinical['field_strength_t']):g} T"
    return shown
