"""The candidates for carrying a classifier to another cohort: columns, scale, classifier, class mix, training.

Each is fitted to a source with labels and applied to a target without. ``inductive`` candidates use each
target patient alone; ``transductive`` ones also use the other target patients, without labels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit, softmax
from scipy.stats import norm, rankdata
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from transfer_simulation import CLASSES, COLUMNS

from radiocard.models.local import to_prevalence
from radiocard.models.prevalence import estimate_prevalence
from radiocard.models.sites import SiteScaler

COLUMN_SETS = ("all", "unit_free", "core")
SCALES = ("source", "own_mean_sd", "own_robust", "own_ranks")
MODELS = ("logistic_0.01", "logistic_0.1", "logistic_1", "forest", "lda_means")
PRIOR_STRENGTH = 10.0
ROUNDS = 50
Labelled = tuple[pd.DataFrame, np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """One way.

    Parameters
    ----------
    columns : str
        ``all`` 20 columns, volumes and thicknesses as logarithms, ejection fractions as logits; ``unit_free``
        ratios only; ``core`` what the class definitions name.
    scale : str
        Standardised by the ``source``, or each cohort by its own mean and sd, median and quartiles, or ranks.
    model : str
        ``lda_means`` lets the class means move to the target by expectation maximisation, held to the source
        by :data:`PRIOR_STRENGTH` pseudo-patients per class.
    mix : bool
        Whether the class mix of the target is estimated by expectation maximisation and put in.
    simulated : bool
        Whether simulated shifted cohorts join the source in training (together with its weight).
    """

    columns: str
    scale: str
    model: str
    mix: bool = False
    simulated: bool = False

    @property
    def transductive(self) -> bool:
        """Whether other target patients are used."""
        return self.scale != "source" or self.mix or self.model == "lda_means"

    @property
    def name(self) -> str:
        """Short name."""
        extra = (" / mix" if self.mix else "") + (" / + simulated" if self.simulated else "")
        return f"{self.columns} / {self.scale} / {self.model}{extra}"


def all_candidates() -> list[Candidate]:
    """List what is tried."""
    found = [Candidate(*c) for c in itertools.product(COLUMN_SETS, SCALES, MODELS, (False, True), (False, True))]
    return [c for c in found if not (c.mix and c.simulated) and not (c.model == "lda_means" and (c.mix or c.simulated))]


def prepare(X: pd.DataFrame, columns: str) -> np.ndarray:
    """Make the columns of a set, shape (n, k): logarithms of what is positive, logits of fractions."""
    x = {c: X[c].to_numpy(float) for c in COLUMNS}
    # a segmentation that gives a fraction outside these is as extreme as the limit
    fractions = {c: logit(np.clip(x[c], 0.02, 0.95)) for c in ("EF(LV)", "EF(RV)")}
    log = {c: np.log(np.clip(v, 1e-3, None)) for c, v in x.items() if c not in fractions}
    if columns == "all":
        return np.column_stack([fractions[c] if c in fractions else log[c] for c in COLUMNS])
    if columns == "core":
        wanted = ("ED[vol(LV)]", "ED[mass(MYO)/vol(LV)]", "ES[vol(MYO)/vol(LV)]", "ED[max(mean(MWT|SA)|LA)]")
        return np.column_stack([fractions["EF(LV)"], *(log[c] for c in wanted)])
    ratios = [c for c in COLUMNS if "/" in c]
    es, ed = log["ES[max(mean(MWT|SA)|LA)]"], log["ED[max(mean(MWT|SA)|LA)]"]
    radius = (log["ED[vol(LV)]"] + np.log(3 / (4 * np.pi))) / 3
    return np.column_stack([*fractions.values(), *(log[c] for c in ratios), es - ed, ed - radius])


def scale(x: np.ndarray, source: np.ndarray, how: str) -> np.ndarray:
    """Standardise a cohort, by itself or by the source."""
    if how == "own_robust":
        return SiteScaler().fit_transform(x)
    if how == "own_ranks":
        return norm.ppf((rankdata(x, axis=0) - 0.5) / len(x))
    by = source if how == "source" else x
    return (x - by.mean(axis=0)) / by.std(axis=0)


def fit(candidate: Candidate, source: Labelled, simulated: Sequence[Labelled]) -> tuple[Any, ...]:
    """Fit a candidate to the source: model, prepared source, scaled source, codes."""
    raw = prepare(source[0], candidate.columns)
    codes = np.searchsorted(CLASSES, source[1])
    parts, labels, weights = [scale(raw, raw, candidate.scale)], [codes], [np.ones(codes.size)]
    if candidate.simulated:
        total = sum(len(y) for _, y in simulated)
        for X, y in simulated:
            parts.append(scale(prepare(X, candidate.columns), raw, candidate.scale))
            labels.append(np.searchsorted(CLASSES, y))
            weights.append(np.full(len(y), codes.size / total))
    model = _model(candidate.model)
    x, y = np.vstack(parts), np.concatenate(labels)
    if candidate.model == "lda_means":
        model.fit(x, y)
    else:
        model.fit(x, y, sample_weight=np.concatenate(weights))
    return model, raw, parts[0], codes


def predict(candidate: Candidate, fitted: tuple[Any, ...], target: pd.DataFrame) -> np.ndarray:
    """Return class probabilities of the target patients, shape (n, 3), in the order of ``CLASSES``."""
    model, raw, a, codes = fitted
    b = scale(prepare(target, candidate.columns), raw, candidate.scale)
    training = np.bincount(codes, minlength=3) / codes.size
    p = _moving_means(model, a, codes, b) if candidate.model == "lda_means" else model.predict_proba(b)
    return to_prevalence(p, training, estimate_prevalence(p, training)) if candidate.mix else p


def _model(name: str) -> Any:
    if name.startswith("logistic"):
        return LogisticRegression(C=float(name.split("_")[1]), max_iter=2000)
    if name == "forest":
        return RandomForestClassifier(100, min_samples_leaf=2, random_state=0, n_jobs=1)
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def _moving_means(model: Any, a: np.ndarray, codes: np.ndarray, b: np.ndarray) -> np.ndarray:
    start = np.array([a[codes == c].mean(axis=0) for c in range(3)])
    precision = np.linalg.inv(model.covariance_)
    means, mix = start.copy(), np.full(3, 1 / 3)
    for _ in range(ROUNDS):
        gap = b[:, None, :] - means
        p = softmax(np.log(mix) - 0.5 * np.einsum("ncj,jk,nck->nc", gap, precision, gap), axis=1)
        mass = p.sum(axis=0)
        means = (PRIOR_STRENGTH * start + p.T @ b) / (PRIOR_STRENGTH + mass)[:, None]
        mix = (PRIOR_STRENGTH + mass) / (3 * PRIOR_STRENGTH + mass.sum())
    return p
