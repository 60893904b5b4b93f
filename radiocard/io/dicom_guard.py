"""The guard before DICOM pixels: what a file declares is checked before memory is taken.

Only the attributes in :data:`TAGS` are kept, none of which names a person, a place or a date,
so that no message or result can. Pixels are read where the file stores them plainly or
run-length encoded; other encodings are refused by name, since whether a decoder for them is
installed differs from machine to machine, and half of them lose grey values.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.utils import pixel_array
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from radiocard.errors import CaseError
from radiocard.io.nifti_header import DAMAGED_HINT, Where, times

TAGS = (
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "ComplexImageComponent",
    "DoubleFloatPixelData",
    "EchoTime",
    "FloatPixelData",
    "HighBit",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "InstanceNumber",
    "InversionTime",
    "MagneticFieldStrength",
    "Manufacturer",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation",
    "PixelData",
    "PixelRepresentation",
    "PixelSpacing",
    "RealWorldValueMappingSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SharedFunctionalGroupsSequence",
    "SliceThickness",
    "SpacingBetweenSlices",
    "TriggerTime",
)
_PIXELS = {"PixelData": (8, 16, 32), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_MAX_RUN_RATIO = 64  # two bytes of a run become at most 128
_BYTES_PER_VALUE = 8  # grey values are kept as 64-bit numbers once scaled
_ENCODING_HINT = "Export it uncompressed (explicit VR little endian)."
_HINT = "Export the series again from the archive."


@dataclass(frozen=True, eq=False)
class Stored:
    """One DICOM file with an image.

    Parameters
    ----------
    dataset : pydicom.Dataset
        The attributes in :data:`TAGS`, without pixels.
    pixels : ndarray, shape (n_frames, n_rows, n_columns)
        Stored values, unscaled.
    """

    dataset: pydicom.Dataset
    pixels: NDArray[Any]

    @property
    def n_bytes(self) -> int:
        """Memory that the scaled grey values take [byte]."""
        return self.pixels.size * _BYTES_PER_VALUE


def read_stored(path: Path, where: Where, *, max_bytes: int) -> Stored:
    """Read one DICOM file with an image of grey values.

    Parameters
    ----------
    path : Path
        A file with the preamble and meta information of the DICOM file format.
    where : Where
        For error messages.
    max_bytes : int
        Cap on the file and on its grey values as 64-bit numbers.

    Returns
    -------
    Stored

    Raises
    ------
    ReadError
        ``E_MISSING``, ``E_READ``, ``E_TRUNCATED`` or ``E_TOO_BIG``; ``E_DICOM``, if the file is
        malformed, or has no image, or one in an encoding that is not read.
    GeometryError
        ``E_NDIM``, if the image is in colour.
    """
    try:
        if not path.exists():
            message = "The file does not exist."
            raise where.error(message, "E_MISSING", "Check the cohort's folder or manifest.")
        if not path.is_file():
            message = "This is not a regular file."
            raise where.error(message, "E_READ")
        size = path.stat().st_size
        if size > max_bytes:
            message = f"The file has {size} bytes; the cap is {max_bytes}."
            raise where.error(message, "E_TOO_BIG", "Check the file, or raise max_bytes if it is sound.")
        with silent_parser():
            return _parse(path, where, max_bytes)
    except CaseError:
        raise
    except InvalidDicomError:
        message = "This is not a DICOM file: it does not begin with a preamble and 'DICM'."
        raise where.error(message, "E_DICOM", "Expected .dcm, .nii or .nii.gz.") from None
    except EOFError:
        message = "The file ends inside an attribute."
        raise where.error(message, "E_TRUNCATED", DAMAGED_HINT) from None
    except OSError as error:
        message = f"The file cannot be read: {error.strerror or type(error).__name__}."
        raise where.error(message, "E_READ") from None
    except Exception as error:  # a parser of hostile bytes may raise anything
        raise malformed(error, where) from None


@contextmanager
def silent_parser() -> Iterator[None]:
    """Keep the parser's warnings from the screen and from every log: they quote what a file holds."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)


def malformed(error: Exception, where: Where) -> CaseError:
    """Return the refusal of a file that the parser stumbled over; its own words may quote the file."""
    message = f"The DICOM file is malformed: the parser stopped with {type(error).__name__}."
    return where.error(message, "E_DICOM", DAMAGED_HINT)


