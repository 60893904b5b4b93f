"""The guard before NIfTI voxels: what a file declares and holds is checked before memory is taken.

Compressed files are read to the checksum at their end, since a reader that stops at the
last voxel returns wrong grey values from a damaged stream.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import CaseError
from radiocard.io.nifti_header import DAMAGED_HINT, Declared, Where, parse_header, times

inflater: ModuleType
try:
    from isal import isal_zlib as inflater  # twice as fast as zlib, with its names
except ImportError:  # there is none for this platform
    inflater = zlib

_CHUNK = 1 << 16  # fits the cache, and memory that is used again
_LOOK_AHEAD = 1 << 25
_MAX_DEFLATE_RATIO = 1032
_GZIP_MAGIC = b"\x1f\x8b"


def read_voxels(
    path: Path, where: Where, *, frame: int | None, max_bytes: int, single_fits: bool = False
) -> tuple[Declared, NDArray[Any]]:
    """Read one frame of a NIfTI-1 or NIfTI-2 file, plain or gzip, after checking the whole file.

    Parameters
    ----------
    path : Path
        The file; compression is recognised by content.
    where : Where
        For error messages.
    frame : int or None
        Zero-based frame; None expects a three-dimensional file.
    max_bytes : int
        Cap on what the file declares and unpacks to.
    single_fits : bool
        Whether a three-dimensional file answers for any ``frame``.

    Returns
    -------
    declared : Declared
        What the header says.
    voxels : ndarray, shape ``declared.shape``
        Stored values, unscaled, in native byte order.

    Raises
    ------
    ReadError
        ``E_MISSING``, ``E_READ``, ``E_TRUNCATED``, ``E_GZIP`` or ``E_TOO_BIG``.
    GeometryError
        ``E_NDIM``, if the file does not hold exactly one frame and none was chosen.
    """
    try:
        if not path.exists():
            message = "The file does not exist."
            raise where.error(message, "E_MISSING", "Check the cohort's folder or manifest.")
        if not path.is_file():
            message = "This is not a regular file."
            raise where.error(message, "E_READ")
        with path.open("rb") as raw:
            size = raw.seek(0, io.SEEK_END)
            raw.seek(0)
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            guarded = _Stream(_Inflated(raw) if packed else raw, where)
            start = bytearray(540)
            head = bytes(start[: guarded.fill(memoryview(start))])
            try:
                declared = parse_header(head, where)
                _check_sizes(declared, size, packed, max_bytes, where)
                chosen = 0 if single_fits and declared.frames == 1 else _choose_frame(declared.frames, frame, where)
            except CaseError:
                guarded.skip(_LOOK_AHEAD)  # a damaged stream is the reason, where it is one
                raise
            return declared, _read_frame(guarded, declared, head, chosen, max_bytes)
    except CaseError:
        raise
    except OSError as error:
        message = f"The file cannot be read: {error.strerror or type(error).__name__}."
        raise where.error(message, "E_READ") from None


class _Inflated:
    """The bytes of a gzip file, read in large pieces up to the checksum of each member."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.packed = b""
        self.member = _member()

    def read(self, n: int) -> bytes:
        while True:
            if not self.packed:
                self.packed = self.raw.read(_CHUNK)
            ended = not self.packed
            if self.member.eof:
                if ended:
                    return b""
                self.packed = self.packed.lstrip(b"\0")  # padding may follow a member
                if self.packed and not self.packed.startswith(_GZIP_MAGIC[: len(self.packed)]):
                    message = "something else follows"
                    raise inflater.error(message)
                if self.packed:
                    self.member = _member()
                continue
            out = self.member.decompress(self.packed, n)
            self.packed = self.member.unused_data if self.member.eof else self.member.unconsumed_tail
            if out:
                return out
            if ended:
                raise EOFError


def _member() -> Any:
    return inflater.decompressobj(wbits=31)  # with the header and checksum of gzip


