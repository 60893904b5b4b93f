"""Unsupervised view of a cohort: principal components, and groups of patients only where they are stable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.intervals import holm
from radiocard.evaluation.metrics import group_codes
from radiocard.models.steps import DropUnusable

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]
Method = Literal["kmeans", "gaussian_mixture"]

SCHEMA = "radiocard/phenotypes/1"
STABLE = 0.75
ALPHA = 0.05
PATIENTS_PER_COMPONENT = 10
PATIENTS_PER_GROUP = 10
EXPLAINED = 0.9
FEWEST_RESAMPLES = 20
STARTS = 5
RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Grouping:
    """Patients in k groups, and whether the data hold these groups.

    Parameters
    ----------
    k : int
        Number of groups.
    labels : ndarray of int, shape (n,)
        Group of each patient, the largest first.
    jaccard : tuple of float
        For each group, the mean over resamples of its likeness to the most similar group found
        in the resample: 1 is the same patients, 0 none.
    adjusted_rand : float
        Mean over resamples; 0 is chance, 1 the same grouping.
    separation : float
        What the last group adds: the share of the spread inside k - 1 groups that it takes away,
        or for mixtures its gain in log-likelihood per patient [nat].
    p_value, p_holm : float
        How often the last group adds as much where there are k - 1 normal clouds; as found, and
        corrected for the number of k that were tried.
    """

    k: int
    labels: IntArray
    jaccard: tuple[float, ...]
    adjusted_rand: float
    separation: float
    p_value: float
    p_holm: float

    @property
    def holds(self) -> bool:
        """Whether every group is stable, and fewer clouds are seldom separated as well."""
        return min(self.jaccard) >= STABLE and self.p_holm <= ALPHA


@dataclass(frozen=True, eq=False)
class Phenotypes:
    """Principal components and groups of a cohort.

    Parameters
    ----------
    ids : tuple of str, length n
        Patients.
    columns : tuple of str
        Measurements that vary.
    scores : ndarray of float, shape (n, components)
        Principal components of the standardised measurements.
    loadings : DataFrame, shape (columns, components)
        Weight of each standardised measurement; the largest of each component is positive.
    explained : tuple of float
        Share of the variance of each component.
    tried : tuple of Grouping
        By k.
    chosen : Grouping or None
        The one with the most groups that hold; None where nothing is stable.
    profile : DataFrame, shape (groups, columns)
        Mean of each standardised measurement in each chosen group; empty where there is none.
    sentence : str
        The result in words.
    """

    ids: tuple[str, ...]
    columns: tuple[str, ...]
    scores: FloatArray
    loadings: pd.DataFrame
    explained: tuple[float, ...]
    tried: tuple[Grouping, ...]
    chosen: Grouping | None
    profile: pd.DataFrame
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; no patient is named."""
        tried = [
            {
                "k": t.k,
                "sizes": np.bincount(t.labels, minlength=t.k).tolist(),
                "jaccard": list(t.jaccard),
                "adjusted_rand": t.adjusted_rand,
                "separation": t.separation,
                "p_holm": t.p_holm,
                "holds": t.holds,
            }
            for t in self.tried
        ]
        return {
            "schema": SCHEMA,
            "sentence": self.sentence,
            "n_patients": len(self.ids),
            "columns": list(self.columns),
            "explained": list(self.explained),
            "tried": tried,
            "chosen": None if self.chosen is None else self.chosen.k,
            "profile": [[float(v) for v in row] for row in self.profile.to_numpy()],
        }


