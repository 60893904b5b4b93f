"""How unlike the training patients a patient is, with a stated rate of false alarms, and which measurements say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import KFold

from radiocard.errors import CohortError, UsageError
from radiocard.models.bundle import ModelBundle
from radiocard.models.novelty_score import PARTS, TINY, Bools, Covariance, Floats, NoveltyScore, allowed_covariance
from radiocard.models.table import align

Level = Literal["usual", "unusual", "very unusual"]

FOLDS = 20
UNUSUAL, VERY_UNUSUAL = 0.10, 0.05
FEWEST_PATIENTS = 19  # ceil(1 / VERY_UNUSUAL) - 1
STICKS_OUT = 2.0
NAMED = 3


@dataclass(frozen=True, slots=True)
class StickingOut:
    """One measurement that is unlike the training.

    Parameters
    ----------
    column : str
        Column.
    value : float
        This patient's value.
    low, high : float
        Training range, not widened.
    deviation : float or None
        Standard deviations within classes from the nearest class centre; None where the
        answering model does not use the column.
    outside : bool
        Whether the value lies outside the widened range.
    """

    column: str
    value: float
    low: float
    high: float
    deviation: float | None
    outside: bool


@dataclass(frozen=True, eq=False)
class Novelty:
    """How unlike the training patients one patient is.

    Parameters
    ----------
    p_value : float
        Share of the training patients (this one counted in) that are at least as unlike the
        others, all three scores together; alarms at 10 % are the values up to 0.10.
    parts : dict of str to float
        The same by each score of :data:`PARTS` alone.
    level : {'usual', 'unusual', 'very unusual'}
        Above 0.10, up to 0.10, up to 0.05: the rate of false alarms among patients like those of
        the training.
    n_training : int
        Independent training patients.
    n_outside : int
        Columns outside the widened training range.
    sticking_out : tuple of StickingOut
        At most three, the farthest first; empty where only the combination is unlike the training.
    covariance : {'mcd', 'shrunk'}
        Covariance of the distance; ``shrunk`` where the training is too small for the robust one.
    """

    p_value: float
    parts: dict[str, float]
    level: Level
    n_training: int
    n_outside: int
    sticking_out: tuple[StickingOut, ...]
    covariance: Covariance

    @property
    def alarm(self) -> bool:
        """Whether the patient counts as unlike the training, at 10 % of false alarms."""
        return self.level != "usual"

    def sentence(self, *, names: Mapping[str, str] | None = None, units: Mapping[str, str] | None = None) -> str:
        """Say how unlike the training the patient is, and which measurements say so.

        Parameters
        ----------
        names, units : mapping of str to str, optional
            Column to its plain name, and to its unit.
        """
        as_unlike = round(self.p_value * (self.n_training + 1)) - 1
        found = (
            f"{as_unlike or 'none'} of the {self.n_training} training patients {_be(as_unlike)} as unlike the others"
        )
        if not self.alarm:
            return f"Not unlike the training patients: {found}."
        level = VERY_UNUSUAL if self.level == "very unusual" else UNUSUAL
        reasons = "; ".join(
            f"{(names or {}).get(s.column, s.column)} {s.value:.4g} (training {s.low:.4g} to {s.high:.4g}"
            f"{' ' if (units or {}).get(s.column) else ''}{(units or {}).get(s.column, '')})"
            for s in self.sticking_out
        )
        cause = f"What sticks out: {reasons}." if reasons else "No one measurement sticks out; their combination does."
        return f"Unlike the training patients: {found} (alarm at {100 * level:g} % false alarms). {cause}"


def novelty(bundle: ModelBundle, X: pd.DataFrame, *, keep: Bools | None = None) -> tuple[Novelty, ...]:
    """Say for each patient how unlike the training patients it is.

    Each training patient is scored by the others (cross-fitted in 20 folds; of patients with
    identical images one counts). A new patient's three scores are ranked among theirs; the
    smallest of its three ranks is then ranked among the smallest ranks of the training patients,
    so that looking at three scores costs no extra false alarms [1]_. Among patients like those of
    the training the rate of alarms is the stated one, but for what one fold of patients changes.

    Parameters
    ----------
    bundle : ModelBundle
        Trained models; ``range`` looks at all its columns, the other scores at those that reach
        the answering model.
    X : DataFrame, shape (n_patients, any)
        Columns in any order; extra ones are ignored.
    keep : ndarray of bool, shape (n_training_patients,), optional
        Training patients to compare with; leave the group of a patient out who was in training.

    Returns
    -------
    tuple of Novelty
        One per row.

    Raises
    ------
    CohortError
        If fewer than 19 independent training patients are left (``E_CLASS_COUNT``), or a value
        of the table is not a number (``E_TABLE``).
    ModelError
        If columns are missing (``E_COLUMNS``).

    References
    ----------
    .. [1] Westfall & Young, Resampling-Based Multiple Testing (1993), for the smallest p-value;
       Bates et al., Ann Stat 51 (2023), doi:10.1214/22-AOS2244, for conformal p-values
    """
    rows = np.flatnonzero(np.ones(len(bundle.labels), dtype=bool) if keep is None else keep)
    _, first = np.unique(bundle.groups[rows], return_index=True)
    rows = rows[first]
    if len(rows) < FEWEST_PATIENTS:
        msg = (
            f"There are {len(rows)} independent training patients to compare with, expected at least "
            f"{FEWEST_PATIENTS} for alarms at {100 * VERY_UNUSUAL:g} %."
        )
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Train on more patients.")
    values, _ = align(X, bundle.columns)
    training, labels = bundle.values[rows], bundle.labels[rows]
    inner = [bundle.columns.index(c) for c in bundle.answering.final_columns]
    covariance = shared_covariance(len(rows), len(inner))
    reference = held_out_scores(training, labels, inner=inner, random_state=bundle.seed)
    scorer = NoveltyScore(inner, covariance=covariance).fit(training, labels)
    if len(values) == 0:
        return ()
    alone, together = p_values(reference, scorer.score_parts(values))
    outside, deviations = scorer.outside(values), scorer.deviations(values)
    return tuple(
        Novelty(
            p_value=float(together[i]),
            parts=dict(zip(PARTS, alone[i].tolist(), strict=True)),
            level=_level(float(together[i])),
            n_training=len(rows),
            n_outside=int(outside[i].sum()),
            sticking_out=_sticking_out(scorer, bundle.columns, values[i], outside[i], deviations[i]),
            covariance=covariance,
        )
        for i in range(len(values))
    )


def shared_covariance(n_rows: int, n_columns: int) -> Covariance:
    """Name the covariance that each fit of :func:`held_out_scores`, and one on all rows, allows."""
    return allowed_covariance(n_rows - -(-n_rows // min(FOLDS, n_rows)), n_columns)


def held_out_scores(X: Floats, y: NDArray[Any], *, inner: ArrayLike | None, random_state: int) -> Floats:
    """Score each row by a :class:`NoveltyScore` fitted on other rows, shape (n, 3).

    Parameters
    ----------
    X : ndarray of float, shape (n, n_features)
        One row per independent patient.
    y : ndarray of int, shape (n,)
        Classes.
    inner : sequence of int or None
        See :class:`NoveltyScore`.
    random_state : int
        Seed of the folds.
    """
    scores = np.empty((len(X), len(PARTS)))
    covariance = shared_covariance(len(X), X.shape[1] if inner is None else np.size(inner))
    for train, test in KFold(min(FOLDS, len(X)), shuffle=True, random_state=random_state).split(X):
        scores[test] = NoveltyScore(inner, covariance=covariance).fit(X[train], y[train]).score_parts(X[test])
    return scores


def p_values(reference: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Rank new scores among reference scores, each part alone and all together.

    Parameters
    ----------
    reference : ndarray of float, shape (n, n_parts)
        Scores of patients that were not fitted on.
    scores : ndarray of float, shape (m, n_parts)
        Scores of new patients; each is ranked by itself, so that none changes another's.

    Returns
    -------
    alone : ndarray of float, shape (m, n_parts)
        Share of the n + 1 patients whose score is at least as large.
    together : ndarray of float, shape (m,)
        Share of the n + 1 patients whose smallest such share is at most as large. Its rate of
        alarms is at most the level where all n + 1 are exchangeable.

    Raises
    ------
    UsageError
        If the parts are not the same.
    """
    if reference.ndim != 2 or scores.ndim != 2 or reference.shape[1] != scores.shape[1]:
        msg = f"Scores have shape {scores.shape}, expected (n_patients, {reference.shape[-1]})."
        raise UsageError(msg)
    n = len(reference)
    ordered = np.sort(reference, axis=0)
    columns = range(reference.shape[1])
    at_least = np.column_stack([n - np.searchsorted(ordered[:, j], reference[:, j]) for j in columns])
    new = np.column_stack([n - np.searchsorted(ordered[:, j], scores[:, j]) for j in columns]) + 1
    smallest = new.min(axis=1)
    together = np.empty(len(scores))
    for i, row in enumerate(scores):
        others = (at_least + (row >= reference)).min(axis=1)
        together[i] = (1 + (others <= smallest[i]).sum()) / (n + 1)
    return new / (n + 1), together


