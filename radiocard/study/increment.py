"""Does texture add anything? A ladder of models in the same folds, with negative controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiocard.cohort.table import describe, feature_columns
from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.increment import (
    PRIMARY,
    answer,
    gains,
    net_benefit_gains,
    step_scores,
    volume_correlations,
)
from radiocard.evaluation.likelihood import likelihood_ratio_test
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.nested import nested_cv
from radiocard.evaluation.result import RULE_NEAREST, SELECTED
from radiocard.io.cohort import Cohort
from radiocard.models.pools import pool_columns
from radiocard.models.rule import read_rule
from radiocard.specs import EvaluationPlan, FeatureSpec, ModelRecipe, TaskSpec, read_recipe, read_task
from radiocard.specs.maps import sequence_of
from radiocard.specs.models import Selection
from radiocard.study.extract import as_cohort, as_spec, extract
from radiocard.study.increment_result import IncrementResult, PlannedTest, Step
from radiocard.study.texture_control import control_tables
from radiocard.study.train import DEFAULT_TASK, LearningData, learning_data, n_steps, read_plan

Progress = Callable[[str, int], AbstractContextManager[Callable[..., None]]]

MODELS: Final = ("logistic",)
SHAPE: Final = frozenset({"shape_3d", "shape_2d"})


def increment(
    cohort: str | Path | Cohort,
    *,
    task: str | TaskSpec = DEFAULT_TASK,
    spec: str | Path | FeatureSpec | None = None,
    target: str = "diagnosis",
    models: Sequence[str | ModelRecipe] = MODELS,
    plan: str | EvaluationPlan = "evaluation",
    controls: bool = True,
    test_base: Sequence[str] = (),
    test_added: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress | None = None,
) -> IncrementResult:
    """Ask step by step what each group of measurements adds, in the same nested folds.

    The steps are the published rule, the best single index (chosen inside each fold), the pool of the
    task, the same with texture, and with maps where the pool has none and the table has. Texture is
    every grey-level, histogram and matrix feature; shape of regions is not texture and is left out.

    Parameters
    ----------
    cohort : str, Path or Cohort
        A folder in ACDC or M&Ms layout, or a manifest CSV.
    task : str or TaskSpec
        Gives pool, rule and specification.
    spec : str, Path or FeatureSpec, optional
        Another specification, for example with more texture; that of the task without it.
    target : str
        Column that holds the classes.
    models : sequence of str or ModelRecipe
        Recipes, the same at every step; of several the inner folds choose.
    plan : str or EvaluationPlan
        Folds, repeats, seed.
    controls : bool
        Whether to describe shuffled and noise-filled regions as well.
    test_base, test_added : sequence of str
        Columns named before anybody saw the data, for a likelihood-ratio test of the second on top of the
        first; where it is not valid the result says why.
    jobs : int
        Worker processes; the result does not depend on it.
    progress : callable or None
        Takes a title and a total, gives a context with a callable that counts one step.

    Returns
    -------
    IncrementResult

    Raises
    ------
    CohortError
        If the cohort cannot be read, a class is too small, or the specification gives no texture.
    """
    asked = task if isinstance(task, TaskSpec) else read_task(task)
    settings, found, folds = as_spec(spec or asked.spec), as_cohort(cohort), read_plan(plan)
    recipes = [m if isinstance(m, ModelRecipe) else read_recipe(m) for m in models]
    bar = progress or (lambda *_: nullcontext(lambda *_: None))
    with bar("Measuring", len(found.cases)) as count:
        table = extract(found, spec=settings, jobs=jobs, progress=count)
    pools = _pools(table, asked.pool)
    data = learning_data(table, target=target, columns=list(dict.fromkeys(c for p in pools.values() for c in p)))
    blank: dict[str, pd.DataFrame] = {}
    correlation = pd.Series(dtype=float)
    if controls:
        refs = [ref for ref in found.cases if ref.patient_id in set(data.table.index)]
        with bar("Controls", len(refs)) as count:
            blank, volumes = control_tables(refs, settings, jobs=jobs, progress=count)
        correlation = volume_correlations(data.X[pools["texture"]], volumes.reindex(data.X.index))
    ladder = _Ladder(data, asked, recipes, folds, jobs, bar)
    found_steps = ladder.climb(pools, blank, correlation)
    return replace(found_steps, planned=_planned(data, test_base, test_added))


@dataclass(frozen=True, eq=False)
class _Ladder:
    """What all steps share."""

    data: LearningData
    task: TaskSpec
    recipes: Sequence[ModelRecipe]
    plan: EvaluationPlan
    jobs: int
    bar: Progress

    def climb(
        self, pools: Mapping[str, list[str]], blank: Mapping[str, pd.DataFrame], correlation: pd.Series[float]
    ) -> IncrementResult:
        X, base, texture = self.data.X, pools["base"], pools["texture"]
        told: dict[str, tuple[str, int, Predictions, str | None]] = {}
        first, design = self._first(X[base], told)
        told["single"] = ("best single index, chosen in the fold", len(base), first, "rule" if told else None)
        told["physiology"] = (f"pool {self.task.pool}", len(base), self._fit("Pool", X[base]), "single")
        both = self._fit("Texture", X[base + texture])
        told["texture"] = ("+ texture", len(base + texture), both, "physiology")
        last = base + texture + pools["maps"]
        if pools["maps"]:
            told["maps"] = ("+ maps", len(last), self._fit("Maps", X[last]), "texture")
        for name, frame in blank.items():
            swapped = pd.concat([X[base], frame.reindex(index=X.index, columns=texture)], axis=1)
            title = f"control: + texture of {'shuffled voxels' if name == 'shuffled' else 'noise'}"
            told[name] = (title, len(base + texture), self._fit(f"Control {name}", swapped), "physiology")
        steps = tuple(self._step(name, told) for name in told)
        over = {name: gains(told[name][2], both, plan=self.plan) for name in blank}
        own = {s.name: s.gains for s in steps}
        sentence = answer(own["texture"][PRIMARY], {name: (own[name][PRIMARY], over[name][PRIMARY]) for name in blank})
        return IncrementResult(sentence, steps, over, correlation, design, both.n_groups, self.data.table)

    def _first(self, X: pd.DataFrame, told: dict[str, Any]) -> tuple[Predictions, str]:
        """Run the rule and the best single index; note the rule where it is applicable."""
        table = self.data.table
        with self.bar("Single index", n_steps(self.plan)) as count:
            result = nested_cv(
                X,
                self.data.y,
                self.data.groups,
                recipes=[single_index()],
                plan=self.plan,
                rule=read_rule(self.task.rule),
                rule_table=table,
                sex=table["sex"].to_numpy(dtype=object),
                progress=count,
                n_jobs=self.jobs,
            )
        if RULE_NEAREST in result.titles:
            told["rule"] = (result.titles[RULE_NEAREST], 0, result.predictions(RULE_NEAREST), None)
        return result.predictions(SELECTED), result.design()

    def _fit(self, title: str, X: pd.DataFrame) -> Predictions:
        with self.bar(title, n_steps(self.plan)) as count:
            return nested_cv(
                X,
                self.data.y,
                self.data.groups,
                recipes=self.recipes,
                plan=self.plan,
                progress=count,
                n_jobs=self.jobs,
            ).predictions(SELECTED)

    def _step(self, name: str, told: Mapping[str, tuple[str, int, Predictions, str | None]]) -> Step:
        title, n_columns, p, against = told[name]
        before = told[against][2] if against else None
        curve = before is not None and before.probabilities is not None and p.probabilities is not None
        return Step(
            name,
            title,
            n_columns,
            step_scores(p, plan=self.plan),
            against,
            gains(before, p, plan=self.plan) if before is not None else {},
            net_benefit_gains(before, p, plan=self.plan) if before is not None and curve else {},
        )


def _planned(data: LearningData, base: Sequence[str], added: Sequence[str]) -> PlannedTest | None:
    if not base and not added:
        return None
    try:
        found = likelihood_ratio_test(data.table, data.y, data.groups, base=base, added=added)
    except (CohortError, UsageError) as error:
        return PlannedTest(tuple(base), tuple(added), None, error.issue.message)
    return PlannedTest(tuple(base), tuple(added), found, "")


def single_index() -> ModelRecipe:
    """Return the recipe of the best single index: one column, the best by analysis of variance in the fold."""
    recipe = read_recipe("logistic")
    chosen = Selection(method="anova", k=(1,))
    return recipe.model_copy(update={"name": "single", "title": "Best single index", "select": chosen})


def _pools(table: pd.DataFrame, pool: str) -> dict[str, list[str]]:
    columns = feature_columns(table)
    base = pool_columns(pool, columns)
    free = [c for c in columns if c not in set(base)]
    families = {c: info.family for c in free if (info := describe(c)) is not None}
    texture = [c for c in free if "__" in c and families[c] not in SHAPE]
    if not texture:
        msg = "The specification gives no texture beyond the pool of the task."
        raise CohortError(msg, code="E_COLUMNS", hint="Name a specification with texture families.")
    maps = [] if any(sequence_of(c) for c in base) else [c for c in free if "__" not in c and sequence_of(c)]
    return {"base": base, "texture": texture, "maps": maps}
