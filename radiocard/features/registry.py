"""How features are named: the tags of a region, the columns of a table.

``<tag>[_<aggregation>][_d<distance>][_a<coarseness>][_w_<norm>][_<discretisation>]``, with each part
only where it changes the value, so that columns of one specification differ. Two specifications may
share a name, since convention, normalisation, resampling, re-segmentation and details of a filter
such as its boundary and cut-off are not in it; the hash of the specification, which every table
holds, tells their columns apart. A specification made from a PyRadiomics parameter file has
PyRadiomics' names (``original_glcm_Contrast``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from radiocard.features.catalogue import BY_PYRADIOMICS, FEATURES, Feature
from radiocard.features.describe import ColumnInfo, describe_texture_column
from radiocard.specs import Discretisation, Family, FeatureSpec
from radiocard.specs.base import number_text

__all__ = [
    "BY_PYRADIOMICS",
    "FEATURES",
    "MATRICES",
    "ORIGINAL",
    "ColumnInfo",
    "Feature",
    "aggregations",
    "describe_texture_column",
    "filter_part",
    "full_tags",
    "image_tags",
    "texture_column",
    "texture_suffix",
    "texture_tags",
    "wanted_features",
]

ORIGINAL = "original"
SHAPE: frozenset[Family] = frozenset({"shape_3d", "shape_2d"})
_DIRECTIONAL: frozenset[Family] = frozenset({"glcm", "glrlm"})
MATRICES: frozenset[Family] = frozenset({"glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm"})
_PYRADIOMICS_NAME = re.compile(r"[A-Za-z0-9-]+_(firstorder|shape|shape2D|glcm|glrlm|glszm|ngtdm|gldm)_[A-Za-z0-9]+")


def aggregations(family: Family, spec: FeatureSpec) -> list[str]:
    """List the aggregation methods of one texture matrix.

    Parameters
    ----------
    family : str
        A texture matrix, for example ``glszm``.
    spec : FeatureSpec
        Aggregations asked for.

    Returns
    -------
    list of str
        As asked for (``2d_avg``) where the matrix has directions; ``2d``, ``2_5d`` or ``3d``, each
        once, where it has none.
    """
    if family in _DIRECTIONAL:
        return list(spec.texture.aggregation)
    return list(dict.fromkeys(name.rpartition("_")[0] for name in spec.texture.aggregation))


def texture_suffix(
    family: Family,
    aggregation: str,
    distance: int,
    spec: FeatureSpec,
    discretisation: Discretisation | None = None,
) -> str:
    """Return what follows the tag of every feature of one texture matrix.

    Parameters
    ----------
    family : str
        A texture matrix, for example ``glcm``.
    aggregation : str
        As :func:`aggregations` gives them.
    distance : int
        Distance of the matrix [voxel]; under ``pyradiomics`` all distances of the specification
        enter one matrix and are named instead.
    spec : FeatureSpec
        Weights, coarseness and convention.
    discretisation : Discretisation, optional
        That of the filtered image, if it has its own.

    Returns
    -------
    str
        For example ``_3d_comb_d2_w_euclidean_fbn32``.
    """
    texture = spec.texture
    parts = ["", aggregation]
    if family in {"glcm", "ngtdm", "ngldm"}:
        reach: Sequence[int] = sorted(set(texture.distances)) if spec.convention == "pyradiomics" else [distance]
        parts += [] if list(reach) == [1] else ["d" + "_".join(map(str, reach))]
    if family == "ngldm" and texture.coarseness > 0:
        parts.append("a" + number_text(texture.coarseness))
    if family in _DIRECTIONAL and aggregation.endswith("_comb") and texture.weighting != "none":
        parts.append(f"w_{texture.weighting}")
    return "_".join([*parts, (discretisation or spec.discretisation).tag])


def full_tags(feature: Feature, spec: FeatureSpec, discretisation: Discretisation | None = None) -> list[str]:
    """Return the tags of one feature under a specification.

    Parameters
    ----------
    feature : Feature
        Entry of :data:`FEATURES`.
    spec : FeatureSpec
        Aggregations, distances, discretisation and convention.
    discretisation : Discretisation, optional
        That of the filtered image, if it has its own.

    Returns
    -------
    list of str
        One per aggregation and, for co-occurrence under ``ibsi``, per distance; for example
        ``cm_joint_entr_2d_avg_fbn32``. Shape, local intensity and statistics have one tag.
    """
    if feature.family in MATRICES:
        every = feature.family == "glcm" and spec.convention == "ibsi"
        distances = spec.texture.distances if every else (max(spec.texture.distances),)
        return [
            feature.tag + texture_suffix(feature.family, aggregation, distance, spec, discretisation)
            for aggregation in aggregations(feature.family, spec)
            for distance in dict.fromkeys(distances)
        ]
    if feature.family == "histogram":
        return [f"{feature.tag}_{(discretisation or spec.discretisation).tag}"]
    if feature.family == "ivh" and spec.ivh is not None and spec.ivh.tag:
        return [f"{feature.tag}_{spec.ivh.tag}"]
    return [feature.tag]


def image_tags(spec: FeatureSpec) -> dict[str, list[str]]:
    """List the tags that a specification gives for each region, by filtered image.

    Parameters
    ----------
    spec : FeatureSpec
        Families, filters, aggregations, discretisation, convention and engine. PyRadiomics gives
        only the features that it defines in the same way.

    Returns
    -------
    dict of str to list of str
        Name of the image as PyRadiomics would write it (``original``, ``wavelet-LLH``) to tags, in
        the order of the registry. Shape has no filter: it stands under ``original``, also where
        that image itself is not asked for. With PyRadiomics' names the tags are those, image
        included.
    """
    images = [(name, used.discretisation) for used in spec.filters for name in used.names]
    first: list[tuple[str, Discretisation | None]] = [(ORIGINAL, None)]
    names = dict([*first, *images])
    wanted = wanted_features(spec)
    out: dict[str, list[str]] = {}
    for image, discretisation in names.items():
        asked = image != ORIGINAL or any(name == ORIGINAL for name, _ in images)
        chosen = {
            name: feature
            for name, feature in wanted.items()
            if (image == ORIGINAL if feature.family in SHAPE else asked)
        }
        if spec.pyradiomics is not None:
            tags = [f"{image}_{name}" for name in chosen]
        else:
            tags = [tag for feature in chosen.values() for tag in full_tags(feature, spec, discretisation)]
        if tags:
            out[image] = tags
    return out


def wanted_features(spec: FeatureSpec) -> dict[str, Feature]:
    """Features by tag, or by PyRadiomics' name where the specification names them so."""
    if spec.pyradiomics is not None:
        return {name: BY_PYRADIOMICS[name] for name in spec.pyradiomics.features}
    wanted = {
        tag: feature
        for tag, feature in FEATURES.items()
        if feature.family in spec.families and feature.convention in {"both", spec.convention}
    }
    if spec.engine == "pyradiomics":
        return {tag: feature for tag, feature in wanted.items() if feature.pyradiomics_computed}
    return wanted


