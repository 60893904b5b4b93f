"""Intraclass correlation of repeated measurements, with intervals from the F distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from radiocard.errors import UsageError
from radiocard.evaluation.intervals import LEVEL, Estimate, finite

FloatArray = NDArray[np.floating[Any]]

MIN_SUBJECTS = 5
METHOD = "intervals from the F distribution"


@dataclass(frozen=True, eq=False)
class Reliability:
    """Intraclass correlations of several quantities.

    Parameters
    ----------
    icc_1_1, icc_a_1 : ndarray of float, shape (p, 3)
        Value, low and high end of the 95 % interval; NaN where a quantity does not vary or has too
        few complete patients.
    n : ndarray of int, shape (p,)
        Patients with every measurement.
    n_repeats : int
        Measurements per patient.
    """

    icc_1_1: FloatArray
    icc_a_1: FloatArray
    n: NDArray[np.intp]
    n_repeats: int

    def estimate(self, column: int, *, kind: str) -> Estimate:
        """Return one quantity's coefficient, ``kind`` being ``icc_1_1`` or ``icc_a_1``."""
        value, low, high = (finite(v) for v in getattr(self, kind)[column].tolist())
        return Estimate(value, low, high, float(self.n[column]), METHOD)


def intraclass_correlation(values: ArrayLike) -> Reliability:
    """Compute ICC(1,1) and ICC(A,1) of many quantities at once [1]_.

    ICC(1,1), one-way random: any difference between the measurements of a patient counts as error.
    ICC(A,1), two-way, absolute agreement: the same, and a shift that all patients share is told apart
    from noise, though it counts as error too.

    Parameters
    ----------
    values : array-like of float, shape (n_patients, n_repeats, n_quantities)
        NaN where undefined; of each quantity only patients with every measurement are used.

    Returns
    -------
    Reliability

    Raises
    ------
    UsageError
        If there are fewer than two repeats, or the array has another shape.

    References
    ----------
    .. [1] McGraw and Wong, Psychol Methods 1 (1996) 30, doi:10.1037/1082-989X.1.1.30

    Examples
    --------
    >>> found = intraclass_correlation([[[1.0], [1.0]], [[2.0], [2.0]], [[3.0], [3.0]], [[4.0], [4.0]], [[6.0], [6.0]]])
    >>> found.icc_1_1[0].tolist()
    [1.0, 1.0, 1.0]
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 3 or x.shape[1] < 2:
        msg = f"Measurements have shape {x.shape}, expected (patients, repeats, quantities) with 2 repeats or more."
        raise UsageError(msg)
    complete = np.isfinite(x).all(axis=1)
    one, agreement = np.full((x.shape[2], 3), np.nan), np.full((x.shape[2], 3), np.nan)
    for pattern in np.unique(complete, axis=1).T:
        if pattern.sum() < MIN_SUBJECTS:
            continue
        columns = np.flatnonzero((complete == pattern[:, None]).all(axis=0))
        part = x[pattern][:, :, columns]
        varies = np.ptp(part, axis=(0, 1)) > 0
        one[columns[varies]], agreement[columns[varies]] = _coefficients(part[:, :, varies])
    return Reliability(one, agreement, complete.sum(axis=0), x.shape[1])


def _coefficients(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return both coefficients with their intervals, shape (p, 3) each, of complete measurements."""
    n, k, _ = x.shape
    x = (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
    total = (x**2).sum(axis=(0, 1))
    rows = k * (x.mean(axis=1) ** 2).sum(axis=0)
    columns = n * (x.mean(axis=0) ** 2).sum(axis=0)
    msr, msc = rows / (n - 1), columns / (k - 1)
    msw = np.maximum(total - rows, 0.0) / (n * (k - 1))
    mse = np.maximum(total - rows - columns, 0.0) / ((n - 1) * (k - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return _one_way(msr, msw, n, k), _agreement(msr, msc, mse, n, k)


def _one_way(msr: FloatArray, msw: FloatArray, n: int, k: int) -> FloatArray:
    tail = (1 - LEVEL) / 2
    exact = msw <= 1e-14 * msr
    value = (msr - msw) / (msr + (k - 1) * msw)
    f = msr / msw
    low = f / stats.f.isf(tail, n - 1, n * (k - 1))
    high = f * stats.f.isf(tail, n * (k - 1), n - 1)
    out = np.stack([value, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)], axis=1)
    out[exact] = 1.0
    return out


def _agreement(msr: FloatArray, msc: FloatArray, mse: FloatArray, n: int, k: int) -> FloatArray:
    """Interval with Satterthwaite's degrees of freedom, table 7 of McGraw and Wong."""
    tail = (1 - LEVEL) / 2
    value = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    v = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    upper, lower = stats.f.isf(tail, n - 1, v), stats.f.isf(tail, v, n - 1)
    rest = k * msc + (k * n - k - n) * mse
    low = n * (msr - upper * mse) / (upper * rest + n * msr)
    high = n * (lower * msr - mse) / (rest + n * lower * msr)
    out = np.stack([value, low, high], axis=1)
    out[(mse <= 1e-14 * msr) & (msc <= 1e-14 * msr)] = 1.0
    return out
