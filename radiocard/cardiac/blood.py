"""The blood pool of a T1 map: where it is, and its T1.

References
----------
.. [1] Leys et al., J Exp Soc Psychol 49 (2013) 764, doi:10.1016/j.jesp.2013.03.013
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from radiocard.cardiac.fitting import BoolArray
from radiocard.errors import GeometryError, Issue, MaskError, UsageError

SECONDS_BELOW_MS: Final = 20.0  # T1 of blood and myocardium is above 100 ms, and below 3 s
OUTLIER_MADS: Final = 3.0  # [1]: median -/+ 3 scaled median absolute deviations
MAD_TO_SD: Final = 1.4826  # of a normal distribution
MIN_VOXELS: Final = 20
MAX_SPREAD_PCT: Final = 10.0  # robust SD of blood over its median; above it, flow or muscle is in it


@dataclass(frozen=True, slots=True)
class BloodT1:
    """T1 of the blood pool before and after contrast agent.

    Parameters
    ----------
    native_ms, post_ms : float
        T1 [ms].

    Raises
    ------
    UsageError
        If a value is not positive, looks like seconds, or contrast agent did not shorten T1.
    """

    native_ms: float
    post_ms: float

    def __post_init__(self) -> None:
        for name, value in (("native", self.native_ms), ("post-contrast", self.post_ms)):
            refuse_seconds(float(value), f"{name} blood T1")
        if self.post_ms >= self.native_ms:
            msg = f"Blood T1 is {self.post_ms:g} ms post-contrast and {self.native_ms:g} ms native, expected a drop."
            raise UsageError(msg, field="blood", hint="Check that the two maps are not exchanged.")


@dataclass(frozen=True, eq=False)
class BloodPool:
    """Blood in the LV cavity of one T1 map.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj[, nk])
        Voxels used.
    t1_ms : float
        Their mean T1 [ms].
    spread_pct : float
        Robust standard deviation of the eroded cavity, outliers included, over its median [%].
    n_voxels, n_removed : int
        Voxels used, and outliers removed from the eroded cavity.
    issues : tuple of Issue
        ``W_PHYSIOLOGY`` where the spread is too wide for blood alone.
    """

    mask: BoolArray
    t1_ms: float
    spread_pct: float
    n_voxels: int
    n_removed: int
    issues: tuple[Issue, ...]


@dataclass(frozen=True, eq=False)
class SharedBloodPool:
    """Blood that is seen as blood before and after contrast agent.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj[, nk])
        Voxels of both blood pools.
    t1 : BloodT1
        Mean T1 of the two maps in it.
    native, post : BloodPool
        The blood pool of each map on its own.
    n_voxels : int
        Voxels in ``mask``.
    issues : tuple of Issue
        Of both.
    """

    mask: BoolArray
    t1: BloodT1
    native: BloodPool
    post: BloodPool
    n_voxels: int
    issues: tuple[Issue, ...]


def blood_pool(
    t1_ms: ArrayLike,
    cavity: BoolArray,
    *,
    spacing_mm: tuple[float, float],
    erosion_mm: float,
    min_voxels: int = MIN_VOXELS,
    max_spread_pct: float = MAX_SPREAD_PCT,
) -> BloodPool:
    """Find blood in the LV cavity of a T1 map and measure its T1.

    Two rules. A voxel lies more than ``erosion_mm`` from the nearest voxel outside the cavity, centre to
    centre in the slice: that keeps partial volume with the wall out. Its T1 lies within three scaled
    median absolute deviations of the median of those voxels [1]_: that keeps papillary muscles
    out, whose T1 is below that of blood before contrast agent and above it after.

    Parameters
    ----------
    t1_ms : array_like of float, shape (ni, nj[, nk])
        T1 map, native or post-contrast; voxels without a finite positive value are left out [ms].
    cavity : ndarray of bool, shape (ni, nj[, nk])
        LV cavity.
    spacing_mm : tuple of float
        Voxel spacing along ``i`` and ``j`` [mm].
    erosion_mm : float
        How far from the border of the cavity, at least 0 [mm].
    min_voxels : int
        Fewer are refused.
    max_spread_pct : float
        A wider spread gets a warning [%].

    Returns
    -------
    BloodPool

    Raises
    ------
    UsageError
        If the erosion is negative or not finite, or T1 looks like seconds.
    GeometryError
        If map and cavity have different shapes, or are neither a slice nor a stack.
    MaskError
        If fewer than ``min_voxels`` are left (``E_ROI_SIZE``).
    """
    values, inside = np.asarray(t1_ms, dtype=np.float64), np.asarray(cavity, dtype=bool)
    if values.shape != inside.shape or values.ndim not in (2, 3):
        msg = f"Cavity has shape {inside.shape}, T1 map {values.shape}, expected one shape (ni, nj[, nk])."
        raise GeometryError(msg, hint="Check that it was drawn on this map.")
    if not 0.0 <= erosion_mm < np.inf:
        msg = f"Erosion is {erosion_mm:g} mm, expected 0 or more."
        raise UsageError(msg)
    eroded = _eroded(inside, spacing_mm, erosion_mm) & np.isfinite(values) & (values > 0)
    _refuse_few(eroded, inside, min_voxels)
    median = float(np.median(values[eroded]))
    refuse_seconds(median, "median T1 of the blood pool")
    robust_sd = MAD_TO_SD * float(np.median(np.abs(values[eroded] - median)))
    blood = eroded & (np.abs(values - median) <= OUTLIER_MADS * robust_sd)
    _refuse_few(blood, inside, min_voxels)
    spread = 100.0 * robust_sd / median
    issues: tuple[Issue, ...] = ()
    if spread > max_spread_pct:
        msg = f"T1 of the blood pool spreads by {spread:.1f} %, expected at most {max_spread_pct:g} %."
        issues = (Issue("W_PHYSIOLOGY", msg, field="blood", hint="Check the cavity and the map for flow and motion."),)
    n = int(blood.sum())
    return BloodPool(blood, float(values[blood].mean()), spread, n, int(eroded.sum()) - n, issues)


def shared_blood_pool(
    native_ms: ArrayLike,
    post_ms: ArrayLike,
    cavity: BoolArray,
    *,
    spacing_mm: tuple[float, float],
    erosion_mm: float,
    min_voxels: int = MIN_VOXELS,
    max_spread_pct: float = MAX_SPREAD_PCT,
) -> SharedBloodPool:
    """Find the blood that two registered T1 maps share, for extracellular volume.

    Parameters
    ----------
    native_ms, post_ms : array_like of float, shape (ni, nj[, nk])
        T1 before and after contrast agent [ms].
    cavity, spacing_mm, erosion_mm, min_voxels, max_spread_pct
        See :func:`blood_pool`.

    Returns
    -------
    SharedBloodPool

    Raises
    ------
    UsageError
        As :func:`blood_pool` and :class:`BloodT1` do.
    GeometryError
        If maps and cavity have different shapes.
    MaskError
        If fewer than ``min_voxels`` are left in either map or in both (``E_ROI_SIZE``).
    """
    native_map, post_map = np.asarray(native_ms, dtype=np.float64), np.asarray(post_ms, dtype=np.float64)
    native, post = (
        blood_pool(
            values,
            cavity,
            spacing_mm=spacing_mm,
            erosion_mm=erosion_mm,
            min_voxels=min_voxels,
            max_spread_pct=max_spread_pct,
        )
        for values in (native_map, post_map)
    )
    mask = native.mask & post.mask
    _refuse_few(mask, np.asarray(cavity, dtype=bool), min_voxels)
    t1 = BloodT1(float(native_map[mask].mean()), float(post_map[mask].mean()))
    return SharedBloodPool(mask, t1, native, post, int(mask.sum()), native.issues + post.issues)


def refuse_seconds(value_ms: float, name: str) -> None:
    """Refuse a T1 that is not positive or looks like seconds.

    Parameters
    ----------
    value_ms : float
        T1 of blood or myocardium [ms].
    name : str
        What it is, for the message.

    Raises
    ------
    UsageError
        If it is below 20 ms or not finite.
    """
    if not (np.isfinite(value_ms) and value_ms >= SECONDS_BELOW_MS):
        msg = f"The {name} is {value_ms:g} ms, expected at least {SECONDS_BELOW_MS:g} ms."
        seconds = 0 < value_ms < SECONDS_BELOW_MS
        hint = "It looks like seconds: multiply it by 1000." if seconds else "Check the map."
        raise UsageError(msg, hint=hint)


def _eroded(inside: BoolArray, spacing_mm: tuple[float, float], erosion_mm: float) -> BoolArray:
    stack = inside.reshape(*inside.shape[:2], -1)
    padded = np.pad(stack, ((1, 1), (1, 1), (0, 0)))  # the edge of the image is a border
    away = np.stack(
        [ndimage.distance_transform_edt(padded[:, :, k], sampling=spacing_mm) for k in range(stack.shape[2])], axis=2
    )
    return np.asarray((away[1:-1, 1:-1] > erosion_mm).reshape(inside.shape))


def _refuse_few(region: BoolArray, cavity: BoolArray, min_voxels: int) -> None:
    n = int(region.sum())
    if n < max(min_voxels, 1):
        msg = f"Blood pool has {n} of the {int(cavity.sum())} voxels of the cavity, expected at least {min_voxels}."
        raise MaskError(msg, code="E_ROI_SIZE", field="blood", hint="Check the cavity, and the erosion.")
