"""From a NIfTI header to a voxel-to-world transform that can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.image import FloatArray, corner_displacement, voxel_spacing
from radiocard.io.nifti_header import Declared, Where
from radiocard.io.nifti_layout import Header

_MAX_SHEAR = 1e-3
_MIN_SPACING_MM = 1e-3
_SPACING_TOLERANCE = 0.01
_FORM_TOLERANCE_VOXEL = 0.5
_SLICE_RATIO = 1.5
_UNITS = {1: "metre", 3: "micrometre"}
_HINT = "Convert again from the original series."


@np.errstate(invalid="ignore", over="ignore")
def read_affine(declared: Declared, where: Where) -> tuple[FloatArray, bool]:
    """Return the affine of a header, and whether the header states an orientation.

    The sform is used where it is coded, else the qform, else the voxel sizes alone.

    Parameters
    ----------
    declared : Declared
        The header, as read.
    where : Where
        For error messages.

    Returns
    -------
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].
    oriented : bool
        False if the file has no orientation code.

    Raises
    ------
    GeometryError
        ``E_AFFINE``, if the transform is not finite, singular, sheared, or contradicts the
        voxel size; ``E_ORIENTATION``, if qform and sform disagree.
    """
    header = declared.header
    unit = int(header["xyzt_units"]) & 7
    if unit in _UNITS:
        message = f"The header states lengths in {_UNITS[unit]}, expected mm."
        raise where.error(message, "E_AFFINE", _HINT)
    sform = header.sform() if int(header["sform_code"]) != 0 else None
    qform = _qform(header, where)
    used = qform if sform is None else sform
    if used is None:
        _check_pixdim(header, where)
        return header.centred(), False
    for affine in (sform, qform):
        if affine is not None:
            _check_matrix(affine, where)
    if sform is not None:
        _check_spacing(header, sform, where)
        if qform is not None:
            _check_agreement(sform, qform, declared.shape, where)
    return used, True


def slice_axis_last(array: NDArray[Any], affine: FloatArray) -> tuple[NDArray[Any], FloatArray]:
    """Move the slice axis last, in array and affine alike.

    The slice axis is the one whose spacing is more than 1.5 times both others; without
    one, the storage order is kept. Only the spacing decides, so that an image and its mask
    are always treated alike.

    Parameters
    ----------
    array : ndarray, shape (n0, n1, n2)
        Voxels in storage order.
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].

    Returns
    -------
    array : ndarray, shape (ni, nj, nk)
        The same voxels.
    affine : ndarray of float, shape (4, 4)
        Its columns moved as the axes were.
    """
    spacing = np.round(voxel_spacing(affine), 3)
    axis = int(np.argmax(spacing))
    if not np.all(spacing[axis] > _SLICE_RATIO * np.delete(spacing, axis)):
        return array, affine
    order = [*(a for a in range(3) if a != axis), axis]
    return array.transpose(order), affine[:, [*order, 3]]


def _qform(header: Header, where: Where) -> FloatArray | None:
    if int(header["qform_code"]) <= 0:
        return None
    try:
        return header.qform()
    except ValueError as error:
        message = f"The qform is not a rotation: {error}."
        raise where.error(message, "E_AFFINE", _HINT) from None


def _check_pixdim(header: Header, where: Where) -> None:
    sizes = np.asarray(header["pixdim"][1:4], float)
    if not (np.isfinite(sizes).all() and (sizes >= _MIN_SPACING_MM).all()):
        message = f"The voxel size is {_by(sizes)} mm, expected positive numbers."
        raise where.error(message, "E_AFFINE", _HINT)


def _check_matrix(affine: FloatArray, where: Where) -> None:
    if not np.isfinite(affine).all():
        message = "The voxel-to-world transform holds NaN or infinite numbers."
        raise where.error(message, "E_AFFINE", _HINT)
    spacing = voxel_spacing(affine)
    if not (spacing >= _MIN_SPACING_MM).all():
        message = f"The voxel size is {_by(spacing)} mm, expected positive numbers."
        raise where.error(message, "E_AFFINE", _HINT)
    axes = affine[:3, :3] / spacing
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > _MAX_SHEAR:
        kind = "singular" if abs(np.linalg.det(axes)) < _MAX_SHEAR else "sheared"
        message = f"The voxel-to-world transform is {kind}: the cosine between two axes is {shear:.4f}, expected 0."
        raise where.error(message, "E_AFFINE", "Resample the image and its mask to a rectangular grid.")


def _check_spacing(header: Header, affine: FloatArray, where: Where) -> None:
    sizes, spacing = np.abs(np.asarray(header["pixdim"][1:4], float)), voxel_spacing(affine)
    if not (np.abs(sizes - spacing) <= _SPACING_TOLERANCE * spacing).all():
        message = f"The header states two voxel sizes: {_by(sizes)} mm (pixdim) and {_by(spacing)} mm (sform)."
        raise where.error(message, "E_AFFINE", "Programs that read one or the other give different volumes. " + _HINT)


def _check_agreement(sform: FloatArray, qform: FloatArray, shape: tuple[int, ...], where: Where) -> None:
    apart = corner_displacement(sform, qform, shape)
    if apart > _FORM_TOLERANCE_VOXEL:
        message = (
            f"The two orientations of the file (sform and qform) disagree by up to {apart:.1f} voxels, "
            f"expected at most {_FORM_TOLERANCE_VOXEL}."
        )
        raise where.error(message, "E_ORIENTATION", "Programs read one or the other. " + _HINT)


def _by(values: FloatArray) -> str:
    return " x ".join(f"{v:g}" for v in values)
