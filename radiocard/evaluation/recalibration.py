"""Calibration slope and intercepts: logistic recalibration of multi-class probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from radiocard.evaluation.intervals import Estimate

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

SMALLEST_PROBABILITY = 1e-6
STEEPEST_SLOPE = 20.0
_Z = 1.959963984540054
_NO_LOSS = 1e-5
_METHOD = "influence of each patient on the fit, repeats averaged"


@dataclass(frozen=True, eq=False)
class _Fit:
    """Parameters of one repeat and the influence of each patient on them, shape (n, parameters)."""

    theta: FloatArray
    influence: FloatArray


def calibration_slope(probabilities: FloatArray, y: IntArray, groups: IntArray) -> Estimate:
    """Slope of logistic recalibration, mean over repeats.

    The labels are fitted by ``softmax(a_c + slope * log p_c)`` with one common slope and one
    intercept per class [2]_: 1 is perfect, below 1 the probabilities are too extreme, above 1
    too timid. With two classes this is Cox's slope on the log-odds [1]_; without intercepts its
    inverse would be the temperature. Probabilities below 1e-6 count as 1e-6.

    Parameters
    ----------
    probabilities : ndarray of float, shape (repeats, n, classes)
    y : ndarray of int, shape (n,)
        Class codes.
    groups : ndarray of int, shape (n,)
        Group codes; the variance is taken over groups.

    Returns
    -------
    Estimate
        Without a value where all probabilities are alike, a class has no patient, or the classes
        are perfectly separated.

    References
    ----------
    .. [1] Cox, Biometrika 45 (1958), doi:10.1093/biomet/45.3-4.562
    .. [2] Van Hoorde et al., Stat Med 33 (2014), doi:10.1002/sim.6114
    """
    n = float(np.unique(groups).size)
    centred = np.log(np.clip(probabilities, SMALLEST_PROBABILITY, 1.0))
    centred -= centred.mean(axis=2, keepdims=True)
    if np.unique(y).size < probabilities.shape[2]:
        return Estimate(None, None, None, n, "a class has no patient")
    if np.ptp(centred, axis=1).max(axis=1).min() < 1e-9:
        return Estimate(None, None, None, n, "all patients have the same probabilities")
    fits = [_fit(log_p, y, free_slope=True) for log_p in centred]
    found = [f for f in fits if f is not None]
    if len(found) < len(fits):
        return Estimate(None, None, None, n, "the classes are perfectly separated")
    theta = np.mean([f.theta for f in found], axis=0)
    influence = np.mean([f.influence for f in found], axis=0)
    return _estimate(float(theta[0]), influence[:, 0], groups)


def calibration_intercepts(probabilities: FloatArray, y: IntArray, groups: IntArray) -> list[Estimate]:
    """Intercept of each class with the slope fixed at 1, mean over repeats.

    0 is perfect; above 0 the class is more frequent than its probabilities say. Intercepts are on
    the log scale and sum to 0; of two classes they are minus and plus half of Cox's.

    Parameters
    ----------
    probabilities : ndarray of float, shape (repeats, n, classes)
    y : ndarray of int, shape (n,)
    groups : ndarray of int, shape (n,)

    Returns
    -------
    list of Estimate
        One per class; without values where a class has no patient.
    """
    n_classes, n = probabilities.shape[2], float(np.unique(groups).size)
    if np.unique(y).size < n_classes:
        return [Estimate(None, None, None, n, "a class has no patient")] * n_classes
    logs = np.log(np.clip(probabilities, SMALLEST_PROBABILITY, 1.0))
    found = [f for f in (_fit(log_p, y, free_slope=False) for log_p in logs) if f is not None]
    if len(found) < len(logs):
        return [Estimate(None, None, None, n, "the fit does not converge")] * n_classes
    theta = np.mean([f.theta for f in found], axis=0)
    influence = np.mean([f.influence for f in found], axis=0)
    centre = np.eye(n_classes)[:, 1:] - 1.0 / n_classes
    return [_estimate(float(row @ theta[1:]), influence[:, 1:] @ row, groups) for row in centre]


def _estimate(value: float, influence: FloatArray, groups: IntArray) -> Estimate:
    """Interval from influences that are added up within groups."""
    per_group = np.bincount(np.unique(groups, return_inverse=True)[1], weights=influence)
    n = per_group.size
    half = _Z * float(np.sqrt((per_group**2).sum() * n / (n - 1)))
    return Estimate(value, value - half, value + half, n, _METHOD)


def _fit(log_p: FloatArray, y: IntArray, *, free_slope: bool) -> _Fit | None:
    """Fit slope and the intercepts of classes 1.. by Newton's method with halved steps; None if it diverges."""
    n, k = log_p.shape
    design = np.zeros((n, k, k))
    design[:, :, 0] = log_p
    design[:, np.arange(1, k), np.arange(1, k)] = 1.0
    free = np.arange(0 if free_slope else 1, k)
    theta = np.eye(k)[0]
    loss = _loss(design, theta, y)
    for _ in range(100):
        gradient, hessian = _derivatives(design, theta, y)
        if loss < _NO_LOSS * n:
            return None
        move = np.zeros(k)
        move[free] = np.linalg.solve(hessian[np.ix_(free, free)] + 1e-9 * np.eye(free.size), gradient.sum(axis=0)[free])
        move *= min(1.0, 4.0 / np.abs(move).max()) if move.any() else 1.0
        while _loss(design, theta + move, y) > loss + 1e-12 * (1 + abs(loss)) and np.abs(move).max() > 1e-12:
            move /= 2
        theta = theta + move
        loss = _loss(design, theta, y)
        if np.abs(theta).max() >= STEEPEST_SLOPE:
            return None
        if np.abs(move).max() < 1e-9:
            break
    gradient, hessian = _derivatives(design, theta, y)
    influence = np.zeros((n, k))
    influence[:, free] = gradient[:, free] @ np.linalg.inv(hessian[np.ix_(free, free)] + 1e-9 * np.eye(free.size))
    return _Fit(theta, influence)


def _loss(design: FloatArray, theta: FloatArray, y: IntArray) -> float:
    return -float(log_softmax(design @ theta, axis=1)[np.arange(y.size), y].sum())


def _derivatives(design: FloatArray, theta: FloatArray, y: IntArray) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log-likelihood per patient (n, parameters), and the information matrix."""
    q = np.exp(log_softmax(design @ theta, axis=1))
    mean = np.einsum("ic,icp->ip", q, design)
    gradient = design[np.arange(y.size), y] - mean
    information = np.einsum("ic,icp,icr->pr", q, design, design) - mean.T @ mean
    return gradient, information