def texture_tags(spec: FeatureSpec) -> list[str]:
    """List the keys of the features of one region, see :func:`image_tags`.

    Returns
    -------
    list of str
        Tags; those of a filtered image are preceded by its name (``wavelet_llh__stat_mean``).
    """
    return [
        tag if image == ORIGINAL or spec.pyradiomics is not None else f"{filter_part(image)}__{tag}"
        for image, tags in image_tags(spec).items()
        for tag in tags
    ]


def filter_part(image: str) -> str:
    """Return the part of a column that names a filtered image: ``log_sigma_1_0_mm_3d``."""
    return image.lower().replace("-", "_").replace(".", "_")


def texture_column(region: str, sequence: str, phase: str, tag: str, filter_name: str = ORIGINAL) -> str:
    """Return the name of one column: ``<region>__<sequence>[_<phase>]__<filter>__<tag>``.

    Parameters
    ----------
    region, sequence, phase : str
        For example ``lv_myocardium``, ``cine``, ``ed``; a map has the phase ``""``.
    tag : str
        As :func:`texture_tags` gives them: with the filter before it, or a name of PyRadiomics,
        which holds the filter already.
    filter_name : str
        Name of the filtered image, if the tag does not hold it.
    """
    where = f"{region}__{'_'.join(filter(None, (sequence, phase)))}"
    if "__" in tag or _PYRADIOMICS_NAME.fullmatch(tag):
        return f"{where}__{tag}"
    return f"{where}__{filter_part(filter_name)}__{tag}"
