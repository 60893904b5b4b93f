"""Tests of two models where their assumptions hold: over folds, and a loss of accuracy within a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm, t

from radiocard.errors import UsageError
from radiocard.evaluation.intervals import LEVEL, Estimate

_Z = float(norm.ppf((1 + LEVEL) / 2))
_STEP = 1e-12


@dataclass(frozen=True, slots=True)
class ResampledT:
    """Corrected resampled t test.

    Parameters
    ----------
    difference : Estimate
        Mean over the folds with its interval.
    t, p : float or None
        Statistic with ``folds - 1`` degrees of freedom; two-sided p-value; None where all folds agree.
    folds : int
        Folds, all repeats together.
    """

    difference: Estimate
    t: float | None
    p: float | None
    folds: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"difference": self.difference.to_dict(), "t": self.t, "p": self.p, "folds": self.folds}


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a model is at most a stated margin less accurate than the reference.

    Parameters
    ----------
    margin : float
        Largest loss of accuracy that is accepted, stated beforehand.
    difference : Estimate
        Accuracy of the model less that of the reference, with Tango's interval.
    p : float
        One-sided p-value of the loss being the margin or more.
    shown : bool
        Whether the whole interval lies above minus the margin.
    """

    margin: float
    difference: Estimate
    p: float
    shown: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"margin": self.margin, "difference": self.difference.to_dict(), "p": self.p, "shown": self.shown}


def corrected_resampled_t(differences: ArrayLike, *, n_train: float, n_test: float, n_patients: float) -> ResampledT:
    """Test and interval of a mean over the folds of a (repeated) cross-validation [1]_.

    The training parts overlap, so that the variance of the folds is too small; it is enlarged by the
    share of the test part, ``1 / folds + n_test / n_train``. The same correction serves repeated
    cross-validation [2]_.

    Parameters
    ----------
    differences : array_like of float, shape (folds,)
        A metric of one model less that of the other, one per fold of every repeat.
    n_train, n_test : float
        Patients in the training and in the test part of a fold, on average.
    n_patients : float
        Independent patients of the data set.

    Returns
    -------
    ResampledT

    Raises
    ------
    UsageError
        If there are fewer than two folds, a difference is not finite, or a part has no patient.

    References
    ----------
    .. [1] Nadeau & Bengio, Mach Learn 52 (2003), doi:10.1023/A:1024068626366
    .. [2] Bouckaert & Frank, PAKDD 2004, doi:10.1007/978-3-540-24775-3_3

    Examples
    --------
    >>> round(corrected_resampled_t([0.1, 0.2, 0.3], n_train=80, n_test=20, n_patients=100).t, 3)
    2.619
    """
    d = np.asarray(differences, dtype=float).ravel()
    if d.size < 2 or not np.isfinite(d).all() or n_train <= 0 or n_test <= 0:
        msg = f"{d.size} folds with {n_train:g} and {n_test:g} patients; expected two folds and finite differences."
        raise UsageError(msg)
    mean, method = float(d.mean()), "corrected resampled t over the folds"
    if np.ptp(d) < _STEP:
        return ResampledT(Estimate(mean, None, None, n_patients, f"{method}: all folds agree"), None, None, d.size)
    error = math.sqrt((1 / d.size + n_test / n_train) * float(d.var(ddof=1)))
    half = float(t.ppf((1 + LEVEL) / 2, d.size - 1)) * error
    statistic = mean / error
    p = float(2 * t.sf(abs(statistic), d.size - 1))
    return ResampledT(Estimate(mean, mean - half, mean + half, n_patients, method), statistic, p, d.size)


def tango_statistic(only_first: int, only_second: int, n: int, *, difference: float) -> float:
    """Score statistic of a paired difference of proportions [1]_; at 0 it is McNemar's.

    Parameters
    ----------
    only_first, only_second : int
        Patients whom only one of the two got right.
    n : int
        Patients.
    difference : float
        Hypothesis: proportion of the first less that of the second, inside -1 to 1.

    Returns
    -------
    float
        Standard normal under the hypothesis; NaN where it has no variance.

    References
    ----------
    .. [1] Tango, Stat Med 17 (1998),
       doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B
    """
    gap, variance = _gap_and_variance(only_first, only_second, n, difference)
    return gap / math.sqrt(variance) if variance > 0 else float("nan")


def tango_interval(only_first: int, only_second: int, n: int) -> Estimate:
    """Score interval of a paired difference of proportions (Tango 1998).

    Unlike Wald's it keeps its level in small samples and does not shrink to a point where
    the two always agree [1]_.

    Parameters
    ----------
    only_first, only_second : int
        Patients whom only one of the two got right.
    n : int
        Independent patients.

    Returns
    -------
    Estimate
        Proportion of the first less that of the second.

    Raises
    ------
    UsageError
        If the counts are negative or exceed n.

    References
    ----------
    .. [1] Fagerland, Lydersen & Laake, Stat Med 33 (2014), doi:10.1002/sim.6148

    Examples
    --------
    >>> tango_interval(1, 7, 21).text(decimals=3)
    '-0.286 (95 % interval -0.517 to -0.026, n = 21 patients, Tango score interval)'
    """
    if min(only_first, only_second) < 0 or n < 1 or only_first + only_second > n:
        msg = f"{only_first} and {only_second} of {n} pairs differ; expected counts that add up to at most n."
        raise UsageError(msg)
    low, high = _lower_limit(only_first, only_second, n), -_lower_limit(only_second, only_first, n)
    return Estimate((only_first - only_second) / n, low, high, n, "Tango score interval")


def non_inferiority(only_model: int, only_reference: int, n: int, *, margin: float) -> NonInferiority:
    """Test whether a model is less accurate than the reference by less than a margin stated beforehand.

    Parameters
    ----------
    only_model, only_reference : int
        Independent patients whom only one of the two got right.
    n : int
        Independent patients.
    margin : float
        Largest loss of accuracy that is accepted, above 0 and below 1.

    Returns
    -------
    NonInferiority

    Raises
    ------
    UsageError
        If the margin is not between 0 and 1, or the counts do not fit.
    """
    if not 0 < margin < 1:
        msg = f"The margin is {margin:g}, expected a loss of accuracy above 0 and below 1."
        raise UsageError(msg, hint="State it before the figures are seen: 0.05 is 5 percentage points.")
    difference = tango_interval(only_model, only_reference, n)
    p = float(norm.sf(tango_statistic(only_model, only_reference, n, difference=-margin)))
    return NonInferiority(margin, difference, p, difference.low is not None and difference.low > -margin)


def _gap_and_variance(b: int, c: int, n: int, difference: float) -> tuple[float, float]:
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    only_second = (math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
    return b - c - n * difference, max(n * (2 * only_second + difference * (1 - difference)), 0.0)


def _lower_limit(b: int, c: int, n: int) -> float:
    if c == n:
        return -1.0

    def excess(difference: float) -> float:
        gap, variance = _gap_and_variance(b, c, n, difference)
        return gap - _Z * math.sqrt(variance)

    return float(brentq(excess, -1.0, (b - c) / n - _STEP, xtol=1e-13))
