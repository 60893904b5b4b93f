"""Raw series of images for map fitting: what is checked, which pixels are fitted, why a pixel is not trusted."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.cardiac.fitting import BoolArray, CurveFit
from radiocard.errors import GeometryError, IntensityError, MaskError, UsageError
from radiocard.image import FloatArray

MAX_RESIDUAL = 0.1  # of the largest signal: above it, noise is strong (SNR below 10) or the curve is another one


class Reason(enum.IntFlag):
    """Why the value of a pixel is missing or not trusted; 0 where it is."""

    NOT_FITTED = 1
    NOT_CONVERGED = 2
    OUT_OF_RANGE = 4
    IMPLAUSIBLE = 8
    RESIDUAL = 16


REASONS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.NOT_FITTED: "outside the mask, or the signal is not above the threshold",
        Reason.NOT_CONVERGED: "no least residual inside the range of relaxation times looked for",
        Reason.OUT_OF_RANGE: "relaxation time outside the stated range",
        Reason.IMPLAUSIBLE: "amplitudes of the curve are not plausible",
        Reason.RESIDUAL: "residual is too large a part of the signal",
    }
)


def count_reasons(reasons: NDArray[np.uint8]) -> dict[str, int]:
    """Count the pixels of each reason, by the words of :data:`REASONS`; one pixel may have several."""
    return {words: int(np.count_nonzero(reasons & int(reason))) for reason, words in REASONS.items()}


@dataclass(frozen=True, eq=False)
class Series:
    """The pixels of a series that are fitted.

    Parameters
    ----------
    signal : ndarray of float, shape (n_pixels, n)
        One row per fitted pixel.
    times_ms : ndarray of float, shape (n,)
        Increasing; a time may be repeated [ms].
    fitted : ndarray of bool, shape (ni, nj[, nk])
        Where they lie.
    """

    signal: FloatArray
    times_ms: FloatArray
    fitted: BoolArray

    def on_grid(self, values: NDArray[Any]) -> FloatArray:
        """Return one number per fitted pixel as a map, NaN elsewhere."""
        out = np.full(self.fitted.shape, np.nan)
        out[self.fitted] = values
        return out

    def relative(self, rms: FloatArray) -> FloatArray:
        """Return residuals as a fraction of the largest signal of each pixel, shape (n_pixels,)."""
        return rms / self.signal.max(axis=1)


def read_series(
    images: ArrayLike, times_ms: FloatArray, *, mask: BoolArray | None, min_signal: float, least: int
) -> Series:
    """Check a series of magnitude images and take out the pixels to be fitted.

    Parameters
    ----------
    images : array_like of float, shape (ni, nj, n) or (ni, nj, nk, n)
        Magnitude images; the series axis is the last.
    times_ms : ndarray of float, shape (n,)
        As :func:`checked_times` returned them [ms].
    mask : ndarray of bool, shape (ni, nj[, nk]), optional
        Pixels to be fitted; all by default.
    min_signal : float
        The largest signal of a fitted pixel is above it [unit of the signal].
    least : int
        Different times that the model needs.

    Returns
    -------
    Series

    Raises
    ------
    UsageError
        If the type of values, the number of dimensions or of images does not fit.
    GeometryError
        If the mask has another shape.
    MaskError
        If no pixel is to be fitted (``E_EMPTY_ROI``).
    IntensityError
        If a signal to be fitted is not finite, or negative.
    """
    array = np.asarray(images)
    if array.ndim not in (3, 4):
        msg = f"Series has {array.ndim} dimensions, expected (ni, nj, n) or (ni, nj, nk, n) (shape {array.shape})."
        raise UsageError(msg, hint="The series axis is the last one.")
    if array.dtype.kind not in "biuf":
        msg = f"Series holds values of type {array.dtype}, expected real numbers."
        raise UsageError(msg, hint="Give the magnitude of complex images.")
    if array.shape[-1] != times_ms.size:
        msg = f"Series has {array.shape[-1]} images (shape {array.shape}), but {times_ms.size} times were given."
        raise UsageError(msg, hint="The series axis is the last one; give one time per image.")
    n_times = np.unique(times_ms).size
    if n_times < least:
        msg = f"Series has images at {n_times} different times, expected at least {least} for this model."
        raise UsageError(msg, hint="With fewer there is no residual that shows whether the fit is good.")
    wanted = np.ones(array.shape[:-1], dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if wanted.shape != array.shape[:-1]:
        msg = f"Mask has shape {wanted.shape}, expected {array.shape[:-1]}."
        raise GeometryError(msg, hint="Check that it was drawn on this series.")
    rows = array[wanted].astype(np.float64)
    strange = int(np.count_nonzero(~np.isfinite(rows)))
    if strange:
        msg = f"{strange} signals in the series are NaN or infinite, expected none."
        raise IntensityError(msg, hint="Check the export of the series.")
    if rows.size and rows.min() < 0:
        msg = f"Series holds negative signals (lowest {rows.min():g}), expected magnitude images."
        raise IntensityError(msg, hint="Give the magnitude images; polarity is recovered from them.")
    bright = rows.max(axis=1, initial=0.0) > min_signal
    if not bright.any():
        msg = f"No pixel is to be fitted: {len(rows)} in the mask, none with a signal above {min_signal:g}."
        raise MaskError(msg, hint="Check the mask and the signal threshold.")
    wanted = wanted.copy()
    wanted[wanted] = bright
    return Series(rows[bright], times_ms, wanted)


def checked_times(times_ms: ArrayLike, *, name: str, seconds_below_ms: float, infinite_last: bool) -> FloatArray:
    """Return the times of a series after checks.

    Parameters
    ----------
    times_ms : array_like of float, shape (n,)
        Not negative, increasing; a time may be repeated [ms].
    name : str
        What they are, for messages: ``inversion times``.
    seconds_below_ms : float
        If the longest finite time is below this, the times are taken for seconds and refused [ms].
    infinite_last : bool
        Whether the last times may be infinite.

    Returns
    -------
    ndarray of float, shape (n,)

    Raises
    ------
    UsageError
        If the times are no list, not finite, negative, not increasing, or look like seconds.
    """
    times = np.asarray(times_ms, dtype=np.float64)
    if times.ndim != 1 or times.size == 0:
        msg = f"The {name} have shape {times.shape}, expected (n,)."
        raise UsageError(msg, hint="One time for all pixels of an image.")
    finite = times[: times.size - np.isposinf(times).sum()] if infinite_last else times
    if not np.isfinite(finite).all() or (finite < 0).any():
        msg = f"The {name} are {_listed(times)} ms, expected finite numbers from 0."
        raise UsageError(msg, hint="Only the last images may have an infinite time, where the model allows it.")
    if (np.diff(finite) < 0).any():
        msg = f"The {name} are {_listed(times)} ms, expected increasing."
        raise UsageError(msg, hint="Sort the images by time.")
    if finite.size and finite[-1] < seconds_below_ms:
        msg = f"The {name} are {_listed(times)} ms, expected at least {seconds_below_ms:g} ms for the longest."
        raise UsageError(msg, hint="They look like seconds: multiply them by 1000.")
    return times


def find_reasons(
    series: Series,
    fit: CurveFit,
    values_ms: FloatArray,
    *,
    plausible: BoolArray,
    range_ms: tuple[float, float],
    max_residual: float,
) -> NDArray[np.uint8]:
    """Say of every pixel why its value is not trusted.

    Parameters
    ----------
    series : Series
        What was fitted.
    fit : CurveFit
        Its curves.
    values_ms : ndarray of float, shape (n_pixels,)
        Relaxation times [ms].
    plausible : ndarray of bool, shape (n_pixels,)
        Whether the amplitudes are plausible.
    range_ms : tuple of float
        Lowest and highest trusted relaxation time [ms].
    max_residual : float
        Largest trusted residual, as a fraction of the largest signal of the pixel.

    Returns
    -------
    ndarray of uint8, shape (ni, nj[, nk])
        Sum of :class:`Reason`; 0 where the value is trusted.

    Raises
    ------
    UsageError
        If the range is empty.
    """
    low, high = range_ms
    if not 0 < low < high:
        msg = f"The trusted range is {low:g} to {high:g} ms, expected two increasing positive numbers."
        raise UsageError(msg)
    inside = (values_ms >= low) & (values_ms <= high)
    reasons = np.where(fit.converged, 0, Reason.NOT_CONVERGED).astype(np.uint8)
    for fine, reason in (
        (inside, Reason.OUT_OF_RANGE),
        (plausible, Reason.IMPLAUSIBLE),
        (series.relative(fit.rms) <= max_residual, Reason.RESIDUAL),
    ):
        reasons[fit.converged & ~fine] |= np.uint8(reason)
    out = np.full(series.fitted.shape, Reason.NOT_FITTED, dtype=np.uint8)
    out[series.fitted] = reasons
    return out


def _listed(times: FloatArray) -> str:
    return ", ".join(f"{t:g}" for t in times[:12].tolist()) + (", ..." if times.size > 12 else "")
