"""What several sites allow: whether site and class can be told apart, and robust scaling site by site."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2_contingency
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from radiocard.errors import CohortError, UsageError

Floats = NDArray[np.float64]

SMALL_SITE = 20
_QUARTILES_PER_SD = 1.3489795003921634


def small_site_note(site: object, n: int) -> str:
    """Say that a site is too small to be described well."""
    name = f"{site:g}" if isinstance(site, float) else str(site)
    return f"Site {name} is described by {n} patients, fewer than {SMALL_SITE}: its effect is uncertain."


def site_notes(sites: ArrayLike, y: ArrayLike | None) -> tuple[str, ...]:
    """Tell what makes site effects doubtful; refuse where they are the effects of the classes.

    Site and class can be told apart if one can walk from every site to every other through classes that
    they share.

    Parameters
    ----------
    sites : array-like, shape (n,)
        Site of each patient.
    y : array-like, shape (n,), or None
        Class of each patient, where known.

    Returns
    -------
    tuple of str
        Sites with fewer than :data:`SMALL_SITE` patients; association of site and class (chi-squared
        p < 0.05) with Cramer's V.

    Raises
    ------
    CohortError
        If no class joins some of the sites to the others.
    """
    names, where, counts = np.unique(np.asarray(sites), return_inverse=True, return_counts=True)
    notes = [small_site_note(s, int(n)) for s, n in zip(names.tolist(), counts, strict=True) if n < SMALL_SITE]
    if y is None or names.size < 2:
        return tuple(notes)
    classes, codes = np.unique(np.asarray(y), return_inverse=True)
    table = np.zeros((names.size, classes.size))
    np.add.at(table, (where, codes), 1)
    corner = np.zeros((names.size, names.size))
    graph = np.block([[corner, table > 0], [(table > 0).T, np.zeros((classes.size, classes.size))]])
    if classes.size > 1 and connected_components(csr_array(graph), directed=False)[0] > 1:
        msg = "Sites and classes cannot be told apart: some sites share no class with the others."
        hint = "Removing the site effect would remove the disease. Add patients of every class at the sites."
        raise CohortError(msg, code="E_CLASS_COUNT", field="site", hint=hint)
    if classes.size > 1:
        test = chi2_contingency(table, correction=False)
        if test.pvalue < 0.05:
            v = float(np.sqrt(test.statistic / (table.sum() * (min(table.shape) - 1))))
            notes.append(
                f"The class mix differs between sites (Cramer's V {v:.2f}, chi-squared p = {test.pvalue:.2g}): part of "
                "what is removed as a site effect is disease."
            )
    return tuple(notes)


class SiteScaler(TransformerMixin, BaseEstimator):
    """Standardise each site by itself: median 0, interquartile range that of a standard normal.

    Transductive: a new site needs some of its own patients, and their class mix moves the answer. A site
    with more patients of one class has its median nearer to that class, which then looks less abnormal.

    Parameters
    ----------
    site_column : int or None
        Column of ``X`` that holds the code of the site; it is not among the columns that come out.
        None: all patients are of one site.

    Attributes
    ----------
    centre_, spread_ : dict of float to ndarray of float, shape (n_features,)
        By code of the site. A column without spread at a site is only centred.
    notes_ : tuple of str
        What a reader must know.
    """

    def __init__(self, site_column: int | None = None) -> None:
        self.site_column = site_column

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Describe each site.

        Parameters
        ----------
        X : array-like of float, shape (n_patients, n_columns)
            Features and site; no value undefined.
        y : array-like, shape (n_patients,), optional
            Classes; used only to see whether site and class can be told apart.

        Raises
        ------
        UsageError
            If the column number is out of range.
        CohortError
            If site and class cannot be told apart.
        """
        values: Floats = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        if self.site_column is not None and not 0 <= self.site_column < self.n_features_in_:
            msg = f"site_column is {self.site_column}, expected a number below {self.n_features_in_}."
            raise UsageError(msg, field="site_column")
        sites, features = self._parts(values)
        self.notes_ = site_notes(sites, y) if np.unique(sites).size > 1 else ()
        described = {float(s): _describe(features[sites == s]) for s in np.unique(sites)}
        self.centre_ = {s: d[0] for s, d in described.items()}
        self.spread_ = {s: d[1] for s, d in described.items()}
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Standardise each patient by the description of the site.

        Raises
        ------
        CohortError
            If a site is not known.
        """
        check_is_fitted(self)
        values: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        sites, features = self._parts(values)
        out = np.empty_like(features)
        for site in np.unique(sites).tolist():
            if site not in self.centre_:
                msg = f"Site {site:g} was not in training; known: {', '.join(f'{s:g}' for s in self.centre_)}."
                raise CohortError(msg, field="site", hint="Describe it by patients of its own, without labels.")
            rows = sites == site
            out[rows] = (features[rows] - self.centre_[site]) / self.spread_[site]
        return out

    def with_site(self, X: ArrayLike) -> Self:
        """Return a copy that also knows the site of some patients without labels.

        Raises
        ------
        CohortError
            If there are fewer than two patients, if they are of several sites, or of a known one.
        """
        check_is_fitted(self)
        values: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        sites, features = self._parts(values)
        site = float(sites[0])
        if len(values) < 2 or np.unique(sites).size != 1 or site in self.centre_:
            msg = f"Found {len(values)} patients of {np.unique(sites).size} sites; expected 2 or more of one new site."
            raise CohortError(msg, field="site", hint="Give each new site its own code.")
        centre, spread = _describe(features)
        other = copy(self)
        other.centre_, other.spread_ = self.centre_ | {site: centre}, self.spread_ | {site: spread}
        small = (small_site_note(site, len(values)),) if len(values) < SMALL_SITE else ()
        other.notes_ = (*self.notes_, *small)
        return other

    def _parts(self, values: Floats) -> tuple[Floats, Floats]:
        if self.site_column is None:
            return np.zeros(len(values)), values
        return values[:, self.site_column], np.delete(values, self.site_column, axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


def _describe(features: Floats) -> tuple[Floats, Floats]:
    low, centre, high = np.quantile(features, [0.25, 0.5, 0.75], axis=0)
    spread = (high - low) / _QUARTILES_PER_SD
    return centre, np.where(spread > 0, spread, 1.0)
