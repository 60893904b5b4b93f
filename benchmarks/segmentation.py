"""Measure masks of a network on ACDC, and write ``reports/validation/segmentation.md``.

The data are not part of radiocard; give their place, and a network that was trained on them in folds::

    radiocard segment train $RADIOCARD_ACDC -o network --recipe dynunet_cpu --folds 3
    radiocard segment export network
    RADIOCARD_ACDC=.../training python benchmarks/segmentation.py network --keep work [--weak early_network ...]

Needs the extras ``cnn`` and ``onnx``. A weak network has the same folds and fewer epochs: its failures are
natural ones. Steps that finished are kept in the folder ``work``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from memory import peak_mb
from segmentation_page import page
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import GroupKFold

from radiocard.evaluation.intervals import Estimate, percentile, resample_weights
from radiocard.io.atomic import write_json
from radiocard.io.cohort import read_cohort
from radiocard.io.store import write_text
from radiocard.segmentation.backend import open_ensemble
from radiocard.segmentation.overlap import dice
from radiocard.specs import read_recipe, read_task
from radiocard.study.compare import compare
from radiocard.study.compare_text import markdown
from radiocard.study.extract import extract
from radiocard.study.segment_evaluate import evaluate_segmentation, evidence_dict, segment_case, write_evidence
from radiocard.study.segment_quality import DICE_LIMIT, JudgedMask, fit_masks, judged_masks, training_masks
from radiocard.study.train import read_plan, train_with_evidence

PAGE = Path(__file__).parents[1] / "reports" / "validation" / "segmentation.md"
UNSEEN = ("bias", "ghosts", "contrast")
UNSEEN_SEVERITIES = (0.5, 1.0)
N_TIMED, N_BOOTSTRAP, FALSE_ALARMS = 6, 2000, 0.10
CLEARLY_POOR, NEAR = 0.7, 0.02
RANGES = (0, 0.5, 0.6, 0.7, DICE_LIMIT)


def main() -> int:
    """Run what is not kept yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--weak", type=Path, nargs="*", default=[])
    parser.add_argument("--time", choices=["torch", "onnx"])
    args = parser.parse_args()
    where = os.environ.get("RADIOCARD_ACDC")
    if not where:
        print("segmentation: not run (set RADIOCARD_ACDC)")
        return 0
    if args.time:
        print(json.dumps(timed(where, args.network, args.time)))
        return 0
    keep = args.keep
    agreement = kept(keep / "agreement.json", lambda: agreement_of(where, args.network, keep))
    diagnosis = kept(keep / "diagnosis.json", lambda: diagnosis_of(where, keep))
    quality = kept(keep / "quality.json", lambda: quality_of(where, args.network, args.weak, keep))
    cost = kept(keep / "cost.json", lambda: cost_of(where, args.network, keep))
    card = open_ensemble(args.network, backend="torch").card
    write_text(page(agreement, diagnosis, quality, cost, card), PAGE)
    print(f"Written: {PAGE.name}")
    return 0


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a step's result, made where it is not kept yet."""
    if not path.is_file():
        started = time.perf_counter()
        write_json(make(), path)
        print(f"{path.stem}: {time.perf_counter() - started:.0f} s", flush=True)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def agreement_of(where: str, network: Path, keep: Path) -> dict[str, Any]:
    """Compare the masks of networks that never saw the patient with those of the reader."""
    evidence = evaluate_segmentation(where, open_ensemble(network, backend="torch"), flips=True)
    write_evidence(evidence, keep / "masks")
    verdicts = [case.verdict for case in evidence.masks.cases]
    return evidence_dict(evidence) | {"verdicts": {v: verdicts.count(v) for v in ("accept", "warn", "ask")}}


