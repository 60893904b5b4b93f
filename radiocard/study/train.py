"""Train every model in nested folds, and keep the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.checks.cohort import identical_images, image_groups
from radiocard.cohort.row import COVARIATES, PROVENANCE
from radiocard.cohort.table import feature_columns, specification
from radiocard.errors import CohortError
from radiocard.evaluation.evidence import Evidence, score_nested
from radiocard.evaluation.intervals import Estimate
from radiocard.evaluation.nested import nested_cv
from radiocard.evaluation.result import SELECTED, NestedResult
from radiocard.models.assemble import make_bundle
from radiocard.models.bundle import ModelBundle
from radiocard.models.pools import pool_columns
from radiocard.models.rule import read_rule
from radiocard.models.selection import fit_best
from radiocard.specs import (
    EvaluationPlan,
    ModelRecipe,
    RuleSpec,
    TaskSpec,
    parse_as,
    read_as,
    read_recipe,
    read_spec,
    read_task,
    shipped_names,
)
from radiocard.specs.maps import MAP_UNITS, sequence_of

DEFAULT_TASK = "cine"
SUMMARY_METRICS = ("accuracy", "balanced_accuracy", "macro_auc", "brier", "log_loss", "calibration_slope", "ece")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class LearningData:
    """What a model learns from.

    Parameters
    ----------
    table : DataFrame, index ``patient_id``
        Rows with a known class.
    X : DataFrame of float, shape (n_patients, n_columns)
        Columns of the pool.
    y, groups : ndarray of str, shape (n_patients,)
        Classes; patients with identical images share a group.
    """

    table: pd.DataFrame
    X: pd.DataFrame
    y: NDArray[np.str_]
    groups: NDArray[np.str_]


def learning_data(table: pd.DataFrame, *, target: str, columns: Sequence[str]) -> LearningData:
    """Take the rows with a known class and the columns of a model.

    Raises
    ------
    CohortError
        If there is no such target column, or no row has a class (``E_COLUMNS``).
    """
    if target not in table:
        msg = f"The table has no column {target!r}."
        raise CohortError(msg, code="E_COLUMNS", field=target, hint="Name the column that holds the diagnosis.")
    absent = [c for c in (*COVARIATES[1:], *PROVENANCE, *columns) if c not in table]
    if absent:
        msg = f"The table lacks {len(absent)} columns: {', '.join(absent[:12])}."
        raise CohortError(msg, code="E_COLUMNS", hint="Use a table written by 'radiocard extract' as it is.")
    rows = table[table[target].notna()]
    if rows.empty:
        msg = f"No patient has a value in {target!r}."
        raise CohortError(msg, code="E_COLUMNS", field=target)
    digests = dict(rows["image_sha256"])
    identical_images(digests, labels=dict(rows[target]))
    groups = image_groups(digests)
    return LearningData(
        table=rows,
        X=rows[list(columns)].astype(float),
        y=np.array([_label(value) for value in rows[target]]),
        groups=np.array([groups[patient] for patient in rows.index]),
    )


def _label(value: object) -> str:
    """Write a class label; a whole number read as 1.0 stays 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def read_plan(plan: str | EvaluationPlan) -> EvaluationPlan:
    """Return an evaluation plan from a name, a path or a plan."""
    return plan if isinstance(plan, EvaluationPlan) else read_as(EvaluationPlan, plan, "models")


def n_steps(plan: str | EvaluationPlan = "evaluation") -> int:
    """Return the number of outer folds, all repeats together."""
    read = read_plan(plan)
    return read.outer_folds * read.repeats


