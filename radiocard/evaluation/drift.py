"""Do incoming patients still look like those of training? Column by column, and in what the model answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import MonteCarloMethod, chi2_contingency, fisher_exact
from statsmodels.stats.multitest import multipletests

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.drift_measures import binned, range_p_value, stability_index
from radiocard.evaluation.intervals import Estimate, wilson
from radiocard.evaluation.shift import feature_shift

FloatArray = NDArray[np.floating[Any]]
Light = Literal["green", "amber", "red", "grey"]

MODERATE, LARGE = 0.1, 0.25
FALSE_DISCOVERY = 0.05
SMALLEST = 20
RANDOM_TABLES = 9999
SHOWN = 5


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How one column of the incoming patients compares with training.

    Parameters
    ----------
    column : str
    light : {'green', 'amber', 'red', 'grey'}
        ``grey``: too few values to tell.
    n_training, n_incoming : int
        Patients with a value.
    psi : float or None
        Population stability index in bins of training quantiles.
    bins : int
        Number of these bins.
    ks, ks_q : float or None
        Kolmogorov-Smirnov distance, and its p-value adjusted over the whole table.
    smd : float or None
        Standardised mean difference, incoming less training.
    outside : Estimate
        Share of the values outside the training range.
    outside_q : float or None
        Adjusted p-value of so many values outside, where nothing changed.
    missing_training, missing_incoming : float
        Share of patients without a value.
    missing_q : float or None
        Adjusted p-value of that difference.
    why : str
        The reason for the light.
    """

    column: str
    light: Light
    n_training: int
    n_incoming: int
    psi: float | None
    bins: int
    ks: float | None
    ks_q: float | None
    smd: float | None
    outside: Estimate
    outside_q: float | None
    missing_training: float
    missing_incoming: float
    missing_q: float | None
    why: str


@dataclass(frozen=True, slots=True)
class MixDrift:
    """What the model answers, incoming against the out-of-fold answers in training.

    Parameters
    ----------
    light : {'green', 'amber', 'red', 'grey'}
    training : dict of str to float
        Share of each answer.
    incoming : dict of str to Estimate
        The same with Wilson intervals.
    psi, q : float
        Population stability index over the classes; adjusted p-value of the chi-square statistic.
    """

    light: Light
    training: dict[str, float]
    incoming: dict[str, Estimate]
    psi: float
    q: float


@dataclass(frozen=True, eq=False)
class DriftReport:
    """All columns and the answers.

    Parameters
    ----------
    light : {'green', 'amber', 'red'}
        The worst of the columns and of the answers.
    columns : tuple of ColumnDrift
        Worst first.
    mix : MixDrift
    n_training, n_incoming : int
        Independent patients.
    sentences : tuple of str
        The same in words.
    """

    light: Light
    columns: tuple[ColumnDrift, ...]
    mix: MixDrift
    n_training: int
    n_incoming: int
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "light": self.light,
            "n_training": self.n_training,
            "n_incoming": self.n_incoming,
            "limits": {"psi_moderate": MODERATE, "psi_large": LARGE, "false_discovery": FALSE_DISCOVERY},
            "columns": [asdict(c) for c in self.columns],
            "answers": asdict(self.mix),
            "sentences": list(self.sentences),
        }


@dataclass(frozen=True, slots=True)
class _Measured:
    """One column before its p-values (ks, outside, missing) are adjusted."""

    column: str
    n: tuple[int, int]
    psi: float | None
    bins: int
    ks: float | None
    smd: float | None
    outside: Estimate
    missing: tuple[float, float]
    p: tuple[float | None, float | None, float | None]


