"""How well a question is answered at another site: every site left out, every site against every other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiocard.cohort.table import feature_columns
from radiocard.errors import CohortError
from radiocard.evaluation.intervals import Estimate
from radiocard.evaluation.shift import ShiftReport, diagnose_shift
from radiocard.evaluation.transfer import (
    OTHERS,
    Journey,
    Settings,
    SiteCohort,
    leave_one_site_out,
    mix_sensitivity,
    site_matrix,
)
from radiocard.io.store import write_json, write_text
from radiocard.models.pools import pool_columns
from radiocard.models.sites import SMALL_SITE, site_notes
from radiocard.models.travel import ADAPTATIONS, TRANSDUCTIVE, Adaptation
from radiocard.specs import EvaluationPlan, ModelRecipe, TaskSpec, read_recipe, read_task
from radiocard.study.train import DEFAULT_TASK, learning_data, read_plan

SCHEMA = "radiocard/transfer/1"
RECIPE = "logistic"
NORMAL = "NOR"
COLUMNS = {
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "ece": "calibration error",
    "calibration_slope": "calibration slope",
    "brier": "Brier score",
}
Progress = Callable[[int, int], None]
Sensitivity = dict[Adaptation, dict[str, dict[str, float]]]


@dataclass(frozen=True, eq=False)
class TransferResult:
    """What was found.

    Parameters
    ----------
    recipe : str
        Title of the recipe.
    left_out : tuple of Journey
        Each site left out in turn, for every adaptation.
    matrix : tuple of Journey
        Training site by test site, without adaptation.
    sensitivity : dict
        Balanced accuracy by transductive adaptation, test site, and class mix of its reference patients.
    shifts : dict of str to ShiftReport
        What differs at each site from all others.
    notes : tuple of str
        What a reader must know.
    """

    recipe: str
    left_out: tuple[Journey, ...]
    matrix: tuple[Journey, ...]
    sensitivity: Sensitivity
    shifts: dict[str, ShiftReport]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA,
            "recipe": self.recipe,
            "left_out": [j.to_dict() for j in self.left_out],
            "matrix": [j.to_dict() for j in self.matrix],
            "sensitivity": self.sensitivity,
            "shifts": {site: s.to_dict() for site, s in self.shifts.items()},
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Say the main figures, one line each."""
        out = [f"{self.recipe}; each site left out in turn:"]
        for journey in self.left_out:
            out.append(f"  {journey.test}, {ADAPTATIONS[journey.adaptation]}: {_says(journey)}")
        out.append("Trained at one site, tested at another (as it is):")
        out += [f"  {j.train} to {j.test}: {_says(j)}" for j in self.matrix]
        return [*out, *self.notes]

    def markdown(self) -> str:
        """Write everything as Markdown."""
        parts = ["# Transfer between sites", "", f"{self.recipe}. 95 % intervals over the patients of the test site."]
        parts += ["", *self.notes, "", "## Each site left out in turn", "", *journey_table(self.left_out)]
        parts += ["", "## Training site by test site, as it is", "", *journey_table(self.matrix)]
        parts += ["", "## Class mix of the patients that describe the site", "", *_sensitivity_table(self.sensitivity)]
        parts += ["", "## What differs at each site"]
        for site, shift in self.shifts.items():
            parts += ["", f"{site}: {' '.join(shift.sentences)}"]
        return "\n".join(parts) + "\n"


def n_steps(table: pd.DataFrame, *, target: str = "diagnosis", normal: str = NORMAL) -> int:
    """Return how many steps :func:`transfer` will take."""
    sites = table["site"].dropna().nunique() if "site" in table else 0
    known = target in table and normal in set(table[target].dropna().astype(str))
    return len(ADAPTATIONS) - (not known) + sites + 1


def transfer(
    table: pd.DataFrame,
    *,
    target: str = "diagnosis",
    task: str | TaskSpec = DEFAULT_TASK,
    recipe: str | ModelRecipe = RECIPE,
    pool: str | None = None,
    plan: str | EvaluationPlan = "evaluation",
    normal: str = NORMAL,
    progress: Progress | None = None,
) -> TransferResult:
    """Measure how a model travels between the sites of a table.

    Parameters
    ----------
    table : DataFrame
        Made by :func:`radiocard.extract`, with a site for each patient; patients without site or class are
        left out.
    target : str
        Column that holds the classes.
    task : str or TaskSpec
        The question; gives the pool.
    recipe : str or ModelRecipe
        A shipped name, a path or a recipe, without a calibration of its own.
    pool : str, optional
        Columns to learn from; those of the task without it.
    plan : str or EvaluationPlan
        Folds, bootstrap, seed.
    normal : str
        Label of the healthy. Without patients of it, no site is described by its normals.
    progress : callable, optional
        Called with the number of steps done and in all.

    Returns
    -------
    TransferResult

    Raises
    ------
    CohortError
        If there are fewer than two sites (``E_COHORT``), or sites and classes cannot be told apart
        (``E_CLASS_COUNT``).
    """
    asked = task if isinstance(task, TaskSpec) else read_task(task)
    cohort, notes = _site_cohort(table, target, pool or asked.pool)
    chosen = recipe if isinstance(recipe, ModelRecipe) else read_recipe(recipe)
    settings = Settings(chosen, read_plan(plan), normal)
    adaptations: list[Adaptation] = [a for a in ADAPTATIONS if a != "combat_normals" or normal in cohort.y]
    count = _Counter(progress, len(adaptations) + len(cohort.names) + 1)
    left_out = []
    for adaptation in adaptations:
        left_out += leave_one_site_out(cohort, settings, adaptation=adaptation)
        count.step()
    matrix = site_matrix(cohort, settings, adaptation="none")
    count.step()
    sensitivity: Sensitivity = {a: {} for a in TRANSDUCTIVE}
    for site in cohort.names:
        for a in TRANSDUCTIVE:
            if any(j.metrics for j in left_out if j.test == site and j.adaptation == a):
                sensitivity[a][site] = mix_sensitivity(cohort, settings, adaptation=a, test=site)
        count.step()
    return TransferResult(
        recipe=chosen.title,
        left_out=tuple(left_out),
        matrix=tuple(matrix),
        sensitivity=sensitivity,
        shifts=_shifts(cohort, left_out, settings.plan),
        notes=notes,
    )


