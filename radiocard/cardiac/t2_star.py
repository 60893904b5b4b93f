"""T2* from multi-echo gradient echo images, and what it says about iron in the heart [1]_ [2]_.

Late echoes of iron-loaded tissue show the noise floor of magnitude images, which does not decay and
makes T2* come out long. They are cut off iteratively where the noise is known [3]_.

References
----------
.. [1] Anderson et al., Eur Heart J 22 (2001) 2171, doi:10.1053/euhj.2001.2822
.. [2] Kirk et al., Circulation 120 (2009) 1961, doi:10.1161/CIRCULATIONAHA.109.874487
.. [3] Sandino et al., J Cardiovasc Magn Reson 17 (2015) 7
.. [4] Gudbjartsson and Patz, Magn Reson Med 34 (1995) 910, doi:10.1002/mrm.1910340618
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.cardiac.fitting import BoolArray, CurveFit, CurveModel, IntArray, fit_curves, standard_error
from radiocard.cardiac.series import (
    MAX_RESIDUAL,
    REASONS,
    Series,
    checked_times,
    find_reasons,
    read_series,
)
from radiocard.errors import GeometryError, MaskError, UsageError
from radiocard.image import FloatArray

IronLoad = Literal["none", "mild to moderate", "severe"]

SEARCHED_MS: Final = (0.5, 1000.0)
TRUSTED_MS: Final = (1.0, 150.0)  # the heaviest iron load seen in hearts lies at 3 to 4 ms
SECONDS_BELOW_MS: Final = 0.5
FLOOR_SD: Final = 3.0  # from this signal-to-noise ratio on, noise of a magnitude is nearly Gaussian [4]
LEAST_ECHOES: Final = 3
IRON_BELOW_MS: Final = 20.0  # Anderson 2001: below it, ventricular function declines
SEVERE_BELOW_MS: Final = 10.0  # Kirk 2009: nearly all who went into heart failure lay below
IRON_FIELD_T: Final = 1.5  # field strength of both studies
DECAY: Final = CurveModel(rest=0.0, weight=1.0, has_offset=False, recover_polarity=False, tau_ms=SEARCHED_MS)


@dataclass(frozen=True, eq=False)
class T2StarFit:
    """A fitted T2* map. Every array has the shape (ni, nj[, nk]); NaN where there is no fit.

    Parameters
    ----------
    t2_star_ms, t2_star_se_ms : ndarray of float
        T2* and its standard error from the scatter of the residuals [ms]. Untrusted values are kept:
        see ``quality``.
    amplitude : ndarray of float
        Signal at echo time 0 [unit of the signal].
    residual, residual_rel : ndarray of float
        Root mean square of the residuals of the echoes used [unit of the signal], and as a fraction of
        the largest signal of the pixel.
    n_used : ndarray of int
        Echoes used, counted from the first; 0 where there is no fit.
    reasons : ndarray of uint8
        Sum of :class:`radiocard.cardiac.series.Reason`.
    """

    t2_star_ms: FloatArray
    t2_star_se_ms: FloatArray
    amplitude: FloatArray
    residual: FloatArray
    residual_rel: FloatArray
    n_used: IntArray
    reasons: NDArray[np.uint8]

    @property
    def quality(self) -> BoolArray:
        """Where the value is trusted: no reason speaks against it."""
        return np.asarray(self.reasons == 0)


@dataclass(frozen=True, eq=False)
class T2StarRegion:
    """T2* of the mean signal of one region.

    Parameters
    ----------
    t2_star_ms, t2_star_se_ms : float
        T2* and its standard error [ms]; NaN where there is no fit.
    signal : ndarray of float, shape (n,)
        Mean signal of each echo [unit of the signal].
    residual_rel : float
        Root mean square of the residuals as a fraction of the largest mean signal.
    n_used, n_pixels : int
        Echoes used, and pixels averaged.
    reasons : tuple of str
        What speaks against the value; empty where it is trusted.
    """

    t2_star_ms: float
    t2_star_se_ms: float
    signal: FloatArray
    residual_rel: float
    n_used: int
    n_pixels: int
    reasons: tuple[str, ...]


def fit_t2_star(
    images: ArrayLike,
    times_ms: ArrayLike,
    *,
    noise_sd: float | None = None,
    mask: BoolArray | None = None,
    min_signal: float = 0.0,
    trusted_ms: tuple[float, float] = TRUSTED_MS,
    max_residual: float = MAX_RESIDUAL,
) -> T2StarFit:
    """Fit ``amplitude exp(-t / T2*)`` to every pixel, without the echoes that show only noise.

    With the noise known, the echoes from the first on at which the fitted curve lies below three
    standard deviations of the noise are cut off and the rest is fitted again, until none is cut off or
    three echoes are left.

    Parameters
    ----------
    images : array_like of float, shape (ni, nj, n) or (ni, nj, nk, n)
        Magnitude images, at least three.
    times_ms : array_like of float, shape (n,)
        Echo times, increasing [ms].
    noise_sd : float, optional
        Standard deviation of the noise of one pixel in the real (or imaginary) channel [unit of the
        signal]: in air, the root mean square of the magnitude divided by the square root of 2. Without
        it nothing is cut off.
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
    T2StarFit
        Trusted where the amplitude is positive, besides the above.

    Raises
    ------
    UsageError
        If shapes, times, noise or ranges are not usable; times that look like seconds are refused.
    GeometryError, MaskError, IntensityError
        If the mask has another shape, nothing is to be fitted, or signals are not finite or negative.

    Examples
    --------
    >>> times = np.array([2.0, 4.0, 6.0, 8.0, 10.0])
    >>> fit_t2_star((100 * np.exp(-times / 15))[None, None], times).t2_star_ms.round(3).tolist()
    [[15.0]]
    """
    times = checked_times(times_ms, name="echo times", seconds_below_ms=SECONDS_BELOW_MS, infinite_last=False)
    if noise_sd is not None and not (np.isfinite(noise_sd) and noise_sd > 0):
        msg = f"The noise is {noise_sd:g}, expected a positive standard deviation."
        raise UsageError(msg, hint="Leave it out if it is not known; then no echo is cut off.")
    series = read_series(images, times, mask=mask, min_signal=min_signal, least=LEAST_ECHOES)
    fit = _truncated(series, noise_sd)
    error = standard_error(fit, times, model=DECAY, gradient=(0.0, 0.0, fit.tau_ms))
    reasons = find_reasons(
        series, fit, fit.tau_ms, plausible=fit.slope > 0, range_ms=trusted_ms, max_residual=max_residual
    )
    t2_star, error, amplitude, rms, rel = (
        series.on_grid(values) for values in (fit.tau_ms, error, fit.slope, fit.rms, series.relative(fit.rms))
    )
    n_used = np.zeros(series.fitted.shape, dtype=np.int64)
    n_used[series.fitted] = np.where(fit.converged, fit.n_used, 0)
    return T2StarFit(t2_star, error, amplitude, rms, rel, n_used, reasons)


def fit_t2_star_region(
    images: ArrayLike, times_ms: ArrayLike, *, region: BoolArray, noise_sd: float | None = None
) -> T2StarRegion:
    """Fit the mean signal of a region: the septum of a mid-ventricular slice, in full thickness [1]_.

    Parameters
    ----------
    images : array_like of float, shape (ni, nj, n) or (ni, nj, nk, n)
        Magnitude images, at least three.
    times_ms : array_like of float, shape (n,)
        Echo times, increasing [ms].
    region : ndarray of bool, shape (ni, nj[, nk])
        The septum.
    noise_sd : float, optional
        See :func:`fit_t2_star`: of one pixel, since averaging magnitudes does not lower the noise floor.

    Returns
    -------
    T2StarRegion

    Raises
    ------
    UsageError, IntensityError
        As :func:`fit_t2_star` does.
    GeometryError
        If region and images have different shapes.
    MaskError
        If the region is empty, or has no signal.
    """
    array, inside = np.asarray(images), np.asarray(region, dtype=bool)
    if inside.shape != array.shape[:-1]:
        msg = f"Region has shape {inside.shape}, expected {array.shape[:-1]}."
        raise GeometryError(msg, hint="Check that it was drawn on this series.")
    if not inside.any():
        msg = "The region has no pixel, expected at least one."
        raise MaskError(msg, hint="Check that the septum was drawn.")
    mean = array[inside].astype(np.float64).mean(axis=0)
    fit = fit_t2_star(mean[None, None], times_ms, noise_sd=noise_sd)
    found = int(fit.reasons[0, 0])
    return T2StarRegion(
        t2_star_ms=float(fit.t2_star_ms[0, 0]),
        t2_star_se_ms=float(fit.t2_star_se_ms[0, 0]),
        signal=mean,
        residual_rel=float(fit.residual_rel[0, 0]),
        n_used=int(fit.n_used[0, 0]),
        n_pixels=int(inside.sum()),
        reasons=tuple(words for reason, words in REASONS.items() if found & reason),
    )


def iron_load(t2_star_ms: float, *, field_strength_t: float) -> IronLoad:
    """Name the cardiac iron load by T2* at 1.5 T: none from 20 ms [1]_, severe below 10 ms [2]_.

    Parameters
    ----------
    t2_star_ms : float
        T2* of the septum [ms].
    field_strength_t : float
        Field strength it was measured at [T]; the thresholds hold at 1.5 T only.

    Returns
    -------
    {'none', 'mild to moderate', 'severe'}

    Raises
    ------
    UsageError
        If the field strength is another, or T2* not positive or looks like seconds.

    Examples
    --------
    >>> iron_load(12.0, field_strength_t=1.5)
    'mild to moderate'
    """
    if abs(field_strength_t - IRON_FIELD_T) > 0.1:
        msg = f"T2* was measured at {field_strength_t:g} T, expected {IRON_FIELD_T:g} T."
        raise UsageError(msg, hint="T2* is shorter at higher field; the thresholds of 20 and 10 ms do not hold there.")
    if not (np.isfinite(t2_star_ms) and t2_star_ms >= SECONDS_BELOW_MS):
        msg = f"T2* is {t2_star_ms:g} ms, expected at least {SECONDS_BELOW_MS:g} ms."
        raise UsageError(msg, hint="A positive value this small looks like seconds: multiply it by 1000.")
    if t2_star_ms >= IRON_BELOW_MS:
        return "none"
    return "severe" if t2_star_ms < SEVERE_BELOW_MS else "mild to moderate"


def _truncated(series: Series, noise_sd: float | None) -> CurveFit:
    """Fit, cut off echoes whose fitted signal is below the noise floor, and fit those pixels again.

    Where there is no fit, the signal itself is compared with the floor.
    """
    times = series.times_ms
    fit = fit_curves(series.signal, times, model=DECAY)
    while noise_sd is not None:
        with np.errstate(all="ignore"):
            fitted = fit.slope[:, None] * np.exp(-times / fit.tau_ms[:, None])
        curve = np.where(fit.converged[:, None], fitted, series.signal)
        above = np.cumprod(curve >= FLOOR_SD * noise_sd, axis=1).sum(axis=1)
        n_used = np.minimum(np.maximum(above, LEAST_ECHOES), fit.n_used)
        again = n_used < fit.n_used
        if not again.any():
            break
        part = fit_curves(series.signal[again], times, model=DECAY, n_used=n_used[again])
        for whole, new in zip(fit, part, strict=True):
            whole[again] = new
    return fit