def _parse(path: Path, where: Where, max_bytes: int) -> Stored:
    syntax = _transfer_syntax(path, where)
    dataset = pydicom.dcmread(path, specific_tags=[Tag(name) for name in TAGS])
    element, n_pixels = _check_declared(dataset, where, max_bytes)
    held = len(dataset[element].value or b"")
    bits = int(dataset.BitsAllocated)
    declared = n_pixels * bits // 8
    most = held * _MAX_RUN_RATIO if syntax == RLELossless else held
    if declared > most:
        message = f"The file declares {declared} bytes of pixels and holds {held}."
        raise where.error(message, "E_TRUNCATED", DAMAGED_HINT)
    frames = int(dataset.get("NumberOfFrames") or 1)
    surplus = held - declared - (declared + 1024 * frames if syntax == RLELossless else 1)
    if surplus > 0:
        message = f"The file holds {held} bytes of pixels, but declares {declared}."
        raise where.error(message, "E_DICOM", "Check that the header belongs to this image.")
    pixels = pixel_array(dataset, decoding_plugin="pydicom", raw=True, correct_unused_bits=False)
    pixels = np.reshape(pixels, (frames, int(dataset.Rows), int(dataset.Columns)))
    if element == "PixelData":
        _check_range(pixels, dataset, where)
    del dataset[element]
    return Stored(dataset, pixels)


def _transfer_syntax(path: Path, where: Where) -> UID:
    """Look before parsing: the parser unpacks a deflated file whole, however large it gets."""
    syntax = UID(str(read_file_meta_info(path).get("TransferSyntaxUID", "")))
    if syntax in _PLAIN or syntax == RLELossless:
        return syntax
    if not syntax.is_valid:
        message = "The file does not state how it is encoded (no valid transfer syntax)."
        raise where.error(message, "E_DICOM", _HINT)
    message = f"The file is encoded as {syntax.name!r}, which is not read."
    raise where.error(message, "E_DICOM", _ENCODING_HINT)


def _check_declared(dataset: pydicom.Dataset, where: Where, max_bytes: int) -> tuple[str, int]:
    """Return the attribute that holds the pixels, and how many there are."""
    present = [name for name in _PIXELS if name in dataset]
    if len(present) != 1 or "Rows" not in dataset or "Columns" not in dataset:
        message = "The DICOM file holds no image."
        raise where.error(message, "E_DICOM", "Expected MR images; reports, plans and curves hold none.")
    shape = int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns)
    if min(shape) < 1:
        message = f"The file declares {times(shape)} pixels (frames, rows, columns)."
        raise where.error(message, "E_DICOM", _HINT)
    if int(dataset.get("SamplesPerPixel", 1)) != 1 or not _is_grey(dataset):
        message = "The image is in colour, expected one number per pixel."
        raise where.error(message, "E_NDIM", "Export the map itself, not its colour picture.")
    n_pixels = math.prod(shape)
    if n_pixels * _BYTES_PER_VALUE > max_bytes:
        message = f"The file declares {times(shape)} pixels (frames, rows, columns); the cap is {max_bytes} bytes."
        raise where.error(message, "E_TOO_BIG", "Check the file, or raise max_bytes if it is sound.")
    bits = int(dataset.get("BitsAllocated", 0))
    if bits not in _PIXELS[present[0]]:
        message = f"The file declares {bits} bits per pixel, expected {' or '.join(map(str, _PIXELS[present[0]]))}."
        raise where.error(message, "E_DICOM", _HINT)
    return present[0], n_pixels


def _is_grey(dataset: pydicom.Dataset) -> bool:
    return str(dataset.get("PhotometricInterpretation", "MONOCHROME2")).startswith("MONOCHROME")


def _check_range(pixels: NDArray[Any], dataset: pydicom.Dataset, where: Where) -> None:
    """Refuse stored values that do not fit the bits that the file says are used; nothing is wrapped."""
    allocated = int(dataset.BitsAllocated)
    stored = int(dataset.get("BitsStored", allocated))
    if not 1 <= stored <= allocated or int(dataset.get("HighBit", stored - 1)) != stored - 1:
        message = f"The file declares {stored} of {allocated} bits with another highest bit than the last."
        raise where.error(message, "E_DICOM", _HINT)
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    low, high = (-(2 ** (stored - 1)), 2 ** (stored - 1) - 1) if signed else (0, 2**stored - 1)
    least, largest = int(pixels.min()), int(pixels.max())
    if least < low or largest > high:
        message = f"The image holds stored values from {least} to {largest}; {stored} bits hold {low} to {high}."
        raise where.error(message, "E_DICOM", "Values may have wrapped around. " + _HINT)
