"""Evaluate a model: nested folds again on its training patients, or an external test on others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiocard.cohort.table import specification
from radiocard.errors import CohortError, LeakError
from radiocard.evaluation.evidence import Evidence, compare
from radiocard.evaluation.lock import open_lock, read_lock, refuse_locked
from radiocard.evaluation.metrics import Predictions, encode, from_probabilities, group_codes
from radiocard.evaluation.nested import rule_answers
from radiocard.evaluation.result import MAJORITY, RULE, RULE_NEAREST, SELECTED, NestedResult
from radiocard.evaluation.scores import Scores, score
from radiocard.io.store import write_json, write_text
from radiocard.models.bundle import ModelBundle
from radiocard.report.html import render_cohort
from radiocard.report.schema import to_json
from radiocard.report.schema_cohort import CohortReport
from radiocard.study.cohort_report import make_cohort_report
from radiocard.study.train import LearningData, cross_validate, learning_data, plan_of, rule_of
from radiocard.study.train import n_steps as plan_steps

NESTED = "nested cross-validation"
EXTERNAL = "external test"
LINES = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "macro_auc": "Macro AUC"}
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found.

    Parameters
    ----------
    kind : {'nested cross-validation', 'external test'}
        How it was made.
    scores : dict of str to Scores
        By model, the answering one first.
    report : CohortReport
        Everything that the page shows.
    result : NestedResult or None
        Out-of-fold predictions; None for an external test.
    """

    kind: str
    scores: dict[str, Scores]
    report: CohortReport
    result: NestedResult | None

    @property
    def summary(self) -> dict[str, Any]:
        """Plain facts for the terminal and for JSON."""
        text = {
            NESTED: "The table holds the training patients: the recipe was run again in nested folds.",
            EXTERNAL: "The table holds no training patient: external test of the frozen model.",
        }[self.kind]
        lines = [
            f"{name}: {s.title}: {s.metrics[key].text()}"
            for key, name in LINES.items()
            for s in self.scores.values()
            if key in s.metrics
        ]
        metrics = {name: {k: e.to_dict() for k, e in s.metrics.items()} for name, s in self.scores.items()}
        return {"kind": self.kind, "kind_text": text, "lines": lines, "metrics": metrics}


def n_steps(model: ModelBundle, table: pd.DataFrame) -> int:
    """Return how many outer folds an evaluation will run; 1 for an external test."""
    labelled = table[table[model.target].notna()] if model.target in table else table
    return plan_steps(plan_of(model)) if holds_training_patients(model, labelled) else 1


def holds_training_patients(model: ModelBundle, table: pd.DataFrame) -> bool:
    """Tell whether a table holds the patients that a model was trained on.

    Raises
    ------
    LeakError
        If it holds some of them beside others, or the identifiers of some with other images
        (``E_LEAK_PATIENT``).
    """
    pairs = [(str(i), str(d)) for i, d in zip(table.index, table["image_sha256"], strict=True)]
    by_image = [model.holds_patient(i, d) for i, d in pairs]
    known = [seen or model.knows_identifier(i) for seen, (i, _) in zip(by_image, pairs, strict=True)]
    if all(by_image) and pairs:
        return True
    if any(known):
        inside = [i for (i, _), k in zip(pairs, known, strict=True) if k]
        msg = (
            f"{len(inside)} of {len(table)} patients of the table were used in training (by identifier or image), "
            f"for example {inside[0]!r}; {sum(by_image)} of them with the same images."
        )
        hint = "Give the training table for nested folds, or a table without training patients for an external test."
        raise LeakError(msg, hint=hint)
    return False


def evaluate(
    model: ModelBundle,
    table: pd.DataFrame,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    command: str | None = None,
    locked: str | Path | None = None,
    reason: str = "",
    locks: Sequence[str | Path] = (),
    resume: str | Path | None = None,
) -> Evaluation:
    """Evaluate a model on a table.

    A table of training patients re-runs the recipe in nested folds; a table without any
    tests the frozen model. A score on patients that a model was fitted to is never made.

    Parameters
    ----------
    model : ModelBundle
        Trained model.
    table : DataFrame
        Made by :func:`radiocard.extract` with the specification of the model.
    jobs : int
        Worker processes; the result does not depend on it.
    progress : callable or None
        Called with the number of outer folds done and in all.
    command : str or None
        Printed in the report as it is: it must name no path.
    locked : str, Path or None
        Lock of a test set that is opened for this run; the opening is noted in it and in the report.
    reason : str
        Why it is opened, in words.
    locks : sequence of str or Path
        Other locks, whose patients must not be among those evaluated.
    resume : str, Path or None
        Folder that keeps finished folds; see :func:`radiocard.evaluation.nested.nested_cv`. An external test
        has none.

    Returns
    -------
    Evaluation

    Raises
    ------
    LeakError
        If the table holds training patients and others, or locked patients (``E_LEAK_PATIENT``).
    SpecError
        If the table was made with another specification, naming the settings that differ.
    CohortError
        If a class is unknown to the model or too small.
    ModelError
        If a simulated model would be tested on real patients (``E_SIMULATED``).
    """
    model.check_spec(specification(table)["spec"])
    data = learning_data(table, target=model.target, columns=_present(model, table))
    nested = holds_training_patients(model, data.table)
    if nested:
        recipes = [m.recipe for m in model.models]
        result, evidence = cross_validate(
            data, recipes, plan_of(model), rule=rule_of(model), jobs=jobs, progress=progress, resume=resume
        )
        return from_nested(model, data, result, evidence, command=command)
    refuse_locked(data.table, [path for path in locks if locked is None or Path(path) != Path(locked)])
    opened = ""
    if locked is not None:
        open_lock(locked, data.table, model_id=model.model_id, reason=reason)
        opened = " ".join(read_lock(locked).record())
    return _external(model, data, progress, command, opened)


