"""PyRadiomics' resampling: a grid that shares its corner with the old one, cropped to the region."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.image import FloatArray, Image
from radiocard.specs import Resampling

_PAD_DISTANCE = 5  # what PyRadiomics' extractor takes if nothing is said
_LPS = np.diag([-1.0, -1.0, 1.0])


def resample_cropped(image: Image, mask: NDArray[np.bool_], *, settings: Resampling) -> tuple[Image, NDArray[np.bool_]]:
    """Resample a region and a margin around it as PyRadiomics 3.0.1 does.

    Parameters
    ----------
    image : Image
        Grey values.
    mask : ndarray of bool, shape of the image
        The region, with one voxel at least.
    settings : Resampling
        New spacing [mm], 0 where an axis is kept; interpolation; margin in new voxels.

    Returns
    -------
    image : Image
        Grey values, of the same type as before.
    mask : ndarray of bool
        The region by nearest neighbour; it may be empty.
    """
    old = np.array(image.spacing_mm)
    new = np.array([wanted or kept for wanted, kept in zip(settings.spacing_mm, old, strict=True)])
    pad = _PAD_DISTANCE if settings.pad_distance is None else settings.pad_distance
    hits = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    first, last = np.array([h[0] for h in hits]), np.array([h[-1] for h in hits])
    if np.allclose(new, old):  # nothing to interpolate, but cropped all the same
        low, high = np.maximum(first - pad, 0), np.minimum(last + pad, np.array(mask.shape) - 1)
        box = tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
        return Image(image.array[box], _moved(image.affine, low), image.oriented), mask[box]
    ratio = old / new
    low = np.maximum(np.floor((first - 0.5) * ratio - pad), 0)
    high = np.minimum(np.ceil((last + 0.5) * ratio + pad), np.ceil(np.array(mask.shape) * ratio) - 1)
    origin = 0.5 * (new - old) / old + low / ratio  # in old voxel indices
    return _run_itk(image, mask, settings, [int(n) for n in high - low + 1], new, origin)


def _run_itk(
    image: Image,
    mask: NDArray[np.bool_],
    settings: Resampling,
    size: list[int],
    new: FloatArray,
    origin: FloatArray,
) -> tuple[Image, NDArray[np.bool_]]:
    sitk = import_module("SimpleITK")
    kinds = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline}
    directions = np.asarray(image.affine, dtype=float)[:3, :3] / np.array(image.spacing_mm)
    moving = [_to_itk(data, image, directions) for data in (image.array, mask.astype(np.uint8))]
    corner = moving[1].TransformContinuousIndexToPhysicalPoint(origin.tolist())
    resampler = sitk.ResampleImageFilter()
    resampler.SetOutputSpacing(new.tolist())
    resampler.SetOutputDirection((_LPS @ directions).ravel().tolist())
    resampler.SetSize(size)
    resampler.SetOutputOrigin(corner)
    resampler.SetNumberOfThreads(1)
    out = []
    for volume, kind in zip(moving, (kinds[settings.interpolation], sitk.sitkNearestNeighbor), strict=True):
        resampler.SetInterpolator(kind)
        resampler.SetOutputPixelType(volume.GetPixelID())
        out.append(sitk.GetArrayFromImage(resampler.Execute(volume)).transpose(2, 1, 0))
    affine = np.eye(4)
    affine[:3, :3] = directions * new
    affine[:3, 3] = _LPS @ np.array(corner)
    return Image(out[0], affine, image.oriented), out[1].astype(bool)


def _to_itk(array: NDArray[Any], image: Image, directions: FloatArray) -> Any:
    volume = import_module("SimpleITK").GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    volume.SetSpacing(image.spacing_mm)
    volume.SetOrigin((_LPS @ np.asarray(image.affine, dtype=float)[:3, 3]).tolist())
    volume.SetDirection((_LPS @ directions).ravel().tolist())
    return volume


def _moved(affine: FloatArray, start: NDArray[Any]) -> FloatArray:
    out = np.array(affine, dtype=float)
    out[:3, 3] += out[:3, :3] @ start
    return out
