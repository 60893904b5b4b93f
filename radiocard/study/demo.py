"""The whole main job on simulated patients: offline, computed live from a seed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radiocard.errors import UsageError
from radiocard.evaluation.result import SELECTED, NestedResult
from radiocard.io.cohort import Cohort, read_cohort, write_manifest_cohort
from radiocard.io.store import output_lock, write_table, write_text
from radiocard.io.unsegmented import read_unsegmented
from radiocard.models.bundle import ModelBundle
from radiocard.models.persist import save_model
from radiocard.segmentation.backend import Ensemble, demo_network, open_ensemble
from radiocard.simulate.bayes import bayes_accuracy
from radiocard.simulate.classes import CLASSES
from radiocard.simulate.cohort import SimulatedCase, simulate_cohort
from radiocard.simulate.lge_cohort import LGE_CLASSES, simulate_lge_cohort
from radiocard.simulate.map_bayes import map_bayes_accuracy
from radiocard.simulate.map_classes import TASKS, MapTask
from radiocard.simulate.maps import simulate_map_cohort
from radiocard.specs import TaskSpec, read_recipe, read_task
from radiocard.study.cohort_parts import table_issues
from radiocard.study.evaluate import from_nested, write_evaluation
from radiocard.study.extract import extract
from radiocard.study.patient import report_patient, write_report
from radiocard.study.predict import predict_table, write_predictions
from radiocard.study.segment_predict import segment as draw
from radiocard.study.segment_predict import write_segmentation
from radiocard.study.train import DEFAULT_TASK, learning_data, n_steps, read_plan, train_with_evidence

PER_CLASS = 14
PLAN = "demo"
BAYES_DRAWS = 20_000
LGE_TASK = "lge-scar"
MARKER = ".radiocard-demo"
SEGMENTED = "segmented"
WALL = ("lvedvi_ml_m2", "lvmi_g_m2", "septal_excess")
Progress = Callable[[str, int], AbstractContextManager[Callable[..., None]]]


MAP_TASKS: Mapping[str, tuple[MapTask, tuple[str, ...]]] = {
    "t1-amyloid": ("t1-amyloid", ("t1_ms", *WALL)),
    "ecv-amyloid": ("t1-amyloid", ("t1_ms", "ecv_pct", *WALL)),
    "t1-dcm": ("dcm", ("t1_ms", *WALL)),
    "t1-hhd-hcm": ("hhd-hcm", ("t1_ms", *WALL)),
    "t2-myocarditis": ("myocarditis", ("t1_ms", "t2_ms", *WALL)),
}


@dataclass(frozen=True)
class _Simulation:
    """What stands in for the patients of a task.

    Parameters
    ----------
    n_classes : int
        Number of groups.
    cohort : callable
        Seed, and whether diagnoses are shuffled, to patients.
    best : callable
        Gives the best accuracy that any model can reach, or could with the named values known exactly.
    best_is : str
        What that is, in words.
    """

    n_classes: int
    cohort: Callable[[int, bool], list[SimulatedCase]]
    best: Callable[[], float]
    best_is: str


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Parameters
    ----------
    cohort_report : Path
        Evidence about the models.
    patient_reports : dict of str to Path
        One sure, one uncertain, one wrong patient.
    lines : tuple of str
        What to tell the user.
    seconds : float
        How long it took.
    """

    cohort_report: Path
    patient_reports: dict[str, Path]
    lines: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "cohort_report": str(self.cohort_report),
            "patient_reports": {kind: str(path) for kind, path in self.patient_reports.items()},
            "lines": list(self.lines),
            "seconds": self.seconds,
        }


