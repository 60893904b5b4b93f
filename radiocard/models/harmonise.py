"""ComBat: remove what the site adds to and multiplies into each feature, by empirical Bayes.

The site travels with the patient, as a column of ``X``; so the step sits inside a pipeline, is
fitted inside a fold, and answers for one patient. The diagnosis is never part of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from radiocard.errors import CohortError, UsageError
from radiocard.models.sites import SMALL_SITE, site_notes, small_site_note

Floats = NDArray[np.float64]
References = Literal["unlabelled", "normals"]

SOURCES = ("training", "unlabelled", "normals")
_MAX_ROUNDS = 1000
_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class SiteEffect:
    """What one site does to the standardised features.

    Parameters
    ----------
    shift, scale : ndarray of float, shape (n_features,)
        Additive effect and multiplicative effect (a variance ratio), both shrunk.
    centre, spread : ndarray of float, shape (n_features,)
        Where the reference patients would lie without a site effect: 0 and 1, or the mean and
        standard deviation of the normals of the training sites.
    n : int
        Patients it was estimated from.
    source : {'training', 'unlabelled', 'normals'}
        Who they were.
    """

    shift: Floats
    scale: Floats
    centre: Floats
    spread: Floats
    n: int
    source: str

    def remove(self, z: Floats) -> Floats:
        """Take the effect out of standardised features, shape (n, n_features)."""
        return ((z - self.centre) / self.spread - self.shift) / np.sqrt(self.scale) * self.spread + self.centre


class Combat(TransformerMixin, BaseEstimator):
    """Harmonise features over sites (parametric ComBat [1]_ [2]_).

    Each feature is standardised by the mean over all sites and the variance within sites; the shift
    and the scale of each site are then shrunk towards their average over the features, and removed.

    Parameters
    ----------
    site_column : int or None
        Column of ``X`` that holds the code of the site; it is not among the columns that come out.
        None: all patients are of one site, and nothing is changed.
    covariate_columns : sequence of int
        Columns whose effect is kept (age, sex as 0 and 1); they come out unchanged. They must be known
        of a new patient, which is why the diagnosis cannot be one.
    normal : int, str or None
        Label in ``y`` of the healthy; needed where a new site is to be described by its own normals.

    Attributes
    ----------
    effects_ : dict of float to SiteEffect
        By code of the site.
    grand_mean_, spread_ : ndarray of float, shape (n_features,)
        What features are standardised by: mean over the sites, standard deviation within them.
    varies_ : ndarray of bool, shape (n_features,)
        Whether a feature varies within sites; others are left alone.
    slopes_ : ndarray of float, shape (n_covariates, n_features)
        Effects that are kept.
    notes_ : tuple of str
        What a reader must know: small sites, a class mix that differs between sites.

    References
    ----------
    .. [1] Johnson, Li & Rabinovic, Biostatistics 8 (2007) 118, doi:10.1093/biostatistics/kxj037
    .. [2] Fortin et al., NeuroImage 167 (2018) 104, doi:10.1016/j.neuroimage.2017.11.024
    """

    def __init__(
        self,
        site_column: int | None = None,
        *,
        covariate_columns: Sequence[int] = (),
        normal: int | str | None = None,
    ) -> None:
        self.site_column = site_column
        self.covariate_columns = covariate_columns
        self.normal = normal

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Estimate the effect of each site.

        Parameters
        ----------
        X : array-like of float, shape (n_patients, n_columns)
            Features, site and covariates; no value undefined.
        y : array-like, shape (n_patients,), optional
            Classes; used to see whether site and class can be told apart, and to find the normals.

        Raises
        ------
        UsageError
            If a column number is out of range, or the same twice.
        CohortError
            If a site has one patient, if site and class (or a covariate) cannot be told apart, or if there
            are fewer than two normals where they are asked for.
        """
        values: Floats = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self._check_columns()
        sites, covariates, features = self._parts(values)
        codes = np.unique(sites)
        labels = None if y is None or codes.size < 2 else np.asarray(y)
        self.notes_ = site_notes(sites, labels) if codes.size > 1 else ()
        self._standardise(sites, covariates, features)
        z = self._to_z(covariates, features)
        zero, one = np.zeros(z.shape[1]), np.ones(z.shape[1])
        self.effects_ = {}
        for code in codes.tolist():
            rows = z[sites == code]
            shift, scale = _shrink(rows) if codes.size > 1 else (zero, one)
            self.effects_[code] = SiteEffect(shift, scale, zero, one, len(rows), "training")
        if self.normal is not None:
            self._describe_normals(z, sites, y)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Remove the effect of its site from each patient.

        Parameters
        ----------
        X : array-like of float, shape (n_patients, n_columns)
            As in :meth:`fit`; one patient is enough.

        Returns
        -------
        ndarray of float, shape (n_patients, n_columns_out)
            Without the column of the site.

        Raises
        ------
        CohortError
            If a site is not known.
        """
        check_is_fitted(self)
        values: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        sites, covariates, features = self._parts(values)
        unknown = sorted(set(np.unique(sites).tolist()) - set(self.effects_))
        if unknown:
            msg = f"Site {unknown[0]:g} was not in training; known: {', '.join(f'{s:g}' for s in self.effects_)}."
            hint = "Describe it by reference patients: its own normals, or its own patients without labels."
            raise CohortError(msg, field="site", hint=hint)
        z = self._to_z(covariates, features)
        for code in np.unique(sites).tolist():
            rows = sites == code
            z[rows] = self.effects_[code].remove(z[rows])
        out = values.copy()
        out[:, self._features()] = np.where(self.varies_, z * self.spread_ + self._expected(covariates), features)
        return out if self.site_column is None else np.delete(out, self.site_column, axis=1)

    def with_site(self, X: ArrayLike, *, references: References) -> Self:
        """Return a copy that also knows the site of some reference patients.

        Parameters
        ----------
        X : array-like of float, shape (n_references, n_columns)
            Patients of one new site, as in :meth:`fit`.
        references : {'unlabelled', 'normals'}
            Patients of any class, so that a class mix unlike that of training is taken for a site effect;
            or healthy persons, who are compared with the normals of training.

        Raises
        ------
        CohortError
            If there are fewer than two references, if they are of several sites, or of a known one.
        UsageError
            If normals are given and training did not say which patients are normal.
        """
        check_is_fitted(self)
        values: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        sites, covariates, features = self._parts(values)
        if len(values) < 2 or np.unique(sites).size != 1 or float(sites[0]) in self.effects_:
            msg = (
                f"Found {len(values)} references of {np.unique(sites).size} sites; expected 2 or more of one new site."
            )
            raise CohortError(msg, field="site", hint="Give each new site its own code.")
        if references == "normals" and self.normal is None:
            msg = "Normals were given as references, but training did not say which patients are normal."
            raise UsageError(msg, field="normal")
        p = features.shape[1]
        known = references == "normals"
        centre, spread = (self.normal_mean_, self.normal_sd_) if known else (np.zeros(p), np.ones(p))
        shift, scale = _shrink((self._to_z(covariates, features) - centre) / spread)
        code = float(sites[0])
        other = copy(self)
        other.effects_ = self.effects_ | {code: SiteEffect(shift, scale, centre, spread, len(values), references)}
        small = (small_site_note(code, len(values)),) if len(values) < SMALL_SITE else ()
        other.notes_ = (*self.notes_, *small)
        return other

    def _check_columns(self) -> None:
        named = [*([] if self.site_column is None else [self.site_column]), *self.covariate_columns]
        if len(set(named)) < len(named) or any(not 0 <= c < self.n_features_in_ for c in named):
            msg = f"Columns {named} of site and covariates: expected different numbers below {self.n_features_in_}."
            raise UsageError(msg, field="site_column")

    def _features(self) -> NDArray[np.intp]:
        taken = [*([] if self.site_column is None else [self.site_column]), *self.covariate_columns]
        return np.setdiff1d(np.arange(self.n_features_in_), taken)

    def _parts(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Return site codes (n,), covariates (n, q) and features (n, p)."""
        sites = np.zeros(len(values)) if self.site_column is None else values[:, self.site_column]
        return sites, values[:, list(self.covariate_columns)], values[:, self._features()]

    def _standardise(self, sites: Floats, covariates: Floats, features: Floats) -> None:
        codes, counts = np.unique(sites, return_counts=True)
        if counts.min() < 2:
            msg = f"Site {codes[counts.argmin()]:g} has one patient, expected at least 2."
            raise CohortError(
                msg, field="site", hint="Join it with a site that uses the same scanner, or leave it out."
            )
        design = np.hstack([(sites[:, None] == codes).astype(float), covariates])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            msg = "A covariate is the same for all patients of each site; its effect is not separable from the site's."
            raise CohortError(msg, field="covariate_columns")
        beta = np.linalg.lstsq(design, features, rcond=None)[0]
        self.grand_mean_ = counts / len(sites) @ beta[: codes.size]
        self.slopes_ = beta[codes.size :]
        within = ((features - design @ beta) ** 2).mean(axis=0)
        scale = np.maximum(np.abs(features).max(axis=0), np.finfo(float).tiny)
        self.varies_ = within > (1e-10 * scale) ** 2
        self.spread_ = np.where(self.varies_, np.sqrt(within), 1.0)

    def _expected(self, covariates: Floats) -> Floats:
        expected: Floats = self.grand_mean_ + covariates @ self.slopes_
        return expected

    def _to_z(self, covariates: Floats, features: Floats) -> Floats:
        z = (features - self._expected(covariates)) / self.spread_
        return np.where(self.varies_, z, 0.0)

    def _describe_normals(self, z: Floats, sites: Floats, y: ArrayLike | None) -> None:
        labels = np.full(len(z), None) if y is None else np.asarray(y)
        healthy = labels == self.normal
        if healthy.sum() < 2:
            msg = f"Training holds {int(healthy.sum())} patients of class {self.normal!r}, expected at least 2."
            raise CohortError(msg, field="normal")
        clean = np.vstack([self.effects_[c].remove(z[healthy & (sites == c)]) for c in self.effects_])
        self.normal_mean_ = clean.mean(axis=0)
        sd = clean.std(axis=0, ddof=1)
        self.normal_sd_ = np.where(sd > 0, sd, 1.0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


def _shrink(z: Floats) -> tuple[Floats, Floats]:
    """Estimate shift and scale of one site, shape (n_features,) each, by parametric empirical Bayes.

    The prior of the shift is normal, that of the scale inverse gamma, both with the moments over the
    features; the two conditional posterior means are iterated to their common fixed point.
    """
    n = len(z)
    mean, var = z.mean(axis=0), z.var(axis=0, ddof=1)
    moving = var > 0
    if moving.sum() < 2 or np.ptp(var[moving]) == 0 or np.ptp(mean[moving]) == 0:
        return mean, np.where(moving, var, 1.0)
    m, v = mean[moving], var[moving]
    prior_mean, prior_var = m.mean(), m.var(ddof=1)
    average, spread = v.mean(), v.var(ddof=1)
    a = (2 * spread + average**2) / spread
    b = (average * spread + average**3) / spread
    shift, scale = m, v
    for _ in range(_MAX_ROUNDS):
        new_shift = (n * prior_var * m + scale * prior_mean) / (n * prior_var + scale)
        squares = (n - 1) * v + n * (m - new_shift) ** 2
        new_scale = (squares / 2 + b) / (n / 2 + a - 1)
        done = max(np.abs(new_shift - shift).max(), np.abs(new_scale - scale).max()) < _TOLERANCE
        shift, scale = new_shift, new_scale
        if done:
            break
    all_shift, all_scale = mean.copy(), np.ones_like(mean)
    all_shift[moving], all_scale[moving] = shift, scale
    return all_shift, all_scale
