"""One case to the parts of the patient report: checks, clinical numbers, bull's eyes, the published rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiocard.cardiac.map_dictionary import MAP_NAMES, MAP_SIGNS
from radiocard.cardiac.map_reference import SAME_FIELD_T, LocalComparison, local_z
from radiocard.cardiac.maps import MapMeasures
from radiocard.cardiac.reference import ReferenceRange, intervals, read_reference
from radiocard.cardiac.scar import ScarMeasures
from radiocard.cohort.row import Measures as Measured
from radiocard.cohort.table import describe
from radiocard.errors import Issue
from radiocard.explain.words import class_name, format_value
from radiocard.image import Case
from radiocard.models.rule import CriterionCheck, make_rule
from radiocard.report.schema_base import CheckRow
from radiocard.report.schema_patient import BullsEye, Light, MeasureRow, Measures
from radiocard.report.schema_why import Rule, RuleCriterion, RuleGroup, RuleReading
from radiocard.specs import CardiacSettings, RuleSpec
from radiocard.specs.maps import MAP_UNITS, MapSettings, read_local_reference
from radiocard.study.sure import Likeness

Values = Mapping[str, float | None]

SHOWN: Mapping[str, tuple[str, ...]] = {
    "Left ventricle": (
        "lvedv_ml",
        "lvedvi_ml_m2",
        "lvesv_ml",
        "lvesvi_ml_m2",
        "lvsv_ml",
        "lvef_pct",
        "sphericity_ed",
    ),
    "Right ventricle": ("rvedv_ml", "rvedvi_ml_m2", "rvesv_ml", "rvesvi_ml_m2", "rvsv_ml", "rvef_pct"),
    "Myocardium": (
        "lvm_g",
        "lvmi_g_m2",
        "mass_volume_ratio_g_ml",
        "mwt_max_mm",
        "mwt_mean_ed_mm",
        "mwt_max_es_mm",
    ),
    "Regional contraction": (
        "thickening_mean_pct",
        "thickening_sd_pct",
        "thickening_min_pct",
        "thickening_low_n",
        "endo_motion_mean_mm",
        "endo_motion_min_mm",
    ),
}
MAP_SHOWN = ("{0}_{1}", "{0}_septal_{1}", "{0}_median_{1}", "{0}_sd_{1}", "{0}_segment_max_{1}", "{0}_blood_{1}")
SCAR_SHOWN: Mapping[str, tuple[str, ...]] = {
    "Scar": (
        "lvm_lge_g",
        "scar_mass_g",
        "scar_pct",
        "no_reflow_pct",
        "scar_core_pct",
        "grey_zone_pct",
        "lge_entropy_bit",
    ),
    "Where in the wall": (
        "scar_inner_third_pct",
        "scar_middle_third_pct",
        "scar_outer_third_pct",
        "scar_ischaemic_pattern_pct",
        "scar_nonischaemic_pattern_pct",
        "transmurality_over_50_n",
    ),
}
SCAR_EYES = (("Scar", "%", "scar_aha_{:02d}_pct"), ("Transmurality", "%", "transmurality_aha_{:02d}_pct"))
MAP_WALL = ("mwt_max_map_mm", "mwt_mean_map_mm")
BULLS_EYES = (
    ("Wall thickness, end-diastole", "mm", "wt_aha_{:02d}_ed_mm"),
    ("Wall thickness, end-systole", "mm", "wt_aha_{:02d}_es_mm"),
    ("Systolic thickening", "%", "thickening_aha_{:02d}_pct"),
)
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
NO_LOCAL = (
    "No reference is shown: T1, T2 and ECV depend on scanner and sequence, and this site's own normals were not given."
)
MOST_CRITERIA = 4
_SEX_WORDS = {"F": "women", "M": "men"}
OPERATORS = {"lt": "below", "le": "at most", "gt": "above", "ge": "at least"}


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


def reference_ranges(
    values: Values, clinical: Mapping[str, Any], settings: CardiacSettings
) -> dict[str, ReferenceRange]:
    """Return the published reference of each measurement, where it holds for this patient."""
    if settings.reference is None:
        return {}
    return intervals(
        read_reference(settings.reference),
        values,
        sex=clinical.get("sex"),
        age_y=clinical.get("age_y"),
        papillary=settings.papillary,
    )


def measures(values: Values, ranges: Mapping[str, ReferenceRange], settings: CardiacSettings) -> Measures:
    """Fill section 3: numbers with unit, and with a reference where one holds."""
    source = read_reference(settings.reference) if settings.reference and ranges else None
    rows = []
    for group, columns in SHOWN.items():
        for column in columns:
            if values.get(column) is not None:
                rows.append(_measure_row(group, column, values[column], ranges.get(column)))
    missing = "" if ranges else " No reference interval is shown: it needs sex and an age for which one is published."
    formula = "Mosteller" if settings.bsa_formula == "mosteller" else "Du Bois"
    note = (
        f"Papillary muscles counted in the {settings.papillary}; myocardial density "
        f"{settings.myocardial_density_g_ml:g} g/mL; body surface area by {formula}.{missing}"
    )
    text = (
        f"{source.citation}, doi:{source.doi}; ages {source.age_y[0]:g} to {source.age_y[1]:g} years."
        if source
        else None
    )
    return Measures(rows=rows, reference=text, note=note)


def local_comparisons(
    values: Values, heart: MapMeasures, settings: MapSettings, clinical: Mapping[str, Any]
) -> list[LocalComparison]:
    """Compare each map with the site's own normals, where the specification names them."""
    if settings.reference is None:
        return []
    reference = read_local_reference(Path(settings.reference))
    return [
        local_z(
            values,
            reference,
            sequence=sequence,
            site=clinical.get("site"),
            field_strength_t=clinical.get("field_strength_t"),
            vendor=clinical.get("vendor"),
            scanner=clinical.get("scanner"),
            acquisition=clinical.get("acquisition"),
        )
        for sequence in heart.regions
    ]