def diagnosis_of(where: str, keep: Path) -> dict[str, Any]:
    """Compare the out-of-fold diagnoses from masks of the reader and of the network, same folds."""
    task, plan = read_task("cine"), read_plan("evaluation")
    files = []
    tables = {"reader": extract(where), "network": extract(keep / "masks" / "manifest.csv")}
    both = tables["reader"].index.intersection(tables["network"].index)
    for name, table in tables.items():
        attrs, table = table.attrs, table.loc[both]
        table.attrs = attrs
        options = {"recipes": [read_recipe("rf")], "pool": task.pool, "plan": plan, "target": "diagnosis"}
        _, result, _ = train_with_evidence(table, task=task, **options)
        columns = [f"prob_{label}" for label in result.classes]
        index = pd.Index(result.ids, name="patient_id")
        told = pd.DataFrame(result.probabilities["rf"].mean(axis=0), index=index, columns=columns)
        told.to_csv(keep / f"{name}.csv")
        files.append(keep / f"{name}.csv")
    truth = keep / "truth.csv"
    tables["reader"].loc[both][["diagnosis", "image_sha256"]].to_csv(truth, index_label="patient_id")
    return {"n": len(both), "page": markdown(compare(files, truth=truth, plan="evaluation"))}


def quality_of(where: str, network: Path, weak: list[Path], keep: Path) -> dict[str, Any]:
    """Find poor masks of patients and kinds of failure that the quality model did not learn from."""
    strong, early = open_ensemble(network), [open_ensemble(folder) for folder in weak]
    learned: list[JudgedMask] = []
    tested: list[JudgedMask] = []
    for number, ref in enumerate(read_cohort(where).cases):
        case, severity = ref.load(), UNSEEN_SEVERITIES[number % 2]
        learned += training_masks(case, strong, number=number)
        tested += judged_masks(case, strong, families=UNSEEN, severities=(severity,))
        tested += [m for ensemble in early for m in judged_masks(case, ensemble, families=(), severities=(0.0,))]
    write_json([asdict(m) for m in learned], keep / "learned.json")
    write_json([asdict(m) for m in tested], keep / "tested.json")
    return {"test": scored(tested, *crossed(learned, tested)), "training": scored(learned, *left_out(learned))}


def scored(masks: list[JudgedMask], risk: np.ndarray, limit: np.ndarray) -> dict[str, Any]:
    """Return how well a risk finds poor masks, with intervals over patients."""
    found = np.array([m.worst_dice for m in masks])
    poor, clear, near = found < DICE_LIMIT, found < CLEARLY_POOR, np.abs(found - DICE_LIMIT) < NEAR
    groups = np.unique([m.patient_id for m in masks], return_inverse=True)[1]
    draws = resample_weights(np.zeros(len(poor), int), groups, n_bootstrap=N_BOOTSTRAP, random_state=0)

    def estimate(measure: Callable[..., float], use: np.ndarray) -> dict[str, Any]:
        value = measure(risk[use], poor[use], np.ones(use.sum()))
        drawn = np.array([measure(risk[use], poor[use], w[use]) for w in draws])
        return asdict(percentile(value, drawn, n=int(groups.max()) + 1))

    every, alarm = np.ones(len(poor), dtype=bool), (risk > limit).astype(float)
    return {
        "auroc": estimate(auroc, every),
        "catch": estimate(catch_rate, every),
        "catch_clear": estimate(catch_rate, clear | ~poor),
        "catch_not_near": estimate(catch_rate, ~near),
        "flagged_poor": asdict(_share(alarm, poor, draws, groups)),
        "flagged_clear": asdict(_share(alarm, clear, draws, groups)),
        "flagged_good": asdict(_share(alarm, ~poor, draws, groups)),
        "n": len(poor),
        "n_poor": int(poor.sum()),
        "n_clear": int(clear.sum()),
        "n_near": int(near.sum()),
        "n_patients": int(groups.max()) + 1,
        "kinds": _by_kind(masks, risk, alarm),
        "ranges": _by_dice(found, risk, poor),
    }


