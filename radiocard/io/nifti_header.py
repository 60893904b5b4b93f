"""A NIfTI header as what it declares: shape, frames, type and place of the voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from radiocard.errors import CaseError, GeometryError, MaskError, ReadError
from radiocard.io.nifti_layout import HEADER_BYTES, Header

DAMAGED_HINT = "Copy or download the file again."
_NUMBER_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLOUR_OR_COMPLEX = {32: "complex", 1792: "complex", 2048: "complex", 128: "RGB", 2304: "RGBA"}
_ERRORS: dict[str, type[CaseError]] = {
    "E_AFFINE": GeometryError,
    "E_ORIENTATION": GeometryError,
    "E_NDIM": GeometryError,
    "E_LABELS": MaskError,
}


@dataclass(frozen=True)
class Where:
    """Case and role of a file, for error messages; the path itself may identify a patient.

    Parameters
    ----------
    case : str or None
        Patient identifier.
    field : str
        Role, for example ``cine_ed.mask``.
    """

    case: str | None
    field: str

    def error(self, message: str, code: str, hint: str = "") -> CaseError:
        """Return the exception that goes with a code."""
        return _ERRORS.get(code, ReadError)(message, code=code, case=self.case, field=self.field, hint=hint)


@dataclass(frozen=True)
class Declared:
    """What a NIfTI header declares.

    Parameters
    ----------
    header : Header
        Its fields, for affine and scaling.
    shape : tuple of int, length 3
        Voxels along the file's axes.
    frames : int
        Number of time frames; 1 for a three-dimensional file.
    dtype : numpy.dtype
        Stored type, with byte order.
    offset : int
        First byte of the voxels.
    """

    header: Header
    shape: tuple[int, int, int]
    frames: int
    dtype: np.dtype[Any]
    offset: int

    @property
    def frame_bytes(self) -> int:
        """Size of one frame [byte]."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Size of header and voxels [byte]."""
        return self.offset + self.frames * self.frame_bytes


def parse_header(head: bytes, where: Where) -> Declared:
    """Read the first bytes of a file as a NIfTI-1 or NIfTI-2 header.

    Raises
    ------
    ReadError
        If they are not one, or hold an impossible or unsupported value.
    GeometryError
        ``E_NDIM``, if the voxels are colour, complex, vectors, or not three-dimensional.
    """
    declared_size, order = _header_size(head, where)
    if len(head) < declared_size:
        message = f"The file ends inside its header: {len(head)} of {declared_size} bytes."
        raise where.error(message, "E_TRUNCATED", DAMAGED_HINT)
    header = Header(head[:declared_size], order)
    magic = bytes(header["magic"])
    if magic[:3] in (b"ni1", b"ni2"):
        message = "This is the header of a .hdr/.img pair, expected one file."
        raise where.error(message, "E_READ", "Convert the pair to .nii or .nii.gz.")
    if magic[:3] not in (b"n+1", b"n+2"):
        message = f"This is not a NIfTI file: its magic is {magic[:3]!r}, expected 'n+1' or 'n+2'."
        raise where.error(message, "E_READ", "ANALYZE files hold no orientation: convert from the original series.")
    shape, frames = _shape(header, where)
    return Declared(header, shape, frames, _dtype(header, order, where), _offset(header, declared_size, where))


def _header_size(head: bytes, where: Where) -> tuple[int, str]:
    if len(head) < 4:
        message = f"The file holds {len(head)} bytes."
        raise where.error(message, "E_TRUNCATED", DAMAGED_HINT)
    little, big = int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")
    if little in HEADER_BYTES:
        return little, "<"
    if big in HEADER_BYTES:
        return big, ">"
    message = "This is not a NIfTI file: it does not begin with a header size of 348 or 540."
    raise where.error(message, "E_READ", "Expected .nii or .nii.gz.")


def _shape(header: Header, where: Where) -> tuple[tuple[int, int, int], int]:
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7:
        message = f"The header declares {dim[0]} dimensions, expected 1 to 7."
        raise where.error(message, "E_READ")
    shape = dim[1 : dim[0] + 1]
    if min(shape) < 1:
        message = f"The header declares an axis of length {min(shape)} (shape {times(shape)})."
        raise where.error(message, "E_READ")
    if len(shape) < 3 or max(shape[4:], default=1) > 1:
        message = f"The file has shape {times(shape)}, expected three dimensions."
        raise where.error(message, "E_NDIM", "Give a stack of slices of one phase.")
    return (shape[0], shape[1], shape[2]), shape[3] if len(shape) > 3 else 1


def _dtype(header: Header, order: str, where: Where) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _COLOUR_OR_COMPLEX:
        message = f"The voxels are {_COLOUR_OR_COMPLEX[code]}, expected one number per voxel."
        raise where.error(message, "E_NDIM", "Export grey values or label numbers.")
    if code not in _NUMBER_TYPES:
        message = f"The header declares data type {code}, which is not supported."
        raise where.error(message, "E_READ")
    return np.dtype(_NUMBER_TYPES[code]).newbyteorder(order)  # type: ignore[arg-type]


def _offset(header: Header, header_bytes: int, where: Where) -> int:
    offset, least = float(header["vox_offset"]), header_bytes + 4
    if offset == 0:
        return least
    if not (math.isfinite(offset) and offset >= least and offset == int(offset)):
        message = f"The header declares voxels at byte {offset}, expected {least} or more."
        raise where.error(message, "E_READ")
    return int(offset)


def times(shape: tuple[int, ...] | list[int]) -> str:
    """Return a shape as text, ``216 x 256 x 10``."""
    return " x ".join(str(n) for n in shape)
