"""Explain and report one patient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from radiocard.cardiac.maps import MapMeasures
from radiocard.cardiac.reference import ReferenceRange
from radiocard.cardiac.scar import ScarMeasures
from radiocard.checks.case import check_case
from radiocard.cohort.row import Measures as Measured
from radiocard.cohort.row import describe_case, measure_case, refuse_if_needed
from radiocard.errors import Issue, UsageError
from radiocard.evaluation.result import SELECTED
from radiocard.image import Case
from radiocard.io.cohort import Cohort
from radiocard.io.store import write_bytes, write_text
from radiocard.models.bundle import ModelBundle
from radiocard.report.html import render_patient
from radiocard.report.pdf import to_pdf
from radiocard.report.schema import to_json
from radiocard.report.schema_base import Estimate, Provenance
from radiocard.report.schema_patient import Answer, Measures, MetricLine, ModelCard, PatientReport, Record
from radiocard.specs import FeatureSpec
from radiocard.study import patient_measures as shown
from radiocard.study import patient_parts as parts
from radiocard.study.answer import Answered, answer_patient, make_answer, make_why
from radiocard.study.extract import as_cohort
from radiocard.study.info import software_versions
from radiocard.study.patient_rule import published_rule
from radiocard.study.pictures import make_images
from radiocard.study.predict import OVERRIDE, known_identifier, needs_texture, refuse_simulated, spec_of
from radiocard.study.stability import perturbed_table
from radiocard.study.sure import Likeness, likeness, make_sure
from radiocard.study.texture_places import texture_places
from radiocard.study.train import rule_of, task_of

CARD_METRICS = {
    "accuracy": ("Accuracy", True),
    "balanced_accuracy": ("Balanced accuracy", True),
    "macro_auc": ("Macro AUC", False),
    "brier": ("Brier score", False),
    "ece": ("Calibration error (ECE)", False),
}
WEAK = 0.8


@dataclass(frozen=True, eq=False)
class _Patient:
    """One checked and measured case."""

    case: Case
    spec: FeatureSpec
    heart: Measured
    values: dict[str, Any]
    issues: list[Issue]
    override: str | None

    @property
    def numbers(self) -> dict[str, float | None]:
        """Feature values; None where undefined."""
        return {k: _number(v) for k, v in self.values.items() if isinstance(v, int | float) or v is None}

    @property
    def row(self) -> pd.DataFrame:
        """The patient's row of the table."""
        return pd.DataFrame([self.values], index=pd.Index([self.case.patient_id], name="patient_id"))


def explain_patient(
    model: ModelBundle, cohort: str | Path | Cohort, patient: str, *, allow_simulated_model: bool = False
) -> Answer:
    """Answer for one patient, with reasons for and against.

    Parameters
    ----------
    model : ModelBundle
        Trained model.
    cohort : str, Path or Cohort
        Where the patient's study lies.
    patient : str
        Identifier.
    allow_simulated_model : bool
        Let a model trained on simulated patients answer for a real one.

    Returns
    -------
    Answer
        For a training patient out of fold, and saying so.

    Raises
    ------
    UsageError
        If the cohort has no such patient.
    CaseRefusedError
        If the case fails its checks.
    ModelError
        If the model is for simulated cases only (``E_SIMULATED``).
    """
    found = _load(model, cohort, patient, allow_simulated_model=allow_simulated_model)
    return _answer(model, found, answer_patient(model, found.row), likeness(model, found.row))


def report_patient(
    model: ModelBundle,
    cohort: str | Path | Cohort,
    patient: str,
    *,
    allow_simulated_model: bool = False,
    command: str | None = None,
) -> PatientReport:
    """Make the report of one patient; :func:`write_report` writes it.

    ``command`` is printed in the record as it is: it must name no path. The other parameters,
    the errors and the treatment of training patients are those of :func:`explain_patient`.

    Returns
    -------
    PatientReport
        Everything that the page shows.
    """
    found = _load(model, cohort, patient, allow_simulated_model=allow_simulated_model)
    answered, like = answer_patient(model, found.row), likeness(model, found.row)
    answer = _answer(model, found, answered, like)
    clinical, numbers, settings = found.case.clinical, found.numbers, found.spec.cardiac
    ranges = shown.reference_ranges(numbers, clinical, settings)
    rows = parts.check_rows(found.issues, {**parts.mask_check(clinical), **parts.checks_of(found.heart)})
    why = make_why(answered, values=numbers, ranges=ranges, sex=clinical.get("sex"))
    return PatientReport(
        patient_id=found.case.patient_id,
        study=task_of(model).study,
        demographics=parts.demographics(found.case),
        simulated=found.case.simulated,
        override=found.override,
        answer=answer,
        images=make_images(found.case, found.heart, sequence=found.spec.sequence),
        checks=rows,
        measures=_measures(found, ranges),
        bulls_eyes=shown.bulls_eyes(numbers, found.heart),
        why=why,
        texture=texture_places(found.case, found.heart, found.spec, why),
        rule=published_rule(
            rule_of(model),
            found.values,
            model.classes,
            sex=clinical.get("sex"),
            prediction=answer.prediction,
            field_strength_t=clinical.get("field_strength_t"),
        ),
        sure=make_sure(
            model,
            found.row,
            answered,
            like,
            moved=perturbed_table(found.case, found.spec, model.columns, texture=needs_texture(model)),
        ),
        record=Record(
            model=model_card(model),
            warnings=[row for row in rows if not row.passed],
            provenance=provenance(model, command, network=clinical.get("mask_network")),
        ),
    )


