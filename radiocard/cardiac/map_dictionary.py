"""What every column of the maps means, in a clinician's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from radiocard.cardiac.maps import BLOOD_SEQUENCES
from radiocard.cardiac.segments import SEGMENT_NAMES
from radiocard.features.registry import ColumnInfo
from radiocard.specs.maps import MAP_UNITS

MAP_NAMES: Mapping[str, str] = MappingProxyType(
    {"t1_native": "Native T1", "t1_post": "Post-contrast T1", "t2": "T2", "t2_star": "T2*", "ecv": "ECV"}
)
MAP_FAMILIES = (*MAP_NAMES.values(), "Wall thickness")
MAP_SIGNS: Mapping[str, str] = MappingProxyType({"ms": "ms", "pct": "%"})
_Entry = tuple[str, str, str, str, str]  # column, name, meaning, unit, family

_GLOBAL = (
    ("", "{0} of the myocardium", "Mean {0} of the left ventricular wall, its borders left out."),
    ("sd", "Spread of {0} in the myocardium", "Standard deviation of {0} over the pixels of the wall."),
    ("median", "Median {0} of the myocardium", "Middle value of {0} over the pixels of the wall."),
    ("septal", "{0} of the septum",
     "Mean {0} in the middle of the septum of the mid slice, away from the right ventricle's insertions."),
    ("segment_max", "Highest {0} of a segment", "{0} of the segment with the highest mean."),
    ("segment_sd", "Spread of {0} between segments", "Standard deviation of the mean {0} of the segments."),
)  # fmt: skip
_SEGMENT = (
    ("", "{0} in {1}", "Mean {0} in {1}, the borders of the wall left out."),
    ("sd_", "Spread of {0} in {1}", "Standard deviation of {0} over the pixels in {1}."),
    ("gradient_", "Gradient of {0} across the wall in {1}",
     "Mean {0} of the inner half of the wall minus that of the outer half in {1}."),
)  # fmt: skip


def _words(text: str, name: str, *where: str) -> str:
    """Put a quantity into a text, in small letters unless it comes first or is an abbreviation."""
    return text.format(name if text.startswith("{0}") else _small(name), *where)


def _small(name: str) -> str:
    return name if name[1].isupper() or name[1].isdigit() else name[0].lower() + name[1:]


def _map(sequence: str) -> Iterator[_Entry]:
    name, tag = MAP_NAMES[sequence], MAP_UNITS[sequence]
    unit, small = MAP_SIGNS[tag], _small(name)
    for quantity, title, meaning in _GLOBAL:
        column = "_".join(part for part in (sequence, quantity, tag) if part)
        yield column, _words(title, name), _words(meaning, name), unit, name
    if sequence in BLOOD_SEQUENCES:
        meaning = f"Mean {small} of the blood in the left ventricle, away from the wall and papillary muscles."
        yield f"{sequence}_blood_{tag}", f"{name} of blood", meaning, unit, name
    if sequence == "t2":
        meaning = "How differently the segments spread: mean absolute deviation of the logarithms of their SD of T2."
        yield "t2_mad_log_sd", "Unevenness of the spread of T2 between segments", meaning, "", name
    for n, place in enumerate(SEGMENT_NAMES, start=1):
        where = f"segment {n} ({place})"
        for quantity, title, meaning in _SEGMENT:
            column = f"{sequence}_{quantity}aha_{n:02d}_{tag}"
            yield column, _words(title, name, where), _words(meaning, name, where), unit, name
        meaning = f"Number of pixels of the {small} map that were measured in {where}."
        yield f"{sequence}_n_aha_{n:02d}", f"Pixels of {small} in {where}", meaning, "pixels", name


def _thickness() -> Iterator[_Entry]:
    family = "Wall thickness"
    text = "Thickest of the segments on the map, by the mean thickness of each segment."
    yield "mwt_max_map_mm", "Thickest segment on the map", text, "mm", family
    text = "Mean of the thickness of the segments on the map."
    yield "mwt_mean_map_mm", "Mean wall thickness on the map", text, "mm", family
    for n, place in enumerate(SEGMENT_NAMES, start=1):
        text = f"Mean wall thickness in segment {n} ({place}) on the map."
        yield f"wt_aha_{n:02d}_map_mm", text[:-1], text, "mm", family


def _entries() -> Iterator[_Entry]:
    for sequence in MAP_NAMES:
        yield from _map(sequence)
    yield from _thickness()


MAP_COLUMNS: Mapping[str, ColumnInfo] = MappingProxyType(
    {
        column: ColumnInfo(column=column, name=name, meaning=meaning, unit=unit, ibsi_code=None, family=family)
        for column, name, meaning, unit, family in _entries()
    }
)


def map_columns(sequences: Iterable[str]) -> list[str]:
    """Return the columns that maps of these sequences have, wall thickness included.

    Examples
    --------
    >>> map_columns(["ecv"])[:3]
    ['ecv_pct', 'ecv_sd_pct', 'ecv_median_pct']
    """
    return [entry[0] for part in (*map(_map, sequences), _thickness()) for entry in part]
