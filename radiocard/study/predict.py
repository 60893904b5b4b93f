"""Predict every case of a cohort with a trained model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from radiocard.cohort.row import CaseResult
from radiocard.cohort.run import run_cohort
from radiocard.errors import CODES, Issue, ModelError, UsageError
from radiocard.io.cohort import Cohort
from radiocard.io.delimited import format_delimited, neutralise
from radiocard.io.store import write_issues, write_json, write_text
from radiocard.models.bundle import ModelBundle
from radiocard.specs import FeatureSpec, parse_as
from radiocard.study.extract import as_cohort

SCHEMA = "radiocard/predictions/1"
OUT_OF_FOLD = "W_OUT_OF_FOLD"
SIMULATED_MODEL = "W_SIMULATED_MODEL"
OVERRIDE = "A model trained on simulated patients was made to answer for a real one. This answer is not reliable."
Progress = Callable[[CaseResult], None]


@dataclass(frozen=True)
class PredictionRow:
    """What a model says of one patient.

    Parameters
    ----------
    patient_id, prediction : str
        Pseudonym; most probable class.
    probabilities : mapping of str to float
        By class.
    flags : tuple of str
        Warning codes; ``W_OUT_OF_FOLD`` where the patient was in training and the answer is
        by models that did not see it; ``W_SIMULATED_MODEL`` where the override was used.
    """

    patient_id: str
    prediction: str
    probabilities: Mapping[str, float]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Predictions:
    """What a model says of a cohort.

    Parameters
    ----------
    spec_hash, model_id : str
        Identity of the specification and of the model.
    classes : tuple of str
        Labels of the training cohort.
    rows : tuple of PredictionRow
        In the order of the cohort; refused cases are absent.
    issues : tuple of Issue
        Every finding, refused cases included.
    """

    spec_hash: str
    model_id: str
    classes: tuple[str, ...]
    rows: tuple[PredictionRow, ...]
    issues: tuple[Issue, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the published form of ``predictions.json``."""
        return {
            "schema": SCHEMA,
            "spec_hash": self.spec_hash,
            "model_id": self.model_id,
            "classes": list(self.classes),
            "predictions": [
                {
                    "patient_id": row.patient_id,
                    "prediction": row.prediction,
                    "probabilities": dict(row.probabilities),
                    "flags": list(row.flags),
                }
                for row in self.rows
            ],
        }


def spec_of(model: ModelBundle) -> FeatureSpec:
    """Return the feature specification that a model was trained with."""
    return parse_as(FeatureSpec, {"name": "of the model", "description": "", **model.feature_spec}, "model file")


def needs_texture(model: ModelBundle) -> bool:
    """Tell whether a model uses texture columns."""
    return any("__" in column for column in model.columns)


def refuse_simulated(model: ModelBundle, *, simulated_case: bool, allowed: bool) -> bool:
    """Refuse a real case to a model trained on simulated ones; return whether the override was used.

    Raises
    ------
    ModelError
        ``E_SIMULATED``, unless allowed.
    """
    if not model.simulated or simulated_case:
        return False
    if not allowed:
        msg = "This model was trained on simulated patients and refuses real ones."
        hint = "Train on real patients. '--allow-simulated-model' overrides this, and marks every result."
        raise ModelError(msg, code="E_SIMULATED", hint=hint)
    return True


def predict(
    model: ModelBundle,
    cohort: str | Path | Cohort,
    *,
    jobs: int = 1,
    allow_simulated_model: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Predict every usable case of a cohort.

    Parameters
    ----------
    model : ModelBundle
        Trained model.
    cohort : str, Path or Cohort
        Cases; measured with the specification of the model.
    jobs : int
        Worker processes.
    allow_simulated_model : bool
        Let a model trained on simulated patients answer for real ones, marked.
    progress : callable or None
        Called with each case's result.

    Returns
    -------
    Predictions
        Training patients get their out-of-fold probabilities, marked.

    Raises
    ------
    ModelError
        If the model is for simulated cases only (``E_SIMULATED``).
    CohortError
        If no case is usable.
    """
    found = as_cohort(cohort)
    for ref in found.cases:
        refuse_simulated(model, simulated_case=ref.simulated, allowed=allow_simulated_model)
    table, issues = run_cohort(found, spec_of(model), jobs=jobs, texture=needs_texture(model), progress=progress)
    return predict_table(model, table, issues, allow_simulated_model=allow_simulated_model)


def known_identifier(model: ModelBundle, patient: str, digest: str) -> list[Issue]:
    """Return a warning where a training patient had this identifier, but not these images."""
    held = model.out_of_fold_of(patient, digest)
    if held is not None or not (model.knows_identifier(patient) or model.holds_patient(patient, digest)):
        return []
    message = "A training patient has this identifier, or shares an image; the answer is by a model that saw it."
    hint = "Check whether this is the same person: then the answer is not independent of the training."
    return [Issue("W_KNOWN_IDENTIFIER", message, patient, hint=hint)]


def predict_table(
    model: ModelBundle, table: pd.DataFrame, issues: Sequence[Issue], *, allow_simulated_model: bool = False
) -> Predictions:
    """Predict the rows of a table; training patients get their out-of-fold probabilities."""
    digests = [str(digest) for digest in table["image_sha256"]]
    told = model.predict(table[list(model.columns)], image_digests=digests)
    rows, issues = [], list(issues)
    for i, patient in enumerate(map(str, table.index)):
        p = told.probabilities.iloc[i].to_numpy(dtype=float)
        found = [*told.flags[i], *known_identifier(model, patient, digests[i])]
        held_out = model.out_of_fold_of(patient, digests[i])
        if held_out is not None:
            p = held_out.probabilities
            found.append(Issue(OUT_OF_FOLD, CODES[OUT_OF_FOLD][1], patient))
        simulated = bool(table["simulated"].iloc[i])
        if refuse_simulated(model, simulated_case=simulated, allowed=allow_simulated_model):
            found.append(Issue(SIMULATED_MODEL, OVERRIDE, patient))
        flags = [*str(table["flags"].iloc[i]).split(), *(issue.code for issue in found)]
        issues += found
        by_class = {label: float(value) for label, value in zip(model.classes, p, strict=True)}
        rows.append(PredictionRow(patient, model.classes[int(p.argmax())], by_class, tuple(dict.fromkeys(flags))))
    return Predictions(model.feature_spec_hash, model.model_id, model.classes, tuple(rows), tuple(issues))


def write_predictions(predictions: Predictions, path: str | Path) -> None:
    """Write predictions as JSON or CSV by the name's ending, and the findings beside them.

    Raises
    ------
    UsageError
        If the name ends otherwise.
    OutputError
        If a file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".json":
        write_json(predictions.to_dict(), path)
    elif path.suffix == ".csv":
        header = ["patient_id", "prediction", *(neutralise(f"prob_{label}") for label in predictions.classes)]
        rows = [
            [
                neutralise(r.patient_id),
                neutralise(r.prediction),
                *(repr(r.probabilities[c]) for c in predictions.classes),
            ]
            for r in predictions.rows
        ]
        write_text(format_delimited(header, rows), path)
    else:
        msg = f"{path.name!r} does not end in .json or .csv."
        raise UsageError(msg)
    write_issues(predictions.issues, path.with_name(f"{path.stem}.issues.jsonl"))
