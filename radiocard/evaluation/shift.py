"""What differs between the patients of training and those of another place: features, and class mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ks_2samp
from statsmodels.stats.multitest import multipletests

from radiocard.errors import CohortError
from radiocard.evaluation.intervals import Estimate, percentile, resample_weights
from radiocard.evaluation.metrics import group_codes
from radiocard.models.local import SMALLEST
from radiocard.models.prevalence import estimate_prevalence

FloatArray = NDArray[np.floating[Any]]

FALSE_DISCOVERY = 0.05
SHOWN = 5


@dataclass(frozen=True, slots=True)
class FeatureShift:
    """How one feature moved.

    Parameters
    ----------
    name : str
        Column.
    smd : float or None
        Standardised mean difference, target minus source, over the root of the mean of the two variances [1]_.
        None where a side has fewer than two values, or neither varies.
    ks : float or None
        Kolmogorov-Smirnov distance, 0 to 1.
    p, q : float or None
        Its p-value, and that adjusted for the number of features (Benjamini and Hochberg).

    References
    ----------
    .. [1] Austin, Stat Med 28 (2009) 3083, doi:10.1002/sim.3697
    """

    name: str
    smd: float | None
    ks: float | None
    p: float | None
    q: float | None

    @property
    def moved(self) -> bool:
        """Whether it moved at a false discovery rate of 5 %."""
        return self.q is not None and self.q < FALSE_DISCOVERY


@dataclass(frozen=True, eq=False)
class ShiftReport:
    """What moved between source and target.

    Parameters
    ----------
    features : tuple of FeatureShift
        Farthest first.
    training_mix : dict of str to float
        Class shares of training.
    target_mix : dict of str to Estimate
        Estimated without labels of the target.
    sentences : tuple of str
        The same in words.
    """

    features: tuple[FeatureShift, ...]
    training_mix: dict[str, float]
    target_mix: dict[str, Estimate]
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "features": [asdict(f) for f in self.features],
            "training_mix": self.training_mix,
            "target_mix": {c: e.to_dict() for c, e in self.target_mix.items()},
            "sentences": list(self.sentences),
        }


def feature_shift(source: pd.DataFrame, target: pd.DataFrame) -> tuple[FeatureShift, ...]:
    """Compare every feature of two groups of patients.

    Parameters
    ----------
    source, target : DataFrame of float, shape (n, columns)
        NaN where undefined; the target holds the columns of the source.

    Returns
    -------
    tuple of FeatureShift
        Largest absolute difference first; undefined ones last.

    Raises
    ------
    CohortError
        If the target lacks columns (``E_COLUMNS``).
    """
    missing = [c for c in source if c not in target]
    if missing:
        msg = f"The target lacks {len(missing)} columns: {', '.join(map(str, missing[:12]))}."
        raise CohortError(msg, code="E_COLUMNS")
    found = [_compare(source[c].dropna().to_numpy(float), target[c].dropna().to_numpy(float)) for c in source]
    tested = [i for i, (_, _, p) in enumerate(found) if p is not None]
    q: dict[int, float] = {}
    if tested:
        adjusted = multipletests([found[i][2] for i in tested], method="fdr_bh")[1]
        q = dict(zip(tested, map(float, adjusted), strict=True))
    rows = [FeatureShift(str(c), *found[i], q.get(i)) for i, c in enumerate(source)]
    return tuple(sorted(rows, key=lambda r: -1.0 if r.smd is None else abs(r.smd), reverse=True))


def class_mix(
    probabilities: ArrayLike,
    *,
    classes: Sequence[str],
    training: ArrayLike,
    groups: ArrayLike | None = None,
    n_bootstrap: int,
    random_state: int,
) -> dict[str, Estimate]:
    """Estimate the class mix of patients without labels, with intervals over these patients.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, classes)
        Of a model whose probabilities hold at the training mix.
    classes : sequence of str
        Labels of the columns.
    training : array_like of float, shape (classes,)
        Class mix of training.
    groups : array_like, shape (n,), optional
        Patients of one group are drawn together.
    n_bootstrap, random_state : int
        Number of resamples; seed.

    Returns
    -------
    dict of str to Estimate
        The intervals do not hold the uncertainty of the model, nor that classes look otherwise here.
    """
    p = np.clip(np.asarray(probabilities, dtype=float), SMALLEST, None)
    codes = group_codes(groups, len(p))
    value = estimate_prevalence(p, training)
    no_class = np.zeros(len(p), dtype=np.intp)
    weights = resample_weights(no_class, codes, n_bootstrap=n_bootstrap, random_state=random_state)
    rows = np.arange(len(p))
    draws = np.array([estimate_prevalence(p[np.repeat(rows, w.astype(int))], training) for w in weights])
    n = float(np.unique(codes).size)
    out = {}
    for j, label in enumerate(classes):
        e = percentile(float(value[j]), draws[:, j], n=n)
        method = f"expectation maximisation, {n_bootstrap} resamples of the patients"
        out[label] = Estimate(e.value, e.low, e.high, n, method)
    return out


def diagnose_shift(
    source: pd.DataFrame,
    target: pd.DataFrame,
    *,
    probabilities: ArrayLike,
    classes: Sequence[str],
    training: ArrayLike,
    groups: ArrayLike | None = None,
    n_bootstrap: int,
    random_state: int,
) -> ShiftReport:
    """Say which features and which class mix moved.

    Parameters
    ----------
    source, target : DataFrame of float, shape (n, columns)
    probabilities, classes, training, groups, n_bootstrap, random_state
        See :func:`class_mix`; of the target patients.

    Returns
    -------
    ShiftReport
    """
    features = feature_shift(source, target)
    mix = class_mix(
        probabilities,
        classes=classes,
        training=training,
        groups=groups,
        n_bootstrap=n_bootstrap,
        random_state=random_state,
    )
    prior = np.asarray(training, dtype=float)
    shares = dict(zip(classes, (prior / prior.sum()).tolist(), strict=True))
    return ShiftReport(features, shares, mix, _sentences(features, shares, mix))


def _compare(a: FloatArray, b: FloatArray) -> tuple[float | None, float | None, float | None]:
    if min(a.size, b.size) < 2:
        return None, None, None
    spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    test = ks_2samp(a, b)
    smd = float((b.mean() - a.mean()) / spread) if spread > 0 else None
    return smd, float(test.statistic), float(test.pvalue)


def _sentences(features: Sequence[FeatureShift], shares: dict[str, float], mix: dict[str, Estimate]) -> tuple[str, ...]:
    moved = [f for f in features if f.moved]
    first = f"{len(moved)} of {len(features)} features are distributed otherwise than in training (false discovery 5 %)"
    far = [f for f in moved if f.smd is not None][:SHOWN]
    if far:
        told = [f"{f.name} {abs(f.smd or 0.0):.1f} SD {'higher' if (f.smd or 0) > 0 else 'lower'}" for f in far]
        first += f"; farthest: {', '.join(told)}"
    out = [first + "."]
    parts = []
    for label, e in mix.items():
        span = "" if e.low is None or e.high is None else f" ({e.low:.0%} to {e.high:.0%})"
        parts.append(f"{label} {e.value or 0.0:.0%}{span}, in training {shares[label]:.0%}")
    out.append(f"Estimated class mix, without labels: {'; '.join(parts)}.")
    other = [c for c, e in mix.items() if e.low is not None and e.high is not None and not e.low <= shares[c] <= e.high]
    if other:
        out.append(f"The share of {', '.join(other)} differs from training, if the classes look the same as there.")
    return tuple(out)
