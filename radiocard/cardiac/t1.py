"""T1 maps from raw series: MOLLI [1]_ and SASHA [2]_.

The Look-Locker correction [4]_ holds for a readout by small flip angles; with the balanced readout of
MOLLI, T1 comes out several per cent low, depending on T1, T2, heart rate and flip angle [3]_. That is
not corrected here.

References
----------
.. [1] Messroghli et al., Magn Reson Med 52 (2004) 141, doi:10.1002/mrm.20110
.. [2] Chow et al., Magn Reson Med 71 (2014) 2082, doi:10.1002/mrm.24878
.. [3] Kellman and Hansen, J Cardiovasc Magn Reson 16 (2014) 2, doi:10.1186/1532-429X-16-2
.. [4] Deichmann and Haase, J Magn Reson 96 (1992) 608
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.cardiac.fitting import BoolArray, CurveFit, CurveModel, fit_curves, standard_error
from radiocard.cardiac.series import MAX_RESIDUAL, Series, checked_times, find_reasons, read_series
from radiocard.errors import UsageError
from radiocard.image import FloatArray

SEARCHED_MS: Final = (10.0, 10_000.0)
TRUSTED_MS: Final = (50.0, 4500.0)  # from dense contrast agent to free fluid
# B/A = 1 + efficiency * T1/T1*: from half an inversion without shortening to a threefold shortening
MOLLI_RATIO: Final = (1.5, 4.0)
SASHA_RATIO: Final = (0.5, 1.5)  # B/A = 1 - what saturation leaves, up to half of either sign
SECONDS_BELOW_MS: Final = 50.0  # the longest time of a series that still shows T1 is far above
MOLLI: Final = CurveModel(rest=0.0, weight=1.0, has_offset=True, recover_polarity=True, tau_ms=SEARCHED_MS)
MOLLI_2: Final = CurveModel(rest=1.0, weight=-2.0, has_offset=False, recover_polarity=True, tau_ms=SEARCHED_MS)
SASHA: Final = CurveModel(rest=0.0, weight=1.0, has_offset=True, recover_polarity=False, tau_ms=SEARCHED_MS)
SASHA_2: Final = CurveModel(rest=1.0, weight=-1.0, has_offset=False, recover_polarity=False, tau_ms=SEARCHED_MS)


@dataclass(frozen=True, eq=False)
class T1Fit:
    """A fitted T1 map. Every array has the shape (ni, nj[, nk]); NaN where there is no fit.

    Parameters
    ----------
    t1_ms, t1_se_ms : ndarray of float
        T1 and its standard error from the scatter of the residuals [ms]. The error is NaN where there
        are no more images than parameters. Untrusted values are kept: see ``quality``.
    a, b : ndarray of float
        Parameters of ``A - B exp(-t / T)`` [unit of the signal]; T is T1* for MOLLI, T1 for SASHA.
    residual, residual_rel : ndarray of float
        Root mean square of the residuals [unit of the signal], and as a fraction of the largest
        signal of the pixel.
    reasons : ndarray of uint8
        Sum of :class:`radiocard.cardiac.series.Reason`.
    """

    t1_ms: FloatArray
    t1_se_ms: FloatArray
    a: FloatArray
    b: FloatArray
    residual: FloatArray
    residual_rel: FloatArray
    reasons: NDArray[np.uint8]

    @property
    def quality(self) -> BoolArray:
        """Where the value is trusted: no reason speaks against it."""
        return np.asarray(self.reasons == 0)


def fit_molli(
    images: ArrayLike,
    times_ms: ArrayLike,
    *,
    n_parameters: Literal[2, 3] = 3,
    mask: BoolArray | None = None,
    min_signal: float = 0.0,
    trusted_ms: tuple[float, float] = TRUSTED_MS,
    max_residual: float = MAX_RESIDUAL,
) -> T1Fit:
    """Fit ``|A - B exp(-t / T1*)|`` and correct for the readout: ``T1 = T1* (B / A - 1)``.

    With two parameters, B is 2 A: ``|A (1 - 2 exp(-t / T1))|``, for an inversion that is perfect and a
    readout that leaves the recovery as it is. In MOLLI neither holds, and T1 is biased.

    Parameters
    ----------
    images : array_like of float, shape (ni, nj, n) or (ni, nj, nk, n)
        Magnitude images, at least one more than parameters; polarity is recovered.
    times_ms : array_like of float, shape (n,)
        Inversion times, increasing [ms].
    n_parameters : {2, 3}
        Three correct for the readout.
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
    T1Fit
        Trusted where B/A lies within :data:`MOLLI_RATIO` and A is positive, besides the above.

    Raises
    ------
    UsageError
        If the number of parameters, shapes, times or ranges are not usable; times that look like
        seconds are refused.
    GeometryError, MaskError, IntensityError
        If the mask has another shape, nothing is to be fitted, or signals are not finite or negative.

    Examples
    --------
    >>> times = np.array([100.0, 180.0, 1000.0, 1080.0, 1900.0, 2800.0, 3700.0])
    >>> images = np.abs(90 - 190 * np.exp(-times / 900))[None, None]
    >>> fit_molli(images, times).t1_ms.round(3).tolist()
    [[1000.0]]
    """
    _refuse_number(n_parameters, "MOLLI")
    times = checked_times(times_ms, name="inversion times", seconds_below_ms=SECONDS_BELOW_MS, infinite_last=False)
    series = read_series(images, times, mask=mask, min_signal=min_signal, least=n_parameters + 1)
    if n_parameters == 2:
        fit = fit_curves(series.signal, times, model=MOLLI_2)
        error = standard_error(fit, times, model=MOLLI_2, gradient=(0.0, 0.0, fit.tau_ms))
        found = (fit.slope, 2.0 * fit.slope, fit.tau_ms, error)
        return _result(series, fit, found, MOLLI_RATIO, trusted_ms, max_residual)
    fit = fit_curves(series.signal, times, model=MOLLI)
    a, b = fit.offset, -fit.slope
    with np.errstate(all="ignore"):
        t1 = fit.tau_ms * (b / a - 1.0)
        gradient = (-fit.tau_ms * b / a**2, -fit.tau_ms / a, t1)
    error = standard_error(fit, times, model=MOLLI, gradient=gradient)
    return _result(series, fit, (a, b, t1, error), MOLLI_RATIO, trusted_ms, max_residual)


def fit_sasha(
    images: ArrayLike,
    times_ms: ArrayLike,
    *,
    n_parameters: Literal[2, 3],
    mask: BoolArray | None = None,
    min_signal: float = 0.0,
    trusted_ms: tuple[float, float] = TRUSTED_MS,
    max_residual: float = MAX_RESIDUAL,
) -> T1Fit:
    """Fit ``A - B exp(-t / T1)`` (three parameters) or ``A (1 - exp(-t / T1))`` (two) to saturation recovery.

    Parameters
    ----------
    images : array_like of float, shape (ni, nj, n) or (ni, nj, nk, n)
        Magnitude images, at least one more than parameters.
    times_ms : array_like of float, shape (n,)
        Saturation times, increasing [ms]; an image without saturation is the last, at ``inf``.
    n_parameters : {2, 3}
        Two take saturation as perfect: less noise, but a bias where it is not.
    mask, min_signal, trusted_ms, max_residual
        See :func:`fit_molli`.

    Returns
    -------
    T1Fit
        Trusted where B/A lies within :data:`SASHA_RATIO` and A is positive, besides the above; with
        two parameters, B is A.

    Raises
    ------
    UsageError
        If the number of parameters, shapes, times or ranges are not usable; times that look like
        seconds are refused.
    GeometryError, MaskError, IntensityError
        If the mask has another shape, nothing is to be fitted, or signals are not finite or negative.

    Examples
    --------
    >>> times = np.array([100.0, 300.0, 500.0, 700.0, np.inf])
    >>> images = (80 * (1 - np.exp(-times / 1200)))[None, None]
    >>> fit_sasha(images, times, n_parameters=2).t1_ms.round(3).tolist()
    [[1200.0]]
    """
    _refuse_number(n_parameters, "SASHA")
    times = checked_times(times_ms, name="saturation times", seconds_below_ms=SECONDS_BELOW_MS, infinite_last=True)
    series = read_series(images, times, mask=mask, min_signal=min_signal, least=n_parameters + 1)
    model = SASHA if n_parameters == 3 else SASHA_2
    fit = fit_curves(series.signal, times, model=model)
    a, b = (fit.offset, -fit.slope) if n_parameters == 3 else (fit.slope, fit.slope)
    error = standard_error(fit, times, model=model, gradient=(0.0, 0.0, fit.tau_ms))
    return _result(series, fit, (a, b, fit.tau_ms, error), SASHA_RATIO, trusted_ms, max_residual)


def _refuse_number(n_parameters: int, name: str) -> None:
    if n_parameters not in (2, 3):
        msg = f"{name} was asked for with {n_parameters} parameters, expected 2 or 3."
        raise UsageError(msg)


def _result(
    series: Series,
    fit: CurveFit,
    found: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    ratio: tuple[float, float],
    trusted_ms: tuple[float, float],
    max_residual: float,
) -> T1Fit:
    a, b, t1, error = found
    plausible = (a > 0) & (b >= ratio[0] * a) & (b <= ratio[1] * a)
    reasons = find_reasons(series, fit, t1, plausible=plausible, range_ms=trusted_ms, max_residual=max_residual)
    t1, error, a, b, rms, rel = (
        series.on_grid(values) for values in (t1, error, a, b, fit.rms, series.relative(fit.rms))
    )
    return T1Fit(t1, error, a, b, rms, rel, reasons)
