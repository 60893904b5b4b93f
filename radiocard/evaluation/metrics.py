"""Quality of predictions, each metric on many resamples of the patients at once.

Every function takes ``weights`` of shape (m, n), the number of times each patient counts, and
returns one value per row; one row of ones is the data set itself. With repeats, a metric is
the mean over repeats, and a patient who is drawn brings all repeats along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from radiocard.errors import CohortError, LeakError, UsageError

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

ABSTAINED = -1


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one model said about each patient.

    Parameters
    ----------
    classes : tuple of str
        Labels, in the order of the columns of ``probabilities``.
    y : ndarray of int, shape (n,)
        Class codes of the patients.
    groups : ndarray of int, shape (n,)
        Patients of one group are not independent.
    predicted : ndarray of int, shape (repeats, n)
        Class codes; -1 where the model abstained, which counts as wrong.
    probabilities : ndarray of float, shape (repeats, n, classes), or None
        None for a rule that gives no probability.
    """

    classes: tuple[str, ...]
    y: IntArray
    groups: IntArray
    predicted: IntArray
    probabilities: FloatArray | None

    @property
    def n_groups(self) -> int:
        """Number of independent patients."""
        return int(np.unique(self.groups).size)

    def class_groups(self, c: int) -> int:
        """Count the independent patients of a class."""
        return int(np.unique(self.groups[self.y == c]).size)


def from_probabilities(
    probabilities: ArrayLike, y: ArrayLike, *, classes: tuple[str, ...], groups: ArrayLike | None = None
) -> Predictions:
    """Check probabilities and labels and name the most probable class of each patient.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, classes) or (repeats, n, classes)
    y : array_like of str, shape (n,)
    classes : tuple of str
    groups : array_like, shape (n,), optional
        Patients of one group are not independent; each its own group when None.

    Returns
    -------
    Predictions

    Raises
    ------
    UsageError
        If shapes differ, or probabilities are not finite, negative, or do not sum to 1.
    CohortError
        If a label is not among the classes.
    """
    p = np.asarray(probabilities, dtype=float)
    p = p[None] if p.ndim == 2 else p
    n = np.asarray(y).size
    if p.ndim != 3 or p.shape[1:] != (n, len(classes)):
        msg = f"Probabilities have shape {p.shape}, expected (repeats, {n}, {len(classes)})."
        raise UsageError(msg)
    if not np.isfinite(p).all() or p.min() < 0 or np.abs(p.sum(axis=2) - 1).max() > 1e-5:
        msg = "Probabilities are not finite, are negative, or do not sum to 1."
        raise UsageError(msg)
    return Predictions(classes, encode(y, classes), group_codes(groups, n), p.argmax(axis=2), p)


def encode(y: ArrayLike, classes: tuple[str, ...]) -> IntArray:
    """Turn labels into class codes.

    Raises
    ------
    CohortError
        If a label is not among the classes (``E_COLUMNS``).
    """
    labels = np.asarray(y).astype(str)
    place = {label: c for c, label in enumerate(classes)}
    codes = np.array([place.get(label, -1) for label in labels.tolist()], dtype=np.intp)
    if (codes < 0).any():
        unknown = sorted(set(labels[codes < 0].tolist()))
        msg = f"Labels {', '.join(unknown[:5])} are not among the classes {', '.join(classes)}."
        raise CohortError(msg, code="E_COLUMNS", hint="Class labels are compared exactly.")
    return codes


def group_codes(groups: ArrayLike | None, n: int) -> IntArray:
    """Turn group names into numbers; each patient its own group when None.

    Raises
    ------
    LeakError
        If there is not one group per patient.
    """
    if groups is None:
        return np.arange(n)
    names = np.asarray(groups).astype(str)
    if names.shape != (n,):
        msg = f"There are {n} patients and {names.size} groups; expected one group per patient."
        raise LeakError(msg)
    codes: IntArray = np.unique(names, return_inverse=True)[1]
    return codes


