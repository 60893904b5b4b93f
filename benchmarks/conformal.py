"""Measure prediction sets and novelty alarms on simulated patients, and write ``reports/validation/conformal.md``.

Run with::

    uv run --no-dev python benchmarks/conformal.py

Where ``RADIOCARD_ACDC_TABLE`` and ``RADIOCARD_MNMS_TABLE`` name CSV files of the 20 published clinical
features of ACDC and M&Ms-1 (with ``Name`` and ``GROUP``), the same is printed for real patients; these
figures are not written to the page. Recipe, folds, alpha and alarm rates are fixed here; none was chosen
on the patients they are measured on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from conformal_page import TEMPLATE
from numpy.typing import NDArray
from scipy.stats import kstest

from radiocard.evaluation.coverage import Detection, coverage_law, detection, observed_coverage_law, set_coverage
from radiocard.evaluation.intervals import Estimate
from radiocard.io.store import write_text
from radiocard.models.assemble import make_bundle
from radiocard.models.bundle import ModelBundle
from radiocard.models.conformal import Kind, conformal_sets, conformal_thresholds
from radiocard.models.novelty import UNUSUAL, VERY_UNUSUAL, held_out_scores, novelty, p_values
from radiocard.models.pools import pool_columns
from radiocard.models.selection import fit_best, grouped_splits
from radiocard.simulate.classes import CLASSES, LATENTS, draw_latents
from radiocard.simulate.cohort import simulate_cohort
from radiocard.specs import ModelRecipe, read_recipe

Floats = NDArray[np.float64]
Strings = NDArray[np.str_]
PAGE = Path(__file__).parents[1] / "reports" / "validation" / "conformal.md"
KINDS: tuple[Kind, ...] = ("marginal", "class")
ALPHA = 0.1
FOLDS, REPEATS, INNER = 5, 2, 2
SPLIT_DRAWS, SPLIT_N, FRESH = 1000, 200, 2000
COHORTS = {20: 20, 60: 8}
OUTSIDE = 200


@dataclass(frozen=True, eq=False)
class Data:
    """Table, classes and groups."""

    X: pd.DataFrame
    y: Strings
    groups: Strings

    def take(self, rows: NDArray[np.bool_]) -> Data:
        """Return some patients."""
        return Data(self.X[rows], self.y[rows], self.groups[rows])


def recipe() -> ModelRecipe:
    """Return the declared model: logistic regression of one strength on all columns."""
    shipped = read_recipe("logistic")
    nothing = shipped.select.model_copy(update={"method": "none", "k": ()})
    changes = {"fixed": {**shipped.fixed, "C": 1.0}, "grid": {}, "select": nothing}
    return shipped.model_copy(update=changes)


def train(data: Data, *, seed: int = 0) -> ModelBundle:
    """Train the declared model, with out-of-fold answers of repeated grouped folds."""
    classes, codes = np.unique(data.y, return_inverse=True)
    p = np.zeros((REPEATS, len(codes), len(classes)))
    folds = min(FOLDS, int(np.bincount(codes).min()))
    for r in range(REPEATS):
        for fit, test in grouped_splits(codes, data.groups, folds=folds, random_state=seed + r):
            part = fit_best(
                recipe(), data.X.iloc[fit], data.y[fit], data.groups[fit], inner_folds=INNER, random_state=seed
            )
            p[r, test] = part.predict_proba(data.X.iloc[test])
    fitted = fit_best(recipe(), data.X, data.y, data.groups, inner_folds=INNER, random_state=seed)
    return make_bundle(
        [fitted], data.X, data.y, np.unique(data.groups, return_inverse=True)[1], target="diagnosis", pool="columns",
        feature_spec={}, feature_spec_hash="0" * 64, out_of_fold={"selected": p}, evaluation={}, simulated=True,
        seed=seed,
    )  # fmt: skip


def draw(per_class: int, seed: int, classes: Sequence[str] = CLASSES) -> Data:
    """Draw simulated patients by their latents (sizes and ejection fractions, no images)."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.array(classes), per_class)
    X = pd.DataFrame([draw_latents(str(c), rng)[2] for c in y], columns=list(LATENTS))
    X.index = pd.Index([f"{seed}-{i}" for i in range(len(y))], name="patient_id")
    return Data(X, y, np.array(X.index, dtype=str))


