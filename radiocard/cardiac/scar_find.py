"""Tell scar from normal myocardium in late gadolinium images.

Dense enhancement (the core) is scar above half of its maximum, the grey zone what lies between the upper
end of remote myocardium and the core [1]_ [2]_. No-reflow, the dark core that scar encloses, is counted as
scar. Every method can return "no scar": n-SD where no voxel in the interior of the wall is hyperenhanced,
FWHM where no patch of ten is, Otsu and the mixture where the grey values do not show two kinds of tissue
of which one is hyperenhanced.

References
----------
.. [1] Schmidt et al., Circulation 115 (2007) 2006
.. [2] Yan et al., Circulation 114 (2006) 32
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiocard.cardiac.scar_methods import (
    MIN_VOXELS,
    RemoteTissue,
    fwhm_threshold,
    n_sd_threshold,
    otsu_threshold,
    remote_tissue,
)
from radiocard.cardiac.scar_mixture import gmm_threshold
from radiocard.cardiac.scar_regions import (
    beside,
    darkest_sector,
    enclosed_core,
    grey_zone,
    largest_patch,
    wall_interior,
)
from radiocard.errors import GeometryError, MaskError
from radiocard.image import FloatArray, Image, LabelMap
from radiocard.preprocessing.normalise import require_finite
from radiocard.specs.lge import ScarSettings

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scar:
    """Scar of one heart, as arrays of shape (ni, nj, nk) in the grid of its masks.

    Parameters
    ----------
    array : ndarray of bool
        Scar, no-reflow included where it was asked for.
    no_reflow : ndarray of bool
        Part of the scar that takes up no contrast agent.
    core, grey_zone : ndarray of bool or None
        Scar above half of its maximum; moderately enhanced myocardium connected to it, which can
        reach beyond the scar. None without an image.
    remote : ndarray of bool or None
        Normal myocardium that was compared with; None without an image.
    not_judged : tuple of int
        Slices (k) with myocardium but without remote region, in which no scar was looked for: too
        small for one, where each slice has its own threshold.
    thresholds : tuple of float or None
        Grey value above which myocardium is scar: one for the stack, or one per slice with myocardium in the
        order of k. None where the method saw one kind of tissue.
    """

    array: BoolArray
    no_reflow: BoolArray
    core: BoolArray | None = None
    grey_zone: BoolArray | None = None
    remote: BoolArray | None = None
    thresholds: tuple[float | None, ...] = ()
    not_judged: tuple[int, ...] = ()


def find_scar(image: Image, mask: LabelMap, settings: ScarSettings, *, remote: BoolArray | None = None) -> Scar:
    """Tell scar from normal myocardium by its grey value.

    Parameters
    ----------
    image : Image
        Late gadolinium stack; the last axis is the slice axis.
    mask : LabelMap
        ``lv_cavity`` and ``lv_myocardium`` (scar included).
    settings : ScarSettings
        Method and its constants.
    remote : ndarray of bool, shape (ni, nj, nk), optional
        Normal myocardium drawn by a reader; else the darkest sector of each slice.

    Returns
    -------
    Scar

    Raises
    ------
    GeometryError
        If image, mask and remote region differ in shape.
    MaskError
        If a region is unknown or empty, the remote region lies outside the myocardium
        (``E_LABEL_ANATOMY``) or is too small (``E_ROI_SIZE``).
    IntensityError
        If the myocardium holds values that are not finite, or the brightest voxel of scar is not
        positive, so that half of it means nothing.
    """
    wall, cavity = mask.mask("lv_myocardium"), mask.mask("lv_cavity")
    require_grey_values(image, wall)
    values = image.array.astype(float)
    interior = wall_interior(wall, edge_pixels=settings.edge_pixels)
    groups, left_out = _groups(wall, settings.scope), []
    if remote is None:
        remote = darkest_sector(values, mask, width_deg=settings.remote_width_deg, within=interior)
        left_out = [k.start for k in groups if not remote[:, :, k].any()]
    require_within(remote, wall, "remote")
    scar, core, grey = (np.zeros(wall.shape, dtype=bool) for _ in range(3))
    thresholds: list[float | None] = []
    for k in groups:
        if k.start in left_out:
            thresholds.append(None)
            continue
        part, muscle, inner = values[:, :, k], wall[:, :, k], interior[:, :, k]
        normal = remote_tissue(part[remote[:, :, k]])
        threshold = _threshold(part, inner, normal, settings)
        thresholds.append(threshold)
        bright = muscle & (part > (np.inf if threshold is None else threshold))
        bright = beside(inner, bright, edge_pixels=settings.edge_pixels)
        if bright.any():
            scar[:, :, k] = bright
            core[:, :, k] = bright & (part > fwhm_threshold(part[bright]))
            above = n_sd_threshold(normal, n_sd=settings.grey_zone_n_sd)
            raised = beside(inner, muscle & (part > above), edge_pixels=settings.edge_pixels)
            grey[:, :, k] = grey_zone(raised, core[:, :, k])
    dark = enclosed_core(scar, wall, cavity) if settings.include_no_reflow else np.zeros(wall.shape, dtype=bool)
    return Scar(scar | dark, dark, core, grey, remote, tuple(thresholds), tuple(left_out))


def _groups(wall: BoolArray, scope: Literal["stack", "slice"]) -> list[slice]:
    """Return the slices that share one threshold."""
    if scope == "stack":
        return [slice(None)]
    return [slice(k, k + 1) for k in np.flatnonzero(wall.any(axis=(0, 1))).tolist()]


def _threshold(values: FloatArray, interior: BoolArray, remote: RemoteTissue, settings: ScarSettings) -> float | None:
    """Return the grey value above which myocardium is scar, or None for no scar."""
    enhanced_from = n_sd_threshold(remote, n_sd=settings.n_sd)
    if settings.method == "n_sd":
        return enhanced_from
    if settings.method == "otsu":
        return otsu_threshold(values[interior], hyperenhanced_from=enhanced_from)
    if settings.method == "gmm":
        return gmm_threshold(values[interior], hyperenhanced_from=enhanced_from)
    patch = largest_patch(interior & (values > enhanced_from))
    return fwhm_threshold(values[patch]) if patch.sum() >= MIN_VOXELS else None


def require_grey_values(image: Image, wall: BoolArray) -> None:
    """Refuse an image of another shape than the myocardium, or with values in it that are not finite.

    Raises
    ------
    GeometryError, IntensityError
    """
    if image.array.shape != wall.shape:
        msg = f"Image has shape {image.array.shape}, expected that of the mask, {wall.shape}."
        raise GeometryError(msg, field="lge")
    require_finite(image.array[wall], where="lv_myocardium of the late gadolinium image")


def require_within(region: BoolArray, wall: BoolArray, name: str) -> None:
    """Refuse a region of another shape than the myocardium, or that reaches beyond it.

    Raises
    ------
    GeometryError, MaskError
    """
    if region.shape != wall.shape:
        msg = f"Region {name!r} has shape {region.shape}, expected that of the mask, {wall.shape}."
        raise GeometryError(msg, field=name)
    outside = int((region & ~wall).sum())
    if outside:
        msg = f"{outside} of {int(region.sum())} voxels of {name!r} lie outside lv_myocardium, expected none."
        hint = "The label lv_myocardium must include scar and no-reflow; cut the region to it."
        raise MaskError(msg, code="E_LABEL_ANATOMY", field=name, hint=hint)
