"""Transformers that choose columns; fitted inside the pipeline, so only ever inside a fold."""

from __future__ import annotations

import itertools
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin, mutual_info_classif
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from radiocard.errors import CohortError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
SCORE_CAP = 1e30


class DropUnusable(SelectorMixin, BaseEstimator):
    """Drop columns that are empty (all undefined) or constant in the training rows.

    Attributes
    ----------
    empty_ : ndarray of bool, shape (n_features,)
        Columns without any defined value.
    constant_ : ndarray of bool, shape (n_features,)
        Columns whose defined values are all the same.
    """

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Find the unusable columns.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
            NaN stands for undefined.
        y : object, optional
            Not used.

        Raises
        ------
        CohortError
            If no column is usable (``E_COLUMNS``).
        """
        values: Floats = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
        known = ~np.isnan(values)
        self.empty_ = ~known.any(axis=0)
        low = np.where(known, values, np.inf).min(axis=0)
        high = np.where(known, values, -np.inf).max(axis=0)
        self.constant_ = (low == high) & ~self.empty_
        if not self._get_support_mask().any():
            msg = f"None of the {values.shape[1]} columns varies between the training rows."
            raise CohortError(msg, code="E_COLUMNS", hint="Check that the table holds measurements.")
        return self

    def _get_support_mask(self) -> Bools:
        check_is_fitted(self)
        return np.asarray(~(self.empty_ | self.constant_), dtype=bool)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class CorrelationFilter(SelectorMixin, BaseEstimator):
    """Keep one column of each pair whose absolute Spearman correlation exceeds a threshold.

    Columns are visited from the least to the most correlated with all others (mean
    absolute correlation; ties in column order), and one is kept if it is not too close
    to a column that was kept before.

    Parameters
    ----------
    threshold : float
        Largest absolute correlation between two kept columns, in (0, 1].

    Attributes
    ----------
    stands_in_ : ndarray of int, shape (n_features,)
        For each column the index of the kept column that stands for it (its own if kept).
    """

    def __init__(self, threshold: float = 0.95) -> None:
        self.threshold = threshold

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Decide which columns stay.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
            Without undefined values.
        y : object, optional
            Not used.
        """
        values: Floats = validate_data(self, X, dtype=np.float64)
        r = _absolute_rank_correlation(values)
        kept: list[int] = []
        stands_in = np.arange(values.shape[1])
        for j in np.argsort(r.mean(axis=0), kind="stable"):
            close = r[j, kept] > self.threshold
            if close.any():
                stands_in[j] = kept[int(np.argmax(r[j, kept]))]
            else:
                kept.append(int(j))
        self.stands_in_ = stands_in
        return self

    def _get_support_mask(self) -> Bools:
        check_is_fitted(self)
        return np.asarray(self.stands_in_ == np.arange(len(self.stands_in_)), dtype=bool)


class SelectTop(SelectorMixin, BaseEstimator):
    """Keep the ``k`` columns that tell the classes apart best, each taken alone.

    Parameters
    ----------
    method : {'anova', 'anova_per_class', 'mutual_info'}
        One-way analysis of variance (F); F of each class against all others, the classes
        taking their best remaining column in turn, so that no class is left without one; or
        mutual information with the class.
    k : int
        Number of columns kept; all if there are fewer.
    random_state : int
        Seed of the mutual information estimate.

    Attributes
    ----------
    scores_ : ndarray of float, shape (n_features,)
        Score of each column, at most ``SCORE_CAP``; ties are broken by column order. With
        ``anova_per_class`` it counts down from the first column taken.
    """

    def __init__(
        self,
        method: Literal["anova", "anova_per_class", "mutual_info"] = "anova",
        k: int = 10,
        random_state: int | None = 0,
    ) -> None:
        self.method = method
        self.k = k
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Score the columns.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
            Without undefined values.
        y : array-like, shape (n_samples,)
            Classes.
        """
        values, classes = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(classes)
        if self.method == "anova":
            scores = anova_f(values, classes)
        elif self.method == "anova_per_class":
            scores = _per_class(values, classes)
        else:
            scores = mutual_info_classif(values, classes, random_state=self.random_state)
        self.scores_ = np.minimum(scores, SCORE_CAP)
        return self

    def _get_support_mask(self) -> Bools:
        check_is_fitted(self)
        mask = np.zeros(len(self.scores_), dtype=bool)
        mask[np.argsort(-self.scores_, kind="stable")[: self.k]] = True
        return mask

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def anova_f(X: Floats, y: NDArray[Any]) -> Floats:
    """Compute the F statistic of a one-way analysis of variance for each column.

    Parameters
    ----------
    X : ndarray of float, shape (n_samples, n_features)
        Values.
    y : ndarray, shape (n_samples,)
        Classes.

    Returns
    -------
    ndarray of float, shape (n_features,)
        0 where a column is constant, infinite where it varies only between classes.

    Examples
    --------
    >>> anova_f(np.array([[1.0], [2.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])).tolist()
    [18.0]
    """
    classes, codes = np.unique(y, return_inverse=True)
    centred = X - X.mean(axis=0)
    between = np.zeros(X.shape[1])
    within = np.zeros(X.shape[1])
    for c in range(len(classes)):
        part = centred[codes == c]
        mean = part.mean(axis=0)
        between += len(part) * mean**2
        within += ((part - mean) ** 2).sum(axis=0)
    n, k = len(y), len(classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        f = (between / max(k - 1, 1)) / (within / max(n - k, 1))
    return np.nan_to_num(f, nan=0.0, posinf=np.inf)


def _per_class(X: Floats, y: NDArray[Any]) -> Floats:
    """Let the classes take columns in turn; return the count-down of that order, shape (n_features,)."""
    wishes = [iter(np.argsort(-anova_f(X, y == c), kind="stable").tolist()) for c in np.unique(y)]
    taken: dict[int, None] = {}
    for wish in itertools.cycle(wishes):
        if len(taken) == X.shape[1]:
            break
        taken[next(j for j in wish if j not in taken)] = None
    scores = np.zeros(X.shape[1])
    scores[list(taken)] = np.arange(X.shape[1], 0, -1)
    return scores


def _absolute_rank_correlation(X: Floats) -> Floats:
    """Return |Spearman r| between columns, shape (n_features, n_features); 0 for constant ones."""
    ranks = rankdata(X, axis=0)
    ranks = ranks - ranks.mean(axis=0)
    norm = np.sqrt((ranks**2).sum(axis=0))
    unit = np.divide(ranks, norm, out=np.zeros_like(ranks), where=norm > 0)
    return np.abs(unit.T @ unit)
