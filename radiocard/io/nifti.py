"""NIfTI files to images and label maps, and back; nothing is believed unchecked."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.image import Image, LabelMap
from radiocard.io.atomic import write_bytes
from radiocard.io.nifti_affine import read_affine, slice_axis_last
from radiocard.io.nifti_guard import read_voxels
from radiocard.io.nifti_header import Declared, Where

MAX_BYTES = 2**30
_MAX_LABEL = 65535
_MAX_AXIS = 32767


def read_image(
    path: str | Path, *, case: str | None, field: str, frame: int | None = None, max_bytes: int = MAX_BYTES
) -> Image:
    """Read an image from a NIfTI-1 or NIfTI-2 file (``.nii``, ``.nii.gz``).

    Parameters
    ----------
    path : str or Path
        The file.
    case : str or None
        Patient identifier, for error messages.
    field : str
        Role, for error messages, for example ``cine_ed.image``.
    frame : int or None
        Zero-based frame of a four-dimensional file.
    max_bytes : int
        Cap on what the file declares and unpacks to.

    Returns
    -------
    Image
        Grey values with the file's slope and intercept applied, slice axis last (see
        :func:`radiocard.io.nifti_affine.slice_axis_last`).

    Raises
    ------
    ReadError
        If the file is missing, truncated, damaged, too big or not NIfTI.
    GeometryError
        If its affine, orientation or dimensions are not usable.
    """
    where = Where(case, field)
    declared, stored = read_voxels(Path(path), where, frame=frame, max_bytes=max_bytes)
    affine, oriented = read_affine(declared, where)
    array, affine = slice_axis_last(_scaled(declared, stored, where), affine)
    return Image(array, affine, oriented)


def count_frames(path: str | Path, *, case: str | None, field: str, max_bytes: int = MAX_BYTES) -> int:
    """Return how many frames a NIfTI file holds; 1 for a three-dimensional one.

    Raises
    ------
    ReadError, GeometryError
        As :func:`read_image`.
    """
    declared, _ = read_voxels(Path(path), Where(case, field), frame=0, max_bytes=max_bytes)
    return declared.frames


def read_label_map(
    path: str | Path,
    labels: Mapping[str, int],
    *,
    case: str | None,
    field: str,
    frame: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> LabelMap:
    """Read a mask of whole-number labels from a NIfTI file.

    Parameters
    ----------
    path : str or Path
        The file.
    labels : mapping of str to int
        Region name to label number; never guessed.
    case, field : str
        For error messages.
    frame : int or None
        Zero-based frame of a four-dimensional file; a three-dimensional mask is the mask
        of that frame.
    max_bytes : int
        Cap on what the file declares and unpacks to.

    Returns
    -------
    LabelMap
        Smallest unsigned integer type that holds the labels; slice axis last.

    Raises
    ------
    ReadError, GeometryError
        As :func:`read_image`.
    MaskError
        ``E_LABELS``, if values are not whole numbers, negative, or the 0/255 of a picture.
    """
    where = Where(case, field)
    declared, stored = read_voxels(Path(path), where, frame=frame, max_bytes=max_bytes, single_fits=True)
    affine, oriented = read_affine(declared, where)
    whole = _whole_numbers(_scaled(declared, stored, where), labels, where)
    array, affine = slice_axis_last(whole, affine)
    return LabelMap(array, affine, oriented, dict(labels))


def write_image(path: str | Path, image: Image) -> None:
    """Write an image or label map as NIfTI-1; the same image gives the same bytes.

    Parameters
    ----------
    path : str or Path
        Ends in ``.nii`` or ``.nii.gz``. Written under a temporary name first.
    image : Image
        Its affine goes into sform and qform; no orientation is stated if it has none.

    Raises
    ------
    UsageError
        If the name ends otherwise, or NIfTI-1 cannot hold the array or affine.
    OutputError
        If the file cannot be written.
    """
    import nibabel as nib  # late: slow, and only needed to write
    from nibabel.spatialimages import HeaderDataError

    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        msg = f"{path.name!r} does not end in .nii or .nii.gz."
        raise UsageError(msg)
    if max(image.array.shape) > _MAX_AXIS:
        msg = f"The image cannot be written as NIfTI-1: an axis has {max(image.array.shape)} voxels."
        raise UsageError(msg)
    array = image.array.astype(np.uint8) if image.array.dtype == bool else image.array
    code = "scanner" if image.oriented else "unknown"
    try:
        nifti = nib.Nifti1Image(array, image.affine, dtype=array.dtype)
        nifti.set_sform(image.affine if image.oriented else None, code)
        nifti.set_qform(image.affine, code)
    except (HeaderDataError, ValueError) as error:
        msg = f"The image cannot be written as NIfTI-1: {error}."
        raise UsageError(msg) from error
    nifti.header.set_xyzt_units("mm")
    data = nifti.to_bytes()
    if path.name.endswith(".gz"):
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=1, mtime=0) as stream:
            stream.write(data)
        data = packed.getvalue()
    write_bytes(data, path)


def _scaled(declared: Declared, stored: NDArray[Any], where: Where) -> NDArray[Any]:
    slope, intercept = float(declared.header["scl_slope"]), float(declared.header["scl_inter"])
    if slope == 0 or math.isnan(slope):
        return stored
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        message = f"The header scales grey values by {slope} plus {intercept}."
        raise where.error(message, "E_READ")
    if slope == 1 and intercept == 0:
        return stored
    return stored * np.float64(slope) + np.float64(intercept)


def _whole_numbers(values: NDArray[Any], labels: Mapping[str, int], where: Where) -> NDArray[Any]:
    if values.dtype.kind == "f":
        odd = ~np.isfinite(values) | (values != np.rint(values))
        if odd.any():
            shown = ", ".join(f"{v:g}" for v in np.unique(values[odd])[:3])
            message = f"{int(odd.sum())} mask voxels are not whole numbers (for example {shown})."
            raise where.error(message, "E_LABELS", "Masks are resampled with nearest neighbour, never linearly.")
    low, high = values.min(), values.max()
    if low < 0 or high > _MAX_LABEL:
        message = f"The mask holds values from {low:g} to {high:g}, expected labels from 0 to {_MAX_LABEL}."
        raise where.error(message, "E_LABELS", "Check that this is the mask and not the image.")
    whole = values.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)
    if high == 255 and 255 not in labels.values() and not ((whole != 0) & (whole != 255)).any():
        message = "The mask holds only 0 and 255, as a picture does; expected label numbers."
        raise where.error(message, "E_LABELS", "Export one label number per region.")
    return whole
