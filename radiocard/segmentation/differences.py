"""Differences and scores over patients: bias, limits of agreement, means, each with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.evaluation.intervals import Estimate, percentile, resample_weights

FloatArray = NDArray[np.floating[Any]]
Scores = Sequence[float | None] | FloatArray
Persons = Sequence[str] | None

_Z = 1.959963984540054  # half-width of 95 % of a normal distribution, in standard deviations
_MIN_PATIENTS = 2


@dataclass(frozen=True, slots=True)
class Differences:
    """Predicted minus reference over patients (Bland and Altman).

    Parameters
    ----------
    bias : Estimate
        Mean difference.
    sd : Estimate
        Standard deviation of the differences (n - 1).
    lower, upper : Estimate
        Limits of agreement: bias minus and plus 1.96 standard deviations.
    mae : Estimate
        Mean absolute difference.
    n_undefined : int
        Patients without one of the two values, who are left out.
    """

    bias: Estimate
    sd: Estimate
    lower: Estimate
    upper: Estimate
    mae: Estimate
    n_undefined: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        names = ("bias", "sd", "lower", "upper", "mae")
        return {name: getattr(self, name).to_dict() for name in names} | {"n_undefined": self.n_undefined}


@dataclass(frozen=True, slots=True)
class Spread:
    """One score over patients.

    Parameters
    ----------
    mean : Estimate
        With its interval.
    median, worst : float or None
        Middle and least favourable patient.
    n_undefined : int
        Patients in whom the score is not defined; they are left out.
    """

    mean: Estimate
    median: float | None
    worst: float | None
    n_undefined: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        rest = {"median": self.median, "worst": self.worst, "n_undefined": self.n_undefined}
        return {"mean": self.mean.to_dict()} | rest


def bland_altman(
    predicted: Scores, reference: Scores, *, n_bootstrap: int, random_state: int, groups: Persons = None
) -> Differences:
    """Bias, limits of agreement and mean absolute error of one quantity, with intervals [1]_.

    Parameters
    ----------
    predicted, reference : sequence of float or None, length n
        One pair per patient; None (or NaN) where a value is not defined.
    n_bootstrap, random_state : int
        Number of resamples of patients; seed.
    groups : sequence of str, length n, optional
        Rows that belong to one person stay together; each row is a person of its own when None.

    Returns
    -------
    Differences
        Without values where fewer than two patients have both.

    Raises
    ------
    UsageError
        If the lengths differ.

    References
    ----------
    .. [1] Bland & Altman, Lancet 327 (1986) 307, doi:10.1016/S0140-6736(86)90837-8
    """
    a, b = np.asarray(predicted, dtype=float), np.asarray(reference, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        msg = f"There are {a.size} predicted and {b.size} reference values, expected one pair per patient."
        raise UsageError(msg)
    there = np.isfinite(a) & np.isfinite(b)
    difference, code = (a - b)[there], _codes(groups, a.size)[there]
    undefined = int((~there).sum())
    if difference.size < _MIN_PATIENTS:
        none = Estimate(None, None, None, difference.size, f"fewer than {_MIN_PATIENTS} patients have both values")
        return Differences(none, none, none, none, none, undefined)
    weights = _resamples(code, n_bootstrap=n_bootstrap, random_state=random_state)
    point, draws = _moments(difference, np.ones((1, difference.size))), _moments(difference, weights)
    found = {name: _interval(point[name][0], draws[name], code) for name in point}
    return Differences(**found, n_undefined=undefined)


def mean_over(values: Scores, *, better: int, n_bootstrap: int, random_state: int, groups: Persons = None) -> Spread:
    """Mean of one score over patients with its interval, its median and its worst patient.

    Parameters
    ----------
    values : sequence of float or None, length n
        One per patient; None (or NaN) where it is not defined.
    better : {1, -1}
        1 where larger is better.
    n_bootstrap, random_state : int
        Number of resamples of patients; seed.
    groups : sequence of str, length n, optional
        As :func:`bland_altman`.

    Returns
    -------
    Spread
    """
    v = np.asarray(values, dtype=float)
    there = np.isfinite(v)
    undefined = int((~there).sum())
    if not there.any():
        return Spread(Estimate(None, None, None, 0, "not defined in any patient"), None, None, undefined)
    seen, code = v[there], _codes(groups, v.size)[there]
    weights = _resamples(code, n_bootstrap=n_bootstrap, random_state=random_state)
    mean = _interval(float(seen.mean()), (weights @ seen) / weights.sum(axis=1), code)
    worst = float(seen.min() if better > 0 else seen.max())
    return Spread(mean, float(np.median(seen)), worst, undefined)


def _moments(difference: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
    """Return the quantities of :class:`Differences` for rows of counts, shape (n_rows,) each."""
    n = weights.sum(axis=1)
    centre = float(difference.mean())  # taken out first, or squares of large numbers would cancel
    shift = (weights @ (difference - centre)) / n
    square = np.clip((weights @ (difference - centre) ** 2) / n - shift**2, 0, None)
    bias = centre + shift
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(square * n / (n - 1))
    mae = (weights @ np.abs(difference)) / n
    return {"bias": bias, "sd": sd, "lower": bias - _Z * sd, "upper": bias + _Z * sd, "mae": mae}


def _resamples(code: NDArray[np.intp], *, n_bootstrap: int, random_state: int) -> FloatArray:
    one_class = np.zeros(code.size, dtype=np.intp)
    return resample_weights(one_class, code, n_bootstrap=n_bootstrap, random_state=random_state)


def _interval(value: float, draws: FloatArray, code: NDArray[np.intp]) -> Estimate:
    found = percentile(float(value), draws, n=float(np.unique(code).size))
    return replace(found, method=found.method.replace(" within class", ""))


def _codes(groups: Persons, n: int) -> NDArray[np.intp]:
    if groups is None:
        return np.arange(n)
    code = np.unique(np.asarray(groups), return_inverse=True)[1]
    if code.size != n:
        msg = f"There are {code.size} groups for {n} values, expected one each."
        raise UsageError(msg)
    return np.asarray(code, dtype=np.intp)
