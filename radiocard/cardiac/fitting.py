"""Exponential curves fitted to every pixel of a series of images.

All relaxation models of this package are ``y(t) = offset + slope * (rest + weight * exp(-t / tau))``
with ``rest`` and ``weight`` known, for example 1 and -1 for recovery from saturation. Offset and slope
follow from tau by linear least squares, so that one unknown is left (variable projection [1]_): its best
value on a grid is refined by Gauss-Newton steps in log(tau). An infinite time is allowed: there
``exp(-t / tau)`` is 0 whatever tau is.

References
----------
.. [1] Golub and Pereyra, SIAM J Numer Anal 10 (1973) 413, doi:10.1137/0710036
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.image import FloatArray
from radiocard.jit.kernel import kernel, part

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_GRID_RATIO = 1.3  # between neighbouring values of tau; the error is smooth over far wider steps
_TOLERANCE = 1e-8  # of log(tau)
_MAX_STEPS = 100
_MAX_POLARITIES = 3  # that are refined: near zero crossing the grid alone does not tell which is best


class CurveModel(NamedTuple):
    """Which curve is fitted.

    Parameters
    ----------
    rest, weight : float
        The curve is ``rest + weight * exp(-t / tau)``, times the slope.
    has_offset : bool
        Whether there is a third parameter, a free constant.
    recover_polarity : bool
        The signal is the magnitude of a curve that rises from below zero: every number of first
        images is tried as negative, and the one with the least residual taken [1]_.
    tau_ms : tuple of float
        Lowest and highest tau that is looked for [ms].

    References
    ----------
    .. [1] Nekolla et al., J Comput Assist Tomogr 16 (1992) 327
    """

    rest: float
    weight: float
    has_offset: bool
    recover_polarity: bool
    tau_ms: tuple[float, float]


class CurveFit(NamedTuple):
    """Fitted curves; NaN (``converged`` False) where the least residual is not inside the range of tau.

    Parameters
    ----------
    tau_ms, slope, offset : ndarray of float, shape (n_pixels,)
        The parameters; the offset is 0 where the model has none.
    rms : ndarray of float, shape (n_pixels,)
        Root mean square of the residuals [unit of the signal].
    n_used, n_negative : ndarray of int, shape (n_pixels,)
        How many points were fitted, and how many of them were taken as negative.
    converged : ndarray of bool, shape (n_pixels,)
        Whether a least residual was found.
    """

    tau_ms: FloatArray
    slope: FloatArray
    offset: FloatArray
    rms: FloatArray
    n_used: IntArray
    n_negative: IntArray
    converged: BoolArray


def fit_curves(
    signal: FloatArray, times_ms: FloatArray, *, model: CurveModel, n_used: IntArray | None = None
) -> CurveFit:
    """Fit one curve to each row.

    Parameters
    ----------
    signal : ndarray of float, shape (n_pixels, n)
        Finite values.
    times_ms : ndarray of float, shape (n,)
        Increasing; the last may be infinite [ms].
    model : CurveModel
        The curve.
    n_used : ndarray of int, shape (n_pixels,), optional
        How many of the first points of each row are used; all by default.

    Returns
    -------
    CurveFit
    """
    rows = np.ascontiguousarray(signal, dtype=np.float64)
    times = np.ascontiguousarray(times_ms, dtype=np.float64)
    used = np.full(len(rows), times.size, dtype=np.int64) if n_used is None else n_used.astype(np.int64)
    low, high = np.log(model.tau_ms)
    taus = np.exp(np.linspace(low, high, 2 + int((high - low) / math.log(_GRID_RATIO))))
    shapes = model.rest + model.weight * np.exp(-times / taus[:, None])
    out = np.full((len(rows), 5), np.nan)
    work = np.empty((7, max(times.size + 1, 4)))
    curve = (float(model.rest), float(model.weight), model.has_offset, model.recover_polarity)
    _fit_rows(rows, used, times, taus, shapes, *curve, work, out)
    converged = ~np.isnan(out[:, 0])
    n_negative = np.where(converged, out[:, 4], 0).astype(np.int64)
    rms = np.sqrt(out[:, 3] / np.maximum(used, 1))
    return CurveFit(out[:, 0], out[:, 1], out[:, 2], rms, used, n_negative, converged)


def standard_error(
    fit: CurveFit,
    times_ms: FloatArray,
    *,
    model: CurveModel,
    gradient: tuple[FloatArray | float, FloatArray | float, FloatArray | float],
) -> FloatArray:
    """Propagate the scatter of the residuals to a quantity computed from the parameters.

    The usual linear approximation: residual variance with n - p degrees of freedom times the inverse of
    the normal matrix; same as ``scipy.optimize.curve_fit`` with ``absolute_sigma=False``.

    Parameters
    ----------
    fit : CurveFit
        Fitted curves.
    times_ms : ndarray of float, shape (n,)
        The times they were fitted to [ms].
    model : CurveModel
        The curve.
    gradient : tuple of three ndarray of float, shape (n_pixels,)
        Derivatives of the quantity by offset, slope and log(tau).

    Returns
    -------
    ndarray of float, shape (n_pixels,)
        Standard error [unit of the quantity]; NaN where there are no more points than parameters.
    """
    by_offset, by_slope, by_tau = gradient
    n, constant = fit.n_used, float(model.has_offset)
    used = np.arange(times_ms.size) < n[:, None]
    with np.errstate(all="ignore"):
        turns = times_ms / fit.tau_ms[:, None]
        decay = np.exp(-turns)
        bend = np.where(decay > 0, turns * decay, 0.0) * model.weight * fit.slope[:, None]
        shape = model.rest + model.weight * decay
        mean = constant * (shape * used).sum(axis=1) / n
        bend_mean = constant * (bend * used).sum(axis=1) / n
        shape, bend = (shape - mean[:, None]) * used, (bend - bend_mean[:, None]) * used
        spread = (shape**2).sum(axis=1)
        beta = (shape * bend).sum(axis=1) / spread
        across = ((bend - beta[:, None] * shape) ** 2).sum(axis=1)
        by_tau = by_tau - (bend_mean - beta * mean) * by_offset - beta * by_slope
        scale = constant * np.square(by_offset) / n + (by_slope - mean * by_offset) ** 2 / spread + by_tau**2 / across
        free = n - 2 - int(model.has_offset)
        return np.where(free > 0, fit.rms * np.sqrt(scale * n / np.where(free > 0, free, 1)), np.nan)


@kernel
def _fit_rows(signal, used, times, taus, shapes, rest, weight, has_offset, polarity, work, out):  # type: ignore[no-untyped-def]
    """Columns of ``out``: tau, slope, offset, sum of squared residuals, number of negative points.

    Rows of ``work``: least residual and its place on the grid by number of negative points, signed
    signal, shape, its derivative by log(tau), and two states of the refinement: of a trial, and the best.
    """
    low, high = math.log(taus[0]), math.log(taus[-1])
    kept = work[6]
    for p in range(len(signal)):
        n = used[p]
        _search(signal[p], n, shapes, weight, has_offset, polarity, work)
        best = np.inf
        for _ in range(_MAX_POLARITIES):
            m = 0
            for c in range(1, n + 1 if polarity else 1):
                if work[0, c] < work[0, m]:
                    m = c
            if not np.isfinite(work[0, m]):
                break
            work[0, m] = np.inf
            for k in range(n):
                work[2, k] = -signal[p, k] if k < m else signal[p, k]
            u = math.log(taus[int(work[1, m])])
            u, converged = _refine(u, low, high, n, times, rest, weight, has_offset, work)
            if converged and kept[0] < best:
                best = kept[0]
                out[p, 0], out[p, 1], out[p, 2], out[p, 3], out[p, 4] = math.exp(u), kept[1], kept[2], best, m


@part
def _refine(u, low, high, n, times, rest, weight, has_offset, work):  # type: ignore[no-untyped-def]
    """Go to the least residual by Gauss-Newton steps, halved where they do not lead down."""
    state, kept = work[5], work[6]
    trial, step, converged = u, 0.0, False
    kept[0] = np.inf
    for _ in range(_MAX_STEPS):
        _project(math.exp(trial), n, times, rest, weight, has_offset, work, state)
        if state[0] < kept[0]:
            u, step = trial, state[3]
            kept[0], kept[1], kept[2] = state[0], state[1], state[2]
        else:
            step *= 0.5
        converged = abs(step) < _TOLERANCE
        if converged or not np.isfinite(step):
            break
        trial = min(max(u + step, low), high)
        if trial == u:
            break
    return u, converged


@part
def _search(y, n, shapes, weight, has_offset, polarity, work):  # type: ignore[no-untyped-def]
    """Find the best tau of the grid for each number of negative points."""
    constant = 1.0 / n if has_offset else 0.0
    candidates = n + 1 if polarity else 1
    squares = 0.0
    for k in range(n):
        squares += y[k] * y[k]
    for m in range(candidates):
        work[0, m] = np.inf
    for g in range(len(shapes)):
        sf, sff, sy, sfy = 0.0, 0.0, 0.0, 0.0
        for k in range(n):
            f = shapes[g, k]
            sf += f
            sff += f * f
            sy += y[k]
            sfy += f * y[k]
        inverse = 1.0 / (sff - constant * sf * sf)
        for m in range(candidates):
            if m > 0:
                sy -= 2.0 * y[m - 1]
                sfy -= 2.0 * shapes[g, m - 1] * y[m - 1]
            cross = sfy - constant * sf * sy
            left = squares - constant * sy * sy - cross * cross * inverse
            if left < work[0, m] and not (polarity and cross * weight >= 0.0):  # inverted signal rises
                work[0, m] = left
                work[1, m] = g


@part
def _project(tau, n, times, rest, weight, has_offset, work, state):  # type: ignore[no-untyped-def]
    """Set ``state`` to sum of squared residuals, slope, offset and Gauss-Newton step for one tau."""
    sy, sf, sd = 0.0, 0.0, 0.0
    for k in range(n):
        decay = math.exp(-times[k] / tau)
        bend = times[k] / tau * decay if decay > 0.0 else 0.0
        work[3, k] = rest + weight * decay
        work[4, k] = weight * bend
        sy += work[2, k]
        sf += work[3, k]
        sd += work[4, k]
    constant = 1.0 / n if has_offset else 0.0
    sy, sf, sd = sy * constant, sf * constant, sd * constant
    ff, fy, fd = 0.0, 0.0, 0.0
    for k in range(n):
        f = work[3, k] - sf
        ff += f * f
        fy += f * (work[2, k] - sy)
        fd += f * (work[4, k] - sd)
    slope = fy / ff
    squares, along, across = 0.0, 0.0, 0.0
    for k in range(n):
        f = work[3, k] - sf
        left = work[2, k] - sy - slope * f
        bend = slope * (work[4, k] - sd - fd / ff * f)
        squares += left * left
        along += bend * left
        across += bend * bend
    state[0], state[1], state[2], state[3] = squares, slope, sy - slope * sf, along / across
