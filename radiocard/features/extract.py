"""From one region, or one case, to a dictionary of features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import CaseError, GeometryError, Issue
from radiocard.features import pyradiomics_engine
from radiocard.features.intensity import Values
from radiocard.features.native import TEXTURE, native_features
from radiocard.features.prepare import Prepared, prepare_all
from radiocard.features.registry import ORIGINAL, filter_part, full_tags, texture_column, texture_tags, wanted_features
from radiocard.features.views import View, views
from radiocard.image import Case, Image, Key, LabelMap
from radiocard.specs import Discretisation, FeatureSpec

_MANY = 8
_THICK = 3


def extract_region(
    image: Image, mask: NDArray[np.bool_], spec: FeatureSpec, *, labelled: NDArray[np.bool_] | None = None
) -> Values:
    """Compute every feature of one region that a specification asks for.

    Parameters
    ----------
    image : Image
        Grey values. Under ``convention: ibsi`` any storage order gives the same values: the
        slice axis is the thick one, or that nearest to superior. Under ``pyradiomics`` it is
        the last.
    mask : ndarray of bool, shape of the image
        The region.
    spec : FeatureSpec
        Engine, convention, families and all settings.
    labelled : ndarray of bool, shape of the image, optional
        Union of all labelled regions, for the normalisation. Without it the region itself is
        taken as the only one.

    Returns
    -------
    dict of str to float or None
        Tag (``cm_joint_entr_2d_avg_fbn32``) to value, in the order of the registry; the keys
        depend on the specification only. A tag of a filtered image is preceded by its name
        (``wavelet_llh__stat_mean``). A PyRadiomics parameter file gives PyRadiomics' names
        (``original_glcm_Contrast``). None where a feature is undefined.

    Raises
    ------
    GeometryError
        If mask and image differ in shape.
    MaskError
        If the region is empty (``E_EMPTY_ROI``) or smaller than the specification allows
        (``E_ROI_SIZE``).
    IntensityError
        If voxels are not finite (``E_NONFINITE``) or would need too many bins (``E_BINS``).
    SpecError
        If PyRadiomics is asked for and cannot honour a setting.
    MissingExtraError
        If PyRadiomics is asked for and not installed.
    """
    union = mask if labelled is None else labelled
    for name, given in (("mask", mask), ("labelled", union)):
        if given.shape != image.array.shape:
            msg = f"The shape of {name} is {given.shape}, expected that of the image, {image.array.shape}."
            raise GeometryError(msg, hint="Check that it was drawn on this series.")
    regions, refused = prepare_all(image, {"": mask}, spec, labelled=union)
    for error in refused.values():
        raise error
    values, refused = _describe(regions, spec)
    for error in refused.values():
        raise error
    return {tag: values[""].get(tag) for tag in _tags(spec)}


def extract_case_texture(case: Case, spec: FeatureSpec) -> tuple[Values, list[Issue]]:
    """Compute the texture of all regions and phases of one case.

    Parameters
    ----------
    case : Case
        Images and label maps; phases that it lacks are left to the checks of the case.
    spec : FeatureSpec
        Regions, phases and all settings.

    Returns
    -------
    columns : dict of str to float or None
        ``<region>__<sequence>_<phase>__<filter>__<tag>`` to value; all columns of the
        specification, None where undefined or where the region was refused.
    issues : list of Issue
        ``W_CONSTANT``, ``W_FEATURE_UNDEFINED``, and what refused a region.

    Raises
    ------
    SpecError
        If PyRadiomics is asked for and cannot honour a setting.
    MissingExtraError
        If PyRadiomics is asked for and not installed.
    """
    tags = _tags(spec)
    names = _columns(spec)
    columns: Values = {}
    issues: list[Issue] = []
    for key in spec.keys:
        found: Mapping[str, Values] = {}
        if key in case.images and key in case.masks:
            role = "_".join(filter(None, key))
            found, more = _phase(case.images[key], case.masks[key], spec, case.patient_id, role)
            issues += more
        for region in spec.regions:
            values = found.get(region, {})
            columns |= zip(names[key, region], map(values.get, tags), strict=True)
    return columns, issues


def _phase(
    image: Image, labels: LabelMap, spec: FeatureSpec, case: str, field: str
) -> tuple[dict[str, Values], list[Issue]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    refused: dict[str, CaseError] = {}
    for region in spec.regions:
        try:
            masks[region] = labels.mask(region)
        except CaseError as error:
            refused[region] = error
    regions: dict[str, Prepared] = {}
    found: dict[str, Values] = {}
    try:
        regions, more = prepare_all(image, masks, spec, labelled=_labelled(labels, masks))
        refused |= more
        found, more = _describe(regions, spec)
        refused |= more
    except CaseError as error:
        refused = dict.fromkeys(masks, error) | refused
    issues = _thick_slices(regions, spec, case, field)
    for region in spec.regions:
        where = f"{field}.{region}"
        if region in refused:
            why = refused[region]
            issues.append(Issue(why.code, why.issue.message, case, where, why.issue.hint))
        elif region in found:
            inside = regions[region].image.array[regions[region].intensity_mask]
            issues += _findings(found[region], inside, _tags(spec), case, where)
    return found, issues


def _thick_slices(regions: Mapping[str, Prepared], spec: FeatureSpec, case: str, field: str) -> list[Issue]:
    """Neighbours across thick slices are not neighbours of the tissue."""
    used = next((region.image.spacing_mm for region in regions.values()), (1.0, 1.0, 1.0))
    ratio = max(used) / min(used)
    deep = any(a.startswith("3d") for a in spec.texture.aggregation) and not set(TEXTURE).isdisjoint(spec.families)
    if ratio <= _THICK or not deep:
        return []
    sides = " x ".join(f"{side:.4g}" for side in used)
    msg = f"3D aggregation was asked for on voxels of {sides} mm, expected a ratio of at most {_THICK}."
    return [Issue("W_THICK_SLICES", msg, case, field, "Use a 2D or 2.5D aggregation for stacks of thick slices.")]


def _labelled(labels: LabelMap, masks: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    others = (labels.array == number for region, number in labels.labels.items() if region not in masks)
    union = np.zeros_like(labels.array, dtype=bool)
    for mask in (*masks.values(), *others):
        union |= mask
    return union


def _describe(regions: Mapping[str, Prepared], spec: FeatureSpec) -> tuple[dict[str, Values], dict[str, CaseError]]:
    """All filtered images of all regions; a region that fails once is refused as a whole."""
    wanted = frozenset(feature.tag for feature in wanted_features(spec).values())
    found: dict[str, Values] = {name: {} for name in regions}
    refused: dict[str, CaseError] = {}
    tags = _pyradiomics_tags(spec)
    for view in views(regions, spec):
        if view.name in refused:
            continue
        try:
            if spec.engine == "pyradiomics":
                values = pyradiomics_engine.features(view, spec)
            else:
                values = native_features(view, spec, wanted=wanted)
        except CaseError as error:
            refused[view.name] = error
            continue
        found[view.name] |= _named(values, view, tags)
    return {name: values for name, values in found.items() if name not in refused}, refused


def _named(values: Values, view: View, tags: Mapping[Discretisation, Sequence[tuple[str, str]]]) -> Values:
    if tags:
        named = tags[view.discretisation]
        return {f"{view.image_name}_{name}": _finite(values[tag]) for name, tag in named if tag in values}
    lead = "" if view.image_name == ORIGINAL else f"{filter_part(view.image_name)}__"
    return {f"{lead}{tag}": _finite(value) for tag, value in values.items()}


@lru_cache(maxsize=32)
def _pyradiomics_tags(spec: FeatureSpec) -> dict[Discretisation, list[tuple[str, str]]]:
    """PyRadiomics' names and the tags they stand for, by discretisation; none without a parameter file."""
    if spec.pyradiomics is None:
        return {}
    own = {spec.discretisation, *(used.discretisation for used in spec.filters if used.discretisation)}
    wanted = wanted_features(spec).items()
    return {used: [(name, full_tags(feature, spec, used)[0]) for name, feature in wanted] for used in own}


@lru_cache(maxsize=32)
def _tags(spec: FeatureSpec) -> tuple[str, ...]:
    return tuple(texture_tags(spec))


@lru_cache(maxsize=32)
def _columns(spec: FeatureSpec) -> dict[tuple[Key, str], list[str]]:
    return {
        (key, region): [texture_column(region, *key, tag) for tag in _tags(spec)]
        for key in spec.keys
        for region in spec.regions
    }


def _findings(found: Values, inside: NDArray[Any], tags: Sequence[str], case: str, field: str) -> list[Issue]:
    missing = [tag for tag in tags if found.get(tag) is None]
    if inside.size and np.ptp(inside) == 0:
        msg = f"All {inside.size} voxels have the same grey value, so texture is undefined there."
        return [Issue("W_CONSTANT", msg, case, field, "Check that the image was read with its grey values.")]
    if missing:
        shown = ", ".join(missing[:_MANY]) + (f" and {len(missing) - _MANY} more" if len(missing) > _MANY else "")
        msg = f"{len(missing)} of {len(tags)} features are undefined: {shown}."
        return [Issue("W_FEATURE_UNDEFINED", msg, case, field, "Check the size and shape of the region.")]
    return []


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