def cross_validate(
    data: LearningData,
    recipes: Sequence[ModelRecipe],
    plan: EvaluationPlan,
    *,
    rule: RuleSpec,
    jobs: int = 1,
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> tuple[NestedResult, Evidence]:
    """Run the recipes in nested folds beside the rule and the majority class, and score them."""
    result = nested_cv(
        data.X,
        data.y,
        data.groups,
        recipes=recipes,
        plan=plan,
        rule=rule,
        rule_table=data.table,
        sex=data.table["sex"].to_numpy(dtype=object),
        progress=progress,
        n_jobs=jobs,
        resume=resume,
    )
    return result, score_nested(result, plan=plan)


def train(
    table: pd.DataFrame,
    *,
    target: str = "diagnosis",
    task: str | TaskSpec = DEFAULT_TASK,
    models: Sequence[str | ModelRecipe] | None = None,
    pool: str | None = None,
    plan: str | EvaluationPlan = "evaluation",
    jobs: int = 1,
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> ModelBundle:
    """Train models on a table; the inner folds choose which one answers.

    Parameters
    ----------
    table : DataFrame
        Made by :func:`radiocard.extract`; rows without a class are left out.
    target : str
        Column that holds the classes.
    task : str or TaskSpec
        The question: gives models, pool and the published rule to compare with; a shipped name
        (``cine``, ``t1-amyloid``, ...), a path or a task.
    models : sequence of str or ModelRecipe, optional
        Shipped names, paths or recipes; those of the task without it.
    pool : str, optional
        Columns to learn from, for example ``physiology`` or ``t1``; that of the task without it.
    plan : str or EvaluationPlan
        Folds, repeats, seed; a shipped name, a path or a plan.
    jobs : int
        Worker processes; the result does not depend on it.
    progress : callable or None
        Called with the number of outer folds done and in all.
    resume : str, Path or None
        Folder that keeps finished folds; see :func:`radiocard.evaluation.nested.nested_cv`.

    Returns
    -------
    ModelBundle
        All trained models with their out-of-fold predictions and scores.

    Raises
    ------
    CohortError
        If a class has too few patients, before anything is trained (``E_CLASS_COUNT``).
    SpecError
        If a recipe or plan cannot be read.
    """
    asked = task if isinstance(task, TaskSpec) else read_task(task)
    recipes = [m if isinstance(m, ModelRecipe) else read_recipe(m) for m in models or asked.models]
    return train_with_evidence(
        table,
        target=target,
        task=asked,
        recipes=recipes,
        pool=pool or asked.pool,
        plan=read_plan(plan),
        jobs=jobs,
        progress=progress,
        resume=resume,
    )[0]


def train_with_evidence(
    table: pd.DataFrame,
    *,
    target: str,
    task: TaskSpec,
    recipes: Sequence[ModelRecipe],
    pool: str,
    plan: EvaluationPlan,
    jobs: int = 1,
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> tuple[ModelBundle, NestedResult, Evidence]:
    """Train like :func:`train`, and return the cross-validation as well."""
    made = specification(table)
    _refuse_other_task(task, str(made["spec"]["sequence"]))
    data = learning_data(table, target=target, columns=pool_columns(pool, feature_columns(table)))
    _refuse_absent_maps(data, pool)
    rule = read_rule(task.rule)
    result, evidence = cross_validate(data, recipes, plan, rule=rule, jobs=jobs, progress=progress, resume=resume)
    seed = plan.random_state
    usable = [r for r in recipes if r.estimator != "majority"]
    fitted = [fit_best(r, data.X, data.y, data.groups, inner_folds=plan.inner_folds, random_state=seed) for r in usable]
    names = [SELECTED, *(model.name for model in fitted)]
    bundle = make_bundle(
        fitted,
        data.X,
        data.y,
        data.groups,
        target=target,
        pool=pool,
        feature_spec=made["spec"],
        feature_spec_hash=made["spec_hash"],
        out_of_fold={name: np.asarray(result.probabilities[name], dtype=np.float64) for name in names},
        evaluation=_summary(evidence, plan, data) | {"task": task.model_dump(mode="json", by_alias=True)},
        simulated=bool(data.table["simulated"].any()),
        seed=seed,
        image_digests=list(data.table["image_sha256"]),
    )
    return bundle, result, evidence


def summarise(model: ModelBundle) -> dict[str, Any]:
    """Return the facts about a model that a person asks for first."""
    scores = model.evaluation["scores"][SELECTED]["metrics"]
    return {
        "n_patients": len(model.labels),
        "classes": list(model.classes),
        "task": task_of(model).name,
        "pool": model.pool,
        "n_columns": len(model.columns),
        "models": [m.title for m in model.models],
        "answers": model.answers,
        "answers_title": model.answering.title,
        "simulated": model.simulated,
        "accuracy_text": as_estimate(scores["accuracy"]).text(),
        "spec_hash": model.feature_spec_hash[:12],
        "target": model.target,
    }


def plan_of(model: ModelBundle) -> EvaluationPlan:
    """Return the evaluation plan that a model was trained with."""
    return parse_as(EvaluationPlan, model.evaluation["plan"], "model file")


def task_of(model: ModelBundle) -> TaskSpec:
    """Return the task that a model was trained for."""
    return parse_as(TaskSpec, model.evaluation["task"], "model file")


def rule_of(model: ModelBundle) -> RuleSpec:
    """Return the published rule that a model is held against."""
    return read_rule(task_of(model).rule)


def as_estimate(stored: Mapping[str, Any]) -> Estimate:
    """Read an estimate back from plain data."""
    return Estimate(**stored)


def _refuse_other_task(task: TaskSpec, sequence: str) -> None:
    asked = read_spec(task.spec)
    if sequence != asked.sequence:
        fitting = [
            name for name in shipped_names("models", TaskSpec) if read_spec(read_task(name).spec).sequence == sequence
        ]
        msg = f"The table was made from {sequence}, the task {task.name!r} is about {asked.sequence}."
        others = f" ({', '.join(fitting)})" if fitting else ""
        hint = f"Name another task{others}, or extract the table with '--spec {asked.name}'."
        raise CohortError(msg, code="E_COLUMNS", field="task", hint=hint)


def _refuse_absent_maps(data: LearningData, pool: str) -> None:
    """Refuse a pool that names a map which no patient has; what is left would answer under its name."""
    for sequence, unit in MAP_UNITS.items():
        columns = [c for c in data.X if sequence_of(str(c)) == sequence]
        if columns and data.X[columns].isna().all(axis=None):
            msg = f"No patient has a {sequence} map, which the pool {pool!r} needs ({sequence}_{unit})."
            raise CohortError(msg, code="E_COLUMNS", field=sequence, hint="Give the maps, or choose another task.")


def _summary(evidence: Evidence, plan: EvaluationPlan, data: LearningData) -> dict[str, Any]:
    scores = {
        name: {
            "title": s.title,
            "metrics": {k: s.metrics[k].to_dict() for k in SUMMARY_METRICS if k in s.metrics},
            "sensitivity": {c: rates["sensitivity"].to_dict() for c, rates in s.per_class.items()},
        }
        for name, s in evidence.scores.items()
    }
    sites = data.table["site"].dropna().astype(str)
    return {
        "plan": plan.model_dump(mode="json", by_alias=True),
        "design": evidence.design,
        "scores": scores,
        "chosen": evidence.chosen,
        "n_folds": evidence.n_folds,
        "sites": {str(site): int(n) for site, n in sites.value_counts().sort_index().items()},
        "layout": specification(data.table).get("layout") if data.table.attrs else None,
    }
