"""Points of ROC, precision-recall and reliability curves, mean over repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

from radiocard.evaluation.intervals import wilson
from radiocard.evaluation.metrics import Predictions

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

GRID = np.linspace(0.0, 1.0, 101)


def roc_points(scores: FloatArray, positive: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """ROC curve of one class: sensitivity averaged over repeats at each false positive rate.

    Parameters
    ----------
    scores : ndarray of float, shape (repeats, n)
    positive : ndarray of bool, shape (n,)

    Returns
    -------
    list of (1 - specificity, sensitivity)
        From (0, 0) to (1, 1); empty where a side has no patient.
    """
    if positive.all() or not positive.any():
        return []
    heights = np.zeros(GRID.size)
    for s in scores:
        fpr, tpr, _ = roc_curve(positive, s, drop_intermediate=False)
        heights += np.interp(GRID, fpr, tpr)
    points = [(float(x), float(h)) for x, h in zip(GRID, heights / len(scores), strict=True)]
    return [(0.0, 0.0), *points]


def precision_recall_points(scores: FloatArray, positive: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Precision-recall curve of one class: precision averaged over repeats at each sensitivity.

    At each sensitivity the precision is that of the highest threshold which reaches it.

    Parameters
    ----------
    scores : ndarray of float, shape (repeats, n)
    positive : ndarray of bool, shape (n,)

    Returns
    -------
    list of (sensitivity, positive predictive value)
        Empty where a side has no patient.
    """
    if positive.all() or not positive.any():
        return []
    heights = np.zeros(GRID.size - 1)
    for s in scores:
        precision, recall, _ = precision_recall_curve(positive, s)
        rising_recall, rising_precision = recall[::-1], precision[::-1]
        heights += rising_precision[np.searchsorted(rising_recall, GRID[1:] - 1e-12)]
    return [(float(x), float(h)) for x, h in zip(GRID[1:], heights / len(scores), strict=True)]


def average_precision(scores: FloatArray, positive: NDArray[np.bool_]) -> float | None:
    """Average precision of one class, mean over repeats; None where a side has no patient."""
    if positive.all() or not positive.any():
        return None
    return float(np.mean([average_precision_score(positive, s) for s in scores]))


def reliability_bins(
    confidence: FloatArray, outcome: NDArray[np.bool_], *, bins: int, n: float
) -> list[dict[str, float | None]]:
    """Reliability curve in equal-mass bins over the predictions of all repeats.

    Parameters
    ----------
    confidence : ndarray of float, shape (repeats, n)
        Predicted probabilities.
    outcome : ndarray of bool, shape (repeats, n)
        Whether the predicted event happened.
    bins : int
        Largest number of bins; equal confidences never part.
    n : float
        Number of independent patients: the Wilson interval of a bin rests on its share of them.

    Returns
    -------
    list of dict
        ``predicted`` (mean), ``observed`` (share), ``low``, ``high``, ``n`` (patients), ``from``, ``to``.
    """
    p, o = confidence.ravel(), outcome.ravel().astype(float)
    _, code, size = np.unique(np.round(p, 10), return_inverse=True, return_counts=True)
    middle = (np.cumsum(size) - size / 2) / p.size
    place = np.minimum((middle * bins).astype(int), bins - 1)[code]
    out: list[dict[str, float | None]] = []
    for b in np.unique(place):
        inside = place == b
        patients = float(inside.sum()) / p.size * n
        estimate = wilson(float(o[inside].mean()), patients)
        out.append(
            {
                "predicted": float(p[inside].mean()),
                "observed": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "n": patients,
                "from": float(p[inside].min()),
                "to": float(p[inside].max()),
            }
        )
    return out


def all_curves(predictions: Predictions, *, bins: int) -> dict[str, Any]:
    """Compute every curve of one model.

    Parameters
    ----------
    predictions : Predictions
        With probabilities.
    bins : int
        Bins of the reliability curves.

    Returns
    -------
    dict
        ``roc``, ``precision_recall``, ``average_precision`` and ``reliability_by_class`` by class label, and
        ``reliability`` of the named class.
    """
    p = predictions.probabilities
    if p is None:
        return {}
    n = predictions.n_groups
    truth = {label: predictions.y == c for c, label in enumerate(predictions.classes)}
    scores = {label: p[:, :, c] for c, label in enumerate(predictions.classes)}
    right = predictions.predicted == predictions.y
    by_class = {
        label: reliability_bins(scores[label], np.broadcast_to(t, scores[label].shape), bins=bins, n=n)
        for label, t in truth.items()
    }
    return {
        "roc": {label: roc_points(scores[label], t) for label, t in truth.items()},
        "precision_recall": {label: precision_recall_points(scores[label], t) for label, t in truth.items()},
        "average_precision": {label: average_precision(scores[label], t) for label, t in truth.items()},
        "reliability": reliability_bins(p.max(axis=2), right, bins=bins, n=n),
        "reliability_by_class": by_class,
    }