def demo(
    output: str | Path = "radiocard-demo",
    *,
    task: str = DEFAULT_TASK,
    seed: int = 1,
    jobs: int = 1,
    permute_classes: bool = False,
    segment: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> DemoResult:
    """Simulate a cohort, and do with it all that radiocard does with a real one.

    Parameters
    ----------
    output : str or Path
        Folder to write to: the cohort as NIfTI files, table, model, predictions, reports.
    task : str
        Shipped task: ``cine``, ``t1-amyloid``, ``ecv-amyloid``, ``t1-dcm``, ``t1-hhd-hcm``,
        ``t2-myocarditis`` or ``lge-scar``.
    seed : int
        Another seed simulates other patients.
    jobs : int
        Worker processes; the result does not depend on it.
    permute_classes : bool
        Give every patient the diagnosis of another: accuracy must then be chance.
    segment : bool
        Let the small network that comes with radiocard draw the masks of the cine.
    say : callable or None
        Gets a line at each step.
    progress : callable or None
        Takes a title and a total, gives a context with a callable that counts one step.

    Returns
    -------
    DemoResult

    Raises
    ------
    UsageError
        If the folder holds something else, nothing simulates the task, or the network does not draw it.
    MissingExtraError
        If ``segment`` is asked for without onnxruntime or torch.
    OutputError
        If it cannot be written.
    """
    folder, started = Path(output), time.perf_counter()
    tell = say or (lambda _: None)
    bar = progress or (lambda *_: nullcontext(lambda *_: None))
    asked = read_task(task)
    simulation = _simulation(asked)
    network = _network(asked) if segment else None
    with output_lock(folder / "demo"):
        cohort_folder = _clear(folder)
        command = (
            f"radiocard demo{'' if task == DEFAULT_TASK else f' --task {task}'} --seed {seed}{' --segment' * segment}"
        )
        tell(f"Simulating {simulation.n_classes * PER_CLASS} patients at three sites (seed {seed})")
        patients = simulation.cohort(seed, permute_classes)
        cohort = read_cohort(write_manifest_cohort((p.case for p in patients), cohort_folder))
        drawn: tuple[str, ...] = ()
        if network is not None:
            cohort, drawn = _draw(network, cohort_folder, bar)
        with bar("Measuring", len(cohort.cases)) as step:
            table = extract(cohort, spec=asked.spec, jobs=jobs, progress=step)
        write_table(table, folder / "table.parquet")
        plan, recipes = read_plan(PLAN), [read_recipe(name) for name in asked.models]
        with bar("Nested folds", n_steps(plan)) as step:
            model, result, evidence = train_with_evidence(
                table,
                target="diagnosis",
                task=asked,
                recipes=recipes,
                pool=asked.pool,
                plan=plan,
                jobs=jobs,
                progress=step,
            )
        save_model(model, folder / "heart.model")
        tell("Writing reports")
        data = learning_data(table, target="diagnosis", columns=list(model.columns))
        evaluation = from_nested(model, data, result, evidence, command=command)
        paths = write_evaluation(evaluation, folder / "evidence")
        write_predictions(predict_table(model, table, table_issues(table)), folder / "predictions.json")
        reports = {
            kind: write_report(
                report_patient(model, cohort, patient, command=command), folder / f"patient_{kind}.html"
            )[0]
            for kind, patient in pick_patients(result).items()
        }
    seconds = time.perf_counter() - started
    lines = _lines(model, evaluation.summary["metrics"], seconds, simulation, permuted=permute_classes)
    return DemoResult(paths[0], reports, (*drawn, *lines), seconds)


def pick_patients(result: NestedResult) -> dict[str, str]:
    """Choose one sure, one uncertain and one wrong patient by their out-of-fold answers.

    The sure one is right with the highest probability, the wrong one is wrong with the
    highest, the uncertain one has the smallest lead of its first class, right or wrong.

    Returns
    -------
    dict of str to str
        ``sure``, ``uncertain``, ``wrong`` to patient; without a key where there is none.
    """
    p = result.probabilities[SELECTED].mean(axis=0)
    right = p.argmax(axis=1) == result.y
    top = np.sort(p, axis=1)
    lead = top[:, -1] - top[:, -2]
    chosen: dict[str, int] = {}
    if right.any():
        chosen["sure"] = int(np.where(right, top[:, -1], -1).argmax())
    if not right.all():
        chosen["wrong"] = int(np.where(right, -1, top[:, -1]).argmax())
    open_ones = np.setdiff1d(np.arange(len(right)), list(chosen.values()))
    chosen["uncertain"] = int(open_ones[lead[open_ones].argmin()])
    return {kind: result.ids[chosen[kind]] for kind in ("sure", "uncertain", "wrong") if kind in chosen}


def _clear(folder: Path) -> Path:
    """Remove what an earlier demo made, and nothing else; return the folder for the cohort."""
    cohort, marker = folder / "cohort", folder / MARKER
    if not marker.is_file():
        if cohort.exists() or cohort.is_symlink():
            msg = f"The folder {cohort.name!r} in {folder.name!r} was not made by a demo."
            raise UsageError(msg, hint="Choose another output folder with -o.")
        write_text("This folder is written anew by each run of the demo.\n", marker)
    for part in (cohort / "images", cohort / "masks", cohort / SEGMENTED / "masks"):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part)
    for page in folder.glob("patient_*.*"):
        page.unlink()
    return cohort


