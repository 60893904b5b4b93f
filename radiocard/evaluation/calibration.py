"""Binned calibration error, beside the value that a perfectly calibrated model shows at this n.

Every function works on many resamples at once: ``weights`` holds one row per resample, the
number of times each patient is in it; one row of ones is the data set itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

_TIE_DECIMALS = 10


@dataclass(frozen=True, slots=True)
class ExpectedError:
    """Calibration error that a perfectly calibrated model shows at this n, by simulation.

    Parameters
    ----------
    mean : float
        Its expectation; a sample of finite size never shows 0.
    high : float
        Its 95th percentile.
    p : float
        Share of the simulated values that reach the observed one.
    """

    mean: float
    high: float
    p: float


def binned_error(confidence: FloatArray, outcome: FloatArray, weights: FloatArray, *, bins: int) -> FloatArray:
    """Mean absolute gap between confidence and frequency over bins of equal mass [1]_.

    Equal confidences never part: they stand in one bin, at the middle of their mass, so that
    the order of the patients does not matter.

    Parameters
    ----------
    confidence : ndarray of float, shape (n,)
        Predicted probabilities.
    outcome : ndarray of float, shape (n,) or (m, n)
        1 where the predicted event happened; several rows are several sets of labels.
    weights : ndarray of float, shape (m, n) or (1, n)
        How often each patient counts.
    bins : int
        Number of bins.

    Returns
    -------
    ndarray of float, shape (m,)
        Error per row.

    References
    ----------
    .. [1] Naeini et al., AAAI 2015; equal-mass bins: Nixon et al., CVPR Workshops 2019
    """
    level, code = np.unique(np.round(confidence, _TIE_DECIMALS), return_inverse=True)
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(level.size))
    w = np.atleast_2d(weights)
    happened = w * np.atleast_2d(outcome)
    rows = happened.shape[0]
    mass = np.add.reduceat(np.broadcast_to(w, happened.shape)[:, order], starts, axis=1)
    gap = np.add.reduceat(happened[:, order], starts, axis=1) - mass * level
    total = mass.sum(axis=1, keepdims=True)
    place = np.minimum((np.cumsum(mass, axis=1) - mass / 2) / total * bins, bins - 1).astype(np.intp)
    flat = (place + bins * np.arange(rows)[:, None]).ravel()
    per_bin = np.bincount(flat, weights=gap.ravel(), minlength=rows * bins).reshape(rows, bins)
    error: FloatArray = np.abs(per_bin).sum(axis=1) / total[:, 0]
    return error


def top_label_error(probabilities: FloatArray, y: IntArray, weights: FloatArray, *, bins: int) -> FloatArray:
    """Compute the expected calibration error of the named class, mean over repeats.

    Parameters
    ----------
    probabilities : ndarray of float, shape (repeats, n, classes)
    y : ndarray of int, shape (n,) or (m, n)
        Class codes; several rows are several sets of labels.
    weights : ndarray of float, shape (m, n) or (1, n)
    bins : int

    Returns
    -------
    ndarray of float, shape (m,)
    """
    errors = []
    for p in probabilities:
        top = p.argmax(axis=1)
        errors.append(binned_error(p.max(axis=1), (y == top).astype(float), weights, bins=bins))
    return np.mean(errors, axis=0)


def classwise_error(probabilities: FloatArray, y: IntArray, weights: FloatArray, *, bins: int) -> FloatArray:
    """Compute the expected calibration error of each class's probability, mean over classes and repeats.

    Parameters and returns are those of :func:`top_label_error`.
    """
    classes = range(probabilities.shape[2])
    errors = [binned_error(p[:, c], (y == c).astype(float), weights, bins=bins) for p in probabilities for c in classes]
    return np.mean(errors, axis=0)


def simulate_labels(probabilities: FloatArray, *, n_draws: int, random_state: int) -> list[IntArray]:
    """Draw labels as if the probabilities were true; one uniform number per patient serves all repeats.

    Parameters
    ----------
    probabilities : ndarray of float, shape (repeats, n, classes)
    n_draws : int
    random_state : int

    Returns
    -------
    list of ndarray of int, each of shape (n_draws, n)
        One array per repeat.
    """
    u = np.random.default_rng(random_state).random((n_draws, probabilities.shape[1], 1))
    out = []
    for p in probabilities:
        edges = np.cumsum(p, axis=1)[:, :-1]
        out.append((u > edges[None]).sum(axis=2))
    return out


def expected_error(
    probabilities: FloatArray, observed: float, *, kind: str, bins: int, n_draws: int, random_state: int
) -> ExpectedError:
    """Simulate the calibration error of a perfectly calibrated model with these very probabilities.

    Parameters
    ----------
    probabilities : ndarray of float, shape (repeats, n, classes)
    observed : float
        The error that was measured.
    kind : {'top', 'classwise'}
    bins : int
    n_draws : int
    random_state : int

    Returns
    -------
    ExpectedError
    """
    measure = top_label_error if kind == "top" else classwise_error
    ones = np.ones((1, probabilities.shape[1]))
    labels = simulate_labels(probabilities, n_draws=n_draws, random_state=random_state)
    draws = np.mean([measure(p[None], y, ones, bins=bins) for p, y in zip(probabilities, labels, strict=True)], axis=0)
    share = float((1 + (draws >= observed - 1e-12).sum()) / (1 + n_draws))
    return ExpectedError(float(draws.mean()), float(np.quantile(draws, 0.95)), share)
