"""How far a row lies from the training rows: outside their range, far from every class centre, without neighbours."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PARTS = ("range", "distance", "neighbours")
RANGE_MARGIN = 0.1
NEIGHBOURS = 5
TINY = 1e-12


class NoveltyScore(BaseEstimator):
    """Three scores of how far a row lies from the training rows; larger is farther.

    ``range`` counts the columns outside the training range, widened by a margin. ``distance`` is
    the Mahalanobis distance to the nearest class centre under one covariance within classes
    [1]_, shrunk after Ledoit and Wolf [2]_. ``neighbours`` is the distance to the k-th nearest
    training row [3]_. The last two take standardised columns; undefined values count as the
    training median, and are never out of range.

    Parameters
    ----------
    inner : sequence of int or None
        Positions of the columns for ``distance`` and ``neighbours``; all when None.
    margin : float
        Share of the training range by which it is widened at either end.
    n_neighbors : int
        k; all rows if there are fewer.

    Attributes
    ----------
    low_, high_ : ndarray of float, shape (n_features,)
        Training range, not widened; NaN where a column has no defined value.
    median_ : ndarray of float, shape (n_inner,)
        Stands for undefined values.
    mean_, scale_ : ndarray of float, shape (n_inner,)
        Of the training rows; the scale of a constant column is infinite, so that only ``range`` sees it.
    centres_ : ndarray of float, shape (n_classes, n_inner)
        Class means of the standardised columns.
    within_ : ndarray of float, shape (n_inner,)
        Standard deviation within classes of the standardised columns.
    precision_ : ndarray of float, shape (n_inner, n_inner)
        Inverse covariance within classes.

    References
    ----------
    .. [1] Lee et al., NeurIPS (2018), arXiv:1807.03888
    .. [2] Ledoit & Wolf, J Multivar Anal 88 (2004), doi:10.1016/S0047-259X(03)00096-4
    .. [3] Sun et al., ICML (2022), arXiv:2204.06507
    """

    def __init__(
        self, inner: ArrayLike | None = None, margin: float = RANGE_MARGIN, n_neighbors: int = NEIGHBOURS
    ) -> None:
        self.inner = inner
        self.margin = margin
        self.n_neighbors = n_neighbors

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn ranges, centres, covariance and neighbours.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
            NaN stands for undefined.
        y : array-like, shape (n_samples,), optional
            Classes; one class without it.
        """
        values: Floats = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
        known = ~np.isnan(values)
        empty = ~known.any(axis=0)
        self.low_ = np.where(empty, np.nan, np.where(known, values, np.inf).min(axis=0))
        self.high_ = np.where(empty, np.nan, np.where(known, values, -np.inf).max(axis=0))
        self.inner_ = np.arange(values.shape[1]) if self.inner is None else np.asarray(self.inner, dtype=np.intp)
        chosen = values[:, self.inner_]
        self.median_ = _median(chosen)
        filled = np.where(np.isnan(chosen), self.median_, chosen)
        self.mean_, deviation = filled.mean(axis=0), filled.std(axis=0)
        self.scale_ = np.where(deviation > TINY * (1 + np.abs(self.mean_)), deviation, np.inf)
        z = (filled - self.mean_) / self.scale_
        codes = np.zeros(len(z), dtype=np.intp) if y is None else np.unique(np.asarray(y), return_inverse=True)[1]
        self.centres_ = np.array([z[codes == c].mean(axis=0) for c in range(codes.max() + 1)])
        residuals = z - self.centres_[codes]
        self.within_ = np.maximum(residuals.std(axis=0), TINY)
        shrunk = LedoitWolf(assume_centered=True).fit(residuals).covariance_
        self.precision_ = np.linalg.pinv(shrunk, hermitian=True)
        self.neighbours_ = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(z))).fit(z)
        return self

    def score_parts(self, X: ArrayLike) -> Floats:
        """Return the three scores, shape (n_samples, 3), in the order of :data:`PARTS`."""
        values = self._checked(X)
        z = self._standardise(values)
        return np.column_stack(
            [
                self._outside(values).sum(axis=1),
                np.sqrt(self._squared_distances(z).min(axis=1)),
                self.neighbours_.kneighbors(z)[0][:, -1],
            ]
        )

    def outside(self, X: ArrayLike) -> Bools:
        """Return which values lie outside the widened training range, shape (n_samples, n_features)."""
        return self._outside(self._checked(X))

    def deviations(self, X: ArrayLike) -> Floats:
        """Return distances from the nearest class centre, in standard deviations within classes.

        Returns
        -------
        ndarray of float, shape (n_samples, n_inner)
        """
        z = self._standardise(self._checked(X))
        nearest = self.centres_[self._squared_distances(z).argmin(axis=1)]
        return np.asarray((z - nearest) / self.within_)

    def _checked(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False))

    def _outside(self, values: Floats) -> Bools:
        room = self.margin * (self.high_ - self.low_)
        return np.asarray((values < self.low_ - room) | (values > self.high_ + room))  # false where undefined

    def _standardise(self, values: Floats) -> Floats:
        chosen = values[:, self.inner_]
        return np.asarray((np.where(np.isnan(chosen), self.median_, chosen) - self.mean_) / self.scale_)

    def _squared_distances(self, z: Floats) -> Floats:
        away = z[:, None, :] - self.centres_[None]
        return np.maximum(np.einsum("ncf,fg,ncg->nc", away, self.precision_, away, optimize=True), 0.0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _median(values: Floats) -> Floats:
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    return np.asarray(np.nanmedian(known, axis=0))