def drift_report(
    training: pd.DataFrame,
    incoming: pd.DataFrame,
    *,
    training_answers: ArrayLike,
    incoming_answers: ArrayLike,
    classes: Sequence[str],
    random_state: int = 0,
) -> DriftReport:
    """Compare incoming patients with those of training.

    The limits of the population stability index, 0.1 and 0.25, are conventions of credit scoring; with
    few patients chance alone exceeds them. So a light leaves green only where a test says so at a false
    discovery rate of 5 % over all tests of the report, and the index says how large the change is.

    Parameters
    ----------
    training, incoming : DataFrame of float, shape (n, columns)
        One row per independent patient; NaN where undefined.
    training_answers, incoming_answers : array_like of str, shape (n,)
        What the model answers; of training patients while they were held out.
    classes : sequence of str
        Labels of the model.
    random_state : int
        Seed of the random tables behind the p-value of the answers.

    Returns
    -------
    DriftReport

    Raises
    ------
    UsageError
        If a side has fewer than 20 patients.
    CohortError
        If the incoming table lacks columns (``E_COLUMNS``).
    """
    smaller = min(len(training), len(incoming))
    if smaller < SMALLEST:
        msg = f"There are {len(training)} training and {len(incoming)} incoming patients, expected {SMALLEST} of each."
        raise UsageError(msg, hint="Collect more patients; 'radiocard predict' flags single ones.")
    shifts = {f.name: f for f in feature_shift(training, incoming)}
    found = []
    for column in map(str, training.columns):
        f = shifts[column]
        values = (training[column].to_numpy(dtype=float), incoming[column].to_numpy(dtype=float))
        found.append(_measure(column, *values, ks=f.ks, ks_p=f.p, smd=f.smd))
    counts, mix_p = _answer_counts(training_answers, incoming_answers, classes, random_state)
    family = [*(p for m in found for p in m.p), mix_p]
    tested = [i for i, p in enumerate(family) if p is not None]
    q: list[float | None] = [None] * len(family)
    for i, value in zip(tested, multipletests([family[i] for i in tested], method="fdr_bh")[1], strict=True):
        q[i] = float(value)
    columns = [_judge(m, q[3 * i], q[3 * i + 1], q[3 * i + 2]) for i, m in enumerate(found)]
    ranked = tuple(sorted(columns, key=lambda c: (-_RANK[c.light], -(c.psi or 0.0))))
    mix = _mix(counts, classes, q[-1] or 0.0)
    light = max((mix.light, *(c.light for c in columns)), key=lambda name: _RANK[name])
    overall: Light = "green" if light == "grey" else light
    sentences = _sentences(ranked, mix, len(training), len(incoming))
    return DriftReport(overall, ranked, mix, len(training), len(incoming), sentences)


_RANK = {"grey": 0, "green": 0, "amber": 1, "red": 2}


def _measure(
    column: str, before: FloatArray, after: FloatArray, *, ks: float | None, ks_p: float | None, smd: float | None
) -> _Measured:
    a, b = before[~np.isnan(before)], after[~np.isnan(after)]
    gone = (before.size - a.size, after.size - b.size)
    missing_p = float(fisher_exact([[a.size, gone[0]], [b.size, gone[1]]])[1]) if sum(gone) else None
    missing = (gone[0] / before.size, gone[1] / after.size)
    if min(a.size, b.size) < SMALLEST:
        none = wilson(float("nan"), b.size)
        return _Measured(column, (a.size, b.size), None, 0, None, None, none, missing, (None, None, missing_p))
    counts = binned(a, b)
    n_out = int(((b < a.min()) | (b > a.max())).sum())
    return _Measured(
        column,
        (a.size, b.size),
        psi=stability_index(*counts) if counts[0].size > 1 else None,
        bins=counts[0].size,
        ks=ks,
        smd=smd,
        outside=wilson(n_out / b.size, b.size),
        missing=missing,
        p=(ks_p, range_p_value(n_out, n_training=a.size, n_incoming=b.size), missing_p),
    )


def _judge(m: _Measured, ks_q: float | None, outside_q: float | None, missing_q: float | None) -> ColumnDrift:
    light, why = _light(m, ks_q, outside_q, missing_q)
    return ColumnDrift(
        column=m.column,
        light=light,
        n_training=m.n[0],
        n_incoming=m.n[1],
        psi=m.psi,
        bins=m.bins,
        ks=m.ks,
        ks_q=ks_q,
        smd=m.smd,
        outside=m.outside,
        outside_q=outside_q,
        missing_training=m.missing[0],
        missing_incoming=m.missing[1],
        missing_q=missing_q,
        why=why,
    )


