"""Audit the explanations of a trained model: train it again in folds and see what its explanations are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.errors import MissingExtraError, UsageError
from radiocard.evaluation.intervals import Estimate, mean_over_patients, percentile, resample_weights, wilson
from radiocard.explain import audit as measures
from radiocard.explain.shap_values import COHORT_ROWS, Explanation, explain
from radiocard.models.bundle import ModelBundle
from radiocard.models.fitted import FittedModel
from radiocard.models.selection import fit_best, grouped_splits
from radiocard.specs import EvaluationPlan, ModelRecipe, read_recipe
from radiocard.study.audit_result import Deletion, ExplanationAudit, GroupShare, Planted, Stability
from radiocard.study.train import plan_of

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Progress = Callable[[int, int], None]

EVALUATIONS = 2_000
SEEDS = 3
RANDOM_SETS = 20
SHUFFLES = 10
EFFECT_SD = 1.0
PLANTED_COLUMNS = 30
EBM = "ebm"
SAMPLE_NOTE = (
    "Intervals are over the patients explained, the models held fixed; folds share patients, so that models of other "
    "cohorts can differ more."
)


@dataclass(frozen=True, eq=False)
class _Refit:
    """One model trained without some patients, and its explanation of all sampled ones."""

    fitted: FittedModel
    explanation: Explanation
    train: Ints
    test: Ints


@dataclass(frozen=True, eq=False)
class _Cohort:
    """The training patients, those among them that are explained, and the weights of their resamples."""

    X: pd.DataFrame
    labels: NDArray[np.str_]
    codes: Ints
    groups: Ints
    rows: Ints
    plan: EvaluationPlan
    weights: Floats

    @property
    def array(self) -> Floats:
        """Values, shape (n, columns)."""
        return np.asarray(self.X.to_numpy(dtype=float))

    @property
    def n_independent(self) -> float:
        """Independent patients among the explained ones."""
        return float(np.unique(self.groups[self.rows]).size)

    def mean(self, values: Floats) -> Estimate:
        """Mean over the explained patients with its interval; ``values`` of shape (rows,)."""
        return self.means(values[:, None])[0]

    def means(self, values: Floats) -> list[Estimate]:
        """Mean over the explained patients with its interval; ``values`` of shape (rows, k)."""
        y, groups, plan = self.codes[self.rows], self.groups[self.rows], self.plan
        return mean_over_patients(values, y, groups, n_bootstrap=plan.n_bootstrap, random_state=plan.random_state)


def audit_explanations(
    model: ModelBundle,
    *,
    name: str | None = None,
    top: int = 5,
    repeats: int = 2,
    tables: int = 10,
    progress: Progress | None = None,
) -> ExplanationAudit:
    """Audit the explanations of a model on its own training patients, which the model file keeps.

    The recipe is tuned and fitted again in the outer folds, with several seeds, so that deletion and permutation are
    measured on held-out patients only [1]_ [2]_.

    Parameters
    ----------
    model : ModelBundle
        Trained model.
    name : str, optional
        Model of the bundle; the answering one when None.
    top : int
        How many leading columns are compared, deleted and planted.
    repeats : int
        Sets of outer folds, each with a seed of its own.
    tables : int
        Simulated tables with planted columns.
    progress : callable, optional
        Called with the number of models trained and their total.

    Returns
    -------
    ExplanationAudit

    Raises
    ------
    UsageError
        If the model has not more columns than ``top``, or a number is below 1 (below 2 for ``tables``).

    References
    ----------
    .. [1] Samek et al., IEEE Trans Neural Netw Learn Syst 28 (2017) 2660, doi:10.1109/TNNLS.2016.2599820
    .. [2] Breiman, Mach Learn 45 (2001) 5, doi:10.1023/A:1010933404324
    """
    if not 0 < top < len(model.columns) or repeats < 1 or tables < 2:
        found = f"top {top} of {len(model.columns)} columns, repeats {repeats}, tables {tables}"
        msg = f"The audit was asked for with {found}; expected fewer columns than all, 1 repeat, 2 tables or more."
        raise UsageError(msg)
    fitted = model.answering if name is None else model.model(name)
    cohort = _cohort(model)
    total = cohort.plan.outer_folds * (repeats + 1) + SEEDS + tables
    count = _Counter(progress, total)
    refits = _refits(cohort, fitted.recipe, repeats, count)
    seeds = [_on_all(cohort, fitted.recipe, cohort.plan.random_state + 1000 + s, count) for s in range(SEEDS)]
    groups = measures.correlated_groups(cohort.X)
    whole = _explain(cohort, fitted)
    agreement = {"permutation": _with_permutation(cohort, refits)}
    notes = [SAMPLE_NOTE]
    other = _with_ebm(cohort, refits, count) if fitted.recipe.name != EBM else None
    if other is None:
        notes.append("Agreement with the explainable boosting machine was not measured.")
    else:
        agreement[EBM] = other
    return ExplanationAudit(
        model=fitted.name,
        title=fitted.title,
        method=whole.method,
        top=top,
        stability={
            "folds": _stability(cohort, [measures.patient_importance(r.explanation) for r in refits], top),
            "seeds": _stability(cohort, [measures.patient_importance(e) for e in seeds], top),
            "groups": _stability(cohort, [measures.group_importance(r.explanation, groups) for r in refits], top),
        },
        planted=_planted(cohort, fitted.recipe, top, tables, count),
        deletion=_deletion(cohort, refits, top),
        groups=_groups(cohort, whole, groups),
        agreement=agreement,
        notes=tuple(notes),
    )


@dataclass(eq=False)
class _Counter:
    """Counts trained models."""

    progress: Progress | None
    total: int
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _cohort(model: ModelBundle) -> _Cohort:
    X, plan = model.training_table, plan_of(model)
    rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), COHORT_ROWS)).round().astype(np.intp))
    codes, groups = model.labels.astype(np.intp), model.groups.astype(np.intp)
    weights = resample_weights(codes[rows], groups[rows], n_bootstrap=plan.n_bootstrap, random_state=plan.random_state)
    return _Cohort(X, model.training_labels, codes, groups, rows, plan, np.asarray(weights, dtype=np.float64))


def _fit(cohort: _Cohort, recipe: ModelRecipe, train: Ints, seed: int) -> FittedModel:
    return fit_best(
        recipe,
        cohort.X.iloc[train],
        cohort.labels[train],
        cohort.groups[train].astype(str),
        inner_folds=cohort.plan.inner_folds,
        random_state=seed,
    )


def _explain(cohort: _Cohort, fitted: FittedModel, background: Ints | None = None) -> Explanation:
    against = cohort.X if background is None else cohort.X.iloc[background]
    return explain(fitted, against, cohort.X.iloc[cohort.rows], evaluations=EVALUATIONS)


def _refits(cohort: _Cohort, recipe: ModelRecipe, repeats: int, count: _Counter) -> list[_Refit]:
    out = []
    for repeat in range(repeats):
        seed = cohort.plan.random_state + repeat
        names = cohort.groups.astype(str)
        for train, test in grouped_splits(cohort.codes, names, folds=cohort.plan.outer_folds, random_state=seed):
            fitted = _fit(cohort, recipe, train, seed)
            out.append(_Refit(fitted, _explain(cohort, fitted, train), train, test))
            count()
    return out


def _on_all(cohort: _Cohort, recipe: ModelRecipe, seed: int, count: _Counter) -> Explanation:
    found = _explain(cohort, _fit(cohort, recipe, np.arange(len(cohort.X)), seed))
    count()
    return found


def _stability(cohort: _Cohort, importances: Sequence[Floats], top: int) -> Stability:
    stacked = np.stack(importances)
    k = min(top, stacked.shape[2])
    rank, overlap, lowest = measures.pairwise_agreement(stacked.mean(axis=1), top=k)
    drawn = np.einsum("bn,rnp->brp", cohort.weights, stacked)
    draws = np.array([measures.pairwise_agreement(d, top=k)[:2] for d in drawn])
    n = cohort.n_independent
    ends = [percentile(value, draws[:, i], n=n) for i, value in enumerate((rank, overlap))]
    chance = k / stacked.shape[2]
    return Stability(ends[0], ends[1], lowest if np.isfinite(lowest) else None, chance, len(stacked))


def _held_out(cohort: _Cohort, refit: _Refit) -> tuple[Ints, Ints]:
    """Positions among the explained patients, and in the table, of those that a model did not see."""
    inside = np.flatnonzero(np.isin(cohort.rows, refit.test))
    return inside, cohort.rows[inside]


def _deletion(cohort: _Cohort, refits: Sequence[_Refit], top: int) -> Deletion:
    rng = np.random.default_rng(cohort.plan.random_state)
    losses, seen = np.zeros((len(cohort.rows), 2)), np.zeros(len(cohort.rows))
    for refit in refits:
        inside, rows = _held_out(cohort, refit)
        if not rows.size:
            continue
        learned = np.isin(cohort.rows, refit.train)
        order = measures.patient_importance(refit.explanation)[learned].mean(axis=0)
        usual = np.nanmedian(cohort.array[refit.train], axis=0)
        sets = [measures.leaders(order, top)]
        sets += [rng.choice(order.size, top, replace=False) for _ in range(RANDOM_SETS)]
        grown = [
            measures.deletion_loss(refit.fitted, cohort.array[rows], cohort.codes[rows], columns=s, usual=usual)
            for s in sets
        ]
        losses[inside] += np.stack([grown[0], np.mean(grown[1:], axis=0)], axis=1)
        seen[inside] += 1
    losses /= seen[:, None]
    leading, random = cohort.means(losses)
    return Deletion(leading, random, cohort.mean(losses[:, 0] - losses[:, 1]))


def _with_permutation(cohort: _Cohort, refits: Sequence[_Refit]) -> Estimate:
    rng = np.random.default_rng(cohort.plan.random_state)
    shape = (len(cohort.rows), cohort.X.shape[1])
    shap, loss = np.zeros(shape), np.zeros(shape)
    for refit in refits:
        inside, rows = _held_out(cohort, refit)
        shap[inside] += measures.patient_importance(refit.explanation)[inside]
        loss[inside] += measures.permutation_loss(
            refit.fitted, cohort.array[rows], cohort.codes[rows], repeats=SHUFFLES, rng=rng
        )
    return _agreement(cohort, shap, loss)


def _with_ebm(cohort: _Cohort, refits: Sequence[_Refit], count: _Counter) -> Estimate | None:
    """Compare with a glass box of the same folds; None where it is not installed."""
    shape = (len(cohort.rows), cohort.X.shape[1])
    ours, theirs = np.zeros(shape), np.zeros(shape)
    recipe = read_recipe(EBM)
    for refit in refits[: cohort.plan.outer_folds]:
        inside, _ = _held_out(cohort, refit)
        try:
            glass = _fit(cohort, recipe, refit.train, cohort.plan.random_state)
        except MissingExtraError:
            return None
        ours[inside] = measures.patient_importance(refit.explanation)[inside]
        theirs[inside] = measures.patient_importance(_explain(cohort, glass, refit.train))[inside]
        count()
    return _agreement(cohort, ours, theirs)


def _agreement(cohort: _Cohort, first: Floats, second: Floats) -> Estimate:
    value = measures.rank_agreement(first.mean(axis=0), second.mean(axis=0))
    pairs = zip(cohort.weights @ first, cohort.weights @ second, strict=True)
    draws = np.array([measures.rank_agreement(a, b) for a, b in pairs])
    return percentile(value, draws, n=cohort.n_independent)


def _planted(cohort: _Cohort, recipe: ModelRecipe, top: int, tables: int, count: _Counter) -> Planted:
    columns = max(min(cohort.X.shape[1], PLANTED_COLUMNS), top + 1)
    counts = np.bincount(cohort.codes).tolist()
    shares = []
    for table in range(tables):
        rng = np.random.default_rng([cohort.plan.random_state, table])
        X, y, planted = measures.planted_table(counts, n_columns=columns, informative=top, effect_sd=EFFECT_SD, rng=rng)
        names = np.arange(len(y)).astype(str)
        fitted = fit_best(recipe, X, y, names, inner_folds=cohort.plan.inner_folds, random_state=table)
        importance = measures.patient_importance(explain(fitted, X, X.iloc[cohort.rows], evaluations=EVALUATIONS))
        named = {fitted.columns[j] for j in measures.leaders(importance.mean(axis=0), top)}
        shares.append(len(named & set(planted)) / top)
        count()
    return Planted(wilson(float(np.mean(shares)), tables), top / columns, columns, top, EFFECT_SD)


def _groups(cohort: _Cohort, whole: Explanation, groups: Sequence[tuple[str, ...]]) -> tuple[GroupShare, ...]:
    found = cohort.means(measures.group_importance(whole, groups))
    shares = [GroupShare(g, e) for g, e in zip(groups, found, strict=True)]
    return tuple(sorted(shares, key=lambda s: -(s.importance.value or 0.0)))
