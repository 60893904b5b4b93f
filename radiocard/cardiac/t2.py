"""T2 maps from raw series: T2-prepared bSSFP [1]_ and multi-echo spin echo.

References
----------
.. [1] Giri et al., J Cardiovasc Magn Reson 11 (2009) 56, doi:10.1186/1532-429X-11-56
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.cardiac.fitting import BoolArray, CurveModel, fit_curves, standard_error
from radiocard.cardiac.series import MAX_RESIDUAL, checked_times, find_reasons, read_series
from radiocard.errors import UsageError
from radiocard.image import FloatArray

SEARCHED_MS: Final = (1.0, 3000.0)
TRUSTED_MS: Final = (5.0, 500.0)  # from iron overload to oxygenated blood and effusion
SECONDS_BELOW_MS: Final = 1.0
DECAY: Final = CurveModel(rest=0.0, weight=1.0, has_offset=False, recover_polarity=False, tau_ms=SEARCHED_MS)
DECAY_OFFSET: Final = CurveModel(rest=0.0, weight=1.0, has_offset=True, recover_polarity=False, tau_ms=SEARCHED_MS)


@dataclass(frozen=True, eq=False)
class T2Fit:
    """A fitted T2 map. Every array has the shape (ni, nj[, nk]); NaN where there is no fit.

    Parameters
    ----------
    t2_ms, t2_se_ms : ndarray of float
        T2 and its standard error from the scatter of the residuals [ms]. The error is NaN where there
        are no more images than parameters. Untrusted values are kept: see ``quality``.
    amplitude, offset : ndarray of float
        Parameters of ``amplitude exp(-t / T2) + offset`` [unit of the signal]; the offset is 0 where
        none was fitted.
    residual, residual_rel : ndarray of float
        Root mean square of the residuals [unit of the signal], and as a fraction of the largest
        signal of the pixel.
    reasons : ndarray of uint8
        Sum of :class:`radiocard.cardiac.series.Reason`.
    """

    t2_ms: FloatArray
    t2_se_ms: FloatArray
    amplitude: FloatArray
    offset: FloatArray
    residual: FloatArray
    residual_rel: FloatArray
    reasons: NDArray[np.uint8]

    @property
    def quality(self) -> BoolArray:
        """Where the value is trusted: no reason speaks against it."""
        return np.asarray(self.reasons == 0)


def fit_t2(
    images: ArrayLike,
    times_ms: ArrayLike,
    *,
    with_offset: bool = False,
    drop_first: bool = False,
    mask: BoolArray | None = None,
    min_signal: float = 0.0,
    trusted_ms: tuple[float, float] = TRUSTED_MS,
    max_residual: float = MAX_RESIDUAL,
) -> T2Fit:
    """Fit ``amplitude exp(-t / T2)``, or the same plus an offset.

    Parameters
    ----------
    images : array_like of float, shape (ni, nj, n) or (ni, nj, nk, n)
        Magnitude images at three different times or more; averages may be given one by one. An offset
        needs four times, or a saturation image and two others.
    times_ms : array_like of float, shape (n,)
        Preparation or echo times, increasing [ms]. A saturation image, which shows the offset
        alone, is the last, at ``inf``.
    with_offset : bool
        Whether an offset is fitted, for signal that T2 preparation does not touch.
    drop_first : bool
        Whether the images of the first time are left out: the first spin echo holds no stimulated echo, all later
        ones do.
    mask : ndarray of bool, shape (ni, nj[, nk]), optional
        Pixels to be fitted; all by default.
    min_signal : float
        Pixels whose largest signal is not above it are not fitted [unit of the signal].
    trusted_ms : tuple of float
        Values outside are kept, but not trusted [ms].
    max_residual : float
        Fits with a larger residual are kept, but not trusted [fraction of the pixel's largest signal].

    Returns
    -------
    T2Fit
        Trusted where the amplitude is positive and not smaller than the offset, besides the above.

    Raises
    ------
    UsageError
        If shapes, times or ranges are not usable, images are too few for an offset, or there is a
        saturation image but no offset; times that look like seconds are refused.
    GeometryError, MaskError, IntensityError
        If the mask has another shape, nothing is to be fitted, or signals are not finite or negative.

    Examples
    --------
    >>> times = np.array([0.0, 30.0, 55.0])
    >>> fit_t2((100 * np.exp(-times / 50))[None, None], times).t2_ms.round(3).tolist()
    [[50.0]]
    """
    times = checked_times(times_ms, name="echo times", seconds_below_ms=SECONDS_BELOW_MS, infinite_last=True)
    array = np.asarray(images)
    if drop_first and array.shape[-1:] == times.shape:
        later = times > times[0]
        times, array = times[later], array[..., later]
    n_times, has_saturation = np.unique(times).size, bool(np.isinf(times).any())
    if has_saturation and not with_offset:
        msg = "Series has a saturation image (infinite time), but no offset is fitted."
        raise UsageError(msg, hint="Fit an offset, or leave the saturation image out.")
    if with_offset and not has_saturation and n_times < 4:
        msg = f"An offset is to be fitted to {n_times} different times, expected four, or a saturation image."
        raise UsageError(msg, hint="Three times cannot tell an offset from a longer T2: fit two parameters.")
    series = read_series(array, times, mask=mask, min_signal=min_signal, least=3)
    model = DECAY_OFFSET if with_offset else DECAY
    fit = fit_curves(series.signal, times, model=model)
    error = standard_error(fit, times, model=model, gradient=(0.0, 0.0, fit.tau_ms))
    plausible = (fit.slope > 0) & (np.abs(fit.offset) <= fit.slope)
    reasons = find_reasons(series, fit, fit.tau_ms, plausible=plausible, range_ms=trusted_ms, max_residual=max_residual)
    t2, error, amplitude, offset, rms, rel = (
        series.on_grid(values)
        for values in (fit.tau_ms, error, fit.slope, fit.offset, fit.rms, series.relative(fit.rms))
    )
    return T2Fit(t2, error, amplitude, offset, rms, rel, reasons)