def write_report(result: PatientReport, path: str | Path) -> list[Path]:
    """Write a report as HTML, PDF or JSON by the name's ending, and its JSON twin beside it.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    UsageError
        If the name ends otherwise.
    MissingExtraError
        If a PDF is asked for without the extra ``pdf``.
    OutputError
        If a file cannot be written.
    """
    path = Path(path)
    twin = path.with_suffix(".json")
    if path.suffix == ".html":
        write_text(render_patient(result), path)
    elif path.suffix == ".pdf":
        write_bytes(to_pdf(render_patient(result)), path)
    elif path.suffix != ".json":
        msg = f"{path.name!r} does not end in .html, .pdf or .json."
        raise UsageError(msg)
    write_text(to_json(result), twin)
    return list(dict.fromkeys([path, twin]))


def model_card(model: ModelBundle) -> ModelCard:
    """Return what the reader must know of the model."""
    evaluation = model.evaluation
    scores = evaluation["scores"][SELECTED]
    kind = "Simulated patients" if model.simulated else "Patients"
    counts = {label: int((model.labels == i).sum()) for i, label in enumerate(model.classes)}
    weak = [
        f"{label}: sensitivity {100 * e['value']:.0f} % (95 % interval {100 * e['low']:.0f} to {100 * e['high']:.0f} %)"
        for label, e in scores["sensitivity"].items()
        if e["value"] is not None and e["value"] < WEAK
    ]
    limits = ["Any finding outside its classes", "Patients unlike the training cohort", *task_of(model).limits]
    if model.simulated:
        limits.insert(0, "Any real patient: it was trained on simulated ones")
    return ModelCard(
        name=model.answering.title,
        model_id=model.model_id,
        cohort=f"{kind}, {evaluation.get('layout') or 'unknown'} layout, columns of the pool '{model.pool}'",
        n_patients=len(model.labels),
        classes=counts,
        sites=list(evaluation.get("sites", {})),
        validation=f"{evaluation['design']} The figures hold for the choice of the model by the inner folds.",
        metrics=[
            MetricLine(name=name, estimate=_estimate(scores["metrics"][key]), percent=percent)
            for key, (name, percent) in CARD_METRICS.items()
            if scores["metrics"].get(key, {}).get("value") is not None
        ],
        weak_groups=weak,
        limits=limits,
    )


def provenance(model: ModelBundle, command: str | None, *, network: str | None = None) -> Provenance:
    """Return versions, hashes, seed and command; ``network`` is what drew the masks."""
    return Provenance(
        versions=software_versions(),
        hashes={
            "model": model.model_id,
            "specification": model.feature_spec_hash,
            **({"segmentation network": network} if network else {}),
        },
        seed=model.seed,
        command=command,
        created=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


def _load(model: ModelBundle, cohort: str | Path | Cohort, patient: str, *, allow_simulated_model: bool) -> _Patient:
    ref = as_cohort(cohort).case(patient)
    forced = refuse_simulated(model, simulated_case=ref.simulated, allowed=allow_simulated_model)
    spec = spec_of(model)
    case = ref.load()
    issues = check_case(case, spec)
    refuse_if_needed(issues)
    heart = measure_case(case, spec)
    values, found = describe_case(case, spec, texture=needs_texture(model), heart=heart)
    refuse_if_needed(found)
    named = [i if i.case else replace(i, case=patient) for i in [*issues, *found]]
    loaded = _Patient(case, spec, heart, values, named, OVERRIDE if forced else None)
    named += model.predict(loaded.row[list(model.columns)]).flags[0]
    named += known_identifier(model, patient, str(values["image_sha256"]))
    return loaded


def _measures(found: _Patient, ranges: Mapping[str, ReferenceRange]) -> Measures:
    if isinstance(found.heart, MapMeasures) and found.spec.maps is not None:
        local = shown.local_comparisons(found.numbers, found.heart, found.spec.maps, found.case.clinical)
        return shown.map_measures(found.numbers, found.heart, local, found.spec.maps)
    if isinstance(found.heart, ScarMeasures):
        return shown.scar_measures(found.numbers, found.spec.cardiac)
    return shown.measures(found.numbers, ranges, found.spec.cardiac)


def _answer(model: ModelBundle, found: _Patient, answered: Answered, like: Likeness) -> Answer:
    clinical, numbers = found.case.clinical, found.numbers
    return make_answer(
        answered,
        model,
        values=numbers,
        ranges=shown.reference_ranges(numbers, clinical, found.spec.cardiac),
        sex=clinical.get("sex"),
        light=parts.light(found.issues, override=found.override, like=like),
    )


def _number(value: float | None) -> float | None:
    return None if value is None or isinstance(value, bool) or not math.isfinite(value) else float(value)


def _estimate(stored: Mapping[str, Any]) -> Estimate:
    return Estimate(value=stored["value"], low=stored["low"], high=stored["high"])
