"""How far a row lies from the training rows: outside their range, far from every class centre, without neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.covariance import LedoitWolf, MinCovDet
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data

from radiocard.errors import UsageError

Covariance = Literal["mcd", "shrunk"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PARTS = ("range", "distance", "neighbours")
RANGE_MARGIN = 0.1
NEIGHBOURS = 5
ROWS_PER_COLUMN = 5
SUPPORT = 0.75
SAME = 1e-9
TINY = 1e-12


class NoveltyScore(BaseEstimator):
    """Three scores of how far a row lies from the training rows; larger is farther.

    ``range`` counts the columns outside the training range, widened by a margin. ``distance`` is
    the Mahalanobis distance to the nearest class centre under one covariance within classes
    [1]_. It is robust: class medians, and the minimum covariance determinant of the pooled rows
    [2]_, [3]_, which up to a quarter of odd training rows do not move. Below five rows for each
    column that determinant cannot be trusted [2]_; class means and the covariance
    shrunk after Ledoit and Wolf [4]_ stand in, and ``covariance_`` says so. ``neighbours`` is the
    distance to the k-th nearest training row [5]_. The last two take standardised columns;
    undefined values count as the training median, and are never out of range.

    Parameters
    ----------
    inner : sequence of int or None
        Positions of the columns for ``distance`` and ``neighbours``; all when None.
    margin : float
        Share of the training range by which it is widened at either end.
    n_neighbors : int
        k; all rows if there are fewer.
    covariance : {'mcd', 'shrunk'} or None
        Covariance of ``distance``; by the number of rows when None.

    Attributes
    ----------
    low_, high_ : ndarray of float, shape (n_features,)
        Training range, not widened; NaN where a column has no defined value.
    median_ : ndarray of float, shape (n_inner,)
        Stands for undefined values.
    mean_, scale_ : ndarray of float, shape (n_inner,)
        Of the training rows; the scale of a constant column is infinite, so that only ``range`` sees it.
    covariance_ : {'mcd', 'shrunk'}
        Covariance that was used.
    centres_ : ndarray of float, shape (n_classes, n_inner)
        Class centres of the standardised columns.
    within_ : ndarray of float, shape (n_inner,)
        Standard deviation within classes of the standardised columns, robust as the covariance is.
    precision_ : ndarray of float, shape (n_inner, n_inner)
        Inverse covariance within classes.

    References
    ----------
    .. [1] Lee et al., NeurIPS (2018), arXiv:1807.03888
    .. [2] Rousseeuw & Van Driessen, Technometrics 41 (1999), doi:10.1080/00401706.1999.10485670
    .. [3] Hubert & Van Driessen, Comput Stat Data Anal 45 (2004), doi:10.1016/S0167-9473(02)00299-2
    .. [4] Ledoit & Wolf, J Multivar Anal 88 (2004), doi:10.1016/S0047-259X(03)00096-4
    .. [5] Sun et al., ICML (2022), arXiv:2204.06507
    """

    def __init__(
        self,
        inner: ArrayLike | None = None,
        margin: float = RANGE_MARGIN,
        n_neighbors: int = NEIGHBOURS,
        covariance: Covariance | None = None,
    ) -> None:
        self.inner = inner
        self.margin = margin
        self.n_neighbors = n_neighbors
        self.covariance = covariance

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn ranges, centres, covariance and neighbours.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_features)
            NaN stands for undefined.
        y : array-like, shape (n_samples,), optional
            Classes; one class without it.

        Raises
        ------
        UsageError
            If ``covariance`` is not known.
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
        self.covariance_ = self.covariance or allowed_covariance(*z.shape)
        if self.covariance_ not in FITS:
            msg = f"Covariance {self.covariance_!r} is not known, expected one of {', '.join(FITS)}."
            raise UsageError(msg)
        self.centres_, self.precision_, within = FITS[self.covariance_](z, codes)
        self.within_ = np.maximum(within, TINY)
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


def allowed_covariance(n_rows: int, n_columns: int) -> Covariance:
    """Name the covariance that the smallest of several fits allows; scores are compared with the same one only.

    Examples
    --------
    >>> allowed_covariance(100, 20), allowed_covariance(99, 20)
    ('mcd', 'shrunk')
    """
    return "mcd" if n_rows >= ROWS_PER_COLUMN * n_columns else "shrunk"


def _shrunk(z: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Return class means, the inverse of the shrunk covariance within classes, and deviations."""
    centres = _centres(z, codes, np.mean)
    residuals = z - centres[codes]
    covariance = LedoitWolf(assume_centered=True).fit(residuals).covariance_
    return centres, np.asarray(np.linalg.pinv(covariance, hermitian=True)), residuals.std(axis=0)


def _robust(z: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Return robust class centres, the inverse of the minimum covariance determinant, and deviations.

    Along directions in which the training does not vary, such as a sum of other columns, the
    least variance of the others stands, so that a row that breaks the tie is far.
    """
    means = _centres(z, codes, np.mean)
    axes, kept = _axes(z - means[codes])
    if not kept.any():
        return _shrunk(z, codes)
    along = (z - means[codes]) @ axes[:, kept]
    medians = _centres(along, codes, np.median)
    found = MinCovDet(support_fraction=SUPPORT, random_state=0).fit(along - medians[codes])
    variances, turned = np.linalg.eigh(found.covariance_)
    variances = np.maximum(variances, SAME * variances.max())
    directions = axes[:, kept] @ turned
    precision = (directions / variances) @ directions.T + axes[:, ~kept] @ axes[:, ~kept].T / variances.min()
    centres = means + (medians + found.location_) @ axes[:, kept].T
    return centres, np.asarray(precision), np.sqrt(directions**2 @ variances)


FITS = {"mcd": _robust, "shrunk": _shrunk}


def _axes(residuals: Floats) -> tuple[Floats, Bools]:
    """Return the principal axes as columns, and along which of them the rows vary."""
    _, singular, axes = np.linalg.svd(residuals, full_matrices=True)
    spread = np.zeros(residuals.shape[1])
    spread[: len(singular)] = singular
    return np.asarray(axes.T), spread > SAME * max(float(spread.max(initial=0.0)), TINY)


def _centres(z: Floats, codes: NDArray[np.intp], centre: Callable[..., Any]) -> Floats:
    return np.array([centre(z[codes == c], axis=0) for c in range(codes.max() + 1)])


def _median(values: Floats) -> Floats:
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    return np.asarray(np.nanmedian(known, axis=0))
