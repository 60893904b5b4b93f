"""Measure what texture adds and how stable measurements are, and write ``reports/validation/increment.md``.

Simulated hearts are always run. The ACDC training patients, which are not part of radiocard, are run
where their folder is named::

    RADIOCARD_ACDC=.../training uv run --no-dev python benchmarks/increment.py

Recipe (``logistic`` at every step), pools, plan and perturbations are the defaults of the two commands;
nothing is chosen by looking at the result.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.io.store import write_text
from radiocard.simulate.cohort import simulate_cohort, simulate_frames
from radiocard.study.increment import increment
from radiocard.study.increment_result import page
from radiocard.study.stability import StabilityResult, stability

PER_CLASS, STABILITY_PER_CLASS, SEED = 10, 3, 2026
PAGE = Path(__file__).parents[1] / "reports" / "validation" / "increment.md"


def stability_lines(result: StabilityResult) -> list[str]:
    """Format a stability result as Markdown."""
    lines = [result.sentence, "", "| family | columns | ICC(A,1) >= 0.75 | >= 0.9 |", "|---|---|---|---|"]
    lines += [f"| {s.family} | {s.n} | {s.good:.0%} | {s.excellent:.0%} |" for s in result.shares]
    lines += ["", "Mean change of volumes and mass (in brackets the mean absolute change):", ""]
    columns = [c.removesuffix("_mean") for c in result.changes if c.endswith("_mean")]
    lines += ["| perturbation | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in result.changes.iterrows():
        cells = [f"{row[f'{c}_mean']:+.1f} ({row[f'{c}_abs']:.1f})" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    kinds = [c for c in result.table if c.startswith("icc_a_1_") and not c.endswith(("_low", "_high"))]
    by_kind = pd.DataFrame({k.removeprefix("icc_a_1_"): result.table.groupby("family")[k].median() for k in kinds})
    lines += ["", "Median ICC(A,1) by family and kind of perturbation:", ""]
    lines += ["| family | " + " | ".join(by_kind) + " |", "|---" * (len(kinds) + 1) + "|"]
    lines += [f"| {f} | " + " | ".join(f"{v:.2f}" for v in row) + " |" for f, row in by_kind.iterrows()]
    return [*lines, "", *result.notes]


def stability_of_frames(folder: Path, *, jobs: int) -> StabilityResult:
    """Measure simulated hearts, whose neighbouring frames are known."""
    patients = simulate_cohort(per_class=STABILITY_PER_CLASS, seed=SEED)
    groups = [str(p.parameters["group"]) for p in patients]
    beside = (simulate_frames(group, i, seed=SEED)[1] for i, group in enumerate(groups))
    drawn = write_manifest_cohort((p.case for p in patients), folder / "b")
    return stability(drawn, beside=write_manifest_cohort(beside, folder / "c"), jobs=jobs)


def main() -> int:
    """Run both on simulated hearts, the ladder on ACDC too where it is there."""
    jobs, start = os.cpu_count() or 1, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        cases = (p.case for p in simulate_cohort(per_class=PER_CLASS, seed=SEED))
        ladder = increment(write_manifest_cohort(cases, Path(folder) / "a"), jobs=jobs)
        held = stability_of_frames(Path(folder), jobs=jobs)
    lines = ["# What texture adds, and what holds", "", "Made by `benchmarks/increment.py`.", ""]
    lines += [f"## Simulated hearts: {ladder.n_patients} patients of five classes, texture carries no diagnosis", ""]
    lines += [page(ladder).replace("# Does", "### Does").replace("\n## ", "\n### ")]
    lines += [f"## Stability: {held.n_patients} simulated patients", "", *stability_lines(held), ""]
    where = os.environ.get("RADIOCARD_ACDC")
    if where:
        acdc = increment(read_cohort(where), jobs=jobs)
        lines += ["## ACDC training patients", "", page(acdc).replace("# Does", "### Does").replace("\n## ", "\n### ")]
    else:
        lines += ["## ACDC training patients", "", "Not run: RADIOCARD_ACDC was not set.", ""]
    write_text("\n".join(lines), PAGE)
    print(f"{PAGE.name}: {time.perf_counter() - start:.0f} s")
    print(ladder.sentence)
    print(held.sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main())
