"""DeLong's covariance, interval and test for areas under ROC curves on the same patients."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.intervals import LEVEL, Estimate

FloatArray = NDArray[np.floating[Any]]

_NO_VARIANCE = 1e-15
_METHOD = "DeLong"


@dataclass(frozen=True, eq=False)
class AucCovariance:
    """Areas under the ROC curves of several scores on the same patients.

    Parameters
    ----------
    auc : ndarray of float, shape (k,)
        Chance that a patient of the class is ranked above another patient, ties counting half.
    covariance : ndarray of float, shape (k, k)
        Of the areas.
    n : int
        Patients, each independent of the others.
    """

    auc: FloatArray
    covariance: FloatArray
    n: int

    def estimate(self, i: int) -> Estimate:
        """Return one area with its normal interval, cut at 0 and 1."""
        return _interval(float(self.auc[i]), float(self.covariance[i, i]), self.n, 0.0)


@dataclass(frozen=True, slots=True)
class DeLongTest:
    """Test of two correlated areas.

    Parameters
    ----------
    first, second, difference : Estimate
        The two areas, and the first less the second.
    z, p : float or None
        Statistic and two-sided p-value; None where the difference has no variance.
    p_holm : float or None
        Adjusted for the number of tests made beside this one.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    z: float | None
    p: float | None
    p_holm: float | None = None

    def adjusted(self, p_holm: float | None) -> DeLongTest:
        """Return the test with an adjusted p-value."""
        return replace(self, p_holm=p_holm)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "auc": self.first.to_dict(),
            "auc_reference": self.second.to_dict(),
            "difference": self.difference.to_dict(),
            "z": self.z,
            "p": self.p,
            "p_holm": self.p_holm,
        }


def auc_covariance(scores: ArrayLike, positive: ArrayLike) -> AucCovariance:
    """Areas under ROC curves and their covariance [1]_, by mid-ranks [2]_.

    Parameters
    ----------
    scores : array_like of float, shape (k, n)
        One row per classifier; larger means the class is likelier.
    positive : array_like of bool, shape (n,)
        Which patients have the class. Each patient is independent of the others.

    Returns
    -------
    AucCovariance

    Raises
    ------
    UsageError
        If the shapes differ or a score is not finite.
    CohortError
        If a side has fewer than two patients (``E_CLASS_COUNT``).

    References
    ----------
    .. [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988), doi:10.2307/2531595
    .. [2] Sun & Xu, IEEE Signal Process Lett 21 (2014), doi:10.1109/LSP.2014.2337313

    Examples
    --------
    >>> float(auc_covariance([[1, 2, 3, 4]], [False, True, False, True]).auc[0])
    0.75
    """
    s, of_class = np.atleast_2d(np.asarray(scores, dtype=float)), np.asarray(positive, dtype=bool)
    if s.ndim != 2 or of_class.ndim != 1 or s.shape[1] != of_class.size or not np.isfinite(s).all():
        msg = f"Scores have shape {s.shape}, labels {of_class.shape}; expected (k, n) finite scores and (n,) labels."
        raise UsageError(msg)
    m, n = int(of_class.sum()), int((~of_class).sum())
    if min(m, n) < 2:
        msg = f"{m} patients have the class and {n} do not; DeLong's variance needs two on each side."
        raise CohortError(msg, code="E_CLASS_COUNT")
    above, below = s[:, of_class], s[:, ~of_class]
    rank = rankdata(np.hstack([above, below]), axis=1)
    of_positive = (rank[:, :m] - rankdata(above, axis=1)) / n
    of_negative = 1 - (rank[:, m:] - rankdata(below, axis=1)) / m
    covariance = np.atleast_2d(np.cov(of_positive)) / m + np.atleast_2d(np.cov(of_negative)) / n
    return AucCovariance(of_positive.mean(axis=1), covariance, m + n)


def delong_test(first: ArrayLike, second: ArrayLike, positive: ArrayLike) -> DeLongTest:
    """Compare the areas under two ROC curves on the same patients.

    Only for two classes, or for one class against the others that was named beforehand, on
    predictions by one frozen model each, for patients whom it has not seen.

    Parameters
    ----------
    first, second : array_like of float, shape (n,)
        Scores of the two classifiers.
    positive : array_like of bool, shape (n,)
        Which patients have the class.

    Returns
    -------
    DeLongTest

    Raises
    ------
    UsageError, CohortError
        See :func:`auc_covariance`.
    """
    found = auc_covariance(np.stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)]), positive)
    contrast = np.array([1.0, -1.0])
    difference, variance = float(contrast @ found.auc), float(contrast @ found.covariance @ contrast)
    z = p = None
    if variance > _NO_VARIANCE:
        z = difference / math.sqrt(variance)
        p = float(2 * norm.sf(abs(z)))
    elif difference == 0:
        z, p = 0.0, 1.0
    return DeLongTest(found.estimate(0), found.estimate(1), _interval(difference, variance, found.n, -1.0), z, p)


def _interval(value: float, variance: float, n: int, lowest: float) -> Estimate:
    if variance <= _NO_VARIANCE:
        return Estimate(value, None, None, n, f"{_METHOD}: no variance, interval not estimable")
    half = float(norm.ppf((1 + LEVEL) / 2)) * math.sqrt(variance)
    return Estimate(value, max(value - half, lowest), min(value + half, 1.0), n, _METHOD)
