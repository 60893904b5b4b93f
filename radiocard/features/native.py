"""The native engine: every family of one region that a specification asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.features.histogram import intensity_histogram
from radiocard.features.intensity import Values, intensity_statistics
from radiocard.features.ivh import intensity_volume_histogram
from radiocard.features.local_intensity import local_intensity
from radiocard.features.region import Region, Spacing
from radiocard.features.registry import ORIGINAL, texture_suffix
from radiocard.features.shape_2d import shape_features_2d
from radiocard.features.shape_3d import shape_features
from radiocard.features.texture import texture_features
from radiocard.features.views import View
from radiocard.preprocessing.discretise import GreyLevels, discretise
from radiocard.preprocessing.resegment import bounds
from radiocard.specs import Discretisation, Family, FeatureSpec

TEXTURE: tuple[Family, ...] = ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm")


def native_features(view: View, spec: FeatureSpec, *, wanted: frozenset[str] | None) -> Values:
    """Compute the features of one region in one filtered image.

    Parameters
    ----------
    view : View
        The region, cropped to its bounding box.
    spec : FeatureSpec
        Families and all settings. Shape belongs to the original image only.
    wanted : frozenset of str or None
        Tags without aggregation and discretisation to compute; None for all. What is not wanted
        may still be returned where it costs nothing.

    Returns
    -------
    dict of str to float or None
        Full tag (``cm_joint_entr_2d_avg_fbn32``) to value.

    Raises
    ------
    IntensityError
        If voxels are not finite (``E_NONFINITE``) or would need too many bins (``E_BINS``).
    """
    region, families = view.region, set(spec.families)
    out = _shape(region, spec, wanted) if view.image_name == ORIGINAL else Values()
    if not any(view.image_name in used.names for used in spec.filters):
        return out
    if "local_intensity" in families:
        out |= local_intensity(region)
    inside = region.values.reshape(-1).take(region.places)
    if "intensity" in families:
        out |= statistics(inside, region.spacing, spec)
    if "ivh" in families and spec.ivh is not None:
        lower, upper = _bounds(view, spec)
        found = intensity_volume_histogram(inside, spec.ivh, lower=lower, upper=upper)
        out |= {f"{tag}_{spec.ivh.tag}" if spec.ivh.tag else tag: value for tag, value in found.items()}
    if families.isdisjoint({"histogram", *TEXTURE}):
        return out
    grey = grey_levels(view, inside, spec)
    if "histogram" in families:
        found = intensity_histogram(grey, convention=spec.convention, wanted=wanted)
        out |= {f"{tag}_{view.discretisation.tag}": value for tag, value in found.items()}
    levels: NDArray[np.int32] = np.zeros(region.mask.shape, dtype=np.int32)
    levels.reshape(-1)[region.places] = grey.levels.astype(np.int32)
    return out | texture_values(
        levels,
        n_levels=grey.n_levels,
        mask=region.mask,
        spacing=region.spacing,
        used=view.discretisation,
        spec=spec,
        wanted=wanted,
    )


def _shape(region: Region, spec: FeatureSpec, wanted: frozenset[str] | None) -> Values:
    out: Values = {}
    if "shape_3d" in spec.families:
        out |= shape_features(region, convention=spec.convention, wanted=wanted)
    if "shape_2d" in spec.families:
        out |= shape_features_2d(region)
    return out


def _bounds(view: View, spec: FeatureSpec) -> tuple[float | None, float | None]:
    """Return the range of re-segmentation, which filtered images do not share."""
    return bounds(spec.resegmentation) if view.image_name == ORIGINAL else (None, None)


def grey_levels(view: View, inside: NDArray[np.floating[Any]], spec: FeatureSpec) -> GreyLevels:
    """Discretise the grey values of one region, see :func:`radiocard.preprocessing.discretise.discretise`."""
    lower = _bounds(view, spec)[0] if spec.convention == "ibsi" else None
    return discretise(inside, view.discretisation, convention=spec.convention, lower=lower)


def statistics(inside: NDArray[np.floating[Any]], spacing: Spacing, spec: FeatureSpec) -> Values:
    """Compute the intensity statistics of some voxels under the settings of a specification."""
    shift = spec.pyradiomics.voxel_array_shift if spec.pyradiomics else 0.0
    volume = float(np.prod(spacing))
    return intensity_statistics(inside, convention=spec.convention, shift=shift, voxel_volume=volume)


def texture_values(
    levels: NDArray[np.int32],
    *,
    n_levels: int,
    mask: NDArray[np.bool_],
    spacing: Spacing,
    used: Discretisation,
    spec: FeatureSpec,
    wanted: frozenset[str] | None,
) -> Values:
    """Compute the texture matrices that a specification asks for, under full tags.

    Parameters
    ----------
    levels, n_levels, mask, spacing
        See :func:`radiocard.features.texture.texture_features`.
    used : Discretisation
        How the grey levels were made, for the tags.
    spec : FeatureSpec
        Families and settings of texture.
    wanted : frozenset of str or None
        See :func:`native_features`.

    Returns
    -------
    dict of str to float or None
        Full tag to value.
    """
    families = tuple(f for f in TEXTURE if f in spec.families)
    if not families:
        return {}
    found = texture_features(
        levels,
        n_levels=n_levels,
        mask=mask,
        spacing=spacing,
        families=families,
        settings=spec.texture,
        convention=spec.convention,
        mcc=spec.convention == "pyradiomics" and (wanted is None or "cm_mcc" in wanted),
    )
    out: Values = {}
    for (family, aggregation, distance), values in found.items():
        suffix = texture_suffix(family, aggregation, distance, spec, used)
        out |= {tag + suffix: value for tag, value in values.items()}
    return out
