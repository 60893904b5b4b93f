"""Measure whether patients of another kind, and wrong masks, stand out, and write ``reports/validation/novelty.md``.

The data are not part of radiocard; give their place::

    RADIOCARD_ACDC=.../training RADIOCARD_ACDC_TABLE=.../acdc_clinical20.csv \
        RADIOCARD_MNMS_TABLE=.../mnms1_clinical20.csv uv run --no-dev python benchmarks/novelty.py

Without them only the simulated hearts are measured. The model is that of ``benchmarks/conformal.py``; the errors,
their sizes and the rate of false alarms are fixed here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from conformal import Data, _cells, held_out_p, real_detections, train, vendor_rows

from radiocard.checks.case import check_case
from radiocard.checks.cohort import image_groups
from radiocard.cohort.row import describe_case
from radiocard.errors import CaseError
from radiocard.evaluation.coverage import detection
from radiocard.image import Case, LabelMap
from radiocard.io.cohort import read_cohort
from radiocard.io.store import write_text
from radiocard.models.bundle import ModelBundle
from radiocard.models.novelty import UNUSUAL, novelty
from radiocard.models.pools import pool_columns
from radiocard.preprocessing.mask_errors import grow_regions, shift_mask, swap_regions
from radiocard.preprocessing.perturb import drop_basal_slice
from radiocard.simulate.cohort import simulate_cohort
from radiocard.specs import FeatureSpec, read_spec

PAGE = Path(__file__).parents[1] / "reports" / "validation" / "novelty.md"
PER_CLASS, SEED = 8, 21
SHIFT_MM = 10.0
POOL = "physiology"
AS_DRAWN = "as drawn"
PHASES_SWAPPED = "phases swapped"
MASK_ERRORS: Final[Mapping[str, Callable[[LabelMap], LabelMap]]] = {
    "cavities swapped": lambda m: swap_regions(m, "lv_cavity", "rv_cavity"),
    "cavity and wall swapped": lambda m: swap_regions(m, "lv_cavity", "lv_myocardium"),
    f"shifted by {SHIFT_MM:g} mm": lambda m: shift_mask(m, pixels=round(SHIFT_MM / m.spacing_mm[0])),
    "dilated by 1 pixel": lambda m: grow_regions(m, pixels=1),
    "dilated by 2 pixels": lambda m: grow_regions(m, pixels=2),
    "eroded by 1 pixel": lambda m: grow_regions(m, pixels=-1),
    "basal slice dropped": drop_basal_slice,
    "two basal slices dropped": lambda m: drop_basal_slice(drop_basal_slice(m)),
}


def wrong_cases(case: Case) -> dict[str, Case]:
    """Return a case with each error in all its masks."""
    ed, es = ("cine", "ed"), ("cine", "es")
    out = {AS_DRAWN: case}
    for name, change in MASK_ERRORS.items():
        out[name] = replace(case, masks={k: change(m) for k, m in case.masks.items()})
    images, masks = ({**d, ed: d[es], es: d[ed]} for d in (case.images, case.masks))
    return out | {PHASES_SWAPPED: replace(case, images=images, masks=masks)}


def measured(cases: Iterable[Case], spec: FeatureSpec) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Measure every case with each error; beside it, what the input checks say.

    Returns
    -------
    tables : dict of str to DataFrame
        Error to what could be measured, whatever the checks say.
    told : DataFrame of str, shape (n_patients, n_errors)
        ``refused``, ``warned`` (of what was not there as drawn), or nothing.
    """
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    told: dict[str, dict[str, str]] = {}
    for case in cases:
        told[case.patient_id] = {}
        before: set[str] = set()
        for name, wrong in wrong_cases(case).items():
            issues = check_case(wrong, spec)
            try:
                values, found = describe_case(wrong, spec, texture=False)
            except CaseError:
                told[case.patient_id][name] = "refused"
                continue
            rows.setdefault(name, {})[case.patient_id] = values
            issues += found
            codes = {i.code for i in issues}
            before = codes if name == AS_DRAWN else before
            refused = any(i.severity == "refuse" for i in issues)
            told[case.patient_id][name] = "refused" if refused else "warned" if codes - before else ""
    frames = {name: pd.DataFrame.from_dict(by, orient="index") for name, by in rows.items()}
    return frames, pd.DataFrame.from_dict(told, orient="index")


