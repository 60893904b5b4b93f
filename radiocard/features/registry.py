"""Every feature that radiocard computes: its name, its code, its unit and its meaning in words.

The list itself is ``features.csv`` beside this file. Tags are those of the IBSI reference sheet
[1]_ in lower case; planar shape, which has no IBSI code, has tags that begin with ``morph_2d``.

References
----------
.. [1] Zwanenburg et al., Image biomarker standardisation initiative, arXiv:1612.07003
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from radiocard.specs import Family, FeatureSpec

ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """What one column of a table holds.

    Parameters
    ----------
    column : str
        Name of the column.
    name : str
        Plain name, as printed in a report.
    meaning : str
        One sentence in words a clinician understands.
    unit : str
        Unit, empty for a pure number.
    ibsi_code : str or None
        Code of the feature in the IBSI reference manual.
    family : str
        Family that the column belongs to, for example ``glcm``.
    """

    column: str
    name: str
    meaning: str
    unit: str
    ibsi_code: str | None
    family: str


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, whatever the region, aggregation and discretisation.

    Parameters
    ----------
    tag : str
        IBSI tag without aggregation and discretisation, for example ``cm_joint_entr``.
    family : str
        Family of the specification that asks for it.
    ibsi_code : str or None
        Code in the IBSI reference manual.
    unit : str
        Unit, empty for a pure number.
    pyradiomics : str or None
        Name of the feature of the same definition in PyRadiomics 3, without its class.
    name : str
        Plain name.
    meaning : str
        One sentence in words a clinician understands.
    """

    tag: str
    family: Family
    ibsi_code: str | None
    unit: str
    pyradiomics: str | None
    name: str
    meaning: str


def _read() -> Mapping[str, Feature]:
    families: dict[str, Family] = {
        "shape_3d": "shape_3d",
        "shape_2d": "shape_2d",
        "intensity": "intensity",
        "histogram": "histogram",
        "glcm": "glcm",
    }
    text = resources.files("radiocard.features").joinpath("features.csv").read_text(encoding="utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        found[row["tag"]] = Feature(
            tag=row["tag"],
            family=families[row["family"]],
            ibsi_code=row["ibsi_code"] or None,
            unit=row["unit"],
            pyradiomics=row["pyradiomics"] or None,
            name=row["name"],
            meaning=row["meaning"],
        )
    return MappingProxyType(found)


FEATURES: Mapping[str, Feature] = _read()

_AGGREGATIONS = MappingProxyType(
    {
        "2d_avg": "per slice and direction, then averaged",
        "2d_comb": "per slice, then averaged",
        "2_5d_avg": "in the slice plane, per direction, then averaged",
        "2_5d_comb": "in the slice plane",
        "3d_avg": "in space, per direction, then averaged",
        "3d_comb": "in space",
    }
)
_REGIONS = MappingProxyType(
    {"lv_cavity": "LV cavity", "lv_myocardium": "LV myocardium", "rv_cavity": "RV cavity"},
)
_PHASES = MappingProxyType({"ed": "end-diastole", "es": "end-systole"})
_COLUMN = re.compile(
    r"(?P<region>[a-z0-9_]+?)__(?P<sequence>[a-z0-9]+)_(?P<phase>ed|es)__original__(?P<tag>[a-z0-9_]+)"
)
_SUFFIX = re.compile(
    rf"(?:_(?P<aggregation>{'|'.join(_AGGREGATIONS)}))?"
    r"(?:_d(?P<distance>[0-9]+))?"
    r"(?:_(?P<method>fbn|fbs)(?P<size>[0-9p]+))?"
)