def from_nested(
    model: ModelBundle, data: LearningData, result: NestedResult, evidence: Evidence, *, command: str | None = None
) -> Evaluation:
    """Turn a nested cross-validation into an evaluation with its report."""
    predictions = {name: result.predictions(name) for name in result.models}
    made = make_cohort_report(model, data, evidence, predictions, kind=NESTED, result=result, command=command)
    return Evaluation(NESTED, evidence.scores, made, result)


def write_evaluation(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """Write the cohort report (HTML and JSON), the scores and the out-of-fold predictions.

    Returns
    -------
    list of Path
        Files written, the page first.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, twin, scores = (folder / name for name in ("cohort_report.html", "cohort_report.json", "scores.json"))
    write_text(render_cohort(evaluation.report), page)
    write_text(to_json(evaluation.report), twin)
    write_json({"kind": evaluation.kind, "scores": {k: s.to_dict() for k, s in evaluation.scores.items()}}, scores)
    paths = [page, twin, scores]
    if evaluation.result is not None:
        paths.append(folder / "out_of_fold.json")
        write_json(evaluation.result.to_dict(), paths[-1])
    return paths


def _present(model: ModelBundle, table: pd.DataFrame) -> list[str]:
    missing = [c for c in model.columns if c not in table.columns]
    if missing:
        msg = f"The table lacks {len(missing)} columns that the model needs: {', '.join(missing[:12])}."
        raise CohortError(msg, code="E_COLUMNS", hint="Extract the table with the specification of the model.")
    return list(model.columns)


def _external(
    model: ModelBundle, data: LearningData, progress: Progress | None, command: str | None, opened: str
) -> Evaluation:
    from radiocard.study.predict import refuse_simulated

    plan = plan_of(model)
    for simulated in data.table["simulated"]:
        refuse_simulated(model, simulated_case=bool(simulated), allowed=False)
    told = _frozen_predictions(model, data)
    titles = {SELECTED: f"{model.answering.title} (frozen)", MAJORITY: "Majority class (no training)"}
    titles |= {
        RULE: rule_of(model).title,
        RULE_NEAREST: f"{rule_of(model).title}, borderline patients to the nearest definition",
    }
    scores = {name: score(name, titles[name], p, plan=plan) for name, p in told.items()}
    comparisons = compare(told, RULE_NEAREST if RULE_NEAREST in told else MAJORITY, plan=plan)
    n = len(data.y)
    evidence = Evidence(
        scores=scores,
        comparisons=comparisons,
        chosen={},
        selection={},
        n_folds=0,
        design=f"External test: the frozen model answered for {n} patients, none of whom was used in training. "
        f"{opened}".strip(),
    )
    if progress is not None:
        progress(1, 1)
    made = make_cohort_report(model, data, evidence, told, kind=EXTERNAL, result=None, command=command)
    return Evaluation(EXTERNAL, scores, made, None)


def _frozen_predictions(model: ModelBundle, data: LearningData) -> Mapping[str, Predictions]:
    p = model.predict(data.X).probabilities.to_numpy()
    told = {SELECTED: from_probabilities(p, data.y, classes=model.classes, groups=data.groups)}
    shares = np.bincount(model.labels, minlength=len(model.classes)) / len(model.labels)
    constant = np.tile(shares, (len(data.y), 1))
    told[MAJORITY] = from_probabilities(constant, data.y, classes=model.classes, groups=data.groups)
    sex = data.table["sex"].to_numpy(dtype=object)
    answers, _ = rule_answers(rule_of(model), data.table, classes=model.classes, sex=sex)
    codes, groups = encode(data.y, model.classes), group_codes(data.groups, len(data.y))
    for name, said in answers.items():
        told[name] = Predictions(model.classes, codes, groups, said[None], None)
    return told
