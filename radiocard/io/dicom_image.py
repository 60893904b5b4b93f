"""Grey values of a DICOM series: one stack of slices, or the frames of a cine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radiocard.errors import GeometryError, ReadError
from radiocard.image import Image
from radiocard.io.dicom import group_by_place, read_frames, stack_slices
from radiocard.io.dicom_frames import Frame
from radiocard.io.nifti import MAX_BYTES
from radiocard.io.nifti_header import Where


def read_series(
    path: str | Path, *, case: str | None, field: str, frame: int | None = None, max_bytes: int = MAX_BYTES
) -> Image:
    """Read one stack of slices from a DICOM series.

    Parameters
    ----------
    path : str or Path
        Folder with the files of one series, or an enhanced file.
    case : str or None
        Patient identifier, for error messages.
    field : str
        Role, for error messages, for example ``cine_ed.image``.
    frame : int or None
        Zero-based cardiac frame of a cine; None expects one image at each slice position.
    max_bytes : int
        Cap on each file, and on the grey values of all of them.

    Returns
    -------
    Image
        Whole numbers where all grey values are.

    Raises
    ------
    ReadError
        As :func:`radiocard.io.dicom.read_frames`; ``E_SERIES``, if positions hold different
        numbers of images, or several though no frame was chosen.
    GeometryError
        As :func:`radiocard.io.dicom.stack_slices`; ``E_NDIM``, if the frame does not exist.
    """
    where = Where(case, field)
    frames = read_frames(Path(path), where, max_bytes=max_bytes)
    if frame is None:
        return _stacked(frames, where)
    moments = sort_cine(frames, where)
    if not 0 <= frame < len(moments):
        message = f"Frame {frame} was asked for; the series holds frames 0 to {len(moments) - 1}."
        raise GeometryError(message, code="E_NDIM", case=case, field=field, hint="Frames count from 0.")
    return _stacked(moments[frame], where)


def read_cine(path: str | Path, *, case: str | None, field: str, max_bytes: int = MAX_BYTES) -> list[Image]:
    """Read every cardiac frame of a DICOM series, see :func:`read_series`."""
    where = Where(case, field)
    return [_stacked(m, where) for m in sort_cine(read_frames(Path(path), where, max_bytes=max_bytes), where)]


def sort_cine(frames: Sequence[Frame], where: Where) -> list[list[Frame]]:
    """Sort images by cardiac frame, and within it by slice position.

    Parameters
    ----------
    frames : sequence of Frame
        Of one series.
    where : Where
        For error messages.

    Returns
    -------
    list of list of Frame
        Frames follow by trigger time, where it is absent or equal by instance number.

    Raises
    ------
    ReadError
        ``E_SERIES``, if positions hold different numbers of images.
    """
    groups = group_by_place(frames)
    sizes = sorted({len(group) for group in groups})
    if len(sizes) > 1:
        message = f"Slice positions hold {sizes[0]} to {sizes[-1]} images, expected the same number each."
        raise ReadError(message, code="E_SERIES", case=where.case, field=where.field)
    ordered = [sorted(group, key=lambda frame: (frame.trigger_ms or 0.0, frame.number)) for group in groups]
    return [list(moment) for moment in zip(*ordered, strict=True)]


def _stacked(frames: Sequence[Frame], where: Where) -> Image:
    values, affine = stack_slices(frames, where)
    whole = values.astype(np.int32, casting="unsafe") if np.abs(values).max() < 2**31 else None
    return Image(values if whole is None or not np.array_equal(whole, values) else whole, affine)
