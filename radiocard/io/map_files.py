"""Parametric maps (T1, T2, T2*, ECV) from NIfTI or DICOM, and back to NIfTI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from radiocard.errors import UsageError
from radiocard.image import Image
from radiocard.io.nifti import MAX_BYTES, read_image, write_image
from radiocard.io.nifti_header import Where
from radiocard.specs.maps import MAP_UNITS, UnitTag

Unit = Literal["ms", "s", "0.1ms", "pct", "fraction"]
UnitSource = Literal["declared", "from DICOM", "proved later"]

UNITS: Mapping[UnitTag, tuple[Unit, ...]] = MappingProxyType({"ms": ("ms", "s", "0.1ms"), "pct": ("pct", "fraction")})
_NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class MapFile:
    """A map as its file holds it.

    Parameters
    ----------
    image : Image
        Values in ``unit``, with the file's own scaling applied and nothing else; see
        :func:`radiocard.io.units.convert_units`.
    sequence : str
        ``t1_native``, ``t1_post``, ``t2``, ``t2_star`` or ``ecv``.
    unit : str or None
        ``ms``, ``s``, ``0.1ms``, ``pct`` or ``fraction``; None if nobody stated it, so that the values must
        prove it.
    unit_source : {'declared', 'from DICOM', 'proved later'}
        Who stated it.
    field_strength_t : float or None
        Field strength [T], where the file states it.
    vendor : str or None
        Maker of the scanner, where the file states a known one.
    """

    image: Image
    sequence: str
    unit: Unit | None
    unit_source: UnitSource
    field_strength_t: float | None = None
    vendor: str | None = None


def read_map(
    path: str | Path, *, sequence: str, unit: Unit | None = None, case: str = "", max_bytes: int = MAX_BYTES
) -> MapFile:
    """Read a map from a NIfTI file, a DICOM file, or a folder with one DICOM series.

    The unit of a DICOM map is the one of its real-world value mapping (UCUM), else its rescale
    type. What a vendor's maps hold where neither says so is not guessed.

    Parameters
    ----------
    path : str or Path
        ``.nii`` or ``.nii.gz``; anything else is read as DICOM.
    sequence : str
        ``t1_native``, ``t1_post``, ``t2``, ``t2_star`` or ``ecv``.
    unit : {'ms', 's', '0.1ms', 'pct', 'fraction'}, optional
        Unit of the values, where it is known. The values are not converted.
    case : str
        Patient identifier, for error messages.
    max_bytes : int
        Cap on what the file declares and unpacks to.

    Returns
    -------
    MapFile

    Raises
    ------
    UsageError
        If the sequence is not one of a map, or the unit not one of the sequence.
    ReadError
        If a file cannot be read (see :func:`radiocard.io.dicom.read_frames` and
        :func:`radiocard.io.nifti.read_image`); ``E_SERIES``, if the images are phase images;
        ``E_UNITS``, if the file states another unit than was declared.
    GeometryError
        If the place in the patient is not usable.
    """
    if sequence not in MAP_UNITS:
        msg = f"Sequence {sequence!r} is not one of a map: {', '.join(MAP_UNITS)}."
        raise UsageError(msg, case=case or None)
    known = UNITS[MAP_UNITS[sequence]]
    if unit is not None and unit not in known:
        msg = f"Unit {unit!r} is not one of {sequence}: {', '.join(known)}."
        raise UsageError(msg, case=case or None, field=sequence)
    path, where = Path(path), Where(case or None, f"{sequence}.image")
    if path.name.lower().endswith(_NIFTI):
        image = read_image(path, case=where.case, field=where.field, max_bytes=max_bytes)
        return MapFile(image, sequence, unit, "declared" if unit else "proved later")
    return _from_dicom(path, where, sequence, unit, max_bytes)


def write_map(image: Image, path: str | Path) -> None:
    """Write a map as NIfTI-1 of 32-bit numbers, lengths in mm, without any description.

    Parameters
    ----------
    image : Image
        Values in ms or %; NaN where there is none.
    path : str or Path
        Ends in ``.nii`` or ``.nii.gz``.

    Raises
    ------
    UsageError, OutputError
        As :func:`radiocard.io.nifti.write_image`.
    """
    write_image(path, Image(image.array.astype(np.float32), image.affine, image.oriented))


def _from_dicom(path: Path, where: Where, sequence: str, unit: Unit | None, max_bytes: int) -> MapFile:
    from radiocard.io.dicom import read_frames, stack_slices  # late: a cohort of NIfTI files needs no DICOM

    frames = read_frames(path, where, max_bytes=max_bytes)
    if any(frame.kind == "phase" for frame in frames):
        message = "These are phase images, expected a map."
        raise where.error(message, "E_SERIES", "Give the series of the map.")
    array, affine = stack_slices(frames, where)
    known = UNITS[MAP_UNITS[sequence]]
    stated = next((u for u in known if u == frames[0].unit), None)
    if frames[0].unit and frames[0].unit != (unit or stated):
        expected = f"{unit!r} was declared" if unit else f"{sequence} is in {' or '.join(known)}"
        message = f"The file states the unit {frames[0].unit!r}; {expected}."
        raise where.error(message, "E_UNITS", "Check that this is the map that was meant, and how it was exported.")
    source: UnitSource = "declared" if unit else "from DICOM" if stated else "proved later"
    return MapFile(Image(array, affine), sequence, unit or stated, source, frames[0].field_strength_t, frames[0].vendor)