def phenotypes(
    X: pd.DataFrame,
    groups: ArrayLike,
    *,
    ks: Sequence[int] = (2, 3, 4, 5),
    method: Method = "kmeans",
    n_resamples: int = 100,
    random_state: int = 0,
) -> Phenotypes:
    """Look for groups of patients in measurements alone, and name them only where they are stable.

    Measurements are imputed (median), standardised and rotated to the principal components that
    hold 90 % of the variance, at most one per ten patients. For each k the patients are grouped,
    and grouped again in bootstrap resamples of whole patients [1]_: a number of groups holds where
    each group is found again (mean Jaccard at least 0.75), and where draws from one group less,
    each a normal cloud with the mean and covariance found, seldom gain as much from one group more
    (at most 5 % after Holm), since a long cloud is cut in half in a stable way as well [2]_ [3]_.
    A skewed cloud without groups can still pass, and groups that show in few of many unrelated
    measurements are not found. The groups describe this cohort: no model learns from them, and
    they are not a diagnosis.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        Indexed by patient; NaN where undefined.
    groups : array_like of str, shape (n,)
        Rows of one group are resampled together.
    ks : sequence of int
        Numbers of groups to try.
    method : {'kmeans', 'gaussian_mixture'}
        Round groups, or groups of any normal shape.
    n_resamples : int
        Bootstrap resamples, and clouds, per k.
    random_state : int
        Seed.

    Returns
    -------
    Phenotypes

    Raises
    ------
    UsageError
        If a k is below 2, or there are too few resamples to reach 5 % (20 for each k).
    LeakError
        If there is not one group per row.
    CohortError
        If there are fewer than ten patients per group (``E_CLASS_COUNT``), or no measurement varies.

    References
    ----------
    .. [1] Hennig, Comput Stat Data Anal 52 (2007), doi:10.1016/j.csda.2006.11.025
    .. [2] McLachlan, J R Stat Soc C 36 (1987), doi:10.2307/2347790
    .. [3] Liu et al., J Am Stat Assoc 103 (2008), doi:10.1198/016214508000000454
    """
    codes = group_codes(groups, len(X))
    _check(ks, codes, n_resamples)
    rng = np.random.default_rng(random_state)
    with threadpool_limits(1):
        standard, columns = _standardise(X)
        scores, loadings, explained = _components(standard, n_patients=int(codes.max()) + 1)
        found = [_Found(scores, codes, k, method, rng) for k in ks]
        p = [f.p_value(n_resamples) for f in found]
        tried = tuple(
            f.grouping(n_resamples, p_value, p_holm) for f, p_value, p_holm in zip(found, p, holm(p), strict=True)
        )
    chosen = max((t for t in tried if t.holds), key=lambda t: t.k, default=None)
    table = pd.DataFrame(standard, columns=list(columns))
    return Phenotypes(
        ids=tuple(map(str, X.index)),
        columns=columns,
        scores=scores,
        loadings=pd.DataFrame(loadings, index=list(columns)),
        explained=explained,
        tried=tried,
        chosen=chosen,
        profile=table.iloc[:0] if chosen is None else table.groupby(chosen.labels).mean(),
        sentence=_sentence(tried, chosen, n_resamples),
    )


def _check(ks: Sequence[int], codes: IntArray, n_resamples: int) -> None:
    fewest = max(FEWEST_RESAMPLES, math.ceil(len(ks) / ALPHA) - 1)
    if not ks or min(ks) < 2 or n_resamples < fewest:
        msg = f"Found k = {list(ks)} and {n_resamples} resamples, expected k from 2 and at least {fewest} resamples."
        raise UsageError(msg)
    patients, needed = len(np.unique(codes)), max(ks) * PATIENTS_PER_GROUP
    if patients < needed:
        msg = f"{patients} patients are too few to look for {max(ks)} groups, expected at least {needed}."
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Try fewer groups, or add patients.")


