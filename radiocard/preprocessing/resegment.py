"""Re-segmentation: the voxels of a region whose grey values count (IBSI IFBD)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import GeometryError, MaskError
from radiocard.specs import Resegmentation


def resegment(values: NDArray[Any], mask: NDArray[np.bool_], *, settings: Resegmentation) -> NDArray[np.bool_]:
    """Drop the voxels of a region that lie outside a range of grey values, or are outliers.

    Both bounds belong to the range. Range and outliers are both judged on the region as given,
    and a voxel must pass both [1]_. Standard deviations divide by the number of voxels.

    Parameters
    ----------
    values : ndarray, shape (ni, nj, nk)
        Grey values.
    mask : ndarray of bool, shape (ni, nj, nk)
        The region (ROI morphological mask).
    settings : Resegmentation
        Range, its unit, and the number of standard deviations that makes an outlier.

    Returns
    -------
    ndarray of bool, shape (ni, nj, nk)
        The voxels that stay (ROI intensity mask).

    Raises
    ------
    GeometryError
        If values and mask differ in shape.
    MaskError
        If the region is empty, or no voxel stays (``E_EMPTY_ROI``).

    References
    ----------
    .. [1] Zwanenburg et al., Image biomarker standardisation initiative, arXiv:1612.07003, 2.6

    Examples
    --------
    >>> values, mask = np.array([[[1.0, 5.0, 9.0]]]), np.ones((1, 1, 3), dtype=bool)
    >>> settings = Resegmentation(range=(5, None), unit="absolute", outliers_sd=None, shape=False)
    >>> resegment(values, mask, settings=settings).tolist()
    [[[False, True, True]]]
    """
    if values.shape != mask.shape:
        msg = f"Grey values have shape {values.shape} and the mask {mask.shape}, expected the same."
        raise GeometryError(msg)
    inside = np.asarray(values[mask], dtype=np.float64)
    if inside.size == 0:
        msg = "The region has no voxel."
        raise MaskError(msg, hint="Check the label numbers and that the region was drawn.")
    keep = np.ones(inside.shape, dtype=bool)
    mean, sd = float(inside.mean()), float(inside.std())
    if settings.range is not None:
        scale = {"absolute": (0.0, 1.0), "relative": (0.0, float(inside.max())), "sigma": (mean, sd)}
        offset, unit = scale[settings.unit]
        lower, upper = settings.range
        if lower is not None:
            keep &= inside >= offset + unit * lower
        if upper is not None:
            keep &= inside <= offset + unit * upper
    if settings.outliers_sd is not None:
        keep &= np.abs(inside - mean) <= settings.outliers_sd * sd
    if not keep.any():
        msg = (
            f"Re-segmentation leaves none of {inside.size} voxels, whose grey values run from "
            f"{inside.min():g} to {inside.max():g}."
        )
        raise MaskError(msg, hint="Check the range of the specification and the unit of this image.")
    out = np.zeros(mask.shape, dtype=bool)
    out[mask] = keep
    return out


def bounds(settings: Resegmentation | None) -> tuple[float | None, float | None]:
    """Return the lower and upper bound of the range in the unit of the image, or None.

    Parameters
    ----------
    settings : Resegmentation or None
        What a specification asks for.

    Returns
    -------
    tuple of float or None
        None where the range is open, relative to the region, or absent.
    """
    if settings is None or settings.range is None or settings.unit != "absolute":
        return None, None
    return settings.range