def codes_of(bundle: ModelBundle, y: Strings) -> NDArray[np.intp]:
    """Return positions of classes; -1 for a class that the model does not know."""
    return np.array([bundle.classes.index(c) if c in bundle.classes else -1 for c in y])


def split_rows() -> list[str]:
    """Compare split conformal sets of one fixed model, for fresh patients in every draw, with their law."""
    bundle, pool = train(draw(20, 1)), draw(5000, 2)
    p, y = bundle.answering.predict_proba(pool.X), codes_of(bundle, pool.y)
    rng = np.random.default_rng(0)
    law = observed_coverage_law(SPLIT_N, ALPHA, n_test=FRESH)
    out = []
    for kind in KINDS:
        covered = np.zeros(SPLIT_DRAWS, dtype=int)
        for i in range(SPLIT_DRAWS):
            rows = rng.permutation(len(y))
            known, new = rows[:SPLIT_N], rows[-FRESH:]
            if kind == "class":
                of_class = [rows[y[rows] == c] for c in range(len(CLASSES))]
                known, new = np.concatenate([r[:SPLIT_N] for r in of_class]), of_class[0][-FRESH:]
            q = conformal_thresholds(p[known], y[known], alpha=ALPHA, kind=kind)
            covered[i] = (1 - p[new, y[new]] <= q[y[new]]).sum()
        place = law.cdf(covered - 1) + rng.random(SPLIT_DRAWS) * law.pmf(covered)
        name = "all patients together" if kind == "marginal" else f"in one class ({bundle.classes[0]})"
        ends = [
            f"{a:.3f} to {b:.3f}"
            for a, b in (law.ppf([0.05, 0.95]) / FRESH, np.quantile(covered / FRESH, [0.05, 0.95]))
        ]
        out.append(
            f"| {name} | {SPLIT_N} | {coverage_law(SPLIT_N, ALPHA).mean():.4f} | {covered.mean() / FRESH:.4f} "
            f"| {law.std() / FRESH:.4f} | {covered.std() / FRESH:.4f} | {ends[0]} | {ends[1]} "
            f"| {kstest(place, 'uniform').pvalue:.2f} |"
        )
    return out


