"""The explainable boosting machine without interactions: one curve per measurement, added up."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from radiocard.errors import CohortError, MissingExtraError

Floats = NDArray[np.float64]


class GlassBoxClassifier(ClassifierMixin, BaseEstimator):
    """Additive model whose curves the explainable boosting machine of interpret-core learns [1]_ [2]_.

    Only the fit needs interpret-core: what is kept are the cuts and the heights of the steps, so
    that a saved model answers and explains itself without it. Each bag sets rows aside to stop
    early; these know nothing of groups, so that identical images can lengthen the boosting.

    Parameters
    ----------
    max_bins : int
        Largest number of steps of a curve.
    outer_bags : int
        Models averaged.
    learning_rate : float
    max_rounds : int
        Largest number of boosting rounds.
    min_samples_leaf : int
    random_state : int

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    cuts_ : list of ndarray of float, one per feature
        Ascending; a value equal to a cut belongs above it.
    heights_ : list of ndarray of float, shape (n_cuts + 1, n_scores)
        Contribution of each step; one score for two classes, else one per class [log-odds].
    intercept_ : ndarray of float, shape (n_scores,)

    References
    ----------
    .. [1] Lou, Caruana & Gehrke, KDD (2012), doi:10.1145/2339530.2339556
    .. [2] Nori et al., InterpretML, arXiv:1909.09223 (2019)
    """

    def __init__(
        self,
        *,
        max_bins: int = 64,
        outer_bags: int = 8,
        learning_rate: float = 0.015,
        max_rounds: int = 2000,
        min_samples_leaf: int = 4,
        random_state: int = 0,
    ) -> None:
        self.max_bins = max_bins
        self.outer_bags = outer_bags
        self.learning_rate = learning_rate
        self.max_rounds = max_rounds
        self.min_samples_leaf = min_samples_leaf
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn the curves.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
            No undefined value.
        y : array-like, shape (n_samples,)

        Raises
        ------
        MissingExtraError
            If interpret-core is not installed.
        CohortError
            If there is one class only (``E_CLASS_COUNT``).
        """
        values, labels = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            msg = "Classifier can't train when only one class is present."
            raise CohortError(msg, code="E_CLASS_COUNT")
        machine = _machine()(
            interactions=0,
            max_bins=self.max_bins,
            outer_bags=self.outer_bags,
            learning_rate=self.learning_rate,
            max_rounds=self.max_rounds,
            min_samples_leaf=self.min_samples_leaf,
            feature_types=["continuous"] * values.shape[1],
            n_jobs=1,
            random_state=self.random_state,
        ).fit(values, codes)
        n_scores = 1 if len(self.classes_) == 2 else len(self.classes_)
        self.cuts_ = [np.empty(0)] * values.shape[1]
        self.heights_ = [np.zeros((1, n_scores))] * values.shape[1]
        for (j,), scores in zip(machine.term_features_, machine.term_scores_, strict=True):
            self.cuts_[j] = np.asarray(machine.bins_[j][0], dtype=np.float64)
            # The first height is that of undefined values, the last that of unknown ones.
            self.heights_[j] = np.asarray(scores, dtype=np.float64).reshape(-1, n_scores)[1:-1]
        self.intercept_ = np.asarray(machine.intercept_, dtype=np.float64).reshape(n_scores)
        return self

    def contributions(self, X: ArrayLike) -> Floats:
        """Return what each feature adds to each score, shape (n_samples, n_scores, n_features) [log-odds]."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        steps = [np.searchsorted(cuts, values[:, j], side="right") for j, cuts in enumerate(self.cuts_)]
        return np.stack([h[at] for h, at in zip(self.heights_, steps, strict=True)], axis=2)

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return the scores, shape (n_samples,) for two classes, else (n_samples, n_classes) [log-odds]."""
        score: Floats = self.contributions(X).sum(axis=2) + self.intercept_
        return score[:, 0] if len(self.classes_) == 2 else score

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return class probabilities, shape (n_samples, n_classes)."""
        score = self.decision_function(X)
        if len(self.classes_) > 2:
            several: Floats = softmax(score, axis=1)
            return several
        p = expit(score)
        return np.stack([1 - p, p], axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class, shape (n_samples,)."""
        p = self.predict_proba(X)
        chosen: NDArray[Any] = self.classes_[p.argmax(axis=1)]
        return chosen


def _machine() -> Any:
    try:
        from interpret.glassbox import ExplainableBoostingClassifier
    except ImportError:
        msg = "The explainable boosting machine needs interpret-core, which is not installed."
        raise MissingExtraError(msg, hint="Install with: pip install 'radiocard[ebm]'") from None
    return ExplainableBoostingClassifier
