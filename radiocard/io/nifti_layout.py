"""Where a NIfTI-1 or NIfTI-2 header keeps its fields [1]_, and the transforms that it states.

Fields are read here, and not with nibabel, because importing that takes longer than a patient.

References
----------
.. [1] https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h and nifti2.h
"""

from __future__ import annotations

from typing import Any

import numpy as np

from radiocard.image import FloatArray

_FIELDS = {
    348: (
        *(("dim", "8i2", 40), ("datatype", "i2", 70), ("pixdim", "8f4", 76), ("vox_offset", "f4", 108)),
        *(("scl_slope", "f4", 112), ("scl_inter", "f4", 116), ("xyzt_units", "u1", 123)),
        *(("qform_code", "i2", 252), ("sform_code", "i2", 254), ("quatern", "3f4", 256), ("qoffset", "3f4", 268)),
        *(("srow", "(3,4)f4", 280), ("magic", "S4", 344)),
    ),
    540: (
        *(("magic", "S4", 4), ("datatype", "i2", 12), ("dim", "8i8", 16), ("pixdim", "8f8", 104)),
        *(("vox_offset", "i8", 168), ("scl_slope", "f8", 176), ("scl_inter", "f8", 184)),
        *(("qform_code", "i4", 344), ("sform_code", "i4", 348), ("quatern", "3f8", 352), ("qoffset", "3f8", 376)),
        *(("srow", "(3,4)f8", 400), ("xyzt_units", "i4", 500)),
    ),
}
HEADER_BYTES = tuple(_FIELDS)


def _layout(size: int, order: str) -> np.dtype[Any]:
    names, formats, offsets = zip(*_FIELDS[size], strict=True)
    fields = {"names": names, "formats": formats, "offsets": offsets, "itemsize": size}
    return np.dtype(fields).newbyteorder(order)  # type: ignore[call-overload]


_LAYOUTS = {(size, order): _layout(size, order) for size in HEADER_BYTES for order in "<>"}


class Header:
    """The fields of a header.

    Parameters
    ----------
    data : bytes
        348 (NIfTI-1) or 540 (NIfTI-2) bytes.
    order : {'<', '>'}
        Byte order.
    """

    def __init__(self, data: bytes, order: str) -> None:
        self._fields = np.frombuffer(data, _LAYOUTS[len(data), order])[0]

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def sform(self) -> FloatArray:
        """Return the transform that is stored row by row, shape (4, 4)."""
        out = np.eye(4)
        out[:3] = self["srow"]
        return out

    def qform(self) -> FloatArray:
        """Return the transform of voxel size, rotation and offset, shape (4, 4).

        Raises
        ------
        ValueError
            If the quaternion is longer than 1, a voxel size is negative, or the handedness
            (``pixdim[0]``, where 0 counts as 1) is not 1 or -1.
        """
        pixdim = np.array(self["pixdim"])
        handedness = pixdim[0] or 1
        if (pixdim[1:4] < 0).any():
            msg = "pixdims[1,2,3] should be positive"
            raise ValueError(msg)
        if handedness not in (1, -1):
            msg = "qfac (pixdim[0]) should be 1 or -1"
            raise ValueError(msg)
        out = np.eye(4)
        out[:3, :3] = _rotation(self["quatern"]) * (pixdim[1:4] * [1, 1, handedness])
        out[:3, 3] = self["qoffset"]
        return out

    def centred(self) -> FloatArray:
        """Return the transform of voxel sizes alone, x to the left and the origin in the middle, shape (4, 4)."""
        size = self["pixdim"][1:4] * np.array([-1.0, 1.0, 1.0])
        out = np.diag([*size, 1.0])
        out[:3, 3] = -(self["dim"][1:4] - 1) / 2.0 * size
        return out


def _rotation(quaternion: FloatArray) -> FloatArray:
    """Turn the last three numbers of a unit quaternion into a matrix; the first is not negative."""
    b, c, d = np.asarray(quaternion, dtype=np.longdouble)
    squared = 1 - (b * b + c * c + d * d)
    if abs(squared) < 3 * np.finfo(quaternion.dtype).eps:
        squared = np.longdouble(0)
    if squared < 0:
        msg = f"w2 should be positive, but is {squared:e}"
        raise ValueError(msg)
    a = np.sqrt(squared)
    s = 2 / (a * a + b * b + c * c + d * d)
    return np.array(
        [
            [1 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)],
            [s * (b * c + a * d), 1 - s * (b * b + d * d), s * (c * d - a * b)],
            [s * (b * d - a * c), s * (c * d + a * b), 1 - s * (b * b + c * c)],
        ]
    )