def map_measures(
    values: Values, heart: MapMeasures, comparisons: Sequence[LocalComparison], settings: MapSettings
) -> Measures:
    """Fill section 3 of a map study: what was measured, and the site's own normals where they are known."""
    ranges = {column: found for comparison in comparisons for column, found in comparison.ranges.items()}
    rows = []
    for sequence in heart.regions:
        columns = [pattern.format(sequence, MAP_UNITS[sequence]) for pattern in MAP_SHOWN]
        shown = [c for c in columns if values.get(c) is not None]
        rows += [_measure_row(MAP_NAMES[sequence], c, values[c], ranges.get(c)) for c in shown]
    rows += [_measure_row("Wall", c, values[c], None) for c in MAP_WALL if values.get(c) is not None]
    note = (
        f"The inner {settings.erosion_endo_pct:g} % and the outer {settings.erosion_epi_pct:g} % of the wall are left "
        "out. "
    )
    said = " ".join(comparison.sentence for comparison in comparisons) or NO_LOCAL
    return Measures(rows=rows, reference=said if ranges else None, note=note + ("" if ranges else said))


def scar_measures(values: Values, settings: CardiacSettings) -> Measures:
    """Fill section 3 of a late gadolinium study."""
    rows = [
        _measure_row(group, column, values[column], None)
        for group, columns in SCAR_SHOWN.items()
        for column in columns
        if values.get(column) is not None
    ]
    density = f"Myocardial density {settings.myocardial_density_g_ml:g} g/mL."
    note = f"{density} No reference is shown: normal myocardium holds no scar."
    return Measures(rows=rows, note=note)


def bulls_eyes(values: Values, heart: Measured) -> list[BullsEye]:
    """Return thickness and thickening, or what maps show, over the AHA segments."""
    note = None if heart.proof.proven else heart.proof.reason
    patterns: Sequence[tuple[str, str, str]] = BULLS_EYES
    if isinstance(heart, MapMeasures):
        maps = [(MAP_NAMES[s], MAP_SIGNS[MAP_UNITS[s]], f"{s}_aha_{{:02d}}_{MAP_UNITS[s]}") for s in heart.regions]
        patterns = [*maps, ("Wall thickness on the map", "mm", "wt_aha_{:02d}_map_mm")]
        levels = " ".join(dict.fromkeys(region.note for region in heart.regions.values() if region.note))
        note = " ".join(filter(None, (note, levels))) or None
    if isinstance(heart, ScarMeasures):
        patterns = SCAR_EYES
    drawn: list[BullsEye] = []
    for title, unit, pattern in patterns:
        numbers = [values.get(pattern.format(n)) for n in range(1, 17)]
        if any(v is not None for v in numbers):
            drawn.append(BullsEye(title=title, unit=unit, values=numbers, proven=heart.proof.proven, note=note))
            note = None
    return drawn


