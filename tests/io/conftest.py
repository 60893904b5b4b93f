"""A NIfTI file written byte by byte, without nibabel."""

import gzip
import struct
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512}
SHAPE = (5, 4, 3)


def build(
    array=None, *, affine=None, order="<", version=1, code=None, dim=None, srow=True, slope=0.0, inter=0.0, **set_
):
    """Return header and voxels as bytes; ``set_`` overrides single fields."""
    if array is None:
        array = np.arange(np.prod(SHAPE), dtype="i2").reshape(SHAPE)
    affine = np.diag([1.5, 1.25, 8.0, 1.0]) if affine is None else np.asarray(affine, float)
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    f = {
        "dim": dim or [array.ndim, *array.shape, *([1] * (7 - array.ndim))],
        "datatype": code or CODES[array.dtype.str[1:]],
        "bitpix": array.dtype.itemsize * 8,
        "pixdim": [1, *spacing, 1, 1, 1, 1],
        "vox_offset": 352 if version == 1 else 544,
        "slope": slope,
        "inter": inter,
        "units": 2,
        "qform_code": 0,
        "sform_code": 1 if srow else 0,
        "quatern": [0, 0, 0],
        "qoffset": [0, 0, 0],
        "srow": affine[:3].ravel(),
        "magic": b"n+1\0" if version == 1 else b"n+2\0\r\n\x1a\n",
        **set_,
    }
    head = _header1(f, order) if version == 1 else _header2(f, order)
    return head + array.astype(array.dtype.newbyteorder(order)).tobytes(order="F")


def _header1(f, o):
    out = struct.pack(o + "i36x", 348)
    out += struct.pack(o + "8h", *f["dim"]) + struct.pack(o + "3f3h", 0, 0, 0, 0, f["datatype"], f["bitpix"])
    out += struct.pack(o + "h8f", 0, *f["pixdim"]) + struct.pack(o + "3f", f["vox_offset"], f["slope"], f["inter"])
    out += struct.pack(o + "hBB4f2i", 0, 0, f["units"], 0, 0, 0, 0, 0, 0) + b"\0" * 104
    out += struct.pack(o + "2h6f", f["qform_code"], f["sform_code"], *f["quatern"], *f["qoffset"])
    out += struct.pack(o + "12f", *f["srow"]) + b"\0" * 16 + f["magic"] + b"\0" * 4
    assert len(out) == 352
    return out


def _header2(f, o):
    out = struct.pack(o + "i", 540) + f["magic"] + struct.pack(o + "2h", f["datatype"], f["bitpix"])
    out += struct.pack(o + "8q", *f["dim"]) + struct.pack(o + "3d", 0, 0, 0) + struct.pack(o + "8d", *f["pixdim"])
    out += struct.pack(o + "q2d", f["vox_offset"], f["slope"], f["inter"]) + struct.pack(o + "4d", 0, 0, 0, 0)
    out += struct.pack(o + "2q", 0, 0) + b"\0" * 104 + struct.pack(o + "2i", f["qform_code"], f["sform_code"])
    out += struct.pack(o + "6d", *f["quatern"], *f["qoffset"]) + struct.pack(o + "12d", *f["srow"])
    out += struct.pack(o + "3i", 0, f["units"], 0)
    return out.ljust(544, b"\0")


@pytest.fixture(scope="session")
def nifti() -> SimpleNamespace:
    """``nifti.build(array, **fields)`` gives bytes; ``nifti.array`` is what it holds by default."""
    return SimpleNamespace(build=build, array=np.arange(np.prod(SHAPE), dtype="i2").reshape(SHAPE), shape=SHAPE)


@pytest.fixture
def put(tmp_path) -> Callable:
    """Write bytes into the test's folder and return the path; gzip by the name's ending."""

    def write(data: bytes, name: str = "x.nii"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write