def _by_dice(found: np.ndarray, risk: np.ndarray, poor: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the share of masks caught where 10 % of the good ones are false alarms, by their worst Dice."""
    wrong, _, limits = roc_curve(poor, risk, drop_intermediate=False)
    caught = risk >= limits[wrong <= FALSE_ALARMS][-1]
    inside = {f"{low} to {high}": (found >= low) & (found < high) for low, high in pairwise(RANGES)}
    return {name: {"n": int(rows.sum()), "caught": float(caught[rows].mean())} for name, rows in inside.items()}


def _by_kind(masks: list[JudgedMask], risk: np.ndarray, alarm: np.ndarray) -> dict[str, dict[str, float]]:
    kinds, poor = np.array([m.family for m in masks]), np.array([m.worst_dice < DICE_LIMIT for m in masks])
    out = {}
    for kind in np.unique(kinds):
        bad, good = (kinds == kind) & poor, (kinds == kind) & ~poor
        every = bad | good
        out[str(kind)] = {
            "n": int(every.sum()),
            "n_poor": int(bad.sum()),
            "auroc": auroc(risk[every], poor[every], np.ones(every.sum())),
            "flagged_poor": float(alarm[bad].mean()),
            "flagged_good": float(alarm[good].mean()),
        }
    return out


def _share(alarm: np.ndarray, where: np.ndarray, draws: np.ndarray, groups: np.ndarray) -> Estimate:
    drawn = draws[:, where] @ alarm[where] / draws[:, where].sum(axis=1)
    return percentile(float(alarm[where].mean()), drawn, n=int(groups.max()) + 1)


def left_out(learned: list[JudgedMask]) -> tuple[np.ndarray, np.ndarray]:
    """Return risk and warning limit of each learned mask by models of other patients and other kinds of image."""
    people, kinds = np.array([m.patient_id for m in learned]), np.array([m.family for m in learned])
    risk, limit = np.zeros(len(learned)), np.zeros(len(learned))
    for rest, others in GroupKFold(5).split(people, groups=people):
        for kind in np.unique(kinds):
            model = fit_masks([learned[i] for i in rest if kinds[i] != kind])
            for i in others[kinds[others] == kind]:
                risk[i], limit[i] = model.risk(learned[i].features), model.warn_above
    return risk, limit


def crossed(learned: list[JudgedMask], tested: list[JudgedMask]) -> tuple[np.ndarray, np.ndarray]:
    """Return risk and warning limit of each tested mask by models of other patients."""
    people = np.array([m.patient_id for m in learned])
    risk, limit = np.zeros(len(tested)), np.zeros(len(tested))
    for rest, left_out in GroupKFold(5).split(people, groups=people):
        model = fit_masks([learned[i] for i in rest])
        names = set(people[left_out])
        for i, mask in enumerate(tested):
            if mask.patient_id in names:
                risk[i], limit[i] = model.risk(mask.features), model.warn_above
    return risk, limit


def auroc(risk: np.ndarray, poor: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted area under the ROC curve."""
    return float(roc_auc_score(poor, risk, sample_weight=weights))


def catch_rate(risk: np.ndarray, poor: np.ndarray, weights: np.ndarray) -> float:
    """Return the share of poor masks above the limit that 10 % of the good ones exceed."""
    wrong, right, _ = roc_curve(poor, risk, sample_weight=weights, drop_intermediate=False)
    return float(right[wrong <= FALSE_ALARMS].max())


def cost_of(where: str, network: Path, keep: Path) -> dict[str, Any]:
    """Time both ways to run a network, each in a process of its own, and compare their masks."""
    out: dict[str, Any] = {}
    for backend in ("torch", "onnx"):
        command = [sys.executable, __file__, str(network), "--keep", str(keep), "--time", backend]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        out[backend] = json.loads(done.stdout.splitlines()[-1])
    masks = [masks_of(where, network, backend) for backend in ("torch", "onnx")]
    same = [dice(a == c, b == c) for a, b in zip(*masks, strict=True) for c in (1, 2, 3)]
    return out | {"least_dice": min(d for d in same if d is not None)}


def masks_of(where: str, network: Path, backend: str) -> list[np.ndarray]:
    """Return the masks of a few patients."""
    ensemble = open_ensemble(network, backend=backend)
    refs = read_cohort(where).cases[:N_TIMED]
    found = [segment_case(ref.load(), ensemble, flips=False) for ref in refs]
    return [phase.mask.array for case in found for phase in case.phases.values()]


def timed(where: str, network: Path, backend: str) -> dict[str, Any]:
    """Return seconds per case, with and without mirrored slices, and the peak memory."""
    ensemble = open_ensemble(network, backend=backend)
    cases = [ref.load() for ref in read_cohort(where).cases[:N_TIMED]]
    segment_case(cases[0], ensemble, flips=False)
    out: dict[str, Any] = {}
    for name, flips in (("fast", False), ("full", True)):
        out[name] = float(np.median([segment_case(case, ensemble, flips=flips).seconds for case in cases]))
    return out | {"peak_mb": peak_mb(), "n": len(cases)}


if __name__ == "__main__":
    sys.exit(main())
