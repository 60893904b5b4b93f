"""Are the measurements such as a living heart can have? Findings warn; no value is changed."""

from __future__ import annotations

from collections.abc import Mapping

from radiocard.errors import Issue
from radiocard.specs import Interval, Physiology

_WORDS = {
    "lvef_pct": ("LV ejection fraction", "%"),
    "rvef_pct": ("RV ejection fraction", "%"),
    "lvedv_ml": ("LV end-diastolic volume", "mL"),
    "rvedv_ml": ("RV end-diastolic volume", "mL"),
    "lvm_g": ("LV mass", "g"),
    "mwt_max_mm": ("largest wall thickness at end-diastole", "mm"),
}
_HINT_VOLUME = "Check the voxel spacing, the label order, and that all slices were drawn."


def check_measures(values: Mapping[str, float | None], settings: Physiology, case_id: str) -> list[Issue]:
    """Compare one patient's measurements with the limits of a specification.

    Parameters
    ----------
    values : mapping of str to float or None
        Clinical columns, as :func:`radiocard.cardiac.measure.measure` names them; those that
        are absent or None are not judged.
    settings : Physiology
        Limits.
    case_id : str
        Patient identifier.

    Returns
    -------
    list of Issue
        ``W_PHASE`` where a ventricle is not smaller at end-systole; ``W_STROKE_VOLUME`` where
        left and right are far apart; ``W_PHYSIOLOGY`` where a value is out of range.
    """
    return [
        *_phases(values, case_id),
        *_stroke_volumes(values, settings, case_id),
        *_ranges(values, settings, case_id),
    ]


def stroke_volume_difference_pct(left_ml: float, right_ml: float) -> float:
    """Return the difference between two stroke volumes relative to their mean [%].

    Examples
    --------
    >>> stroke_volume_difference_pct(60.0, 100.0)
    50.0
    """
    return 100 * abs(left_ml - right_ml) / ((left_ml + right_ml) / 2)


def _phases(values: Mapping[str, float | None], case: str) -> list[Issue]:
    issues = []
    for side in ("lv", "rv"):
        ed, es = values.get(f"{side}edv_ml"), values.get(f"{side}esv_ml")
        if ed is None or es is None or es < ed:
            continue
        message = f"The {side.upper()} is not smaller at end-systole: {es:.1f} mL against {ed:.1f} mL at end-diastole."
        hint = "Check that the phases were not swapped."
        issues.append(Issue("W_PHASE", message, case, f"{side}esv_ml", hint))
    return issues


def _stroke_volumes(values: Mapping[str, float | None], settings: Physiology, case: str) -> list[Issue]:
    left, right = _stroke_volume(values, "lv"), _stroke_volume(values, "rv")
    if left is None or right is None or left <= 0 or right <= 0:
        return []
    apart, limit = stroke_volume_difference_pct(left, right), settings.stroke_volume_difference_pct
    if apart <= limit:
        return []
    message = f"LV and RV stroke volume are {left:.1f} and {right:.1f} mL, {apart:.0f} % apart (limit {limit:g} %)."
    hint = "Check the basal slices of the RV; regurgitation and shunts do this too."
    return [Issue("W_STROKE_VOLUME", message, case, "rvsv_ml", hint)]


def _stroke_volume(values: Mapping[str, float | None], side: str) -> float | None:
    ed, es = values.get(f"{side}edv_ml"), values.get(f"{side}esv_ml")
    return None if ed is None or es is None else ed - es


def _ranges(values: Mapping[str, float | None], settings: Physiology, case: str) -> list[Issue]:
    limits: dict[str, Interval] = {
        "lvef_pct": settings.lvef_pct,
        "rvef_pct": settings.rvef_pct,
        "lvedv_ml": settings.lvedv_ml,
        "rvedv_ml": settings.rvedv_ml,
        "lvm_g": settings.lvm_g,
        "mwt_max_mm": settings.wall_thickness_mm,
    }
    issues = []
    for column, (low, high) in limits.items():
        value = values.get(column)
        if value is None or low <= value <= high:
            continue
        name, unit = _WORDS[column]
        message = f"The {name} is {value:.1f} {unit}, expected {low:g} to {high:g} {unit}."
        issues.append(Issue("W_PHYSIOLOGY", message, case, column, _HINT_VOLUME))
    return issues
