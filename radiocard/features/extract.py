"""From one region, or one case, to a dictionary of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.errors import CaseError, GeometryError, Issue, MaskError
from radiocard.features import pyradiomics_engine
from radiocard.features.glcm import glcm_features
from radiocard.features.histogram import intensity_histogram
from radiocard.features.intensity import Values, intensity_statistics
from radiocard.features.region import Region
from radiocard.features.registry import glcm_tag, texture_column, texture_tags
from radiocard.features.shape_2d import shape_features_2d
from radiocard.features.shape_3d import shape_features
from radiocard.image import Case, Image
from radiocard.preprocessing.discretise import discretise
from radiocard.preprocessing.normalise import normalise, require_finite
from radiocard.specs import FeatureSpec

_MANY = 8


def extract_region(
    image: Image, mask: NDArray[np.bool_], spec: FeatureSpec, *, labelled: NDArray[np.bool_] | None = None
) -> Values:
    """Compute every feature of one region that a specification asks for.

    Parameters
    ----------
    image : Image
        Grey values, with the slice axis last.
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
        depend on the specification only. None where a feature is undefined.

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
    values = normalise(image.array, union, settings=spec.normalisation)
    return _extract(image, values, mask, spec)


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
        ``<region>__<sequence>_<phase>__original__<tag>`` to value; all columns of the
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
    tags = texture_tags(spec)
    columns: Values = {}
    issues: list[Issue] = []
    for phase in spec.phases:
        key = (spec.sequence, phase)
        values: NDArray[np.float64] | None = None
        for region in spec.regions:
            found: Mapping[str, float | None] = {}
            if key in case.images and key in case.masks:
                image, labels = case.images[key], case.masks[key]
                try:
                    mask = labels.mask(region)
                    if values is None:
                        union = np.isin(labels.array, list(labels.labels.values()))
                        values = normalise(image.array, union, settings=spec.normalisation)
                    found = _extract(image, values, mask, spec)
                    issues += _findings(found, values[mask], case.patient_id, f"{key[0]}_{phase}.{region}")
                except CaseError as error:
                    field = f"{key[0]}_{phase}.{region}"
                    issues.append(Issue(error.code, error.issue.message, case.patient_id, field, error.issue.hint))
            columns |= {texture_column(region, *key, tag): found.get(tag) for tag in tags}
    return columns, issues


def _extract(image: Image, values: NDArray[np.float64], mask: NDArray[np.bool_], spec: FeatureSpec) -> Values:
    region = _crop(image, values, mask, spec)
    found = pyradiomics_engine.features(region, spec) if spec.engine == "pyradiomics" else _native(region, spec)
    return {tag: _finite(found[tag]) for tag in texture_tags(spec)}


def _crop(image: Image, values: NDArray[np.float64], mask: NDArray[np.bool_], spec: FeatureSpec) -> Region:
    """Check the region and cut image and mask to its bounding box."""
    mask = np.asarray(mask, dtype=bool)
    size = int(np.count_nonzero(mask))
    if size == 0:
        msg = "The region has no voxel."
        raise MaskError(msg, hint="Check the label numbers and that the region was drawn.")
    if spec.roi.keep_largest:
        mask = _largest_component(mask)
        size = int(np.count_nonzero(mask))
    if size < spec.roi.min_voxels:
        msg = f"The region has {size} voxels, expected at least {spec.roi.min_voxels}."
        raise MaskError(msg, code="E_ROI_SIZE", hint="Check that the region was drawn in full.")
    box = tuple(
        slice(int(hits[0]), int(hits[-1]) + 1)
        for hits in (np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))
    )
    region = Region(mask[box], np.asarray(image.array[box], dtype=np.float64), values[box], image.spacing_mm)
    require_finite(region.raw[region.mask], where="the region")
    return region


def _largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels that touch by a face, an edge or a corner belong together; the first of equals is kept."""
    components, n = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if n <= 1:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return np.asarray(components == np.argmax(sizes))


def _native(region: Region, spec: FeatureSpec) -> Values:
    convention, families = spec.convention, spec.families
    inside = region.values[region.mask]
    out: Values = {}
    if "shape_3d" in families:
        out |= shape_features(
            region.mask, region.spacing, raw=region.raw, normalised=region.values, convention=convention
        )
    if "shape_2d" in families:
        out |= shape_features_2d(region.mask, region.spacing)
    if "intensity" in families:
        out |= intensity_statistics(inside, convention=convention)
    if "histogram" not in families and "glcm" not in families:
        return out
    grey = discretise(inside, spec.discretisation, convention=convention)
    if "histogram" in families:
        found = intensity_histogram(grey, convention=convention)
        out |= {f"{tag}_{spec.discretisation.tag}": value for tag, value in found.items()}
    if "glcm" in families:
        levels = np.zeros(region.mask.shape, dtype=np.int64)
        levels[region.mask] = grey.levels
        by_aggregation = glcm_features(
            levels,
            n_levels=grey.n_levels,
            aggregations=spec.glcm.aggregation,
            distance=spec.glcm.distance,
            convention=convention,
        )
        for aggregation, found in by_aggregation.items():
            out |= {glcm_tag(tag, aggregation, spec): value for tag, value in found.items()}
    return out


def _findings(found: Mapping[str, float | None], inside: NDArray[Any], case: str, field: str) -> list[Issue]:
    missing = [tag for tag, value in found.items() if value is None]
    issues = []
    if inside.size and np.ptp(inside) == 0:
        msg = f"All {inside.size} voxels have the same grey value, so texture is undefined there."
        issues.append(Issue("W_CONSTANT", msg, case, field, "Check that the image was read with its grey values."))
    elif missing:
        shown = ", ".join(missing[:_MANY]) + (f" and {len(missing) - _MANY} more" if len(missing) > _MANY else "")
        msg = f"{len(missing)} of {len(found)} features are undefined: {shown}."
        issues.append(Issue("W_FEATURE_UNDEFINED", msg, case, field, "Check the size and shape of the region."))
    return issues


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
