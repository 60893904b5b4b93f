"""Validate radiocard on the ACDC training patients, and write the figures to ``reports/validation/``.

The data are not part of radiocard. Give their place in two environment variables::

    RADIOCARD_ACDC=.../training RADIOCARD_ACDC_TABLE=.../acdc_clinical20.csv \
        uv run --no-dev python benchmarks/acdc.py

``RADIOCARD_ACDC`` is a folder in ACDC's own layout; ``RADIOCARD_ACDC_TABLE`` a CSV of the 20
published clinical features of the same patients (volumes in mm3). The model (random forest,
recipe ``rf``), the pool (``physiology``: the 20 features published for this task), at most 10
columns chosen in the inner folds and the plan (``evaluation``) are fixed here.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiocard.checks.cohort import image_groups
from radiocard.errors import CODES
from radiocard.evaluation.evidence import score_nested
from radiocard.evaluation.nested import nested_cv
from radiocard.evaluation.result import NestedResult
from radiocard.io.cohort import read_cohort
from radiocard.io.store import write_text
from radiocard.models.pools import pool_columns
from radiocard.models.rule import read_rule
from radiocard.models.selection import choose_model
from radiocard.specs import read_recipe, read_task
from radiocard.study.extract import extract
from radiocard.study.train import read_plan, train_with_evidence

DECLARED = "rf"
VOLUMES = {
    "lvedv_ml": "ED[vol(LV)]",
    "lvesv_ml": "ES[vol(LV)]",
    "rvedv_ml": "ED[vol(RV)]",
    "rvesv_ml": "ES[vol(RV)]",
}
SHOWN = ("accuracy", "balanced_accuracy", "macro_auc", "log_loss", "ece")
FOLDER = Path(__file__).parents[1] / "reports" / "validation"


def volume_differences(table: pd.DataFrame, published: pd.DataFrame) -> dict[str, float]:
    """Return the largest relative difference of each volume to the published one."""
    out = {}
    for ours, theirs in VOLUMES.items():
        reference = published.loc[table.index, theirs].to_numpy(float) / 1000
        out[ours] = float(np.max(np.abs(table[ours].to_numpy(float) - reference) / reference))
    return out


def errors_of(result: NestedResult, name: str) -> dict[str, int]:
    """Count the confusions of the answers that are wrong in most repeats."""
    answers = result.predictions(name).predicted
    found: Counter[str] = Counter()
    for truth, told in zip(result.y, answers.T, strict=True):
        called, times = Counter(told.tolist()).most_common(1)[0]
        if called != truth and 2 * times > len(told):
            found[f"{result.classes[truth]} called {result.classes[called]}"] += 1
    return dict(found.most_common())


def score_columns(X: pd.DataFrame, table: pd.DataFrame, *, jobs: int) -> dict[str, Any]:
    """Run the recipes in the same nested folds on other columns."""
    plan = read_plan("evaluation")
    groups = image_groups(dict(table["image_sha256"]))
    result = nested_cv(
        X,
        table["diagnosis"].astype(str),
        [groups[p] for p in table.index],
        recipes=[read_recipe(name) for name in read_task("cine").models],
        plan=plan,
        n_jobs=jobs,
    )
    return score_nested(result, plan=plan).to_dict()["scores"]


def rows(scores: dict[str, Any], names: list[str]) -> list[str]:
    """Format scores as Markdown table rows."""

    def cell(e: dict[str, Any] | None) -> str:
        if e is None or e["value"] is None:
            return "–"
        return f"{e['value']:.3f} ({e['low']:.3f} to {e['high']:.3f})"

    head = ["| model | " + " | ".join(SHOWN) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    lines = [
        f"| {scores[n]['title']} | " + " | ".join(cell(scores[n]["metrics"].get(m)) for m in SHOWN) + " |"
        for n in names
    ]
    return head + lines


def main() -> int:
    """Measure, train in nested folds, and write the report."""
    where, published = os.environ.get("RADIOCARD_ACDC"), os.environ.get("RADIOCARD_ACDC_TABLE")
    if not where or not published:
        print("acdc: not run (set RADIOCARD_ACDC and RADIOCARD_ACDC_TABLE)")
        return 0
    jobs = os.cpu_count() or 1
    cohort = read_cohort(where)
    table = extract(cohort, jobs=jobs)
    reference = pd.read_csv(published, index_col=0)
    found = table.attrs["radiocard"]["issues"]
    codes = Counter({code: len({i["case"] for i in found if i["code"] == code}) for code in {i["code"] for i in found}})
    task = read_task("cine")
    recipes = [read_recipe(name) for name in task.models]
    model, result, evidence = train_with_evidence(
        table, target="diagnosis", task=task, recipes=recipes, pool=task.pool, plan=read_plan("evaluation"), jobs=jobs
    )
    ours = evidence.to_dict()["scores"]
    theirs = score_columns(reference.loc[table.index].drop(columns="GROUP").astype(float), table, jobs=jobs)
    errors = errors_of(result, DECLARED)
    wide = score_columns(table[pool_columns("physiology_wide", map(str, table.columns))], table, jobs=jobs)
    figures = {
        "n_patients": len(table),
        "n_refused": len(cohort.cases) - len(table),
        "n_independent": ours[DECLARED]["n_groups"],
        "n_identical_images": sum(i["code"] == "W_IDENTICAL_IMAGES" for i in found),
        "volumes_largest_relative_difference": volume_differences(table, reference),
        "warnings": dict(codes),
        "declared_model": DECLARED,
        "pool": list(model.columns),
        "scores": {n: s["metrics"] for n, s in ours.items()},
        "sensitivity": {n: {c: r["sensitivity"] for c, r in s["per_class"].items()} for n, s in ours.items()},
        "scores_wide_pool": {n: s["metrics"] for n, s in wide.items()},
        "scores_published_table": {n: s["metrics"] for n, s in theirs.items()},
        "selection": evidence.selection[DECLARED],
        "chosen_by_inner_folds": evidence.chosen,
        "answering": choose_model(model.models).name,
        "rule": read_rule("rule_cine").name,
        "errors_of_declared_model": errors,
        "versions": dict(model.versions),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(figures, indent=1) + "\n", FOLDER / "acdc.json")
    write_text(page(figures, ours, theirs, wide), FOLDER / "acdc.md")
    print(page(figures, ours, theirs, wide))
    return 0


def page(figures: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], wide: dict[str, Any]) -> str:
    """Write the figures as a page."""
    n = figures["n_patients"]
    accuracy = ours[DECLARED]["metrics"]["accuracy"]
    volumes = figures["volumes_largest_relative_difference"]
    warnings = sorted(figures["warnings"].items(), key=lambda item: -item[1])
    sensitivity = figures["sensitivity"][DECLARED]
    lines = [
        "# Validation on ACDC",
        "",
        f"{n} patients of the ACDC training set (Bernard et al., IEEE TMI 2018, doi:10.1109/TMI.2018.2837502), "
        "expert masks at end-diastole and end-systole. Figures only; no data. Made by `benchmarks/acdc.py`, which says "
        "how to run it.",
        "",
        "ACDC's classes are *defined* by ejection fraction, volumes and wall thickness: a high accuracy here proves "
        "the measurements, not the texture, and says nothing about another hospital.",
        "",
        "## Measurements",
        "",
        "Largest relative difference to the published volumes of the same masks: "
        + ", ".join(f"{c} {d:.1e}" for c, d in volumes.items())
        + f" (n = {n} each).",
        "",
        f"Refused: {figures['n_refused']} of {n}. Identifiers with a bit-identical image under another identifier: "
        f"{figures['n_identical_images']} (one group in every fold; {figures['n_independent']} independent patients).",
        "",
        "| warning | cases | meaning |",
        "|---|---|---|",
        *(f"| {code} | {k} of {n} ({100 * k / n:.0f} %) | {CODES[code][1]} |" for code, k in warnings),
        "",
        "## Five classes, nested cross-validation",
        "",
        f"Fixed before this run: random forest; the {len(figures['pool'])} clinical features published for this task "
        "(Khened et al., Med Image Anal 2019) as radiocard measures them; at most 10 chosen inside each training part; "
        "5 outer folds, 3 repeats, 5 inner folds; identical images in one fold. Earlier versions of the pool, of the "
        "selection and of the SVM's settings had been compared on these same patients, so the figures are somewhat "
        "optimistic; the wider pool, declared before any of that, is shown below.",
        "",
        f"**Accuracy {accuracy['value']:.3f}** (95 % interval {accuracy['low']:.3f} to {accuracy['high']:.3f}, "
        f"n = {accuracy['n']:g} independent patients, {accuracy['method']}).",
        "",
        *rows(ours, list(ours)),
        "",
        "Values with 95 % intervals over patients. 'Model chosen by the inner folds' includes the choice; no "
        "best-of-all figure is quoted. The rule gives no probability; patients that no definition fits count as wrong.",
        "",
        "Sensitivity of the declared model: "
        + ", ".join(f"{c} {e['value']:.2f} ({e['low']:.2f} to {e['high']:.2f})" for c, e in sensitivity.items())
        + ".",
        "",
        "Wrong in most repeats: "
        + ("; ".join(f"{what} {k}" for what, k in figures["errors_of_declared_model"].items()) or "none")
        + ".",
        "",
        "Columns chosen most often by the declared model (of 15 outer folds): "
        + ", ".join(f"`{c}` {k}" for c, k in list(figures["selection"].items())[:12])
        + ".",
        "",
        "## The same models on the 20 published clinical features",
        "",
        *rows(theirs, [n for n in theirs if n != "majority"]),
        "",
        "Same folds, recipes and plan; the features were computed by others from the same masks.",
        "",
        "## The same models on the wider pool",
        "",
        *rows(wide, [n for n in wide if n != "majority"]),
        "",
        "`physiology_wide`: indexed volumes and mass, thickness by segment and slice, contraction, sphericity.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
