"""Raw series for map fitting: images at several inversion, saturation, preparation or echo times."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from radiocard.errors import UsageError
from radiocard.image import FloatArray
from radiocard.io.dicom import group_by_place, read_frames, stack_slices
from radiocard.io.dicom_frames import Frame
from radiocard.io.nifti import MAX_BYTES, read_image
from radiocard.io.nifti_guard import read_voxels
from radiocard.io.nifti_header import Where

Kind = Literal["inversion", "echo", "saturation", "t2prep"]
TimesSource = Literal["declared", "from sidecar", "from DICOM"]

MAX_TIMES = 256
_MAX_SIDECAR_BYTES = 2**20
_MAX_SECONDS = 60.0
_SAME_TIME_MS = 1e-3
_SLICES_TOLERANCE_MS = 1.0
_SIDECAR_KEYS = {"inversion": "InversionTime", "echo": "EchoTime"}
_NIFTI = (".nii", ".nii.gz")
_TIMES_HINT = "Give times_ms, one time per image [ms]."


@dataclass(frozen=True, eq=False)
class RawSeries:
    """Images of the same slices at several times.

    Parameters
    ----------
    images : ndarray of float, shape (ni, nj, nk, n)
        Magnitudes; slice axis third, time last.
    times_ms : ndarray of float, shape (n,)
        Increasing [ms].
    affine : ndarray of float, shape (4, 4)
        Voxel indices to RAS+ world coordinates [mm].
    kind : {'inversion', 'echo', 'saturation', 't2prep'}
        What the times are.
    times_source : {'declared', 'from sidecar', 'from DICOM'}
        Who stated them.
    oriented : bool
        Whether the file stated an orientation.
    field_strength_t : float or None
        Field strength [T], where the file states it.
    vendor : str or None
        Maker of the scanner, where the file states a known one.
    """

    images: FloatArray
    times_ms: FloatArray
    affine: FloatArray
    kind: Kind
    times_source: TimesSource
    oriented: bool = True
    field_strength_t: float | None = None
    vendor: str | None = None


def read_series(
    path: str | Path,
    *,
    kind: Kind,
    times_ms: Sequence[float] | None = None,
    sidecar: str | Path | None = None,
    k: int | None = None,
    case: str = "",
    max_bytes: int = MAX_BYTES,
) -> RawSeries:
    """Read a raw series from a four-dimensional NIfTI file or from DICOM.

    Times are taken from ``times_ms``, from a BIDS sidecar (``InversionTime`` or ``EchoTime``, a
    list in seconds), or from DICOM's inversion (0018,0082; 0018,9079) or echo time (0018,0081;
    0018,9082). DICOM has no attribute for the delay after saturation or the length of a T2
    preparation, and the trigger time is none of them: those times must be given.

    Parameters
    ----------
    path : str or Path
        ``.nii`` or ``.nii.gz``; anything else is read as DICOM (a file, or a folder with the
        files of one series).
    kind : {'inversion', 'echo', 'saturation', 't2prep'}
        What the times are.
    times_ms : sequence of float, optional
        One per image, in the file's order; for DICOM in order of instance number, the same
        for every slice [ms]. May be infinite with ``saturation`` and ``t2prep``.
    sidecar : str or Path, optional
        JSON file with the times of a NIfTI file.
    k : int, optional
        Zero-based slice to read alone. Slices whose times differ must be read so.
    case : str
        Patient identifier, for error messages.
    max_bytes : int
        Cap on what the file declares and unpacks to.

    Returns
    -------
    RawSeries
        Sorted by time.

    Raises
    ------
    UsageError
        If the arguments or the given times do not make sense.
    ReadError
        ``E_SERIES``, if times are missing, repeated or differ between slices, slices have
        different numbers of images, or there is no magnitude image; else as
        :func:`radiocard.io.dicom.read_frames` and :func:`radiocard.io.nifti.read_image`.
    GeometryError
        If the place in the patient is not usable.
    """
    path, where = Path(path), Where(case or None, f"{kind}.series")
    if kind not in get_args(Kind):
        msg = f"Kind {kind!r} is not one of: {', '.join(get_args(Kind))}."
        raise UsageError(msg, case=where.case)
    if times_ms is not None and sidecar is not None:
        msg = "times_ms and sidecar were both given, expected one."
        raise UsageError(msg, case=where.case, field=where.field)
    nifti = path.name.lower().endswith(_NIFTI)
    if sidecar is not None and not nifti:
        msg = "A sidecar is for NIfTI files; DICOM states its own times."
        raise UsageError(msg, case=where.case, field=where.field)
    times = None if times_ms is None else _checked(times_ms, kind, where)
    if nifti:
        source: TimesSource = "declared" if sidecar is None else "from sidecar"
        times = times if sidecar is None else _from_sidecar(Path(sidecar), kind, where)
        return _sorted(_from_nifti(path, times, kind, source, where, max_bytes), k, where)
    return _sorted(_from_dicom(path, times, kind, k, where, max_bytes), None, where)


def _checked(times_ms: Sequence[float], kind: Kind, where: Where) -> FloatArray:
    times = np.asarray(times_ms, dtype=float)
    if times.ndim != 1 or not 2 <= times.size <= MAX_TIMES:
        msg = f"The times have shape {times.shape}, expected (n,) with 2 to {MAX_TIMES} of them."
        raise UsageError(msg, case=where.case, field=where.field)
    infinite = np.isposinf(times) if kind in ("saturation", "t2prep") else np.zeros(times.shape, bool)
    if not np.isfinite(times[~infinite]).all() or (times < 0).any():
        msg = f"The times are {', '.join(f'{t:g}' for t in times)} ms, expected finite numbers from 0."
        raise UsageError(msg, case=where.case, field=where.field)
    return times


def _from_sidecar(path: Path, kind: Kind, where: Where) -> FloatArray:
    key = _SIDECAR_KEYS.get(kind)
    if key is None:
        msg = f"BIDS has no list of times for kind {kind!r}."
        raise UsageError(msg, case=where.case, field=where.field, hint=_TIMES_HINT)
    try:
        if not path.is_file():
            message = "The sidecar does not exist."
            raise where.error(message, "E_MISSING", _TIMES_HINT)
        if path.stat().st_size > _MAX_SIDECAR_BYTES:
            message = f"The sidecar has more than {_MAX_SIDECAR_BYTES} bytes."
            raise where.error(message, "E_TOO_BIG", _TIMES_HINT)
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        message = "The sidecar is not JSON."
        raise where.error(message, "E_READ", _TIMES_HINT) from None
    seconds = content.get(key) if isinstance(content, dict) else None
    if not isinstance(seconds, list) or not all(type(s) in (int, float) and math.isfinite(s) for s in seconds):
        message = f"The sidecar holds no list of numbers {key!r}."
        raise where.error(message, "E_SERIES", _TIMES_HINT)
    if seconds and max(seconds) > _MAX_SECONDS:
        message = f"The sidecar states {key} up to {max(seconds):g} s, expected at most {_MAX_SECONDS:g} s."
        raise where.error(message, "E_SERIES", "BIDS states times in seconds; these look like milliseconds.")
    return _checked([1000.0 * s for s in seconds], kind, where)


def _from_nifti(
    path: Path, times: FloatArray | None, kind: Kind, source: TimesSource, where: Where, max_bytes: int
) -> RawSeries:
    if times is None:
        message = "A NIfTI file does not state the times of its images."
        raise where.error(message, "E_SERIES", _TIMES_HINT + " Or name its BIDS sidecar.")
    declared, _ = read_voxels(path, where, frame=0, max_bytes=max_bytes)
    if declared.frames != times.size:
        message = f"The file holds {declared.frames} images of its slices, but {times.size} times were given."
        raise where.error(message, "E_SERIES", "The file has four axes, time last: one image per time.")
    images = [
        read_image(path, case=where.case, field=where.field, frame=n, max_bytes=max_bytes) for n in range(times.size)
    ]
    array = np.stack([image.array.astype(np.float64) for image in images], axis=3)
    return RawSeries(array, times, images[0].affine, kind, source, images[0].oriented)


def _from_dicom(
    path: Path, times: FloatArray | None, kind: Kind, k: int | None, where: Where, max_bytes: int
) -> RawSeries:
    frames = _magnitudes(read_frames(path, where, max_bytes=max_bytes), where)
    groups = [sorted(group, key=lambda f: f.number) for group in group_by_place(frames)]
    if k is not None:
        groups = [groups[_slice(k, len(groups), where)]]
    counts = sorted({len(group) for group in groups})
    if len(counts) > 1:
        message = f"The slices have {counts[0]} to {counts[-1]} images, expected the same number of each."
        raise where.error(message, "E_SERIES", "An image may be missing.")
    source: TimesSource = "from DICOM" if times is None else "declared"
    if times is None:
        groups, times = _stated_times(groups, kind, where)
    elif times.size != counts[0]:
        message = f"Each slice has {counts[0]} images, but {times.size} times were given."
        raise where.error(message, "E_SERIES", _TIMES_HINT)
    elif any(len({frame.number for frame in group}) < len(group) for group in groups):
        message = "Images of a slice have the same instance number, so that their order is not known."
        raise where.error(message, "E_SERIES", "Export the series again, or as NIfTI.")
    stacks = [stack_slices([group[n] for group in groups], where) for n in range(times.size)]
    images = np.stack([array for array, _ in stacks], axis=3)
    first = frames[0]
    return RawSeries(images, times, stacks[0][1], kind, source, True, first.field_strength_t, first.vendor)


def _magnitudes(frames: list[Frame], where: Where) -> list[Frame]:
    """Leave out phase, real and imaginary images where magnitudes stand beside them."""
    kept = [frame for frame in frames if frame.kind in ("magnitude", "")]
    if not kept:
        message = f"The series holds {frames[0].kind} images only, expected magnitudes."
        raise where.error(message, "E_SERIES", "Give the magnitude images.")
    return kept


def _stated_times(groups: list[list[Frame]], kind: Kind, where: Where) -> tuple[list[list[Frame]], FloatArray]:
    if kind not in _SIDECAR_KEYS:
        message = f"DICOM does not state the times of kind {kind!r}."
        raise where.error(message, "E_SERIES", _TIMES_HINT)
    ordered, rows = [], []
    for group in groups:
        stated = [(frame.inversion_ms if kind == "inversion" else frame.echo_ms) for frame in group]
        missing = sum(t is None or t < 0 for t in stated)
        if missing:
            message = f"{missing} of {len(group)} images of a slice state no {kind} time."
            raise where.error(message, "E_SERIES", _TIMES_HINT)
        times = np.array(stated, dtype=float)
        order = np.argsort(times, kind="stable")
        if len(group) < 2 or np.diff(times[order]).min() < _SAME_TIME_MS:
            listed = ", ".join(f"{t:g}" for t in times[order])
            message = f"The {kind} times of a slice are {listed} ms, expected two or more, each once."
            raise where.error(message, "E_SERIES", "Another attribute may hold the times. " + _TIMES_HINT)
        ordered.append([group[n] for n in order])
        rows.append(times[order])
    apart = float(np.ptp(np.array(rows), axis=0).max())
    if apart > _SLICES_TOLERANCE_MS:
        message = f"The {kind} times of the slices differ by up to {apart:g} ms."
        raise where.error(message, "E_SERIES", "Read and fit one slice at a time: give k.")
    return ordered, np.mean(rows, axis=0)


def _slice(k: int, n_slices: int, where: Where) -> int:
    if not 0 <= k < n_slices:
        msg = f"Slice {k} was asked for; the series holds slices 0 to {n_slices - 1}."
        raise UsageError(msg, case=where.case, field=where.field)
    return k


def _sorted(series: RawSeries, k: int | None, where: Where) -> RawSeries:
    """Sort by time; take one slice, which moves the origin."""
    order = np.argsort(series.times_ms, kind="stable")
    images, affine = series.images[..., order], series.affine
    if k is not None:
        k = _slice(k, images.shape[2], where)
        affine = affine.copy()
        affine[:3, 3] += k * affine[:3, 2]
        images = images[:, :, k : k + 1]
    return RawSeries(
        images,
        series.times_ms[order],
        affine,
        series.kind,
        series.times_source,
        series.oriented,
        series.field_strength_t,
        series.vendor,
    )