def _share(event: FloatArray, among: FloatArray, weights: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        share: FloatArray = (weights @ event) / (weights @ among)
    return share


def accuracy(predictions: Predictions, weights: FloatArray) -> FloatArray:
    """Share of patients whose class was named; abstaining is wrong. Shape (m,)."""
    right = (predictions.predicted == predictions.y).mean(axis=0)
    return _share(right, np.ones_like(right), weights)


def sensitivity(predictions: Predictions, weights: FloatArray) -> FloatArray:
    """Share of the patients of each class who are called so. Shape (m, classes)."""
    columns = []
    for c in range(len(predictions.classes)):
        of_class = (predictions.y == c).astype(float)
        columns.append(_share((predictions.predicted == c).mean(axis=0) * of_class, of_class, weights))
    return np.stack(columns, axis=1)


def specificity(predictions: Predictions, weights: FloatArray) -> FloatArray:
    """Share of the patients of other classes who are not called so. Shape (m, classes)."""
    columns = []
    for c in range(len(predictions.classes)):
        others = (predictions.y != c).astype(float)
        columns.append(_share((predictions.predicted != c).mean(axis=0) * others, others, weights))
    return np.stack(columns, axis=1)


def balanced_accuracy(predictions: Predictions, weights: FloatArray) -> FloatArray:
    """Mean sensitivity over the classes that have patients. Shape (m,)."""
    present = np.unique(predictions.y)
    return sensitivity(predictions, weights)[:, present].mean(axis=1)


def auc(probabilities: FloatArray, y: IntArray, weights: FloatArray) -> FloatArray:
    """Area under the ROC curve of each class against the others, mean over repeats.

    Parameters
    ----------
    probabilities : ndarray of float, shape (repeats, n, classes)
    y : ndarray of int, shape (n,)
    weights : ndarray of float, shape (m, n)

    Returns
    -------
    ndarray of float, shape (m, classes)
        Chance that a patient of the class is ranked above one of another class, ties counting
        half; NaN where the class or the others have no patient.
    """
    out = np.full((weights.shape[0], probabilities.shape[2]), np.nan)
    for c in range(probabilities.shape[2]):
        positive, negative = np.flatnonzero(y == c), np.flatnonzero(y != c)
        if not positive.size or not negative.size:
            continue
        wins = np.zeros((positive.size, negative.size))
        for p in probabilities[:, :, c]:
            rank = rankdata(p, method="dense")
            wins += (np.sign(rank[positive][:, None] - rank[negative][None]) + 1) / 2
        wins /= probabilities.shape[0]
        wp, wn = weights[:, positive], weights[:, negative]
        mass = wp.sum(axis=1) * wn.sum(axis=1)
        out[:, c] = np.where(mass > 0, ((wp @ wins) * wn).sum(axis=1) / np.where(mass > 0, mass, 1), np.nan)
    return out


def brier(probabilities: FloatArray, y: IntArray, weights: FloatArray) -> FloatArray:
    """Brier score: squared error summed over all classes, from 0 to 2 [1]_. Shape (m,).

    References
    ----------
    .. [1] Brier, Mon Weather Rev 78 (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    onehot = np.eye(probabilities.shape[2])[y]
    each = ((probabilities - onehot) ** 2).sum(axis=2).mean(axis=0)
    return _share(each, np.ones_like(each), weights)


def log_loss(probabilities: FloatArray, y: IntArray, weights: FloatArray) -> FloatArray:
    """Mean of minus the log of the probability given to the true class [nat]. Shape (m,)."""
    given = probabilities[:, np.arange(y.size), y]
    each = -np.log(np.clip(given, np.finfo(float).eps, 1.0)).mean(axis=0)
    return _share(each, np.ones_like(each), weights)


def confusion(predictions: Predictions) -> FloatArray:
    """Count truth against answer, mean over repeats.

    Returns
    -------
    ndarray of float, shape (classes, classes + 1)
        Rows are the true class; the last column counts abstentions.
    """
    k = len(predictions.classes)
    answer = np.where(predictions.predicted == ABSTAINED, k, predictions.predicted)
    counts = np.zeros((k, k + 1))
    np.add.at(counts, (np.broadcast_to(predictions.y, answer.shape), answer), 1.0 / answer.shape[0])
    return counts