def full_tags(feature: Feature, spec: FeatureSpec) -> list[str]:
    """Return the tags of one feature under a specification.

    Parameters
    ----------
    feature : Feature
        Entry of :data:`FEATURES`.
    spec : FeatureSpec
        Aggregations, distance and discretisation.

    Returns
    -------
    list of str
        One per aggregation, for example ``cm_joint_entr_2d_avg_fbn32``; a pair distance other
        than 1 stands before the discretisation (``_d2``). Shape and intensity statistics have
        one tag without either.
    """
    if feature.family == "glcm":
        return [glcm_tag(feature.tag, aggregation, spec) for aggregation in spec.glcm.aggregation]
    if feature.family == "histogram":
        return [f"{feature.tag}_{spec.discretisation.tag}"]
    return [feature.tag]


def glcm_tag(tag: str, aggregation: str, spec: FeatureSpec) -> str:
    """Return the full tag of one co-occurrence feature, see :func:`full_tags`."""
    distance = "" if spec.glcm.distance == 1 else f"_d{spec.glcm.distance}"
    return f"{tag}_{aggregation}{distance}_{spec.discretisation.tag}"


def texture_tags(spec: FeatureSpec) -> list[str]:
    """List the tags that a specification gives for each region, in the order of the registry.

    Parameters
    ----------
    spec : FeatureSpec
        Families, aggregations, discretisation and engine. PyRadiomics gives only the features
        that it defines in the same way.

    Returns
    -------
    list of str
        Tags without region, sequence and filter.
    """
    wanted = [f for f in FEATURES.values() if f.family in spec.families]
    if spec.engine == "pyradiomics":
        wanted = [f for f in wanted if f.pyradiomics]
    return [tag for feature in wanted for tag in full_tags(feature, spec)]


def texture_column(region: str, sequence: str, phase: str, tag: str) -> str:
    """Return the name of one column: ``<region>__<sequence>_<phase>__original__<tag>``."""
    return f"{region}__{sequence}_{phase}__{ORIGINAL}__{tag}"


def describe_texture_column(column: str) -> ColumnInfo | None:
    """Describe one texture column in words.

    Parameters
    ----------
    column : str
        For example ``lv_myocardium__cine_ed__original__cm_joint_entr_2d_avg_fbn32``.

    Returns
    -------
    ColumnInfo or None
        None if this is not the name of a texture column.

    Examples
    --------
    >>> describe_texture_column("lv_myocardium__cine_ed__original__stat_mean").name
    'Mean, LV myocardium, end-diastole'
    """
    parts = _COLUMN.fullmatch(column)
    if parts is None or parts["region"] not in _REGIONS:
        return None
    feature, suffix = _split_tag(parts["tag"])
    if feature is None or suffix is None:
        return None
    how = _settings_in_words(feature, suffix)
    if how is None:
        return None
    where = f"{_REGIONS[parts['region']]}, {_PHASES[parts['phase']]}"
    meaning = f"{feature.meaning[:-1]} ({how})." if how else feature.meaning
    return ColumnInfo(column, f"{feature.name}, {where}", meaning, feature.unit, feature.ibsi_code, feature.family)


def _split_tag(tag: str) -> tuple[Feature | None, re.Match[str] | None]:
    """Find the longest feature tag that begins the text, and its suffix."""
    words = tag.split("_")
    for n in range(len(words), 1, -1):
        feature = FEATURES.get("_".join(words[:n]))
        if feature is not None:
            rest = tag[len(feature.tag) :]
            return feature, _SUFFIX.fullmatch(rest)
    return None, None


def _settings_in_words(feature: Feature, suffix: re.Match[str]) -> str | None:
    """None if the suffix does not fit the family."""
    has = (suffix["aggregation"] is not None, suffix["method"] is not None)
    if has != (feature.family == "glcm", feature.family in {"glcm", "histogram"}):
        return None
    words = [_AGGREGATIONS[suffix["aggregation"]]] if has[0] else []
    if suffix["distance"]:
        words.append(f"voxels {suffix['distance']} apart")
    if has[1]:
        size = suffix["size"].replace("p", ".")
        words.append(f"{size} grey levels" if suffix["method"] == "fbn" else f"grey levels {size} wide")
    return "; ".join(words)