def trained_rows(bundles: dict[int, list[ModelBundle]]) -> list[str]:
    """Measure what a model file gives: sets calibrated by out-of-fold answers, for fresh patients."""
    out = []
    for per_class, trained in bundles.items():
        for kind in KINDS:
            coverage, worst, size, stated = [], [], [], []
            for i, bundle in enumerate(trained):
                fresh = draw(FRESH // len(CLASSES), 10**5 + 1000 * per_class + i)
                found = conformal_sets(bundle, bundle.answering.predict_proba(fresh.X), ALPHA, kind=kind)
                truth = codes_of(bundle, fresh.y)
                held = found.sets[np.arange(len(truth)), truth]
                coverage.append(held.mean())
                worst.append(min(held[truth == c].mean() for c in range(len(bundle.classes))))
                size.append(found.sets.sum(axis=1).mean())
                stated.append(found.mean_size)
            out.append(
                f"| {kind} | {per_class} | {len(trained)} | {np.mean(coverage):.3f} ({_error(coverage):.3f}) "
                f"| {np.min(coverage):.3f} to {np.max(coverage):.3f} | {np.mean(worst):.3f} | {np.mean(size):.2f} "
                f"| {np.mean(stated):.2f} |"
            )
    return out


def alarm_rows(bundles: dict[int, list[ModelBundle]]) -> list[str]:
    """Measure false alarms among fresh patients of the training's kind."""
    out = []
    for per_class, trained in bundles.items():
        fresh = [draw(40, 10**6 + 1000 * per_class + i) for i in range(len(trained))]
        p = np.array([[n.p_value for n in novelty(b, d.X)] for b, d in zip(trained, fresh, strict=True)])
        for level in (UNUSUAL, VERY_UNUSUAL):
            rates = (p <= level).mean(axis=1)
            out.append(
                f"| {100 * level:g} % | {per_class} | {len(trained)} | {100 * rates.mean():.1f} % "
                f"({100 * _error(rates):.1f}) | {100 * rates.min():.0f} to {100 * rates.max():.0f} % |"
            )
    return out


def left_out_rows() -> list[str]:
    """Leave each simulated class out of the training and see whether its patients stand out."""
    out = []
    for unknown in CLASSES:
        known = [c for c in CLASSES if c != unknown]
        bundle = train(draw(20, 5, known))
        usual, other = draw(OUTSIDE // len(known), 6, known), draw(OUTSIDE, 7, [unknown])
        p_usual, p_other = (np.array([n.p_value for n in novelty(bundle, d.X)]) for d in (usual, other))
        found = detection(p_usual, p_other, level=UNUSUAL)
        sets = conformal_sets(bundle, bundle.answering.predict_proba(other.X), ALPHA).sets
        empty = 100 * (sets.sum(axis=1) == 0).mean()
        out.append(f"| {unknown} left out | {_cells(found)} | {empty:.0f} % |")
    bundle = train(draw(20, 5))
    usual = draw(OUTSIDE // len(CLASSES), 6)
    rng = np.random.default_rng(8)
    spread = usual.X.to_numpy()
    noise = usual.X.copy()
    noise[:] = rng.uniform(spread.min(axis=0), spread.max(axis=0), size=spread.shape)
    p_usual, p_noise = (np.array([n.p_value for n in novelty(bundle, x)]) for x in (usual.X, noise))
    out.append(f"| uniform noise (sanity check only) | {_cells(detection(p_usual, p_noise, level=UNUSUAL))} | |")
    return out


def vendor_rows(per_class: int = 14) -> list[str]:
    """Train on the patients of two simulated scanners, and see whether those of the third stand out."""
    from radiocard.cohort.row import describe_case, measure_case
    from radiocard.specs import read_spec

    spec = read_spec("cine_sax")
    rows, y, vendor = [], [], []
    for patient in simulate_cohort(per_class=per_class, seed=21):
        values, _ = describe_case(patient.case, spec, texture=True, heart=measure_case(patient.case, spec))
        rows.append(values)
        y.append(str(patient.parameters["group"]))
        vendor.append(str(patient.case.clinical["vendor"]))
    table = pd.DataFrame(rows, index=[f"sim-{i}" for i in range(len(rows))])
    out = []
    for pool in ("physiology", "texture"):
        X = table[pool_columns(pool, [c for c in table if pd.api.types.is_numeric_dtype(table[c])])].astype(float)
        data = Data(X, np.array(y), np.array(table.index, dtype=str))
        for unseen in sorted(set(vendor)):
            new = np.array(vendor) == unseen
            bundle = train(data.take(~new))
            p = np.array([n.p_value for n in novelty(bundle, X[new])])
            out.append(f"| {pool} | {unseen} | {_cells(detection(held_out_p(bundle), p, level=UNUSUAL))} |")
    return out


def held_out_p(bundle: ModelBundle) -> Floats:
    """Return the p-value of each independent training patient among the others."""
    _, first = np.unique(bundle.groups, return_index=True)
    inner = [bundle.columns.index(c) for c in bundle.answering.final_columns]
    scores = held_out_scores(bundle.values[first], bundle.labels[first], inner=inner, random_state=bundle.seed)
    return np.array([p_values(np.delete(scores, i, 0), scores[[i]])[1][0] for i in range(len(scores))])


def read_table(path: str) -> Data:
    """Read a table of the 20 published clinical features; identical rows are one group."""
    table = pd.read_csv(path).set_index("Name")
    X = table.drop(columns="GROUP").astype(float)
    groups = X.round(6).astype(str).agg("|".join, axis=1)
    return Data(X, table["GROUP"].to_numpy(dtype=str), np.unique(groups, return_inverse=True)[1].astype(str))


def real_lines(acdc_table: str, mnms_table: str | None) -> list[str]:
    """Measure on real tables: each ACDC class left out in turn, then ACDC (three classes) to M&Ms-1."""
    acdc = read_table(acdc_table)
    found = real_detections(acdc_table, mnms_table)
    lines = ["ACDC, each class left out in turn, and M&Ms-1:", *(f"  {name}: {_cells(d)}" for name, d in found.items())]
    if mnms_table is None:
        return [*lines, "ACDC to M&Ms-1: not run (RADIOCARD_MNMS_TABLE is not set)."]
    mnms = read_table(mnms_table)
    bundle = train(acdc.take(np.isin(acdc.y, np.unique(mnms.y))))
    p = bundle.answering.predict_proba(mnms.X)
    for kind in KINDS:
        sets = conformal_sets(bundle, p, ALPHA, kind=kind)
        found = set_coverage(sets.sets, codes_of(bundle, mnms.y), mnms.groups.astype(int), classes=bundle.classes)
        by_class = "; ".join(f"{c} {e.text(decimals=3)}" for c, e in found.by_class.items())
        lines += [
            f"ACDC to M&Ms-1, sets of kind {kind!r} for {100 * (1 - ALPHA):g} %: covers {found.all.text(decimals=3)}",
            f"  {by_class}; mean size {found.mean_size.text()} (ACDC {sets.mean_size:.2f})",
        ]
    return lines


def real_detections(acdc_table: str, mnms_table: str | None) -> dict[str, Detection]:
    """See whether each ACDC class, left out of the training, stands out, and M&Ms-1 against ACDC."""
    acdc = read_table(acdc_table)
    out = {}
    for unknown in sorted(set(acdc.y)):
        bundle = train(acdc.take(acdc.y != unknown))
        other = acdc.take(acdc.y == unknown)
        _, first = np.unique(other.groups, return_index=True)
        p = np.array([n.p_value for n in novelty(bundle, other.X.iloc[first])])
        out[f"{unknown} left out"] = detection(held_out_p(bundle), p, level=UNUSUAL)
    if mnms_table is not None:
        mnms = read_table(mnms_table)
        bundle = train(acdc.take(np.isin(acdc.y, np.unique(mnms.y))))
        p = np.array([n.p_value for n in novelty(bundle, mnms.X)])
        out["M&Ms-1"] = detection(held_out_p(bundle), p, level=UNUSUAL)
    return out


def write_page() -> None:
    """Measure on simulated patients and write the page."""
    bundles = {n: [train(draw(n, 100 + i)) for i in range(cohorts)] for n, cohorts in COHORTS.items()}
    write_text(
        TEMPLATE.format(
            alpha=f"{100 * ALPHA:g}", folds=FOLDS, repeats=REPEATS, n_fresh=FRESH,
            n_split=FRESH, draws=SPLIT_DRAWS, split="\n".join(split_rows()),
            trained="\n".join(trained_rows(bundles)), alarms="\n".join(alarm_rows(bundles)),
            left_out="\n".join(left_out_rows()), vendors="\n".join(vendor_rows()),
        ),
        PAGE,
    )  # fmt: skip


def _cells(found: Detection) -> str:
    return (
        f"{_span(found.auroc)} | {_span(found.flagged, percent=True)} | {_span(found.false_alarms, percent=True)} "
        f"| {found.flagged.n:g} against {found.false_alarms.n:g}"
    )


def _span(e: Estimate, *, percent: bool = False) -> str:
    f, digits = (100, 0) if percent else (1, 2)
    if e.value is None or e.low is None or e.high is None:
        return "not defined"
    unit = " %" if percent else ""
    return f"{f * e.value:.{digits}f}{unit} ({f * e.low:.{digits}f} to {f * e.high:.{digits}f})"


def _error(values: Sequence[float] | Floats) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def main() -> int:
    """Write the page; print the real part, or that it was not run."""
    write_page()
    sys.stdout.write(f"{PAGE.name} written\n")
    acdc = os.environ.get("RADIOCARD_ACDC_TABLE")
    lines = real_lines(acdc, os.environ.get("RADIOCARD_MNMS_TABLE")) if acdc else ["ACDC, M&Ms-1: not run."]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
