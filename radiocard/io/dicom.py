"""DICOM files to stacks of slices: one series, every slice once, at equal distances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radiocard.image import FloatArray
from radiocard.io.convert import LPS_TO_RAS
from radiocard.io.dicom_frames import Frame, split_frames
from radiocard.io.dicom_guard import read_stored
from radiocard.io.nifti import MAX_BYTES
from radiocard.io.nifti_header import Where, times

MAX_FILES = 4096
_DIRECTION_TOLERANCE = 1e-4
_SPACING_TOLERANCE = 0.01
_SAME_PLACE_MM = 0.01
_DRIFT_MM = 0.1
_FOLDER_HINT = "Give a folder that holds the files of one series, and nothing else."


def read_frames(path: Path, where: Where, *, max_bytes: int = MAX_BYTES) -> list[Frame]:
    """Read the images of one DICOM series.

    Parameters
    ----------
    path : Path
        A file, or a folder with the files of one series; hidden files and a ``DICOMDIR`` are
        passed over, subfolders are refused.
    where : Where
        For error messages, which number the files by name and never tell the name.
    max_bytes : int
        Cap on each file, and on the grey values of all of them as 64-bit numbers.

    Returns
    -------
    list of Frame
        At least one; all of one series, orientation, size and pixel spacing.

    Raises
    ------
    ReadError
        As :func:`radiocard.io.dicom_guard.read_stored`; ``E_SERIES``, if the images belong to
        several series or differ in orientation, size or pixel spacing.
    GeometryError
        ``E_AFFINE`` or ``E_NDIM``.
    """
    files = series_files(path, where) if path.is_dir() else [path]
    frames: list[Frame] = []
    for n, file in enumerate(files, start=1):
        place = Where(where.case, f"{where.field}, file {n} of {len(files)} by name") if path.is_dir() else where
        stored = read_stored(file, place, max_bytes=max_bytes)
        max_bytes -= stored.n_bytes
        frames += split_frames(stored, place)
    _check_alike(frames, where)
    return frames


def stack_slices(frames: Sequence[Frame], where: Where) -> tuple[FloatArray, FloatArray]:
    """Stack frames along the direction through them.

    Parameters
    ----------
    frames : sequence of Frame
        Each slice once; see :func:`read_frames`.
    where : Where
        For error messages.

    Returns
    -------
    array : ndarray of float, shape (ni, nj, nk)
        Grey values; ``k`` grows along the cross product of the directions of ``i`` and ``j``.
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].

    Raises
    ------
    ReadError
        ``E_SERIES``, if two frames lie at one place, or the distances between them differ by
        more than 1 %.
    GeometryError
        ``E_AFFINE``, if the slices are shifted against each other, or a single one has no
        thickness.
    """
    groups = group_by_place(frames)
    doubled = sum(len(group) > 1 for group in groups)
    if doubled:
        message = f"{doubled} of {len(groups)} slice positions hold more than one image, expected one each."
        raise where.error(message, "E_SERIES", "Give one map, not a raw series; or one of the series in the folder.")
    ordered = [group[0] for group in groups]
    affine = LPS_TO_RAS @ _lps_affine(ordered, where)
    return np.stack([frame.values for frame in ordered], axis=2), affine


def group_by_place(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return frames grouped by slice position, in the order of the slices; each group keeps its order."""
    normal = frames[0].normal
    along = np.array([frame.position_mm @ normal for frame in frames])
    groups: list[list[Frame]] = []
    last = -np.inf
    for n in np.argsort(along, kind="stable"):
        if along[n] - last > _SAME_PLACE_MM:
            groups.append([])
            last = along[n]
        groups[-1].append(frames[n])
    return groups


def series_files(folder: Path, where: Where) -> list[Path]:
    """Return the files of a folder that holds one series, by name; see :func:`read_frames` for what it refuses."""
    try:
        found = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name.upper() != "DICOMDIR")
    except OSError as error:
        message = f"The folder cannot be read: {error.strerror or type(error).__name__}."
        raise where.error(message, "E_READ") from None
    if not found:
        message = "The folder holds no files."
        raise where.error(message, "E_MISSING", _FOLDER_HINT)
    if any(p.is_dir() for p in found):
        message = "The folder holds subfolders, expected the files of one series."
        raise where.error(message, "E_SERIES", _FOLDER_HINT)
    if len(found) > MAX_FILES:
        message = f"The folder holds {len(found)} files; the cap is {MAX_FILES}."
        raise where.error(message, "E_TOO_BIG", _FOLDER_HINT)
    return found


def _check_alike(frames: Sequence[Frame], where: Where) -> None:
    series = {frame.series for frame in frames}
    if len(series) > 1:
        message = f"The folder holds images of {len(series)} series, expected one."
        raise where.error(message, "E_SERIES", _FOLDER_HINT)
    first = frames[0]
    for frame in frames[1:]:
        if frame.values.shape != first.values.shape:
            message = (
                f"Images have {times(first.values.shape)} and {times(frame.values.shape)} pixels, expected one size."
            )
            raise where.error(message, "E_SERIES", _FOLDER_HINT)
        turned = float(np.abs(frame.axes - first.axes).max())
        if turned > _DIRECTION_TOLERANCE:
            message = (
                f"Images are turned against each other: directions differ by {turned:.4f}, expected parallel slices."
            )
            raise where.error(message, "E_SERIES", "A localizer holds several planes; give the images of one plane.")
        if not np.allclose(frame.spacing_mm, first.spacing_mm, rtol=_DIRECTION_TOLERANCE, atol=0):
            message = "Images differ in pixel spacing, expected one."
            raise where.error(message, "E_SERIES", _FOLDER_HINT)
        if (frame.unit, frame.vendor, frame.field_strength_t) != (first.unit, first.vendor, first.field_strength_t):
            message = "Images differ in unit, vendor or field strength, expected one of each."
            raise where.error(message, "E_SERIES", _FOLDER_HINT)


def _lps_affine(ordered: Sequence[Frame], where: Where) -> FloatArray:
    first = ordered[0]
    affine = np.eye(4)
    affine[:3, :2] = first.axes * first.spacing_mm
    affine[:3, 2] = first.normal * _slice_spacing(ordered, where)
    affine[:3, 3] = first.position_mm
    return affine


def _slice_spacing(ordered: Sequence[Frame], where: Where) -> float:
    first = ordered[0]
    if len(ordered) == 1:
        if first.thickness_mm is None:
            message = "The single slice states no thickness."
            raise where.error(message, "E_AFFINE", "Volumes need it; export the original images.")
        return first.thickness_mm
    shifts = np.array([frame.position_mm - first.position_mm for frame in ordered])
    along = shifts @ first.normal
    steps = np.diff(along)
    usual = float(np.median(steps))
    if np.abs(steps - usual).max() > _SPACING_TOLERANCE * usual:
        message = (
            f"The distances between {len(ordered)} slices run from {steps.min():.2f} to {steps.max():.2f} mm, "
            "expected equal ones."
        )
        raise where.error(message, "E_SERIES", "A slice may be missing; slices at uneven places are read one by one.")
    drift = float(np.linalg.norm(shifts - np.outer(along, first.normal), axis=1).max())
    if drift > _DRIFT_MM:
        message = f"The slices are shifted against each other by up to {drift:.2f} mm in their plane, expected 0."
        raise where.error(message, "E_AFFINE", "Resample the series to a rectangular grid.")
    return float(along[-1] / (len(ordered) - 1))