def published_rule(
    spec: RuleSpec,
    values: Mapping[str, Any],
    classes: Sequence[str],
    *,
    sex: str | None,
    prediction: str,
    field_strength_t: float | None = None,
) -> Rule | None:
    """Read the published class definitions on one patient; None where they do not fit the classes."""
    row = pd.DataFrame([dict(values)])
    rule = make_rule(spec, classes, list(row.columns))
    if rule is None:
        return None
    decision = rule.decide(row, np.array([sex], dtype=object))[0]
    checks = rule.explain(values, sex)
    notes = []
    if sex not in {"F", "M"} and any(check.sex_specific for check in checks):
        said = {s: answer or "no class" for s, (answer, _) in decision.by_sex.items()}
        notes.append(f"Sex unknown, both cut-offs tried: for women {said['F']}, for men {said['M']}.")
    wanted = spec.field_strength_t
    if wanted is not None and (field_strength_t is None or abs(field_strength_t - wanted) > SAME_FIELD_T):
        found = "unknown" if field_strength_t is None else f"{field_strength_t:g} T"
        notes.append(f"The cut-offs hold at {wanted:g} T; the field strength of this study is {found}.")
    return Rule(
        title=spec.title,
        answer=decision.answer,
        agrees=None if decision.answer is None else decision.answer == prediction,
        classes=[_reading(label, checks, decision.unmet[label]) for label in dict.fromkeys(c.label for c in checks)],
        citations=list(spec.citations),
        note=" ".join(notes) or None,
    )


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


def _measure_row(group: str, column: str, value: float | None, known: ReferenceRange | None) -> MeasureRow:
    info = describe(column)
    name, unit = (info.name, info.unit) if info else (column, "")
    if known is None or value is None:
        return MeasureRow(group=group, column=column, name=name, value=value, unit=unit)
    position = "below" if value < known.low else "above" if value > known.high else "within"
    return MeasureRow(
        group=group,
        column=column,
        name=name,
        value=value,
        unit=unit,
        reference_low=known.low,
        reference_high=known.high,
        position=position,
        z=known.z,
    )


def _reading(label: str, checks: Sequence[CriterionCheck], unmet: float) -> RuleReading:
    groups: dict[int, list[CriterionCheck]] = defaultdict(list)
    for check in checks:
        if check.label == label:
            groups[check.group].append(check)
    return RuleReading(
        label=label,
        name=class_name(label),
        holds=unmet == 0,
        groups=[_group(part) for group in groups.values() for part in _by_sex(group)],
    )


def _by_sex(checks: list[CriterionCheck]) -> list[list[CriterionCheck]]:
    """Part the two cut-offs of one criterion, which stand side by side where the sex is unknown."""
    return [[c] for c in checks] if len({c.column for c in checks}) == 1 else [checks]


def _group(checks: Sequence[CriterionCheck]) -> RuleGroup:
    """Show a few criteria one by one, and a comparison of all segments as one line."""
    if len(checks) <= MOST_CRITERIA:
        return RuleGroup(at_least=checks[0].at_least, criteria=[_criterion(c) for c in checks])
    met = sum(bool(c.met) for c in checks)
    info = describe(checks[0].column)
    names = [i.name for c in checks if (i := describe(c.column))]
    stem = commonprefix(names).rstrip(" ,") or checks[0].column
    cut_off = format_value(checks[0].cut_off, info.unit if info else "")
    needed = checks[0].at_least
    line = RuleCriterion(
        text=f"{stem}: {OPERATORS[checks[0].op]} {cut_off} in at least {needed} of {len(checks)} segments",
        column=checks[0].column,
        value=met,
        unit="segments",
        holds=met >= needed,
    )
    return RuleGroup(at_least=1, criteria=[line])


def _criterion(check: CriterionCheck) -> RuleCriterion:
    info = describe(check.column)
    name, unit = (info.name, info.unit) if info else (check.column, "")
    sexed = f" ({_SEX_WORDS[check.sex]})" if check.sex_specific else ""
    text = f"{name}: {OPERATORS[check.op]} {format_value(check.cut_off, unit)}{sexed}"
    return RuleCriterion(text=text, column=check.column, value=check.value, unit=unit, holds=check.met)
