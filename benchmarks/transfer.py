"""Score M&Ms-1 once, by models made with ACDC and simulation, as ``reports/validation/transfer_plan.md`` declares.

The data are not part of radiocard::

    RADIOCARD_ACDC_TABLE=.../acdc_clinical20.csv RADIOCARD_MNMS_TABLE=.../mnms1_clinical20.csv \
        uv run --no-dev python benchmarks/transfer.py

Refuses to run where a result exists: the score is made once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from typing import Any

import numpy as np
import pandas as pd
from transfer_candidates import Candidate, all_candidates, fit, predict, prepare
from transfer_choice import FOLDER, balanced_accuracy, read_acdc, training_cohorts
from transfer_page import page
from transfer_simulation import CLASSES, COLUMNS

from radiocard.evaluation.scores import evaluate_frozen
from radiocard.evaluation.shift import diagnose_shift
from radiocard.io.store import write_text
from radiocard.models.local import FewShotRecalibrator
from radiocard.models.selection import fit_best
from radiocard.specs import EvaluationPlan, read_as, read_recipe

SHOWN = ("balanced_accuracy", "macro_auc", "ece", "calibration_slope", "brier", "log_loss")
DIRECT = "all / source / logistic_1"
DRAWS, SHOTS = 50, (10, 20, 40)


def declared() -> tuple[str, dict[str, Candidate]]:
    """Return the SHA-256 of the plan, and the candidates it names."""
    text = (FOLDER / "transfer_plan.md").read_bytes()
    named = dict(re.findall(r"^(Transductive|Inductive): `(.+)`$", text.decode(), flags=re.MULTILINE))
    known = {c.name: c for c in all_candidates()}
    found = {kind.lower(): known[name] for kind, name in named.items()}
    assert found["transductive"].transductive
    assert not found["inductive"].transductive
    return hashlib.sha256(text).hexdigest(), found | {"direct": known[DIRECT]}


def read_target() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return columns, labels and groups of every patient of the three classes."""
    table = pd.read_csv(os.environ["RADIOCARD_MNMS_TABLE"], index_col=0)
    table = table[table["GROUP"].isin(CLASSES)]
    X = table[list(COLUMNS)].astype(float)
    groups = X.apply(lambda r: r.to_numpy().tobytes().hex(), axis=1).to_numpy(str)
    return X, table["GROUP"].to_numpy(str), groups


def mixes(c: Candidate, fitted: tuple[Any, ...], X: pd.DataFrame, y: np.ndarray) -> dict[str, float]:
    """Balanced accuracy of all, when the patients that give the scale are drawn by class."""
    rng, x = np.random.default_rng(0), prepare(X, c.columns)
    out = {}
    for mostly in ("even", *CLASSES):
        share = {k: 1 / 3 if mostly == "even" else 0.7 if k == mostly else 0.15 for k in CLASSES}
        p = np.array([share[k] / (y == k).sum() for k in y])
        found = []
        for _ in range(DRAWS):
            chosen = x[rng.choice(len(y), len(y), p=p / p.sum())]
            found.append(balanced_accuracy(fitted[0].predict_proba((x - chosen.mean(0)) / chosen.std(0)), y))
        out[mostly] = float(np.mean(found))
    return out