def error_rows(cases: Iterable[Case]) -> list[str]:
    """Ask for each patient with a wrong mask how unlike the other patients it is."""
    spec = read_spec("cine_sax")
    frames, told = measured(cases, spec)
    drawn = frames[AS_DRAWN]
    groups = image_groups(dict(drawn["image_sha256"]))
    kin = np.array([groups[p] for p in drawn.index])
    first = np.sort(np.unique(kin, return_index=True)[1])
    out = []
    X = drawn[pool_columns(POOL, map(str, drawn.columns))].astype(float)
    bundle = train(Data(X, drawn["diagnosis"].to_numpy(dtype=str), kin))
    usual = held_out_p(bundle)
    wrong = {n: f[list(X.columns)].astype(float) for n, f in frames.items() if n != AS_DRAWN}
    p = {q: _alone(bundle, wrong, q, kin, groups) for q in drawn.index[first]}
    for name in wrong:
        values = np.array([by[name] for by in p.values() if name in by])
        says = told[name].reindex(drawn.index[first])
        checks = f"{100 * (says == 'refused').mean():.0f} % | {100 * (says == 'warned').mean():.0f} %"
        out.append(f"| {name} | {_cells(detection(usual, values, level=UNUSUAL))} | {checks} |")
    return out


def _alone(
    bundle: ModelBundle, wrong: Mapping[str, pd.DataFrame], patient: str, kin: Any, groups: Mapping[str, str]
) -> dict[str, float]:
    """Compare a training patient, with each error of its masks, with the others only."""
    codes = np.unique(kin, return_inverse=True)[1]
    there = [name for name, frame in wrong.items() if patient in frame.index]
    rows = pd.concat([wrong[name].loc[[patient]] for name in there])
    found = novelty(bundle, rows, keep=codes != codes[list(kin).index(groups[patient])])
    return {name: n.p_value for name, n in zip(there, found, strict=True)}


HEAD = "| error | AUROC | alarms | false alarms | patients | refused by checks | warned |"
KINDS = "| | AUROC | alarms | false alarms | patients |"


def main() -> int:
    """Measure and write the page."""
    lines = ["# Novelty alarms: unlike patients and wrong masks", ""]
    lines += [
        "Made by `benchmarks/novelty.py`. Logistic regression (C = 1) on all columns of the pool `physiology`; "
        "alarms at 10 % false alarms among patients like those of the training. Every patient of the training is "
        "compared with the others only. Intervals "
        "are 95 %, over patients, for this training cohort; where the same patients stand on both sides they are "
        "taken as independent, so that the intervals are somewhat too wide.",
        "",
        "Mask errors are made in both phases of every patient: label numbers exchanged, the mask moved by "
        f"{SHIFT_MM:g} mm against the image, all outlines dilated or eroded with 8 neighbours, basal slices left out; "
        "last, end-diastole and end-systole exchanged. The two columns on the right say how many of them the input "
        "checks refuse, or warn of without a warning for the mask as drawn, before a novelty alarm is asked for.",
        "",
        f"## Wrong masks, {5 * PER_CLASS} simulated hearts",
        "",
    ]
    lines += [HEAD, "|---" * 7 + "|", *error_rows(p.case for p in simulate_cohort(per_class=PER_CLASS, seed=SEED)), ""]
    lines += [
        "## An unseen vendor, 70 simulated hearts",
        "",
        "| columns | unseen | AUROC | alarms | false alarms | patients |",
    ]
    lines += ["|---" * 6 + "|", *vendor_rows(), ""]
    where = os.environ.get("RADIOCARD_ACDC")
    if where:
        refs = read_cohort(where).cases
        lines += [f"## Wrong masks, {len(refs)} ACDC training patients", "", HEAD, "|---" * 7 + "|"]
        lines += [*error_rows(ref.load() for ref in refs), ""]
    table = os.environ.get("RADIOCARD_ACDC_TABLE")
    if table:
        lines += ["## Unknown classes and another cohort, 20 published columns", "", KINDS, "|---" * 5 + "|"]
        found = real_detections(table, os.environ.get("RADIOCARD_MNMS_TABLE"))
        lines += [f"| {name} | {_cells(d)} |" for name, d in found.items()]
        lines += ["", "Each class of ACDC left out of the training; M&Ms-1 against ACDC of the same three classes.", ""]
    lines += [
        "## What this says",
        "",
        "No alarm is no proof. What moves no measurement (a mask beside the heart keeps its volumes) cannot be seen in "
        "these columns, and what stays within the range of the training is not noticed.",
        "",
    ]
    write_text("\n".join(lines), PAGE)
    sys.stdout.write(f"{PAGE.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