def _standardise(X: pd.DataFrame) -> tuple[FloatArray, tuple[str, ...]]:
    drop = DropUnusable()
    steps = [("drop", drop), ("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())]
    values = Pipeline(steps).fit_transform(X.to_numpy(dtype=float))
    return values, tuple(str(c) for c, kept in zip(X.columns, drop.get_support(), strict=True) if kept)


def _components(standard: FloatArray, *, n_patients: int) -> tuple[FloatArray, FloatArray, tuple[float, ...]]:
    """Return scores, loadings and shares of variance, each component signed by its largest loading."""
    most = max(1, min(n_patients // PATIENTS_PER_COMPONENT, *standard.shape))
    pca = PCA(most, svd_solver="full").fit(standard)
    enough = int(np.searchsorted(np.cumsum(pca.explained_variance_ratio_), EXPLAINED)) + 1
    kept = min(enough, most)
    weights = pca.components_[:kept].T
    weights = weights * np.sign(weights[np.abs(weights).argmax(axis=0), np.arange(kept)])
    return standard @ weights, weights, tuple(pca.explained_variance_ratio_[:kept].tolist())


class _Found:
    """One grouping of the scores, and what it takes to judge it."""

    def __init__(self, scores: FloatArray, groups: IntArray, k: int, method: Method, rng: np.random.Generator) -> None:
        self.scores, self.groups, self.k, self.method, self.rng = scores, groups, k, method, rng
        fewer, model = self._fit(scores, k - 1), self._fit(scores, k)
        labels = model.predict(scores)
        self.fewer: IntArray = fewer.predict(scores)
        size = np.bincount(labels, minlength=k)
        self.labels: IntArray = np.argsort(np.argsort(-size, kind="stable"))[labels]
        self.separation = self._gain(fewer, model, scores)

    def p_value(self, n_clouds: int) -> float:
        """Share of draws with one group less, each a normal cloud, to which the last group adds as much."""
        clouds = [np.flatnonzero(self.fewer == g) for g in np.unique(self.fewer)]
        as_well = 0
        for _ in range(n_clouds):
            drawn = self._draw(clouds)
            gain = self._gain(self._fit(drawn, self.k - 1), self._fit(drawn, self.k), drawn)
            as_well += gain >= self.separation
        return (1 + as_well) / (1 + n_clouds)

    def _draw(self, clouds: Sequence[IntArray]) -> FloatArray:
        """Draw one point per patient from the normal distribution of its cloud, shape (n, components)."""
        standard = self.rng.normal(size=(int(self.groups.max()) + 1, self.scores.shape[1]))[self.groups]
        out = np.empty_like(self.scores)
        for rows in clouds:
            inside = self.scores[rows]
            values, axes = np.linalg.eigh(np.atleast_2d(np.cov(inside, rowvar=False)))
            out[rows] = inside.mean(axis=0) + standard[rows] * np.sqrt(np.maximum(values, 0)) @ axes.T
        return out

    def grouping(self, n_resamples: int, p_value: float, p_holm: float) -> Grouping:
        """Group resamples of patients, and compare."""
        members = [np.flatnonzero(self.groups == g) for g in np.unique(self.groups)]
        likeness, rand = [], []
        for _ in range(n_resamples):
            drawn = self.rng.integers(len(members), size=len(members))
            rows = np.concatenate([members[g] for g in drawn])
            model = self._fit(self.scores[rows], self.k)
            once = np.unique(rows)
            again = model.predict(self.scores[once])
            likeness.append(jaccard(self.labels[once], again, k=self.k))
            rand.append(adjusted_rand_score(self.labels, model.predict(self.scores)))
        mean = np.mean(likeness, axis=0)
        return Grouping(
            self.k,
            self.labels,
            tuple(mean.tolist()),
            float(np.mean(rand)),
            self.separation,
            p_value,
            p_holm,
        )

    def _fit(self, scores: FloatArray, k: int) -> Any:
        seed = int(self.rng.integers(2**31))
        if self.method == "kmeans":
            return KMeans(k, n_init=STARTS, random_state=seed).fit(scores)
        return GaussianMixture(k, n_init=STARTS, reg_covar=RIDGE, random_state=seed).fit(scores)

    def _gain(self, fewer: Any, model: Any, scores: FloatArray) -> float:
        if self.method == "kmeans":
            return float(1 - model.inertia_ / fewer.inertia_)
        return float(model.score(scores) - fewer.score(scores))


def jaccard(ours: IntArray, theirs: IntArray, *, k: int) -> FloatArray:
    """Likeness of each of our groups to the most similar one of theirs, shape (k,).

    Examples
    --------
    >>> jaccard(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0]), k=2).round(3).tolist()
    [0.667, 0.5]
    """
    a, b = np.arange(k)[:, None] == ours, np.arange(k)[:, None] == theirs
    both = (a[:, None] & b[None]).sum(axis=2)
    either = (a[:, None] | b[None]).sum(axis=2)
    best: FloatArray = (both / np.maximum(either, 1)).max(axis=1)
    return best


def _sentence(tried: Sequence[Grouping], chosen: Grouping | None, n_resamples: int) -> str:
    if chosen is None:
        best = max(tried, key=lambda t: min(t.jaccard))
        return (
            f"No number of groups from {tried[0].k} to {tried[-1].k} holds: at best, with {best.k}, the least stable "
            f"group has a Jaccard likeness of {min(best.jaccard):.2f} over {n_resamples} resamples, and one group "
            f"less is separated as well with p = {best.p_holm:.2g}. No number of groups is named."
        )
    sizes = ", ".join(str(n) for n in np.bincount(chosen.labels))
    return (
        f"{chosen.k} groups ({sizes} patients) hold over {n_resamples} resamples: each has a Jaccard likeness of at "
        f"least {min(chosen.jaccard):.2f}, and one group less is seldom separated as well "
        f"(p = {chosen.p_holm:.2g}). They describe this cohort and are not a diagnosis."
    )