def _network(task: TaskSpec) -> Ensemble:
    if task.name != DEFAULT_TASK:
        msg = f"The network of the demo draws the cine only, not the task {task.name!r}."
        raise UsageError(msg, field="segment")
    return open_ensemble(demo_network())


def _draw(network: Ensemble, folder: Path, bar: Progress) -> tuple[Cohort, tuple[str, ...]]:
    """Put masks of the network in the place of those that the simulation knows."""
    found = read_unsegmented(folder)
    with bar("Drawing masks", len(found.cases)) as step:
        result = draw(found, network, flips=False, progress=step)
    verdicts = [case.verdict for case in result.cases]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    manifest = write_segmentation(result, folder / SEGMENTED)
    return read_cohort(manifest), (f"Masks by the network {result.short_id}, run by {result.backend}: {counts}.",)


def _simulation(task: TaskSpec) -> _Simulation:
    if task.name == DEFAULT_TASK:
        return _Simulation(
            len(CLASSES),
            lambda seed, permuted: simulate_cohort(per_class=PER_CLASS, seed=seed, permute_classes=permuted),
            lambda: bayes_accuracy(n=BAYES_DRAWS).value,
            "best possible on this simulation (Bayes)",
        )
    if task.name == LGE_TASK:
        return _Simulation(
            len(LGE_CLASSES),
            lambda seed, permuted: simulate_lge_cohort(per_class=PER_CLASS, seed=seed, permute_classes=permuted),
            lambda: 1.0,
            "best possible: each scar of one group begins at the endocardium, none of the other",
        )
    if task.name not in MAP_TASKS:
        known = ", ".join([DEFAULT_TASK, *MAP_TASKS, LGE_TASK])
        msg = f"Nothing simulates the task {task.name!r}, expected one of {known}."
        raise UsageError(msg, field="task")
    name, latents = MAP_TASKS[task.name]
    return _Simulation(
        len(TASKS[name]),
        lambda seed, permuted: simulate_map_cohort(task=name, per_class=PER_CLASS, seed=seed, permute_classes=permuted),
        lambda: map_bayes_accuracy(name, latents=latents, n=BAYES_DRAWS).value,
        "best possible from the exact global values alone (Bayes); their spread and segments tell more",
    )


def _lines(
    model: ModelBundle, metrics: dict[str, Any], seconds: float, simulation: _Simulation, *, permuted: bool
) -> tuple[str, ...]:
    scores = model.evaluation["scores"]
    lines = [f"{len(model.labels)} simulated patients, {len(model.classes)} classes, {seconds:.0f} s."]
    if permuted:
        lines.append(f"Diagnoses are permuted: accuracy should be chance, {1 / len(model.classes):.2f}.")
    lines.append("Accuracy on patients that the model did not see (nested folds, 95 % interval over patients):")
    for name, score in scores.items():
        found = metrics[name]["accuracy"]
        lines.append(f"  {found['value']:.2f}  ({found['low']:.2f} to {found['high']:.2f})  {score['title']}")
    lines.append(f"  {simulation.best():.2f}  {simulation.best_is}")
    return tuple(lines)