class _Stream:
    """A plain or decompressing stream whose faults become errors of the case."""

    def __init__(self, stream: BinaryIO | _Inflated, where: Where) -> None:
        self.stream = stream
        self.where = where

    def read(self, n: int) -> bytes:
        try:
            return self.stream.read(n)
        except EOFError:
            message = "The compressed file ends before its end-of-stream mark."
            raise self.where.error(message, "E_TRUNCATED", DAMAGED_HINT) from None
        except inflater.error as error:
            message = f"The compressed stream is damaged: {error}."
            raise self.where.error(message, "E_GZIP", DAMAGED_HINT) from None

    def fill(self, buffer: memoryview) -> int:
        done = 0
        while done < len(buffer):
            chunk = self.read(min(_CHUNK, len(buffer) - done))
            if not chunk:
                break
            buffer[done : done + len(chunk)] = chunk
            done += len(chunk)
        return done

    def skip(self, n: int) -> int:
        done = 0
        while done < n:
            chunk = self.read(min(_CHUNK, n - done))
            if not chunk:
                break
            done += len(chunk)
        return done


def _read_frame(stream: _Stream, declared: Declared, head: bytes, frame: int, max_bytes: int) -> NDArray[Any]:
    where = stream.where
    voxels = np.empty(declared.frame_bytes, np.uint8)
    view = voxels.data
    lead = declared.offset + frame * declared.frame_bytes - len(head)
    early = head[lead:][: len(view)] if lead < 0 else b""
    view[: len(early)] = early
    done = len(head) + stream.skip(lead)
    done += stream.fill(view[len(early) :])
    done += stream.skip(declared.total_bytes - done)
    if done < declared.total_bytes:
        message = f"The file ends after {done} bytes; its header declares {declared.total_bytes}."
        raise where.error(message, "E_TRUNCATED", DAMAGED_HINT)
    _check_rest(stream, declared, done, max_bytes)
    array = voxels.view(declared.dtype).reshape(declared.shape, order="F")
    return array.astype(declared.dtype.newbyteorder("="), copy=False)


def _check_sizes(declared: Declared, size: int, packed: bool, max_bytes: int, where: Where) -> None:
    total = declared.total_bytes
    if total > max_bytes or (size > max_bytes):
        message = (
            f"The header declares {times(declared.shape)} voxels in {declared.frames} frame(s), {total} bytes, "
            f"and the file has {size}; the cap is {max_bytes} bytes."
        )
        raise where.error(message, "E_TOO_BIG", "Check the file; crop it, or raise max_bytes if it is sound.")
    most = size * _MAX_DEFLATE_RATIO if packed else size
    if total > most:
        message = f"The header declares {total} bytes, but the file's {size} cannot hold more than {most}."
        raise where.error(message, "E_TRUNCATED", DAMAGED_HINT)


def _choose_frame(frames: int, frame: int | None, where: Where) -> int:
    if frame is None and frames > 1:
        message = f"The file holds {frames} frames, expected one."
        raise where.error(message, "E_NDIM", "Name the frame of each phase in the manifest.")
    if frame is not None and not 0 <= frame < frames:
        message = f"Frame {frame} was asked for; the file holds frames 0 to {frames - 1}."
        raise where.error(message, "E_NDIM", "Frames count from 0.")
    return frame or 0


def _check_rest(stream: _Stream, declared: Declared, done: int, max_bytes: int) -> None:
    """Read to the end, for the checksum; more than padding means that the header is untrue."""
    total = done + stream.skip(max_bytes - done + 1)
    if total > max_bytes:
        message = f"The file unpacks to more than {max_bytes} bytes; its header declares {declared.total_bytes}."
        raise stream.where.error(message, "E_TOO_BIG", "Check where the file comes from.")
    surplus, one_slice = total - declared.total_bytes, declared.frame_bytes // max(declared.shape)
    if surplus >= max(1, one_slice):
        message = f"The file holds {surplus} bytes more than the {declared.total_bytes} that its header declares."
        raise stream.where.error(message, "E_READ", "Check that the header belongs to this file.")
