"""Write ``reports/validation/transfer.md`` from ``transfer.json``; computes nothing.

python benchmarks/transfer_page.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "reports" / "validation"
ROWS = {
    "transductive": "declared, transductive",
    "inductive": "declared, inductive",
    "direct": "direct transfer (inductive)",
    "recipe_logistic": "direct transfer, recipe logistic (inductive)",
    "recipe_rf": "direct transfer, recipe rf (inductive)",
}
HEAD = ("balanced_accuracy", "macro_auc", "ece", "calibration_slope", "brier")
NAMES = ("balanced accuracy", "macro AUC", "calibration error (a calibrated model)", "calibration slope", "Brier score")


def text(e: Mapping[str, Any]) -> str:
    """Write an estimate."""
    if e["value"] is None:
        return "–"
    span = "" if e["low"] is None else f" ({e['low']:.2f} to {e['high']:.2f})"
    return f"{e['value']:.2f}{span}"


def page(r: Mapping[str, Any]) -> str:
    """Write the page."""
    f = r["facts"]
    main, plain = r["scores"]["transductive"]["metrics"], r["scores"]["direct"]["metrics"]
    reached = "reached" if main["balanced_accuracy"]["value"] >= 0.74 else "not reached"
    low = main["balanced_accuracy"]["low"]
    doubt = f" by the point estimate; the interval begins at {low:.2f}" if reached == "reached" and low < 0.74 else ""
    lines = [
        "# From ACDC to M&Ms-1",
        "",
        f"{r['n_patients']} patients of M&Ms-1 ({r['n_independent']} independent), three classes, 20 published "
        "clinical columns; models made with 42 patients of ACDC and simulated ones, without any label of M&Ms-1. "
        f"Everything was declared before in `transfer_plan.md` (SHA-256 {r['plan_sha256'][:16]}...); scored once; "
        "no row dropped. Made by `benchmarks/transfer.py`.",
        "",
        f"**Balanced accuracy {text(main['balanced_accuracy'])} without any label from there (transductive), "
        f"{text(r['scores']['inductive']['metrics']['balanced_accuracy'])} one patient at a time (inductive), "
        f"{text(plain['balanced_accuracy'])} by direct transfer.** The aim of 0.74 was {reached}{doubt}.",
        "",
        *_score_table(r["scores"]),
        "",
        *_errors(r["scores"]),
        "",
        *_reasons(r, f),
        "",
        *_moved(r),
        "",
        *_mixes(r["mixes"]),
        "",
        *_shots(r["few_shots"]),
    ]
    return "\n".join(lines) + "\n"


def _score_table(scores: Mapping[str, Any]) -> list[str]:
    lines = [f"| | method | {' | '.join(NAMES)} |", f"|{'---|' * (len(NAMES) + 2)}"]
    for key, label in ROWS.items():
        s = scores[key]
        values = [text(s["metrics"][k]) for k in HEAD]
        values[2] += f" ({s['expected_ece']:.2f})"
        lines.append(f"| {label} | {s['title']} | {' | '.join(values)} |")
    return [
        *lines,
        "",
        "95 % intervals over the patients of M&Ms-1; they do not hold the choice of the 42 ACDC patients.",
    ]


def _errors(scores: Mapping[str, Any]) -> list[str]:
    out = [
        "## Errors by class",
        "",
        "| | truth | called DCM | called HCM | called NOR | sensitivity |",
        "|---|---|---|---|---|---|",
    ]
    for key in ("transductive", "inductive", "direct"):
        for i, c in enumerate(("DCM", "HCM", "NOR")):
            counts = " | ".join(f"{v:.0f}" for v in scores[key]["confusion"][i])
            out.append(f"| {ROWS[key]} | {c} | {counts} | {text(scores[key]['sensitivity'][c])} |")
    return out


def _reasons(r: Mapping[str, Any], f: Mapping[str, Any]) -> list[str]:
    ef = {k: r["by_class"]["EF(LV)"][k] for k in ("DCM", "HCM", "NOR")}
    return [
        "## Why it drops",
        "",
        "Inside ACDC the declared method reaches 0.99 (five grouped folds). ACDC's classes are *defined* by ejection "
        "fraction, volumes and wall thickness; those of M&Ms-1 are clinical diagnoses, and part of its labels and "
        "masks contradict them. The ranking survives direct transfer (its macro AUC is as high); what fails is the "
        "place of the boundaries and the calibration: textbook patients put the boundaries far from the normals.",
        "",
        f"* {f['dcm_lvef_45']} of {f['dcm']} DCM ({f['dcm_lvef_45'] / f['dcm']:.0%}) have an LVEF of 45 % or more, "
        "though a lower one is part of the usual definition: wrong labels, treated or early disease, or another "
        "phase. Of "
        f"these the transductive model names {f['sensitivity_dcm_lvef_45']:.0%}, of the other DCM "
        f"{f['sensitivity_dcm_below']:.0%}. Median LVEF of DCM: {100 * ef['DCM'][0]:.0f} % in ACDC, "
        f"{100 * ef['DCM'][1]:.0f} % here; of NOR {100 * ef['NOR'][0]:.0f} % and {100 * ef['NOR'][1]:.0f} %.",
        f"* {f['stroke_volumes_apart']} rows have left and right stroke volumes more than 30 % of the larger apart, "
        f"{f['negative_rvef']} a negative RVEF: masks or phases are wrong there. Accuracy of the transductive model on "
        f"them {f['accuracy_apart']:.2f}, on the others {f['accuracy_others']:.2f}.",
        '* "Mass" is a volume in both tables, and the conventions for trabeculae, basal slices and the right ventricle '
        "differ between centres; the table has no site column, so only the shift of the whole can be taken out.",
        "* The 42 ACDC patients are textbook cases: between their extremes a boundary lies anywhere. Simulated "
        "patients on the way to normal, read in many conventions, are what both declared methods have and direct "
        "transfer lacks.",
    ]


def _moved(r: Mapping[str, Any]) -> list[str]:
    out = ["## What moved", "", *r["shift"]["sentences"], ""]
    out += ["| column | median ACDC / M&Ms-1: DCM | HCM | NOR |", "|---|---|---|---|"]
    for column, rows in r["by_class"].items():
        cells = [f"{a:.3g} / {b:.3g}" for a, b in rows.values()]
        out.append(f"| {column.replace('|', '&#124;')} | {' | '.join(cells)} |")
    counts = r["facts"]["n"]
    total = sum(counts.values())
    out += ["", f"True mix (not used): {', '.join(f'{k} {v / total:.0%}' for k, v in counts.items())}."]
    return out


def _mixes(mixes: Mapping[str, float]) -> list[str]:
    told = ", ".join(f"{'equal parts' if k == 'even' else f'70 % {k}'} {v:.2f}" for k, v in mixes.items())
    return [
        "## Transductive answers depend on who else was examined",
        "",
        "Balanced accuracy over all patients when those that give mean and standard deviation are drawn by class: "
        f"{told}. A place whose class mix is far from even should not be standardised by its own patients.",
    ]


def _shots(rows: list[Mapping[str, Any]]) -> list[str]:
    out = [
        "## With k local labels (outlook, not the main figure)",
        "",
        "| k | correction | balanced accuracy | log-loss | Brier score |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        values = " | ".join(f"{row[key]:.3f}" for key in ("balanced_accuracy", "log_loss", "brier"))
        out.append(f"| {row['k']} | {row['method']} | {values} |")
    return [
        *out,
        "",
        "Mean of 50 draws of k patients, scored on the others. No correction by a few labels helps here: the classes "
        "themselves look otherwise, which none of the three can express, and up to 40 labels add scatter.",
    ]


if __name__ == "__main__":
    (FOLDER / "transfer.md").write_text(page(json.loads((FOLDER / "transfer.json").read_text())))