def write_transfer(result: TransferResult, folder: str | Path) -> tuple[Path, Path]:
    """Write ``transfer.md`` and ``transfer.json`` into a folder; return their paths."""
    place = Path(folder)
    paths = place / "transfer.md", place / "transfer.json"
    write_text(result.markdown(), paths[0])
    write_json(result.to_dict(), paths[1])
    return paths


class _Counter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _site_cohort(table: pd.DataFrame, target: str, pool: str) -> tuple[SiteCohort, tuple[str, ...]]:
    data = learning_data(table, target=target, columns=pool_columns(pool, feature_columns(table)))
    known = data.table["site"].notna().to_numpy()
    sites = data.table["site"].astype(str).to_numpy(str)
    cohort = SiteCohort(data.X, data.y, data.groups, sites).rows(known)
    if len(cohort.names) < 2:
        msg = f"The table holds {len(cohort.names)} site(s), expected at least 2."
        raise CohortError(msg, field="site", hint="Give each patient a site in the manifest.")
    notes = [] if known.all() else [f"{int((~known).sum())} patients without a site are left out."]
    small = [s for s in cohort.names if (cohort.sites == s).sum() < SMALL_SITE]
    if small:
        notes.append(f"Sites with fewer than {SMALL_SITE} patients, whose figures say little: {', '.join(small)}.")
    notes += [n for n in site_notes(cohort.sites, cohort.y) if not n.startswith("Site ")]
    return cohort, tuple(notes)


def _shifts(cohort: SiteCohort, left_out: Sequence[Journey], plan: EvaluationPlan) -> dict[str, ShiftReport]:
    out = {}
    for journey in left_out:
        if journey.adaptation != "none" or journey.predictions is None or journey.predictions.probabilities is None:
            continue
        here = cohort.sites == journey.test
        classes = journey.predictions.classes
        training = np.array([(cohort.y[~here] == c).mean() for c in classes])
        if training.min() == 0:
            continue
        out[journey.test] = diagnose_shift(
            cohort.X.loc[~here],
            cohort.X.loc[here],
            probabilities=journey.predictions.probabilities[0],
            classes=classes,
            training=training,
            groups=cohort.groups[here],
            n_bootstrap=plan.n_bootstrap,
            random_state=plan.random_state,
        )
    return out


def _says(journey: Journey) -> str:
    if not journey.metrics:
        return f"not done. {' '.join(journey.notes)}"
    return f"balanced accuracy {journey.metrics['balanced_accuracy'].text()}"


def journey_table(journeys: Sequence[Journey]) -> list[str]:
    """Write journeys as lines of a Markdown table."""
    head = ["trained at", "tested at", "adaptation", "n trained", "n tested", *COLUMNS.values(), "notes"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for j in journeys:
        values = [estimate_text(j.metrics.get(key)) for key in COLUMNS]
        where = [OTHERS if j.train == OTHERS else j.train, j.test, ADAPTATIONS[j.adaptation]]
        lines.append(f"| {' | '.join([*where, str(j.n_train), str(j.n_test), *values, ' '.join(j.notes)])} |")
    return lines


def estimate_text(estimate: Estimate | None) -> str:
    """Write an estimate as ``value (low to high)``."""
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _sensitivity_table(found: Sensitivity) -> list[str]:
    lines = [
        "Transductive answers depend on who else was examined. Balanced accuracy over all patients of the site when "
        "the patients that describe it are drawn with 70 % of one class (labels serve to draw them only):",
        "",
    ]
    for adaptation, sites in found.items():
        for site, mixes in sites.items():
            told = ", ".join(f"{'even mix' if m == 'even' else f'mostly {m}'} {v:.2f}" for m, v in mixes.items())
            lines.append(f"* {site}, {ADAPTATIONS[adaptation]}: {told}.")
    return lines
