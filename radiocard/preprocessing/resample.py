"""Resampling to another voxel grid (IBSI VTM2), under both conventions.

Under ``ibsi`` the new grid shares its centre with the old one and covers it; the whole image is
resampled. Under ``pyradiomics`` the new grid shares its corner with the old one, and only the
region and a margin are resampled, as PyRadiomics 3 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import GeometryError, MaskError, SpecError
from radiocard.image import Image
from radiocard.preprocessing.resample_pyradiomics import resample_cropped
from radiocard.specs import Convention, Resampling

Floats = NDArray[np.float64]
Interpolation = Literal["nearest", "linear", "bspline"]
MAX_VOXELS = 2**27
_HALF = 0.5 - 1e-9  # a partial volume of one half counts, whatever the rounding of the weights
_TIE = 0.5 + 1e-9  # and halfway between two voxels the later one is nearest
_DECIMALS = 4  # spacings in files have single precision: 60 * 3.0000002 / 2 is 90 voxels, not 91


def resample(
    image: Image, mask: NDArray[np.bool_], *, settings: Resampling, convention: Convention
) -> tuple[Image, NDArray[np.bool_]]:
    """Resample an image and one region.

    Parameters
    ----------
    image : Image
        Grey values; whole numbers stay whole numbers under ``pyradiomics``.
    mask : ndarray of bool, shape of the image
        The region.
    settings : Resampling
        New spacing [mm], interpolation of image and mask, rounding.
    convention : {'ibsi', 'pyradiomics'}
        Whose grid is used.

    Returns
    -------
    image : Image
        Grey values on the new grid; under ``pyradiomics`` only the region and its margin.
    mask : ndarray of bool, shape of the new image
        The region on the new grid.

    Raises
    ------
    GeometryError
        If image and mask differ in shape, or the new grid has more voxels than the cap.
    MaskError
        If the region is empty or vanishes between the new voxels (``E_EMPTY_ROI``).
    SpecError
        If PyRadiomics knows no such mask interpolation.
    """
    if mask.shape != image.array.shape:
        msg = f"The shape of the mask is {mask.shape}, expected that of the image, {image.array.shape}."
        raise GeometryError(msg, hint="Check that it was drawn on this series.")
    if not mask.any():
        msg = "The region has no voxel."
        raise MaskError(msg, hint="Check the label numbers and that the region was drawn.")
    if convention == "ibsi":
        new_image = resample_image(image, settings=settings)
        new_mask = resample_mask(mask, image.spacing_mm, settings=settings)
    else:
        if settings.mask_interpolation != "nearest":
            msg = f"PyRadiomics resamples masks by nearest neighbour only, not {settings.mask_interpolation}."
            raise SpecError(msg, field="resampling.mask_interpolation", hint="Use nearest, or convention: ibsi.")
        _refuse_huge(_new_shape(image.array.shape, image.spacing_mm, settings))
        new_image, new_mask = resample_cropped(image, mask, settings=settings)
        new_image = _rounded(new_image, settings)
    require_left(new_mask, mask, image.spacing_mm, new_image.spacing_mm)
    return new_image, new_mask


def require_left(found: NDArray[np.bool_], mask: NDArray[np.bool_], old: Sequence[float], new: Sequence[float]) -> None:
    """Refuse a region that vanished between the voxels of the new grid.

    Parameters
    ----------
    found, mask : ndarray of bool
        The region on the new grid, and on the old one.
    old, new : sequence of float
        Voxel spacing of both [mm].

    Raises
    ------
    MaskError
        ``E_EMPTY_ROI``, if no voxel is left.
    """
    if not found.any():
        size = int(np.count_nonzero(mask))
        msg = f"The region of {size} voxels of {_text(old)} mm has none left at {_text(new)} mm."
        raise MaskError(msg, hint="The new voxels are larger than the region.")


def resample_image(image: Image, *, settings: Resampling) -> Image:
    """Resample a whole image to a grid with the same centre (IBSI).

    Parameters
    ----------
    image : Image
        Grey values.
    settings : Resampling
        New spacing [mm] along ``i, j, k``, 0 where an axis is kept; interpolation and rounding.

    Returns
    -------
    Image
        ``ceil(n * old spacing / new spacing)`` voxels along each axis; beyond the outermost
        voxel centres the grey value there is used.

    Raises
    ------
    GeometryError
        If the new grid has more voxels than the cap.
    """
    spacing = image.spacing_mm
    _refuse_huge(_new_shape(image.array.shape, spacing, settings))
    array = np.asarray(image.array, dtype=np.float64)
    affine = np.array(image.affine, dtype=float)
    for axis, new in _resampled_axes(spacing, settings):
        positions = _positions(image.array.shape[axis], spacing[axis], new)
        array = _along(array, axis, positions, settings.interpolation)
        affine[:3, 3] += image.affine[:3, axis] * positions[0]
        affine[:3, axis] *= new / spacing[axis]
    return _rounded(replace(image, array=array, affine=affine), settings)


def resample_mask(mask: NDArray[np.bool_], spacing: Sequence[float], *, settings: Resampling) -> NDArray[np.bool_]:
    """Resample a region to the grid of :func:`resample_image`.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region on the old grid.
    spacing : sequence of float
        Old voxel spacing along ``i, j, k`` [mm].
    settings : Resampling
        New spacing [mm] and mask interpolation.

    Returns
    -------
    ndarray of bool, shape of the new image
        ``linear``: the new voxels of which at least one half belongs to the region.

    Raises
    ------
    GeometryError
        If the new grid has more voxels than the cap.
    """
    _refuse_huge(_new_shape(mask.shape, spacing, settings))
    part = mask.astype(np.float64)
    for axis, new in _resampled_axes(spacing, settings):
        positions = _positions(mask.shape[axis], spacing[axis], new)
        part = _along(part, axis, positions, settings.mask_interpolation)
    return np.asarray(part >= _HALF)


def _resampled_axes(spacing: Sequence[float], settings: Resampling) -> list[tuple[int, float]]:
    wanted = enumerate(settings.spacing_mm)
    return [(axis, new) for axis, new in wanted if new > 0 and not np.isclose(new, spacing[axis], rtol=1e-6, atol=0)]


def _new_shape(shape: Sequence[int], spacing: Sequence[float], settings: Resampling) -> list[int]:
    out = list(shape)
    for axis, new in _resampled_axes(spacing, settings):
        out[axis] = _new_size(shape[axis], spacing[axis], new)
    return out


def _new_size(n: int, old: float, new: float) -> int:
    return max(1, int(np.ceil(np.round(n * old / new, _DECIMALS))))


def _positions(n: int, old: float, new: float) -> Floats:
    """Return the new voxel centres in old voxel indices."""
    size = _new_size(n, old, new)
    return np.asarray((n - 1) / 2 + (np.arange(size) - (size - 1) / 2) * (new / old), dtype=np.float64)


def _along(array: Floats, axis: int, positions: Floats, kind: Interpolation) -> Floats:
    """Interpolate along one axis; positions beyond the ends take the value there."""
    n = array.shape[axis]
    x = np.clip(positions, 0, n - 1)
    if kind == "nearest" or n == 1:
        return np.asarray(array.take(np.floor(x + _TIE).astype(np.intp), axis=axis), dtype=np.float64)
    low = np.minimum(np.floor(x), n - 2).astype(np.intp)
    if kind == "linear":
        return _weighted(array, axis, (low, low + 1), (1 - (x - low), x - low))
    ndimage = import_module("scipy.ndimage")
    coefficients = ndimage.spline_filter1d(array, order=3, axis=axis, mode="mirror")
    t = x - low
    weights = ((1 - t) ** 3 / 6, 2 / 3 - t**2 * (2 - t) / 2, 2 / 3 - (1 - t) ** 2 * (1 + t) / 2, t**3 / 6)
    index = (n - 1 - np.abs(n - 1 - np.abs(low + step) % (2 * n - 2)) for step in (-1, 0, 1, 2))
    return _weighted(coefficients, axis, tuple(index), weights)


def _weighted(array: Floats, axis: int, index: Sequence[NDArray[np.intp]], weights: Sequence[Floats]) -> Floats:
    shape = [1, 1, 1]
    shape[axis] = -1
    total: Any = 0.0
    for at, weight in zip(index, weights, strict=True):
        total = total + array.take(at, axis=axis) * weight.reshape(shape)
    return np.asarray(total, dtype=np.float64)


def _rounded(image: Image, settings: Resampling) -> Image:
    return replace(image, array=np.rint(image.array)) if settings.round_grey else image


def _refuse_huge(shape: Sequence[int]) -> None:
    size = int(np.prod([float(n) for n in shape]))
    if size > MAX_VOXELS:
        msg = f"The new grid would have {size} voxels ({_text(shape)}), expected at most {MAX_VOXELS}."
        raise GeometryError(msg, hint="Check the spacing of the specification and of this image.")


def _text(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
