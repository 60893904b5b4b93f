"""Classifiers of ours where scikit-learn has none: a two-stage cascade, and nearest neighbours that count first."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from radiocard.errors import CohortError

Floats = NDArray[np.float64]


class NearestNeighbours(KNeighborsClassifier):
    """:class:`sklearn.neighbors.KNeighborsClassifier` that refuses to ask for more neighbours than there are patients.

    scikit-learn finds out only when it predicts, inside a fold, and does not say which.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
        y : array-like, shape (n_samples,)

        Raises
        ------
        CohortError
            If there are fewer rows than neighbours (``E_CLASS_COUNT``).
        """
        super().fit(X, y)
        if self.n_samples_fit_ < self.n_neighbors:
            msg = f"Found {self.n_samples_fit_} training patients, expected at least the {self.n_neighbors} neighbours."
            hint = "Use a recipe with fewer neighbours, or add patients."
            raise CohortError(msg, code="E_CLASS_COUNT", hint=hint)
        return self


class Cascade(ClassifierMixin, BaseEstimator):
    """Two stages: one class against all others, then which of the others.

    The probability of the first class is what the first stage gives; that of another class is
    the product of not being the first and of the second stage, which learns from those rows alone.

    Parameters
    ----------
    first, second : classifier, optional
        With ``predict_proba``; logistic regression when None.
    normal : object, optional
        Class that the first stage sets apart; the first in sorted order when None.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        Sorted.
    first_, second_ : classifier
        Fitted on 0 (normal) and 1, and on the places of the other classes among themselves;
        ``second_`` is None where there is one other class.
    normal_ : int
        Position of ``normal`` in ``classes_``.
    """

    def __init__(self, first: Any = None, second: Any = None, normal: Any = None) -> None:
        self.first = first
        self.second = second
        self.normal = normal

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit both stages.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
        y : array-like, shape (n_samples,)

        Raises
        ------
        CohortError
            If there is no row of ``normal``, or of one class only (``E_CLASS_COUNT``).
        """
        values, labels = validate_data(self, X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            msg = "Classifier can't train when only one class is present."
            raise CohortError(msg, code="E_CLASS_COUNT")
        where = [0] if self.normal is None else np.flatnonzero(self.classes_ == self.normal)
        if not len(where):
            msg = f"No row has the class {self.normal!r} that the first stage sets apart."
            raise CohortError(msg, code="E_CLASS_COUNT")
        self.normal_ = int(where[0])
        abnormal = codes != self.normal_
        self.first_ = clone(_given(self.first)).fit(values, abnormal.astype(int))
        others = (codes - (codes > self.normal_))[abnormal]
        self.second_ = clone(_given(self.second)).fit(values[abnormal], others) if len(self.classes_) > 2 else None
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return class probabilities, shape (n_samples, n_classes)."""
        check_is_fitted(self)
        values = validate_data(self, X, reset=False)
        first = np.asarray(self.first_.predict_proba(values), dtype=np.float64)
        others = np.arange(len(self.classes_)) != self.normal_
        out = np.empty((len(values), len(self.classes_)))
        out[:, self.normal_] = first[:, 0]
        out[:, others] = first[:, 1:] * (1.0 if self.second_ is None else self.second_.predict_proba(values))
        return out

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class, shape (n_samples,)."""
        p = self.predict_proba(X)
        chosen: NDArray[Any] = self.classes_[p.argmax(axis=1)]
        return chosen


def _given(stage: Any) -> Any:
    return LogisticRegression() if stage is None else stage
