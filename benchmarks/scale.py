"""Measure what a nested evaluation costs as patients grow, and write ``reports/validation/scale.md``.

::

    uv run --no-dev python benchmarks/scale.py --keep FOLDER [--sizes 300,1000,3000,10000] [--write]

Each recipe at each size runs in a process of its own, on one thread. FOLDER keeps finished folds and
their times: after an interruption the same command goes on, and finished sizes cost nothing.
``--write`` writes the page, its figures and the plot.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiocard.evaluation.evidence import score_nested
from radiocard.evaluation.nested import nested_cv
from radiocard.io.store import write_bytes, write_json, write_text
from radiocard.models.assemble import installed_versions
from radiocard.specs import EvaluationPlan, read_recipe
from radiocard.study.train import read_plan

FOLDER = Path(__file__).parents[1] / "reports" / "validation"
RECIPES = ("svm", "rf", "xgboost")
N_COLUMNS, BLOCK, N_INFORMATIVE, CLASSES = 1000, 10, 20, ("DCM", "HCM", "MINF", "NOR", "RV")
LIMIT_GIB = 24
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def plan() -> EvaluationPlan:
    """Return the shipped plan with one repeat."""
    return read_plan("evaluation").model_copy(update={"repeats": 1})


def table(n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw n patients of five classes: Gaussian columns in blocks that correlate at 0.64, some tell classes."""
    rng = np.random.default_rng(0)
    centres = np.zeros((len(CLASSES), N_COLUMNS))
    centres[:, :N_INFORMATIVE] = 0.5 * rng.normal(size=(len(CLASSES), N_INFORMATIVE))
    codes = np.arange(n) % len(CLASSES)
    shared = np.repeat(rng.normal(size=(n, N_COLUMNS // BLOCK)), BLOCK, axis=1)
    values = 0.8 * shared + 0.6 * rng.normal(size=(n, N_COLUMNS)) + centres[codes]
    columns = [f"x{j:04d}" for j in range(N_COLUMNS)]
    index = pd.Index([f"p{i:05d}" for i in range(n)], name="patient_id")
    return pd.DataFrame(values, index=index, columns=columns), np.array(CLASSES)[codes]


def peak_gib() -> float:
    """Peak resident memory of this process and of its children [GiB]."""
    parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(who).ru_maxrss for who in parts) / 2**20


def worker(n: int, name: str, keep: Path) -> None:
    """Evaluate one recipe at one size; note each fold's seconds as it ends."""
    notes = keep / f"{n}_{name}.json"
    found: dict[str, Any] = json.loads(notes.read_text()) if notes.is_file() else {"folds": {}, "peak_gib": 0.0}
    X, y = table(n)
    start = (time.perf_counter(), time.process_time())

    def noted(done: int, total: int) -> None:
        nonlocal start
        now = (time.perf_counter(), time.process_time())
        if str(done) not in found["folds"] and done:
            found["folds"][str(done)] = {"wall": now[0] - start[0], "cpu": now[1] - start[1]}
        start = now
        found["peak_gib"] = max(found["peak_gib"], peak_gib())
        write_json(found, notes)
        sys.stderr.write(f"{n} patients, {name}: {done} of {total} folds\n")

    result = nested_cv(X, y, X.index, recipes=[read_recipe(name)], plan=plan(), progress=noted, resume=keep / "folds")
    if "score" not in found:
        start = (time.perf_counter(), time.process_time())
        scores = score_nested(result, plan=plan()).to_dict()["scores"][name]["metrics"]
        found["score"] = {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1]}
        found["metrics"] = {key: scores[key] for key in ("accuracy", "macro_auc", "log_loss")}
        found["peak_gib"] = max(found["peak_gib"], peak_gib())
    write_json(found, notes)


def measure(sizes: list[int], keep: Path) -> dict[str, dict[str, Any]]:
    """Run what is missing, and return the notes by size and recipe."""
    out: dict[str, dict[str, Any]] = {}
    for n in sizes:
        for name in RECIPES:
            notes = keep / f"{n}_{name}.json"
            if not notes.is_file() or "score" not in json.loads(notes.read_text()):
                command = [sys.executable, __file__, "--keep", str(keep), "--worker", f"{n}:{name}"]
                subprocess.run(command, check=True, env=os.environ | ONE_THREAD)
            out.setdefault(str(n), {})[name] = json.loads(notes.read_text())
    return out


def seconds(entry: dict[str, Any], kind: str) -> float:
    """Add up the folds and the scoring; a fold whose time was lost in an interruption counts as the others."""
    folds = [fold[kind] for fold in entry["folds"].values()]
    return float(np.mean(folds) * plan().outer_folds + entry["score"][kind])


def exponent(found: dict[str, dict[str, Any]], name: str) -> float:
    """Fit CPU seconds as a power of the number of patients, by least squares of the logarithms."""
    points = [(int(n), seconds(row[name], "cpu")) for n, row in found.items()]
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def page(found: dict[str, dict[str, Any]]) -> str:
    """Write the figures as a page."""
    asked = plan()
    titles = {name: read_recipe(name).title for name in RECIPES}
    largest = max(found, key=int)
    peak = max(entry["peak_gib"] for row in found.values() for entry in row.values())
    total = sum(seconds(entry, "cpu") for entry in found[largest].values()) / 60
    versions = ", ".join(f"{k} {v}" for k, v in installed_versions().items())
    lines = [
        "# Cost of a nested evaluation",
        "",
        f"Simulated tables of {N_COLUMNS} Gaussian columns (blocks of {BLOCK} that correlate at 0.64, {N_INFORMATIVE} "
        f"columns tell {len(CLASSES)} classes apart). The shipped recipes as they are, with their whole grids: "
        f"{asked.outer_folds} outer folds, {asked.repeats} repeat, {asked.inner_folds} inner folds, then all scores "
        f"with {asked.n_bootstrap} resamples. One process, one thread. Made by `benchmarks/scale.py`.",
        "",
        f"**{int(largest):,} patients: all three families in {total:.0f} minutes of one core, at most {peak:.1f} GiB** "
        f"(limit {LIMIT_GIB} GiB). Three repeats, as the shipped plan has, cost three times as much.",
        "",
        "| patients | recipe | CPU [min] | wall [min] | of which scoring [min] | peak memory [GiB] | accuracy |",
        "|---|---|---|---|---|---|---|",
    ]
    for n, row in found.items():
        for name, entry in row.items():
            cpu, wall = (seconds(entry, kind) / 60 for kind in ("cpu", "wall"))
            a = entry["metrics"]["accuracy"]
            lines.append(
                f"| {int(n):,} | {titles[name]} | {cpu:.2f} | {wall:.2f} | {entry['score']['cpu'] / 60:.2f} "
                f"| {entry['peak_gib']:.2f} | {a['value']:.3f} ({a['low']:.3f} to {a['high']:.3f}) |"
            )
    grown = ", ".join(f"{titles[name]} {exponent(found, name):.2f}" for name in RECIPES)
    lines += [
        "",
        f"CPU grows as a power of the number of patients; fitted exponents: {grown}. Wall time was measured on a "
        "machine shared with other work, so the CPU time is the cost.",
        "",
        "![Cost by the number of patients](scale.svg)",
        "",
        f"{platform.machine()}, Python {platform.python_version()}; {versions}.",
        "",
    ]
    return "\n".join(lines)


def plot(found: dict[str, dict[str, Any]]) -> bytes:
    """Draw CPU minutes and peak memory by patients."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    sizes = [int(n) for n in found]
    for name in RECIPES:
        minutes = [seconds(row[name], "cpu") / 60 for row in found.values()]
        left.loglog(sizes, minutes, "o-", label=f"{read_recipe(name).title} ($n^{{{exponent(found, name):.2f}}}$)")
        right.semilogx(sizes, [row[name]["peak_gib"] for row in found.values()], "o-")
    left.set_ylabel("CPU minutes, one core")
    left.legend(frameon=False, fontsize=8)
    right.set_ylabel("peak memory [GiB]")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel(f"patients ({N_COLUMNS} columns)")
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def main() -> None:
    """Measure what is missing and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, required=True, help="folder of finished folds and times")
    parser.add_argument("--sizes", default="300,1000,3000,10000")
    parser.add_argument("--write", action="store_true", help="write to reports/validation/")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        n, name = options.worker.split(":")
        worker(int(n), name, options.keep)
        return
    found = measure([int(n) for n in options.sizes.split(",")], options.keep)
    print(page(found))
    if options.write:
        write_text(page(found), FOLDER / "scale.md")
        write_json(found, FOLDER / "scale.json")
        write_bytes(plot(found), FOLDER / "scale.svg")


if __name__ == "__main__":
    main()
