"""What one texture column of a table holds, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

from radiocard.features.catalogue import BY_PYRADIOMICS, FEATURES, Feature
from radiocard.image import REGION_NAMES, REGIONS


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


_AGGREGATIONS = MappingProxyType(
    {
        "2d_avg": "per slice and direction, then averaged",
        "2d_comb": "per slice, then averaged",
        "2_5d_avg": "in the slice plane, per direction, then averaged",
        "2_5d_comb": "in the slice plane",
        "3d_avg": "in space, per direction, then averaged",
        "3d_comb": "in space",
        "2d": "per slice, then averaged",
        "2_5d": "in the slice plane",
        "3d": "in space",
    }
)
_IMAGES = MappingProxyType(
    {
        "cine_ed": "end-diastole",
        "cine_es": "end-systole",
        "t1_native": "native T1",
        "t1_post": "post-contrast T1",
        "t2": "T2",
        "t2_star": "T2*",
        "ecv": "ECV",
        "lge": "late enhancement",
    }
)
_FILTERS = MappingProxyType(
    {
        "mean": "mean filter",
        "laplacian_of_gaussian": "Laplacian of Gaussian",
        "log_sigma": "Laplacian of Gaussian",
        "laws": "Laws kernels",
        "gabor": "Gabor filter",
        "separable": "wavelet",
        "wavelet": "wavelet",
        "squareroot": "square root",
        "square": "square",
        "logarithm": "logarithm",
        "exponential": "exponential",
        "gradient": "gradient",
        "lbp_2d": "local binary patterns",
    }
)
_COLUMN = re.compile(
    rf"(?P<region>[a-z0-9_]+?)__(?P<sequence>{'|'.join(_IMAGES)})__"
    r"(?:(?P<filter>[a-z0-9_]+?)__(?P<tag>[a-z0-9_]+)|(?P<image>[A-Za-z0-9-]+)_(?P<feature>[A-Za-z0-9]+_[A-Za-z0-9]+))"
)
_DISCRETISATION = r"(?:_(?P<method>fbn|fbs)(?P<size>[0-9p]+))?"
_SUFFIX = re.compile(
    rf"(?:_(?P<aggregation>{'|'.join(_AGGREGATIONS)}))?"
    r"(?:_d(?P<distance>[0-9]+(?:_[0-9]+)*))?"
    r"(?:_a(?P<coarseness>[0-9p]+))?"
    r"(?:_w_(?P<norm>manhattan|euclidean|infinity))?" + _DISCRETISATION
)
_HAS_DIRECTIONS = frozenset({"glcm", "glrlm"})
_HAS_DISTANCE = frozenset({"glcm", "ngtdm", "ngldm"})
_IS_MATRIX = frozenset({"glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm"})


def describe_texture_column(column: str) -> ColumnInfo | None:
    """Describe one texture column in words.

    Parameters
    ----------
    column : str
        For example ``lv_myocardium__cine_ed__original__cm_joint_entr_2d_avg_fbn32``, or
        ``lv_myocardium__cine_ed__original_glcm_JointEntropy`` with PyRadiomics' names.

    Returns
    -------
    ColumnInfo or None
        None if this is not the name of a texture column.

    Examples
    --------
    >>> describe_texture_column("lv_myocardium__cine_ed__original__stat_mean").name
    'Mean, LV myocardium, end-diastole'
    >>> describe_texture_column("lv_myocardium__cine_ed__wavelet-LLH_glcm_Contrast").name
    'Contrast (wavelet LLH), LV myocardium, end-diastole'
    """
    parts = _COLUMN.fullmatch(column)
    if parts is None or parts["region"] not in REGIONS:
        return None
    if parts["tag"] is None:
        feature, how = BY_PYRADIOMICS.get(parts["feature"]), ""
    else:
        feature, how = _split_tag(parts["tag"])
    filtered = _filter_in_words(parts["filter"] or parts["image"])
    if feature is None or filtered is None:
        return None
    name = f"{feature.name}{f' ({filtered})' if filtered else ''}"
    where = f"{REGION_NAMES[parts['region']]}, {_IMAGES[parts['sequence']]}"
    meaning = f"{feature.meaning[:-1]} ({how})." if how else feature.meaning
    return ColumnInfo(column, f"{name}, {where}", meaning, _typeset(feature.unit), feature.ibsi_code, feature.family)


def _filter_in_words(image: str) -> str | None:
    """Empty for the image as it is, None for an unknown filter."""
    if image == "original":
        return ""
    plain = image.replace("-", "_")
    for prefix, words in _FILTERS.items():
        rest = re.fullmatch(rf"{prefix}(?P<rest>[0-9]?(?:_.+)?)", plain, re.IGNORECASE)
        if rest is not None:
            return f"{words} {rest['rest'].lstrip('_').replace('_', ' ')}".strip()
    return None


def _split_tag(tag: str) -> tuple[Feature | None, str]:
    """Find the longest feature tag that begins the text, and say its suffix in words."""
    words = tag.split("_")
    for n in range(len(words), 1, -1):
        feature = FEATURES.get("_".join(words[:n]))
        if feature is not None:
            suffix = _SUFFIX.fullmatch(tag[len(feature.tag) :])
            how = None if suffix is None else _settings_in_words(feature, suffix)
            return (None, "") if how is None else (feature, how)
    return None, ""


def _settings_in_words(feature: Feature, suffix: re.Match[str]) -> str | None:
    """None if the suffix does not fit the family."""
    if not _fits(feature.family, suffix):
        return None
    words = [_AGGREGATIONS[suffix["aggregation"]]] if suffix["aggregation"] else []
    if suffix["distance"]:
        words.append(f"voxels {suffix['distance'].replace('_', ', ')} apart")
    if suffix["coarseness"]:
        words.append(f"levels up to {suffix['coarseness'].replace('p', '.')} apart count as equal")
    if suffix["norm"]:
        words.append(f"directions weighted by {suffix['norm']} distance")
    if suffix["method"]:
        size = suffix["size"].replace("p", ".")
        words.append(f"{size} grey levels" if suffix["method"] == "fbn" else f"grey levels {size} wide")
    return "; ".join(words)


def _fits(family: str, suffix: re.Match[str]) -> bool:
    matrix = family in _IS_MATRIX
    aggregation = suffix["aggregation"] or ""
    if bool(aggregation) != matrix or (matrix and aggregation.endswith("d") == (family in _HAS_DIRECTIONS)):
        return False
    if family != "ivh" and bool(suffix["method"]) != (matrix or family == "histogram"):
        return False
    allowed = {"distance": family in _HAS_DISTANCE, "coarseness": family == "ngldm", "norm": aggregation[-4:] == "comb"}
    return all(suffix[part] is None or may for part, may in allowed.items())


def _typeset(unit: str) -> str:
    return re.sub(r"\^(\d)", lambda power: "⁰¹²³⁴⁵⁶⁷⁸⁹"[int(power[1])], unit)