def _light(m: _Measured, ks_q: float | None, outside_q: float | None, missing_q: float | None) -> tuple[Light, str]:
    if _shown(missing_q):
        share = f"no value in {m.missing[1]:.0%} of the incoming, {m.missing[0]:.0%} in training"
        return ("red" if m.missing[1] > 0.5 else "amber"), share
    if m.outside.value is None:
        return "grey", f"fewer than {SMALLEST} values"
    if _shown(ks_q) and m.psi is not None and m.psi >= MODERATE:
        large = m.psi >= LARGE
        return ("red" if large else "amber"), f"{'large' if large else 'moderate'} change of the distribution"
    if _shown(outside_q):
        return "amber", f"{m.outside.value:.0%} outside the training range"
    if m.psi is not None and m.psi >= MODERATE:
        return "green", "the index is within chance at these numbers"
    return "green", ""


def _shown(q: float | None) -> bool:
    return q is not None and q < FALSE_DISCOVERY


def _answer_counts(
    training: ArrayLike, incoming: ArrayLike, classes: Sequence[str], random_state: int
) -> tuple[FloatArray, float]:
    """Count the answers, shape (2, classes); p-value of the chi-square statistic over random tables."""
    rows = [np.asarray(v).astype(str) for v in (training, incoming)]
    unknown = sorted(set(np.concatenate(rows).tolist()) - set(classes))
    if unknown:
        msg = f"Answers {', '.join(unknown[:5])} are not among the classes {', '.join(classes)}."
        raise CohortError(msg, code="E_COLUMNS")
    counts = np.array([[(r == c).sum() for c in classes] for r in rows], dtype=float)
    seen = counts[:, counts.sum(axis=0) > 0].astype(int)
    if seen.shape[1] < 2:
        return counts, 1.0
    method = MonteCarloMethod(n_resamples=RANDOM_TABLES, rng=np.random.default_rng(random_state))
    return counts, float(chi2_contingency(seen, correction=False, method=method).pvalue)


def _mix(counts: FloatArray, classes: Sequence[str], q: float) -> MixDrift:
    seen = counts[:, counts.sum(axis=0) > 0]
    psi, n = stability_index(seen[0], seen[1]), float(counts[1].sum())
    light: Light = "green"
    if _shown(q) and psi >= MODERATE:
        light = "red" if psi >= LARGE else "amber"
    shares = counts[0] / counts[0].sum()
    incoming = {c: wilson(float(k / n), n) for c, k in zip(classes, counts[1], strict=True)}
    return MixDrift(light, dict(zip(classes, shares.tolist(), strict=True)), incoming, psi, q)


def _sentences(columns: Sequence[ColumnDrift], mix: MixDrift, n: int, m: int) -> tuple[str, ...]:
    out = [f"{m} incoming patients were compared with {n} of training; patients who share an image count once."]
    moved = [c for c in columns if c.light in {"amber", "red"}]
    if moved:
        named = "; ".join(f"{c.column}: {c.why}" for c in moved[:SHOWN])
        more = f"; and {len(moved) - SHOWN} more" if len(moved) > SHOWN else ""
        out.append(f"{len(moved)} of {len(columns)} columns moved (false discovery 5 %): {named}{more}.")
    else:
        out.append(
            f"In none of {len(columns)} columns was a change shown; with {m} patients a small one can be missed."
        )
    grey = [c for c in columns if c.light == "grey"]
    if grey:
        out.append(f"{len(grey)} columns have fewer than {SMALLEST} values and were not judged.")
    shares = ", ".join(f"{c} {e.value or 0:.0%} (training {mix.training[c]:.0%})" for c, e in mix.incoming.items())
    verdict = "differ from" if mix.light != "green" else "were not shown to differ from"
    out.append(f"The answers {verdict} those in training: {shares}.")
    limits = f"{MODERATE:g} and {LARGE:g} are conventional limits of the stability index"
    out.append(f"{limits}; drift says that patients changed, not that the model is wrong.")
    return tuple(out)
