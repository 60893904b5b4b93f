"""What two models say of the same patients: agreement, and who changes class. No test is made of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.inter_rater import cohens_kappa

from radiocard.errors import UsageError
from radiocard.evaluation.intervals import Estimate, wilson
from radiocard.evaluation.metrics import ABSTAINED

IntArray = NDArray[np.intp]

NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often two models say the same.

    Parameters
    ----------
    share : Estimate
        Of the patients, with Wilson's interval.
    kappa : Estimate
        Cohen's kappa: agreement beyond chance, 1 at most.
    """

    share: Estimate
    kappa: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"share": self.share.to_dict(), "kappa": self.kappa.to_dict()}


@dataclass(frozen=True, eq=False)
class Reclassification:
    """Where patients go when one model replaces another; descriptive only.

    Parameters
    ----------
    labels : tuple of str
        Answers, in the order of the rows and columns; ``no answer`` last where a model abstained.
    by_truth : dict of str to ndarray of int, shape (answers, answers)
        By true class: patients by the answer of the reference (rows) and of the model (columns).
    corrected, spoilt, still_wrong : int
        Patients who become right, become wrong, and change from one wrong answer to another.
    """

    labels: tuple[str, ...]
    by_truth: dict[str, IntArray]
    corrected: int
    spoilt: int
    still_wrong: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "labels": list(self.labels),
            "by_truth": {k: v.tolist() for k, v in self.by_truth.items()},
            "corrected": self.corrected,
            "spoilt": self.spoilt,
            "still_wrong": self.still_wrong,
            "note": "Descriptive: net reclassification is not tested, since it rewards miscalibrated models.",
        }


def agreement(first: ArrayLike, second: ArrayLike) -> Agreement:
    """Share of patients of whom two models say the same, and Cohen's kappa [1]_.

    Parameters
    ----------
    first, second : array_like of int, shape (n,)
        Class codes, one per independent patient; -1 for an abstention, which is an answer of its own.

    Returns
    -------
    Agreement
        Kappa without a value where both always give one same answer.

    Raises
    ------
    UsageError
        If the lengths differ, or there is no patient.

    References
    ----------
    .. [1] Fleiss, Cohen & Everitt, Psychol Bull 72 (1969), doi:10.1037/h0028106
    """
    a, b = _codes(first, second)
    share = wilson(float((a == b).mean()), a.size)
    answers, code = np.unique(np.r_[a, b], return_inverse=True)
    table = np.zeros((answers.size, answers.size))
    np.add.at(table, (code[: a.size], code[a.size :]), 1)
    if answers.size < 2:
        return Agreement(share, Estimate(None, None, None, a.size, "both give one same answer to everybody"))
    with np.errstate(invalid="ignore"):
        found = cohens_kappa(table)
    low, high = float(found.kappa_low), float(found.kappa_upp)
    if not math.isfinite(low) or math.isclose(low, high):
        return Agreement(share, Estimate(float(found.kappa), None, None, a.size, "no variance"))
    return Agreement(share, Estimate(float(found.kappa), max(low, -1.0), min(high, 1.0), a.size, "normal, Fleiss 1969"))


def reclassification(
    reference: ArrayLike, model: ArrayLike, y: ArrayLike, *, classes: tuple[str, ...]
) -> Reclassification:
    """Cross-tabulate the answers of two models within each true class.

    Parameters
    ----------
    reference, model : array_like of int, shape (n,)
        Class codes, one per independent patient; -1 for an abstention.
    y : array_like of int, shape (n,)
        True class codes.
    classes : tuple of str

    Returns
    -------
    Reclassification

    Raises
    ------
    UsageError
        If the lengths differ, or there is no patient.
    """
    a, b = _codes(reference, model)
    truth, _ = _codes(y, reference)
    silent = bool((np.r_[a, b] == ABSTAINED).any())
    labels = (*classes, NO_ANSWER) if silent else classes
    place_a, place_b = (np.where(v == ABSTAINED, len(classes), v) for v in (a, b))
    by_truth = {}
    for c, label in enumerate(classes):
        table = np.zeros((len(labels), len(labels)), dtype=np.intp)
        np.add.at(table, (place_a[truth == c], place_b[truth == c]), 1)
        by_truth[label] = table
    return Reclassification(
        labels=labels,
        by_truth=by_truth,
        corrected=int(((a != truth) & (b == truth)).sum()),
        spoilt=int(((a == truth) & (b != truth)).sum()),
        still_wrong=int(((a != truth) & (b != truth) & (a != b)).sum()),
    )


def _codes(first: ArrayLike, second: ArrayLike) -> tuple[IntArray, IntArray]:
    a, b = np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        msg = f"There are {a.size} and {b.size} answers; expected one of each model for each patient."
        raise UsageError(msg)
    return a, b