def _be(n: int) -> str:
    return "are" if n > 1 else "is"


def _level(p: float) -> Level:
    if p <= VERY_UNUSUAL:
        return "very unusual"
    return "unusual" if p <= UNUSUAL else "usual"


def _sticking_out(
    scorer: NoveltyScore, columns: tuple[str, ...], row: Floats, outside: Bools, deviations: Floats
) -> tuple[StickingOut, ...]:
    """Name the columns outside the range first, then those far from the nearest class centre."""
    by_column: dict[int, float] = dict(zip(scorer.inner_.tolist(), deviations.tolist(), strict=True))
    span = np.maximum(scorer.high_ - scorer.low_, TINY)
    beyond = np.maximum(scorer.low_ - row, row - scorer.high_) / span
    far = [j for j, d in by_column.items() if abs(d) >= STICKS_OUT and not outside[j] and not np.isnan(row[j])]
    order = sorted(np.flatnonzero(outside).tolist(), key=lambda j: -beyond[j])
    order += sorted(far, key=lambda j: -abs(by_column[j]))
    return tuple(
        StickingOut(
            column=columns[j],
            value=float(row[j]),
            low=float(scorer.low_[j]),
            high=float(scorer.high_[j]),
            deviation=by_column.get(j),
            outside=bool(outside[j]),
        )
        for j in order[:NAMED]
    )
