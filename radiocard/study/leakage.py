"""Audit a table for leaks: labels, selection, patients, columns, and scores too good to be true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from radiocard.checks.cohort import image_groups
from radiocard.cohort.row import COVARIATES, PROVENANCE
from radiocard.cohort.table import feature_columns
from radiocard.errors import CohortError, LeakError
from radiocard.evaluation import metrics
from radiocard.evaluation.leakage import Counterfactual, Finding, LeakageAudit, PermutedScore, listed
from radiocard.evaluation.leakage_columns import column_findings
from radiocard.evaluation.leakage_labels import LabelAudit, audit_labels
from radiocard.evaluation.leakage_rows import row_findings
from radiocard.evaluation.result import SELECTED
from radiocard.evaluation.scores import Sample
from radiocard.models.pools import pool_columns
from radiocard.specs import EvaluationPlan, ModelRecipe, TaskSpec, read_recipe, read_task
from radiocard.study.train import DEFAULT_TASK, LearningData, learning_data, read_plan

PERMUTATIONS = 20
TOO_GOOD = 0.99
DISTINGUISHED = 0.05
SPLITS = ("fold", "split")
GRAVEST_FIRST = ("fix", "look", "note")
Progress = Callable[[int, int], None]


def check_leakage(
    table: pd.DataFrame,
    *,
    target: str = "diagnosis",
    task: str | TaskSpec = DEFAULT_TASK,
    models: Sequence[str | ModelRecipe] | None = None,
    pool: str | None = None,
    split: str | None = None,
    plan: str | EvaluationPlan = "evaluation",
    permutations: int = PERMUTATIONS,
    jobs: int = 1,
    progress: Progress | None = None,
) -> LeakageAudit:
    """Look for everything by which a table could show a better score than new patients will.

    Parameters
    ----------
    table : DataFrame, index ``patient_id``
        Made by :func:`radiocard.extract`, or any other: then every numeric column but the target is
        learned from, and each row is a patient of its own.
    target : str
        Column that holds the classes.
    task : str or TaskSpec
        Gives the models, and the pool for a table made by :func:`radiocard.extract`.
    models : sequence of str or ModelRecipe, optional
        Shipped names, paths or recipes; those of the task without it.
    pool : str, optional
        Columns to learn from.
    split : str, optional
        Column that holds a split drawn elsewhere; ``fold`` or ``split`` without it, where there is one.
    plan : str or EvaluationPlan
        Folds and seed; one repeat is made for each set of labels.
    permutations : int
        Sets of permuted labels, at least 2.
    jobs : int
        Worker processes; the result does not depend on it.
    progress : callable or None
        Called with the number of label sets done and in all.

    Returns
    -------
    LeakageAudit

    Raises
    ------
    CohortError
        If there is no such column, a class is too small, or identical images carry different labels.
    UsageError
        If there are fewer than 2 permutations, or no such pool.
    """
    asked = task if isinstance(task, TaskSpec) else read_task(task)
    recipes = [m if isinstance(m, ModelRecipe) else read_recipe(m) for m in models or asked.models]
    part = _split_column(table, split)
    data = _data(table, target=target, pool=pool, task=asked, split=part)
    once = read_plan(plan).model_copy(update={"repeats": 1})
    labels = audit_labels(
        data.X,
        data.y,
        data.groups,
        recipes=recipes,
        plan=once,
        n_permutations=permutations,
        n_jobs=jobs,
        progress=progress,
    )
    declared = [target, *([part] if part else []), *COVARIATES, *PROVENANCE]
    findings = [
        *(f for p in labels.permuted for f in permuted_findings(p)),
        *(selection_finding(c) for c in labels.counterfactuals),
        *row_findings(data.X, data.groups, data.table, split=part),
        *column_findings(data.table, data.y, data.groups, used=[str(c) for c in data.X], known=declared),
        *score_findings(labels, once),
    ]
    return LeakageAudit(
        n_patients=len(data.y),
        n_groups=len(set(data.groups.tolist())),
        classes=dict(sorted(Counter(data.y.tolist()).items())),
        n_columns=data.X.shape[1],
        design=labels.result.design(),
        permuted=labels.permuted,
        counterfactuals=labels.counterfactuals,
        findings=tuple(sorted(findings, key=lambda f: GRAVEST_FIRST.index(f.severity))),
    )


def permuted_findings(score: PermutedScore) -> list[Finding]:
    """Judge one model on permuted labels.

    Above chance is a leak of the pipeline. Below chance is what cross-validation does on few
    patients: a class that is frequent in the test part is rare in the training part.
    """
    found = []
    mean = score.permuted.text(decimals=3)
    if score.verdict == "above chance":
        message = f"{score.title} finds permuted labels: mean AUC {mean}, chance 0.50."
        found.append(Finding("fix", "labels", message, "Something is fitted outside the folds: report no score."))
    elif score.verdict == "below chance":
        message = f"{score.title} is below chance on permuted labels: mean AUC {mean}."
        found.append(Finding("note", "labels", message, "Cross-validation of few patients does so; no leak does."))
    if score.p > DISTINGUISHED:
        message = f"{score.title} is not told from chance: AUC {score.observed.text(decimals=3)}, p = {score.p:.3f}."
        found.append(Finding("look", "labels", message, "Do not report it as a finding."))
    return found


def selection_finding(told: Counterfactual) -> Finding:
    """Say what selection outside the folds would have shown."""
    message = (
        f"{told.title}: {told.n_chosen} columns chosen on all rows would show AUC {_two(told.outside.value)} instead "
        f"of {_two(told.inside.value)}, and {_two(told.permuted_outside.value)} on permuted labels."
    )
    return Finding("note", "selection", message, "Compare with published figures whose selection is not described.")


def score_findings(labels: LabelAudit, plan: EvaluationPlan) -> list[Finding]:
    """Report scores that are too good to be true, or better inside than outside.

    The alarm: the lower end of the AUC interval is above ``TOO_GOOD`` (a choice), or the mean inner log-loss
    is below the interval of the outer one, so that the inner folds promised what the outer ones did not keep.
    """
    found = []
    for score in labels.permuted:
        if score.observed.low is not None and score.observed.low > TOO_GOOD:
            message = f"{score.title} is too good to be true: AUC {score.observed.text(decimals=3)}."
            hint = f"The limit is a lower end of {TOO_GOOD}; look for the label among the columns."
            found.append(Finding("look", "score", message, hint))
        if score.model != SELECTED:
            found += _broken_promise(score, labels, plan)
    return found


def _broken_promise(score: PermutedScore, labels: LabelAudit, plan: EvaluationPlan) -> list[Finding]:
    inner = float(np.mean([fold.inner_log_loss[score.model] for fold in labels.result.folds]))
    p = labels.result.probabilities[score.model]
    sample = Sample(labels.result.predictions(score.model), plan)
    outer = sample.estimate(lambda w: metrics.log_loss(p, labels.result.y, w))
    if outer.low is None or inner >= outer.low:
        return []
    message = f"{score.title}: inner folds promise a log-loss of {inner:.3f}, outer folds show {outer.text()}."
    return [Finding("look", "score", message, "Rows that belong together may be apart; see the findings on patients.")]


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _split_column(table: pd.DataFrame, split: str | None) -> str | None:
    if split is None:
        return next((name for name in SPLITS if name in table), None)
    if split not in table:
        msg = f"The table has no column {split!r}."
        raise CohortError(msg, code="E_COLUMNS", field=split, hint="Name the column that holds the split.")
    return split


def _data(table: pd.DataFrame, *, target: str, pool: str | None, task: TaskSpec, split: str | None) -> LearningData:
    if "radiocard" in table.attrs:
        return learning_data(table, target=target, columns=pool_columns(pool or task.pool, feature_columns(table)))
    return _foreign(table, target=target, pool=pool, split=split)


def _foreign(table: pd.DataFrame, *, target: str, pool: str | None, split: str | None) -> LearningData:
    """Take a table of another program as it is: all its numbers are learned from."""
    if target not in table:
        msg = f"The table has no column {target!r}."
        raise CohortError(msg, code="E_COLUMNS", field=target, hint="Name the column that holds the diagnosis.")
    rows = table[table[target].notna()]
    numeric = [str(c) for c in rows if pd.api.types.is_numeric_dtype(rows[c]) and c not in (target, split)]
    columns = pool_columns(pool, numeric) if pool else numeric
    if rows.empty or not columns:
        msg = f"No patient has a value in {target!r}, or no column is numeric: {listed([str(c) for c in rows])}."
        raise CohortError(msg, code="E_COLUMNS", field=target)
    digests = rows["image_sha256"] if "image_sha256" in rows else pd.Series("", index=rows.index)
    groups = image_groups(dict(digests.fillna("").astype(str)))
    names = np.array([groups[patient] for patient in rows.index])
    y = rows[target].astype(str).to_numpy(dtype=str)
    if pd.Series(y).groupby(names).nunique().max() > 1:
        msg = "Identical images carry different labels."
        raise LeakError(msg, code="E_COHORT", hint="Correct the label, or leave one of them out.")
    return LearningData(table=rows, X=rows[columns].astype(float), y=y, groups=names)
