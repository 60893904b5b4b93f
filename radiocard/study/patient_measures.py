"""The measurements of one case for the patient report: numbers with references, and bull's eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radiocard.cardiac.map_dictionary import MAP_NAMES, MAP_SIGNS
from radiocard.cardiac.map_reference import LocalComparison, local_z
from radiocard.cardiac.maps import MapMeasures
from radiocard.cardiac.reference import ReferenceRange, intervals, read_reference
from radiocard.cardiac.scar import ScarMeasures
from radiocard.cohort.row import Measures as Measured
from radiocard.cohort.table import describe
from radiocard.report.schema_patient import BullsEye, MeasureRow, Measures
from radiocard.specs import CardiacSettings
from radiocard.specs.maps import MAP_UNITS, MapSettings, read_local_reference

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
NO_LOCAL = (
    "No reference is shown: T1, T2 and ECV depend on scanner and sequence, and this site's own normals were not given."
)


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
