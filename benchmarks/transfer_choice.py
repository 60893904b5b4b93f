"""Choose how to carry a classifier from ACDC elsewhere, by ACDC and simulation alone.

Writes ``reports/validation/transfer_choice.json``. The data of no other cohort is opened here::

    RADIOCARD_ACDC_TABLE=.../acdc_clinical20.csv uv run --no-dev python benchmarks/transfer_choice.py

Every candidate of ``transfer_candidates.py`` is fitted to two sources (the ACDC patients of three classes; as
many simulated ones) and scored on 40 simulated shifted cohorts of 150 patients (``transfer_simulation.py``). The
one with the highest balanced accuracy, mean over both sources and all cohorts, is chosen.
Beside it: nested folds inside ACDC, and training on simulated patients only with ACDC as the target.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from transfer_candidates import Candidate, Labelled, all_candidates, fit, predict
from transfer_simulation import CLASSES, COLUMNS, Cohort, draw_cohort, simulate

from radiocard.io.store import write_text

TARGETS, PATIENTS, TRAINING_COHORTS = 40, 150, 10
PER_CLASS, PER_SOURCE = 14, 5
SEED_TRAINING, SEED_TARGETS = 11, 12
FOLDER = Path(__file__).parents[1] / "reports" / "validation"


def read_acdc() -> tuple[Labelled, np.ndarray]:
    """Return the ACDC patients of the three classes, and their groups (identical rows are one)."""
    table = pd.read_csv(os.environ["RADIOCARD_ACDC_TABLE"], index_col=0)
    table = table[table["GROUP"].isin(CLASSES)]
    groups = table[list(COLUMNS)].apply(lambda r: r.to_numpy().tobytes().hex(), axis=1).to_numpy(str)
    return (table[list(COLUMNS)], table["GROUP"].to_numpy(str)), np.unique(groups, return_inverse=True)[1]


def training_cohorts() -> list[Labelled]:
    """Simulate the shifted cohorts that may join a source."""
    rng = np.random.default_rng(SEED_TRAINING)
    return [simulate(60, draw_cohort(rng), rng) for _ in range(TRAINING_COHORTS)]


def balanced_accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """Mean sensitivity over the classes that are there."""
    named = np.array(CLASSES)[p.argmax(axis=1)]
    return float(np.mean([(named[y == c] == c).mean() for c in np.unique(y)]))


def log_loss(p: np.ndarray, y: np.ndarray) -> float:
    """Mean of minus the log of the probability of the true class."""
    return float(-np.log(np.clip(p[np.arange(len(y)), np.searchsorted(CLASSES, y)], 1e-6, 1)).mean())


def simulated_source(rng: np.random.Generator) -> Labelled:
    """Simulate a source like ACDC: equal classes, no shift."""
    parts = [simulate(PER_CLASS, Cohort(mix=tuple(np.eye(3)[c])), rng) for c in range(3)]
    return pd.concat([x for x, _ in parts], ignore_index=True), np.concatenate([y for _, y in parts])


def try_all(acdc: Labelled, extra: list[Labelled]) -> pd.DataFrame:
    """Score every candidate on every simulated target, from both sources."""
    rng, rows = np.random.default_rng(SEED_TARGETS), []
    candidates = all_candidates()
    fitted = {"acdc": {c.name: fit(c, acdc, extra) for c in candidates}}
    for number in range(TARGETS):
        if number % PER_SOURCE == 0:
            source = simulated_source(rng)
            fitted["simulated"] = {c.name: fit(c, source, extra) for c in candidates}
        X, y = simulate(PATIENTS, draw_cohort(rng), rng)
        for origin, models in fitted.items():
            for c in candidates:
                p = predict(c, models[c.name], X)
                rows.append((number, origin, c.name, balanced_accuracy(p, y), log_loss(p, y)))
    return pd.DataFrame(rows, columns=["target", "source", "candidate", "balanced_accuracy", "log_loss"])


def inside_acdc(c: Candidate, acdc: Labelled, groups: np.ndarray, extra: list[Labelled]) -> float:
    """Balanced accuracy in five grouped folds of ACDC, mean of five repeats; a fold is its own cohort."""
    X, y = acdc
    found = []
    for seed in range(5):
        p = np.zeros((len(y), 3))
        for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(X, y, groups):
            p[test] = predict(c, fit(c, (X.iloc[train], y[train]), extra), X.iloc[test])
        found.append(balanced_accuracy(p, y))
    return float(np.mean(found))


def main() -> None:
    """Try, choose, write."""
    (acdc, groups), extra = read_acdc(), training_cohorts()
    table = try_all(acdc, extra)
    means = table.pivot_table(index="candidate", columns="source", values=["balanced_accuracy", "log_loss"])
    mean = means["balanced_accuracy"].mean(axis=1).sort_values(ascending=False, kind="stable")
    wide = table.pivot_table(index="target", columns="candidate", values="balanced_accuracy")
    by_name = {c.name: c for c in all_candidates()}
    rng = np.random.default_rng(SEED_TRAINING + 100)
    source = simulated_source(rng)
    rows = []
    for name in mean.index:
        c = by_name[name]
        gap = wide[mean.index[0]] - wide[name]
        rows.append(
            {
                "candidate": name,
                "transductive": c.transductive,
                "balanced_accuracy": float(mean[name]),
                "from_acdc": float(means["balanced_accuracy"]["acdc"][name]),
                "from_simulated": float(means["balanced_accuracy"]["simulated"][name]),
                "log_loss": float(means["log_loss"].loc[name].mean()),
                "behind_first": float(gap.mean()),
                "behind_first_se": float(gap.std(ddof=1) / np.sqrt(TARGETS)),
            }
        )
    for row in rows[:10]:
        c = by_name[str(row["candidate"])]
        row["inside_acdc"] = inside_acdc(c, acdc, groups, extra)
        row["simulated_to_acdc"] = balanced_accuracy(predict(c, fit(c, source, extra), acdc[0]), acdc[1])
    write_text(
        json.dumps({"targets": TARGETS, "patients": PATIENTS, "rows": rows}, indent=1), FOLDER / "transfer_choice.json"
    )
    for row in rows[:12]:
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
