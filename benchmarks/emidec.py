"""Validate scar measurements on EMIDEC and on simulated hearts, and write the figures to ``reports/validation/``.

The data are not part of radiocard. Give their place in an environment variable::

    RADIOCARD_EMIDEC=.../emidec uv run --no-dev python benchmarks/emidec.py

The folder holds ``images/`` and ``masks/`` with one PNG per slice (``Case_P002_slice000.png``) and ``clinical.csv``.
No setting was tuned on these patients: constants come from the literature, rules were tried on simulated hearts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from emidec_measures import (
    METHODS,
    Patient,
    bias,
    bootstrap,
    correlation,
    dice,
    find,
    limit,
    median,
    read_patients,
    share_pct,
    whole_wall_features,
)
from emidec_page import DECLARED, page
from lge_simulated import simulated_figures

from radiocard.cardiac.scar import measure_scar_mask
from radiocard.cardiac.scar_methods import otsu_split
from radiocard.checks.cohort import image_groups
from radiocard.evaluation.evidence import score_nested
from radiocard.evaluation.intervals import wilson
from radiocard.evaluation.nested import nested_cv
from radiocard.io.store import write_json, write_text
from radiocard.specs import read_recipe, read_spec
from radiocard.study.train import read_plan

FOLDER = Path(__file__).parents[1] / "reports" / "validation"
BESIDE = "logistic"
ALWAYS = "Otsu without a criterion"


def volumes(patients: list[Patient], table: pd.DataFrame) -> dict[str, Any]:
    """Compare the share of infarct in the masks with the published volumes, infarct cases only."""
    cardiac = read_spec("cine_sax").cardiac
    pairs, patterns = [], []
    for p in (p for p in patients if p.infarct):
        values = measure_scar_mask(p.drawn == 3, p.mask, cardiac, no_reflow=p.drawn == 4).values
        row = table.loc[int(p.name[1:])]
        pairs.append([values["scar_pct"], 100.0 * row["inf"] / row["myo"]])
        patterns.append(values["scar_ischaemic_pattern_pct"])
    shares = np.array(pairs, dtype=float)
    return {
        "correlation": bootstrap(shares, correlation).to_dict(),
        "bias_points": bootstrap(shares, bias).to_dict(),
        "ischaemic_pattern_pct": bootstrap(np.array(patterns, dtype=float), median).to_dict(),
    }


def agreement(patients: list[Patient], method: str, *, oracle: bool = False) -> dict[str, Any]:
    """Compare what a method finds with what the reader drew."""
    found = {p.name: (_always(p) if method == ALWAYS else find(p, method, oracle=oracle).array) for p in patients}
    infarcts, normal = [p for p in patients if p.infarct], [p for p in patients if not p.infarct]
    overlap = np.array([dice(found[p.name], p.scar) for p in infarcts])
    shares = np.array([[share_pct(found[p.name], p), share_pct(p.scar, p)] for p in infarcts])
    healthy = np.array([share_pct(found[p.name], p) for p in normal])
    return {
        "dice_median": bootstrap(overlap, median).to_dict(),
        "bias_points": bootstrap(shares, bias).to_dict(),
        "lower_limit_points": bootstrap(shares, limit(-1)).to_dict(),
        "upper_limit_points": bootstrap(shares, limit(1)).to_dict(),
        "correlation": bootstrap(shares, correlation).to_dict(),
        "infarcts_without_scar": int((shares[:, 0] == 0).sum()),
        "normal_scar_pct_median": bootstrap(healthy, median).to_dict(),
        "normal_scar_pct_quartiles": np.percentile(healthy, [25, 75]).tolist(),
        "normal_without_scar": wilson(float((healthy == 0).mean()), len(healthy)).to_dict(),
        "n_infarct": len(infarcts),
        "n_normal": len(normal),
    }


def _always(patient: Patient) -> np.ndarray:
    """Otsu's threshold of each slice, whatever the grey values."""
    scar = np.zeros_like(patient.wall)
    for k in np.flatnonzero(patient.wall.any(axis=(0, 1))):
        wall, values = patient.wall[:, :, k], patient.image.array[:, :, k].astype(float)
        scar[:, :, k] = wall & (values > otsu_split(np.sort(values[wall])))
    return scar


def discrimination(patients: list[Patient]) -> dict[str, Any]:
    """Tell infarct from normal by features of the whole myocardium in nested folds."""
    X = whole_wall_features(patients)
    plan = read_plan("evaluation")
    groups = image_groups({p.name: p.image.digest() for p in patients})
    result = nested_cv(
        X,
        ["infarct" if p.infarct else "normal" for p in patients],
        [groups[p.name] for p in patients],
        recipes=[read_recipe(name) for name in (DECLARED, BESIDE)],
        plan=plan,
    )
    evidence = score_nested(result, plan=plan).to_dict()
    return {
        "n_columns": X.shape[1],
        "design": evidence["design"],
        "scores": {
            name: {"title": s["title"], "auc": s["metrics"]["macro_auc"], "accuracy": s["metrics"]["balanced_accuracy"]}
            for name, s in evidence["scores"].items()
        },
        "chosen_columns": evidence["selection"][DECLARED],
    }


def main() -> int:
    """Measure and write the report."""
    where = os.environ.get("RADIOCARD_EMIDEC")
    if not where:
        print("emidec: not run (set RADIOCARD_EMIDEC)")
        return 0
    patients = read_patients(Path(where))
    table = pd.read_csv(Path(where) / "clinical.csv", index_col="case")
    methods = {f"{m}, sector": agreement(patients, m) for m in METHODS}
    methods |= {f"{m}, oracle": agreement(patients, m, oracle=True) for m in METHODS if m.endswith("SD")}
    figures = {
        "n_patients": len(patients),
        "n_infarct": sum(p.infarct for p in patients),
        "volumes": volumes(patients, table),
        "methods": methods | {ALWAYS: agreement(patients, ALWAYS)},
        "discrimination": discrimination(patients),
        "simulated": simulated_figures(),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_json(figures, FOLDER / "emidec.json")
    write_text(page(figures), FOLDER / "emidec.md")
    print(page(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