def few_shots(p: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """Correct the probabilities by k local patients; score on the others, mean over draws."""
    codes, ones, out = np.searchsorted(CLASSES, y), [1 / 3] * 3, []
    for k in SHOTS:
        for method in ("none", "temperature", "intercept", "prior"):
            rng, rows = np.random.default_rng(0), []
            for _ in range(DRAWS):
                here = np.isin(np.arange(len(y)), rng.choice(len(y), k, replace=False))
                q = p[~here]
                if method != "none":
                    q = FewShotRecalibrator(method, training=ones).fit(p[here], codes[here]).predict_proba(q)
                given = np.clip(q[np.arange(len(q)), codes[~here]], 1e-6, 1)
                brier = ((q - np.eye(3)[codes[~here]]) ** 2).sum(axis=1).mean()
                rows.append((balanced_accuracy(q, y[~here]), -np.log(given).mean(), brier))
            mean = np.mean(rows, axis=0).tolist()
            names = ("balanced_accuracy", "log_loss", "brier")
            out.append({"k": k, "method": method, **dict(zip(names, mean, strict=True))})
    return out


def facts(X: pd.DataFrame, y: np.ndarray, named: np.ndarray) -> dict[str, Any]:
    """Count what may explain the drop."""
    lvef, dcm = X["EF(LV)"].to_numpy(), y == "DCM"
    lv, rv = (X[f"ED[vol({v})]"].to_numpy() - X[f"ES[vol({v})]"].to_numpy() for v in ("LV", "RV"))
    apart = np.abs(lv - rv) / np.maximum(lv, rv) > 0.3
    mild, right = dcm & (lvef >= 0.45), named == y
    return {
        "n": {k: int((y == k).sum()) for k in CLASSES},
        "dcm_lvef_45": int(mild.sum()),
        "dcm": int(dcm.sum()),
        "sensitivity_dcm_lvef_45": float(right[mild].mean()),
        "sensitivity_dcm_below": float(right[dcm & ~mild].mean()),
        "stroke_volumes_apart": int(apart.sum()),
        "accuracy_apart": float(right[apart].mean()),
        "accuracy_others": float(right[~apart].mean()),
        "negative_rvef": int((X["EF(RV)"] < 0).sum()),
        "median_lvef": {k: float(np.median(lvef[y == k])) for k in CLASSES},
    }


def by_class(X: pd.DataFrame, y: np.ndarray, Z: pd.DataFrame, z: np.ndarray) -> dict[str, dict[str, list[float]]]:
    """Medians of some columns by class in source and target."""
    shown = ("EF(LV)", "ED[vol(LV)]", "ED[mass(MYO)/vol(LV)]", "ES[vol(MYO)/vol(LV)]", "ED[max(mean(MWT|SA)|LA)]")
    return {c: {k: [float(X[c][y == k].median()), float(Z[c][z == k].median())] for k in CLASSES} for c in shown}


def main() -> None:
    """Score and write."""
    if (FOLDER / "transfer.json").exists():
        sys.exit("reports/validation/transfer.json exists: M&Ms-1 is scored once.")
    digest, candidates = declared()
    (acdc, groups), extra = read_acdc(), training_cohorts()
    X, y, target_groups = read_target()
    plan = read_as(EvaluationPlan, "evaluation", "models")
    fitted = {kind: fit(c, acdc, extra) for kind, c in candidates.items()}
    p = {kind: predict(c, fitted[kind], X) for kind, c in candidates.items()}
    for name in ("logistic", "rf"):
        model = fit_best(read_recipe(name), *acdc, groups.astype(str), inner_folds=5, random_state=0)
        p[f"recipe_{name}"] = model.predict_proba(X)
    scores = {}
    for kind, q in p.items():
        title = candidates[kind].name if kind in candidates else read_recipe(kind.removeprefix("recipe_")).title
        found = evaluate_frozen(q, y, classes=CLASSES, groups=target_groups, plan=plan, name=kind, title=title)
        scores[kind] = {
            "title": title,
            "metrics": {k: found.metrics[k].to_dict() for k in SHOWN},
            "expected_ece": found.expected["ece"].mean,
            "sensitivity": {c: found.per_class[c]["sensitivity"].to_dict() for c in CLASSES},
            "confusion": found.confusion[:, :3].tolist(),
        }
    shift = diagnose_shift(
        acdc[0],
        X,
        probabilities=p["transductive"],
        classes=CLASSES,
        training=[1, 1, 1],
        groups=target_groups,
        n_bootstrap=200,
        random_state=0,
    )
    result = {
        "plan_sha256": digest,
        "n_patients": len(y),
        "n_independent": int(np.unique(target_groups).size),
        "scores": scores,
        "mixes": mixes(candidates["transductive"], fitted["transductive"], X, y),
        "few_shots": few_shots(p["transductive"], y),
        "shift": shift.to_dict(),
        "facts": facts(X, y, np.array(CLASSES)[p["transductive"].argmax(axis=1)]),
        "by_class": by_class(*acdc, X, y),
    }
    write_text(json.dumps(result, indent=1), FOLDER / "transfer.json")
    write_text(page(result), FOLDER / "transfer.md")


if __name__ == "__main__":
    main()
