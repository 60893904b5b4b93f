"""Nested, repeated, stratified, patient-grouped cross-validation of several recipes at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation.checkpoints import fold_folder
from radiocard.evaluation.metrics import ABSTAINED, encode, group_codes
from radiocard.evaluation.outer_folds import FoldData, OuterFold, Progress, run_folds
from radiocard.evaluation.result import BASELINES, MAJORITY, RULE, RULE_NEAREST, SELECTED, Fold, NestedResult
from radiocard.models.rule import make_rule, why_not_applicable
from radiocard.models.selection import check_class_counts, grouped_splits
from radiocard.models.table import to_array
from radiocard.specs import EvaluationPlan, ModelRecipe, RuleSpec

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]


def nested_cv(
    X: pd.DataFrame,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    recipes: Sequence[ModelRecipe],
    plan: EvaluationPlan,
    rule: RuleSpec | None = None,
    rule_table: pd.DataFrame | None = None,
    sex: ArrayLike | None = None,
    progress: Progress | None = None,
    n_jobs: int = 1,
    resume: str | Path | None = None,
) -> NestedResult:
    """Estimate how good each recipe, and the choice between them, is on new patients.

    In each outer fold every recipe is tuned and fitted on the training part alone;
    ``selected`` is the one with the lowest inner log-loss there, so that its outer score
    includes the choice. The majority baseline gives everybody the class shares of the cohort
    (those of each training part would be worse than chance in balanced cohorts). The
    published rule needs no training and sees each patient once.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        Indexed by patient; NaN where undefined.
    y : array_like of str, shape (n,)
        Classes.
    groups : array_like of str, shape (n,)
        Rows of one group are never on both sides of a fold.
    recipes : sequence of ModelRecipe
        Names differ; a majority recipe is left out, since that baseline is always there.
    plan : EvaluationPlan
        Folds, repeats, seed.
    rule : RuleSpec, optional
        Published class definitions.
    rule_table : DataFrame, optional
        Columns for the rule where ``X`` lacks them; same rows.
    sex : array_like of str, shape (n,), optional
        'F' or 'M', else unknown.
    progress : callable, optional
        Called with the number of outer folds done and their total; with ``resume`` first with those
        that were kept.
    n_jobs : int
        Processes over outer folds and recipes; the result does not depend on it.
    resume : str or Path, optional
        Folder that keeps each recipe in each outer fold as soon as it is finished, and gives back what an
        earlier run with the same rows, folds, recipe and versions kept there. The result is the same, to the bit.

    Returns
    -------
    NestedResult

    Raises
    ------
    CohortError
        If a class is too small for the folds (``E_CLASS_COUNT``), before any work.
    LeakError
        If a group would be on both sides of a fold.
    UsageError
        If there is no recipe, or two have one name.
    OutputError
        If another process uses the folder of ``resume`` (``E_LOCKED``), or it cannot be written.
    """
    labels, names = np.asarray(y).astype(str), np.asarray(groups).astype(str)
    used = _usable(recipes)
    check_class_counts(labels, names, folds=plan.outer_folds)
    classes = tuple(np.unique(labels).tolist())
    codes = encode(labels, classes)
    jobs = _plan_folds(codes, names, classes, plan)
    data = FoldData(pd.DataFrame(to_array(X), index=X.index, columns=X.columns), labels, names, plan.inner_folds)
    with fold_folder(resume) as folder:
        outcomes = run_folds(data, jobs, used, folder=folder, progress=progress, n_jobs=n_jobs)
    titles = {SELECTED: "Model chosen by the inner folds", **{r.name: r.title for r in used}}
    titles[MAJORITY] = "Majority class (no training)"
    answers: dict[str, IntArray] = {}
    rule_note = None
    if rule is not None:
        answers, rule_note = rule_answers(rule, X if rule_table is None else rule_table, classes=classes, sex=sex)
    if rule is not None and answers:
        titles |= {RULE: rule.title, RULE_NEAREST: f"{rule.title}, borderline patients to the nearest definition"}
    probabilities, fold_of = _assemble(jobs, outcomes, codes, len(classes), plan.repeats)
    return NestedResult(
        ids=tuple(map(str, X.index)),
        classes=classes,
        y=codes,
        groups=group_codes(names, len(codes)),
        fold_of=fold_of,
        titles=titles,
        probabilities=probabilities,
        rule_answers=answers,
        rule_note=rule_note,
        folds=tuple(fold for fold, _ in outcomes),
        outer_folds=plan.outer_folds,
        inner_folds=plan.inner_folds,
    )


def rule_answers(
    rule: RuleSpec, table: pd.DataFrame, *, classes: tuple[str, ...], sex: ArrayLike | None = None
) -> tuple[dict[str, IntArray], str | None]:
    """Ask the published rule about every patient; it needs no training.

    Parameters
    ----------
    rule : RuleSpec
    table : DataFrame, shape (n, columns)
    classes : tuple of str
        Labels of the cohort.
    sex : array_like of str, shape (n,), optional
        'F' or 'M', else unknown.

    Returns
    -------
    answers : dict of str to ndarray of int, shape (n,)
        ``rule``: class codes, -1 where no definition holds; ``rule_nearest``: there, the class of
        the smallest share of unmet requirements. Empty where the rule is not applicable.
    note : str or None
        Why the rule is not applicable.
    """
    classifier = make_rule(rule, classes, [str(c) for c in table.columns])
    if classifier is None:
        return {}, why_not_applicable(rule, classes, [str(c) for c in table.columns])
    place = {label: c for c, label in enumerate(classes)}
    decisions = classifier.decide(table, sex)
    strict = [ABSTAINED if d.answer is None else place[d.answer] for d in decisions]
    nearest = [place[d.nearest] for d in decisions]
    return {RULE: np.array(strict, dtype=np.intp), RULE_NEAREST: np.array(nearest, dtype=np.intp)}, None


def _usable(recipes: Sequence[ModelRecipe]) -> list[ModelRecipe]:
    used = [r for r in recipes if r.estimator != "majority"]
    names = [r.name for r in used]
    if not used or len(set(names)) < len(names) or {SELECTED, *BASELINES} & set(names):
        msg = f"Expected at least one recipe, each with its own name, found: {', '.join(names) or 'none'}."
        raise UsageError(msg, hint=f"Taken names: {', '.join((SELECTED, *BASELINES))}.")
    return used


def _plan_folds(
    codes: IntArray, groups: NDArray[Any], classes: tuple[str, ...], plan: EvaluationPlan
) -> list[OuterFold]:
    """Draw all outer folds and refuse those whose training part is too small for the inner folds."""
    jobs = []
    for repeat in range(plan.repeats):
        seed = _seed(plan, repeat)
        splits = grouped_splits(codes, groups, folds=plan.outer_folds, random_state=seed)
        for fold, (train, test) in enumerate(splits):
            check_apart(groups, train, test)
            _check_training(codes[train], groups[train], classes, plan)
            jobs.append(OuterFold(repeat, fold, train, test, _seed(plan, repeat, fold)))
    return jobs


def check_apart(groups: NDArray[Any], train: IntArray, test: IntArray) -> None:
    """Refuse a split that has a group on both sides.

    Raises
    ------
    LeakError
        Naming the group (``E_LEAK_PATIENT``).
    """
    both = sorted(set(groups[train].tolist()) & set(groups[test].tolist()))
    if both:
        msg = f"Group {both[0]!r} is on both sides of a fold ({len(both)} such groups)."
        raise LeakError(msg)


def _check_training(codes: IntArray, groups: NDArray[Any], classes: tuple[str, ...], plan: EvaluationPlan) -> None:
    counts = {label: np.unique(groups[codes == c]).size for c, label in enumerate(classes)}
    if min(counts.values()) < plan.inner_folds:
        listed = ", ".join(f"{label} {n}" for label, n in counts.items())
        msg = (
            f"With {plan.outer_folds} outer folds, the training part of one holds fewer patients of a class than the "
            f"{plan.inner_folds} inner folds: {listed}."
        )
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Use a plan with fewer folds, join classes, or add patients.")


def _seed(plan: EvaluationPlan, *place: int) -> int:
    return int(np.random.SeedSequence([plan.random_state, *place]).generate_state(1)[0] % 2**31)


def _assemble(
    jobs: Sequence[OuterFold],
    outcomes: Sequence[tuple[Fold, dict[str, FloatArray]]],
    codes: IntArray,
    n_classes: int,
    repeats: int,
) -> tuple[dict[str, FloatArray], IntArray]:
    """Put the folds' probabilities and numbers in the places of their patients."""
    names = (*outcomes[0][1], MAJORITY)
    probabilities: dict[str, FloatArray] = {name: np.full((repeats, len(codes), n_classes), np.nan) for name in names}
    fold_of = np.full((repeats, len(codes)), -1)
    for job, (_, found) in zip(jobs, outcomes, strict=True):
        place = (job.repeat, job.test)
        fold_of[place] = job.fold
        for name, p in found.items():
            probabilities[name][place] = p
    probabilities[MAJORITY][:] = np.bincount(codes, minlength=n_classes) / len(codes)
    return probabilities, fold_of
