"""What every cardiac column means, in a clinician's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from radiocard.cardiac.segments import SEGMENT_NAMES
from radiocard.features.registry import ColumnInfo

FAMILIES = (
    "LV volumes",
    "RV volumes",
    "LV mass",
    "Function",
    "Wall thickness",
    "Regional contraction",
    "Shape",
    "Body size",
)
_PHASE_NAMES = {"ed": "end-diastole", "es": "end-systole"}
_Entry = tuple[str, str, str, str, str]  # column, name, meaning, unit, family

_GLOBAL: tuple[_Entry, ...] = (
    ("bsa_m2", "Body surface area", "Body surface area from height and weight.", "m²", "Body size"),
    ("lvm_g", "LV mass", "Mass of the left ventricular wall at end-diastole.", "g", "LV mass"),
    ("lvmi_g_m2", "LV mass index", "Left ventricular mass per body surface area.", "g/m²", "LV mass"),
    ("mass_volume_ratio_g_ml", "LV mass to volume ratio",
     "Left ventricular mass per end-diastolic volume; high in concentric remodelling.", "g/mL", "LV mass"),
    ("lv_wall_es_ml", "LV wall volume at end-systole",
     "Volume of the left ventricular wall that the short-axis slices hold at end-systole.", "mL", "LV mass"),
    ("lv_wall_cavity_es_ratio", "LV wall to cavity volume at end-systole",
     "Volume of the wall by the volume of the cavity at end-systole; low when the ventricle empties poorly.",
     "", "LV mass"),
    ("lvef_pct", "LV ejection fraction",
     "Share of the left ventricle's blood that is ejected with one beat.", "%", "Function"),
    ("rvef_pct", "RV ejection fraction",
     "Share of the right ventricle's blood that is ejected with one beat.", "%", "Function"),
    ("lv_rv_edv_ratio", "LV to RV volume ratio at end-diastole",
     "Left by right ventricular volume at end-diastole; high when the left ventricle is the larger one.",
     "", "LV volumes"),
    ("lv_rv_esv_ratio", "LV to RV volume ratio at end-systole",
     "Left by right ventricular volume at end-systole; high when the left ventricle empties less.", "", "LV volumes"),
    ("mwt_max_mm", "Thickest segment at end-diastole",
     "Thickest of the 16 segments at end-diastole, by the mean thickness of each segment.", "mm", "Wall thickness"),
    ("mwt_max_es_mm", "Thickest segment at end-systole",
     "Thickest of the 16 segments at end-systole, by the mean thickness of each segment.", "mm", "Wall thickness"),
    ("thickening_mean_pct", "Mean systolic thickening",
     "How much the wall thickens from end-diastole to end-systole, mean of the segments.",
     "%", "Regional contraction"),
    ("thickening_sd_pct", "Spread of systolic thickening",
     "How unevenly the segments thicken; standard deviation over the segments.", "%", "Regional contraction"),
    ("thickening_min_pct", "Lowest systolic thickening",
     "Thickening of the segment that thickens least; negative where the wall gets thinner.",
     "%", "Regional contraction"),
    ("thickening_low_n", "Segments that do not thicken",
     "Number of segments that thicken by less than 10 % from end-diastole to end-systole.",
     "segments", "Regional contraction"),
    ("endo_motion_mean_mm", "Mean inward motion",
     "How far the inner wall moves inwards from end-diastole to end-systole, mean of the segments.",
     "mm", "Regional contraction"),
    ("endo_motion_sd_mm", "Spread of inward motion",
     "How unevenly the segments move inwards; standard deviation over the segments.", "mm", "Regional contraction"),
    ("endo_motion_min_mm", "Lowest inward motion",
     "Inward motion of the segment that moves least; negative where it moves outwards.",
     "mm", "Regional contraction"),
)  # fmt: skip


def _volumes() -> Iterator[_Entry]:
    for side, chamber in (("lv", "left"), ("rv", "right")):
        family = f"{side.upper()} volumes"
        for short, name, meaning in (
            ("edv", "end-diastolic volume", f"Blood in the {chamber} ventricle when it is fullest"),
            ("esv", "end-systolic volume", f"Blood left in the {chamber} ventricle after ejection"),
            ("sv", "stroke volume", f"Volume change of the {chamber} ventricle with one beat"),
        ):
            title = f"{side.upper()} {name}"
            yield f"{side}{short}_ml", title, f"{meaning}.", "mL", family
            yield f"{side}{short}i_ml_m2", f"{title} index", f"{meaning}, per body surface area.", "mL/m²", family


def _thickness(phase: str) -> Iterator[_Entry]:
    at, family = f"at {_PHASE_NAMES[phase]}", "Wall thickness"
    for column, name, meaning in (
        ("mwt_mean", "Mean wall thickness", "Mean of the thickness of the segments"),
        ("mwt_sd", "Spread of wall thickness", "Standard deviation of the thickness over the segments"),
        ("wt_p95", "95th percentile of wall thickness", "Thickness that only 5 % of the wall exceeds"),
        ("mwt_slice_max", "Thickest slice", "Largest of the mean wall thicknesses of the slices"),
        ("mwt_slice_sd", "Spread of wall thickness between slices",
         "Standard deviation over the slices of their mean wall thickness"),
        ("mwt_sd_slice_mean", "Unevenness of wall thickness within slices",
         "Standard deviation of the thickness around a slice, mean over the slices"),
        ("mwt_sd_slice_sd", "Spread of unevenness between slices",
         "Standard deviation of the thickness around a slice, standard deviation over the slices"),
    ):  # fmt: skip
        yield f"{column}_{phase}_mm", f"{name} {at}", f"{meaning} {at}.", "mm", family
    meaning = f"Volume of the left ventricle by that of a sphere of its length {at}; 1 is a sphere."
    yield f"sphericity_{phase}", f"LV sphericity {at}", meaning, "", "Shape"


def _segments() -> Iterator[_Entry]:
    for n, place in enumerate(SEGMENT_NAMES, start=1):
        where = f"segment {n} ({place})"
        for phase, phase_name in _PHASE_NAMES.items():
            for column, name in (
                ("wt", "Mean wall thickness"),
                ("wt_max", "Maximal wall thickness"),
                ("wt_sd", "Standard deviation of wall thickness"),
            ):
                text = f"{name} in {where} at {phase_name}."
                yield f"{column}_aha_{n:02d}_{phase}_mm", text[:-1], text, "mm", "Wall thickness"
        text = f"Thickening of the wall from end-diastole to end-systole in {where}."
        yield f"thickening_aha_{n:02d}_pct", f"Systolic thickening in {where}", text, "%", "Regional contraction"
        text = f"Inward motion of the inner wall from end-diastole to end-systole in {where}."
        yield f"endo_motion_aha_{n:02d}_mm", f"Inward motion in {where}", text, "mm", "Regional contraction"


def _entries() -> Iterator[_Entry]:
    yield from _volumes()
    yield from _GLOBAL
    yield from _thickness("ed")
    yield from _thickness("es")
    yield from _segments()


CLINICAL: Mapping[str, ColumnInfo] = MappingProxyType(
    {
        column: ColumnInfo(column=column, name=name, meaning=meaning, unit=unit, ibsi_code=None, family=family)
        for column, name, meaning, unit, family in _entries()
    }
)
