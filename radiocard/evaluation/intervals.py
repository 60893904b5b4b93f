"""Intervals and paired tests over patients; repeats of the cross-validation never add to n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval.

    Parameters
    ----------
    value : float or None
        Point estimate; None where it is not defined.
    low, high : float or None
        Ends of the interval; None where it is not defined or has no bound on that side.
    n : float
        Number of independent patients that the interval rests on.
    method : str
        How the interval was made, in words.
    """

    value: float | None
    low: float | None
    high: float | None
    n: float
    method: str

    def to_dict(self) -> dict[str, float | str | None]:
        """Return plain data for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "method": self.method}

    def text(self, *, decimals: int = 2) -> str:
        """Write the estimate as one sentence.

        Examples
        --------
        >>> wilson(0.9, 70).text()
        '0.90 (95 % interval 0.81 to 0.95, n = 70 patients, Wilson interval)'
        """
        if self.value is None:
            return f"not defined ({self.method})"
        low = "no lower bound" if self.low is None else f"{self.low:.{decimals}f}"
        high = "no upper bound" if self.high is None else f"{self.high:.{decimals}f}"
        span = f"95 % interval {low} to {high}" if self.low is not None or self.high is not None else "no interval"
        return f"{self.value:.{decimals}f} ({span}, n = {self.n:g} patients, {self.method})"


def finite(value: float) -> float | None:
    """Return a float that JSON can hold: None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def wilson(proportion: float, n: float) -> Estimate:
    """Wilson interval of a proportion of patients [1]_.

    Parameters
    ----------
    proportion : float
        Between 0 and 1; the mean over repeats where there are several, so that
        ``proportion * n`` need not be whole.
    n : float
        Number of independent patients, never patients times repeats.

    Returns
    -------
    Estimate

    References
    ----------
    .. [1] Brown, Cai & DasGupta, Stat Sci 16 (2001), doi:10.1214/ss/1009213286

    Examples
    --------
    >>> round(wilson(1.0, 20).low, 3)
    0.839
    """
    if n <= 0 or not math.isfinite(proportion):
        return Estimate(None, None, None, max(n, 0.0), "no patient to count")
    low, high = proportion_confint(proportion * n, n, alpha=1 - LEVEL, method="wilson")
    return Estimate(float(proportion), max(float(low), 0.0), min(float(high), 1.0), n, "Wilson interval")


def mean_of_proportions(parts: Sequence[Estimate]) -> Estimate:
    """Interval of a mean of independent proportions, recovered from their own intervals [1]_.

    Unlike the bootstrap it does not shrink to a point where every part is 1.

    Parameters
    ----------
    parts : sequence of Estimate
        Proportions of disjoint sets of patients, each with its Wilson interval.

    Returns
    -------
    Estimate

    References
    ----------
    .. [1] Zou & Donner, Stat Med 27 (2008), doi:10.1002/sim.3095 (MOVER)
    """
    full = [(p.value, p.low, p.high) for p in parts if p.value is not None and p.low is not None and p.high is not None]
    n = sum(p.n for p in parts)
    if len(full) < len(parts) or not full:
        return Estimate(None, None, None, n, "a class has no patient")
    value, low, high = np.asarray(full, dtype=float).T
    mean, k = float(value.mean()), len(full)
    down = math.sqrt(float(((value - low) ** 2).sum())) / k
    up = math.sqrt(float(((high - value) ** 2).sum())) / k
    return Estimate(mean, max(mean - down, 0.0), min(mean + up, 1.0), n, "Wilson intervals of the classes combined")


def resample_weights(y: IntArray, groups: IntArray, *, n_bootstrap: int, random_state: int) -> FloatArray:
    """Draw bootstrap resamples of patients as counts.

    Whole groups are drawn with replacement inside each class (a group belongs to the
    class of its first patient), so that every resample holds every class.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Class codes.
    groups : ndarray of int, shape (n,)
        Group codes; patients of one group are kept together.
    n_bootstrap : int
        Number of resamples.
    random_state : int
        Seed.

    Returns
    -------
    ndarray of float, shape (n_bootstrap, n)
        How often each patient is in each resample.
    """
    rng = np.random.default_rng(random_state)
    _, first, code = np.unique(groups, return_index=True, return_inverse=True)
    stratum = y[first]
    counts = np.zeros((n_bootstrap, first.size))
    for label in np.unique(stratum):
        members = np.flatnonzero(stratum == label)
        counts[:, members] = rng.multinomial(members.size, np.full(members.size, 1 / members.size), size=n_bootstrap)
    return counts[:, code]


def percentile(value: float, draws: FloatArray, *, n: float, centred: bool = False) -> Estimate:
    """Percentile interval from bootstrap draws.

    Parameters
    ----------
    value : float
        Point estimate.
    draws : ndarray of float, shape (n_bootstrap,)
        The same quantity in the resamples; NaN where it is not defined, infinite where unbounded.
    n : float
        Number of independent patients.
    centred : bool
        Whether to take the draws' own bias out first (mean of draws minus value). Needed for
        binned calibration errors, which resampling inflates.

    Returns
    -------
    Estimate
    """
    seen = draws[~np.isnan(draws)]
    if not math.isfinite(value) or seen.size < draws.size / 2:
        return Estimate(finite(value), None, None, n, "interval not estimable")
    if centred:
        seen = np.maximum(seen - (seen.mean() - value), 0.0)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(seen, [tail, 1 - tail], method="inverted_cdf")
    method = f"{draws.size} resamples of patients within class"
    if np.ptp(seen[np.isfinite(seen)]) == 0:
        method += ", all alike: the interval cannot show the uncertainty"
    return Estimate(float(value), finite(float(low)), finite(float(high)), n, method)


def mean_over_patients(
    values: FloatArray, y: IntArray, groups: IntArray, *, n_bootstrap: int, random_state: int
) -> list[Estimate]:
    """Mean of per-patient quantities, for example absolute SHAP values, with bootstrap intervals.

    Parameters
    ----------
    values : ndarray of float, shape (n, k)
        One column per quantity.
    y, groups : ndarray of int, shape (n,)
        Class codes; group codes.
    n_bootstrap, random_state : int
        Number of resamples; seed.

    Returns
    -------
    list of Estimate
        One per column.
    """
    weights = resample_weights(y, groups, n_bootstrap=n_bootstrap, random_state=random_state)
    draws = (weights @ values) / weights.sum(axis=1, keepdims=True)
    n = float(np.unique(groups).size)
    return [percentile(float(values[:, j].mean()), draws[:, j], n=n) for j in range(values.shape[1])]


def exact_mcnemar(first: ArrayLike, second: ArrayLike) -> tuple[int, int, float]:
    """Exact McNemar test of two classifiers on the same patients.

    Parameters
    ----------
    first, second : array_like of bool, shape (n,)
        Whether each was right, one entry per independent patient.

    Returns
    -------
    only_first, only_second : int
        Patients that only one of them got right.
    p : float
        Two-sided exact p-value.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
    return table[0][1], table[1][0], float(mcnemar(table, exact=True).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm).

    Examples
    --------
    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    return [float(v) for v in multipletests(p, method="holm")[1]] if len(p) else []
