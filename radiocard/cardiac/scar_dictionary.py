"""What every column of late gadolinium images means, in a clinician's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from radiocard.cardiac.segments import SEGMENT_NAMES
from radiocard.features.registry import ColumnInfo

SCAR_FAMILIES = ("Scar size", "Scar per segment", "Scar pattern", "Scar heterogeneity")
_SIZE, _SEGMENT, _PATTERN, _MIXED = SCAR_FAMILIES
_Entry = tuple[str, str, str, str, str]  # column, name, meaning, unit, family

_PARTS = (
    ("scar", "Scar", "myocardium that is scar, no-reflow included", _SIZE),
    ("no_reflow", "No-reflow", "scar that takes up no contrast agent (microvascular obstruction)", _SIZE),
    ("scar_core", "Scar core", "densely enhanced scar, above half of its brightest voxel", _MIXED),
    ("grey_zone", "Grey zone", "moderately enhanced myocardium around the core of the scar", _MIXED),
)
_LAYERS = (("inner", "inner"), ("middle", "middle"), ("outer", "outer"))
_PATTERNS = (
    ("transmural", "Transmural scar", "reaches through the whole wall"),
    ("subendocardial", "Subendocardial scar", "starts at the inner border of the wall without reaching through it"),
    ("midwall", "Mid-wall scar", "lies in the middle of the wall and spares both borders"),
    ("subepicardial", "Subepicardial scar", "reaches the outer border of the wall and spares the inner one"),
)


def _sizes() -> Iterator[_Entry]:
    text = "Mass of the left ventricular wall in the late gadolinium slices."
    yield "lvm_lge_g", "LV mass in the late gadolinium stack", text, "g", _SIZE
    for part, name, meaning, family in _PARTS:
        yield f"{part}_mass_g", f"{name} mass", f"Mass of {meaning}.", "g", family
        yield f"{part}_pct", f"{name} share", f"Share of the left ventricular wall: {meaning}.", "%", family
    text = "How unpredictable the brightness of the wall is, scar included: low if even, high if scar is mixed in."
    yield "lge_entropy_bit", "Entropy of late enhancement", text, "bit", _MIXED


def _segments() -> Iterator[_Entry]:
    for n, place in enumerate(SEGMENT_NAMES, start=1):
        where, aha = f"segment {n} ({place})", f"aha_{n:02d}_pct"
        yield f"scar_{aha}", f"Scar in {where}", f"Share of {where} that is scar.", "%", _SEGMENT
        text = f"How deep scar reaches through the wall, mean over all of {where}."
        yield f"transmurality_{aha}", f"Transmurality in {where}", text, "%", _SEGMENT
        text = f"Share of the circumference of {where} along which the wall holds scar."
        yield f"scar_extent_{aha}", f"Extent of scar in {where}", text, "%", _SEGMENT
        text = f"How deep scar reaches through the wall where {where} holds scar."
        yield f"transmurality_scarred_{aha}", f"Transmurality of the scarred part of {where}", text, "%", _SEGMENT
    text = "Number of segments in which scar reaches through more than half of the wall; they seldom recover."
    yield "transmurality_over_50_n", "Segments that are scarred through more than half", text, "segments", _SEGMENT


def _patterns() -> Iterator[_Entry]:
    for layer, word in _LAYERS:
        text = f"Share of the {word} third of the wall that is scar."
        yield f"scar_{layer}_third_pct", f"Scar in the {word} third of the wall", text, "%", _PATTERN
    for pattern, name, meaning in _PATTERNS:
        text = f"Share of the scarred wall in which scar {meaning}."
        yield f"scar_pattern_{pattern}_pct", name, text, "%", _PATTERN
    text = "Share of the scarred wall in which scar includes the inner third, as after a coronary occlusion."
    yield "scar_ischaemic_pattern_pct", "Scar of ischaemic pattern", text, "%", _PATTERN
    text = "Share of the scarred wall in which scar spares the inner third, as in cardiomyopathy or myocarditis."
    yield "scar_nonischaemic_pattern_pct", "Scar of non-ischaemic pattern", text, "%", _PATTERN


def _entries() -> Iterator[_Entry]:
    yield from _sizes()
    yield from _segments()
    yield from _patterns()


SCAR: Mapping[str, ColumnInfo] = MappingProxyType(
    {
        column: ColumnInfo(column=column, name=name, meaning=meaning, unit=unit, ibsi_code=None, family=family)
        for column, name, meaning, unit, family in _entries()
    }
)
