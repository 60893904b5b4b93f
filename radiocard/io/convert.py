"""Arrays, SimpleITK images and files to :class:`~radiocard.image.Image`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import GeometryError, UsageError
from radiocard.image import Image
from radiocard.io.nifti import read_image
from radiocard.io.nifti_affine import slice_axis_last

if TYPE_CHECKING:
    import SimpleITK as sitk

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def as_image(
    source: str | Path | NDArray[np.generic] | sitk.Image | Image,
    *,
    spacing_mm: Sequence[float] | None = None,
    field: str = "image",
) -> Image:
    """Return an image from a NIfTI path, a SimpleITK image or an array.

    Parameters
    ----------
    source : str, Path, ndarray of shape (ni, nj, nk), SimpleITK.Image or Image
        What to convert. The slice axis of an array is its last; that of a file or SimpleITK
        image is found by :func:`radiocard.io.nifti_affine.slice_axis_last`.
    spacing_mm : sequence of 3 floats, optional
        Voxel spacing along ``i, j, k`` [mm]; required with an array, refused otherwise.
    field : str
        Role named in errors.

    Returns
    -------
    Image

    Raises
    ------
    UsageError
        If spacing is missing or superfluous, or the source of an unknown kind.
    GeometryError
        If a file is not usable; ``E_NDIM``, if a SimpleITK image is not one volume of one
        value per voxel.
    ReadError
        If a file cannot be read.
    """
    if isinstance(source, np.ndarray):
        if spacing_mm is None or len(spacing_mm) != 3 or not all(s > 0 for s in spacing_mm):
            msg = f"{field} is an array: give spacing_mm as three positive numbers [mm], got {spacing_mm!r}."
            raise UsageError(msg, field=field)
        return Image(source, np.diag([*map(float, spacing_mm), 1.0]), oriented=False)
    if spacing_mm is not None:
        msg = f"{field} carries its own spacing; spacing_mm is for arrays only."
        raise UsageError(msg, field=field)
    if isinstance(source, str | Path):
        return read_image(Path(source), case="-", field=field)
    if isinstance(source, Image):
        return source
    if hasattr(source, "GetDirection"):
        return _from_simpleitk(source, field)
    msg = f"{field} is a {type(source).__name__}, expected a path, an array, a SimpleITK image or an Image."
    raise UsageError(msg, field=field)


def _from_simpleitk(source: sitk.Image, field: str) -> Image:
    import SimpleITK as sitk

    if source.GetDimension() != 3:
        msg = f"{field} has {source.GetDimension()} dimensions, expected 3."
        raise GeometryError(msg, code="E_NDIM", field=field, hint="Give one frame at a time.")
    if source.GetNumberOfComponentsPerPixel() != 1:
        msg = f"{field} has {source.GetNumberOfComponentsPerPixel()} components per voxel, expected 1."
        raise GeometryError(msg, code="E_NDIM", field=field, hint="Give grey values, not colours or vectors.")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(source.GetDirection(), (3, 3)) * np.asarray(source.GetSpacing())
    affine[:3, 3] = source.GetOrigin()
    return Image(*slice_axis_last(sitk.GetArrayFromImage(source).T, LPS_TO_RAS @ affine))
