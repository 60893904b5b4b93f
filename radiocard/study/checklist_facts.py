"""What a run knows about its patients, images and features, as short answers for reporting checklists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import pandas as pd

from radiocard.cohort.table import describe, specification
from radiocard.evaluation.evidence import Evidence, accuracy_by
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.result import SELECTED
from radiocard.evaluation.subgroups import COVARIATES, subgroup_labels
from radiocard.explain.families import family_name
from radiocard.models.bundle import ModelBundle
from radiocard.specs import FeatureSpec
from radiocard.specs.maps import sequence_of
from radiocard.study import ibsi_reporting as words
from radiocard.study.cohort_parts import table_issues
from radiocard.study.evidence_parts import plain_name
from radiocard.study.predict import spec_of
from radiocard.study.train import LearningData, task_of

NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Why the design of the run excludes an item."""

    reason: str


Fact = str | NotApplicable | None
SIMULATED = NotApplicable("The cohort is simulated: no patient is described.")
NO_RADIOMICS = NotApplicable("The models draw on no radiomic feature.")


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluation with everything it knows.

    Parameters
    ----------
    model : ModelBundle
        The model evaluated.
    data : LearningData
        Patients evaluated.
    evidence : Evidence
        Scores and comparisons.
    predictions : mapping of str to Predictions
        What each model said, ``selected`` first.
    external : bool
        Whether a frozen model answered for patients who were not in its training.
    """

    model: ModelBundle
    data: LearningData
    evidence: Evidence
    predictions: Mapping[str, Predictions]
    external: bool

    @cached_property
    def spec(self) -> FeatureSpec:
        """Settings that made the table."""
        return spec_of(self.model)

    @property
    def simulated(self) -> bool:
        """Whether any patient is simulated."""
        return bool(self.data.table["simulated"].any())

    @property
    def radiomic(self) -> list[str]:
        """Columns of the models that are radiomic features."""
        return [c for c in self.model.columns if "__" in c]

    @property
    def sites(self) -> dict[str, int] | None:
        """Patients by site; None where a site is unknown."""
        sites = self.data.table["site"]
        return None if sites.isna().any() else _counts(sites)


def patient_facts(run: Run) -> dict[str, Fact]:
    """Return what is known of patients, images and outcome."""
    table, n = run.data.table, len(run.data.y)
    classes = {label: int((run.data.y == label).sum()) for label in run.model.classes}
    made, task = specification(table), task_of(run.model)
    refused = {i.case for i in table_issues(table) if i.severity == "refuse" and i.case}
    found = int(made.get("n_cases", len(table)))
    return {
        "no_patient": SIMULATED if run.simulated else None,
        "source": "Simulated by radiocard." if run.simulated else None,
        "patients": f"{n} patients, {len(set(run.data.groups))} of them independent: {_listed(classes)}.",
        "task": f"{task.title}. {task.study}.",
        "limits": " ".join(task.limits) or None,
        "outcome": f"Classes {', '.join(classes)}, taken as given from the column '{run.model.target}'.",
        "flow": f"{found} cases in the cohort, {found - len(refused)} passed the input checks, {n} with a known class.",
        "checks": f"Every case passed through the same input checks; {len(refused)} of {found} cases were refused.",
        "imaging": _imaging(run),
        "sites": _sites(run),
        "clusters": _clusters(run),
        "regions": f"Regions {', '.join(run.spec.regions)}, from masks that came with the images "
        f"(labels: {str(made.get('label_convention') or 'not described').rstrip('.')}).",
        "characteristics": _characteristics(table),
        "fairness": _by(run, "sex", "age"),
        "confounders": _confounders(run),
        "single_sequence": _single_sequence(run),
        "table_facts": f"One table of {n} patients and {len(run.model.columns)} columns used made this report; it is "
        "no part of the page.",
    }


def feature_facts(run: Run) -> dict[str, Fact]:
    """Return what is known of image processing and features."""
    radiomic, spec = run.radiomic, run.spec
    made = specification(run.data.table)
    made_with = str(made.get("version", version("radiocard")))

    def if_radiomic(text: str) -> Fact:
        return text if radiomic else NO_RADIOMICS

    return {
        "title_words": f"{words.SEQUENCES[spec.sequence]}; "
        + (
            "radiomics." if radiomic else "the models use no radiomic feature, so a title should not promise radiomics."
        ),
        "preprocessing": _preprocessing(run),
        "resampling": if_radiomic(f"Resampling: {words.resampling(spec)}."),
        "discretisation": if_radiomic(f"Discretisation: {words.discretisation(spec.discretisation)}."),
        "images": if_radiomic(f"Images: {words.filters(spec)}."),
        "software": f"{words.software(spec, made_with=made_with)}." if spec.engine == "native" else None,
        "compliance": words.compliance(spec),
        "settings": f"Every setting is in the specification '{made.get('spec_name', '')}' "
        f"(SHA-256 {run.model.feature_spec_hash[:12]}), which table and model file carry; those of images and texture "
        "are listed below.",
        "families": f"{_listed(_families(run.model.columns))}.",
        "numbers": f"{len(run.model.columns)} columns, {len(radiomic)} of them radiomic; "
        f"{len(run.model.answering.final_columns)} reach the classifier of the answering model.",
        "handcrafted": f"Yes, by formulas: {len(radiomic) or 'no'} radiomic features, "
        f"{len(run.model.columns) - len(radiomic) or 'no'} measurements.",
        "tabular": f"Yes: the models take a table of {len(run.model.columns)} columns.",
        "deep": "No: no network takes the images.",
        "no_deep": NotApplicable("No end-to-end deep learning."),
        "clinical_predictors": _clinical(run),
        "pool": f"The {len(run.model.columns)} columns of the pool '{run.model.pool}', named before training.",
        "missing": _missing(run),
    }


def _counts(values: pd.Series) -> dict[str, int]:
    shown = values.dropna().map(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
    return {str(k): int(v) for k, v in shown.value_counts().sort_index().items()}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def _imaging(run: Run) -> str:
    parts = [f"Sequence: {words.SEQUENCES[run.spec.sequence]}."]
    for column, title, unit in (("field_strength_t", "Field strength", " T"), ("vendor", "Vendor", "")):
        values = run.data.table[column]
        known = ", ".join(f"{k}{unit} in {n}" for k, n in _counts(values).items())
        unknown = f"unknown in {int(values.isna().sum())}" if values.isna().any() else ""
        parts.append(f"{title}: {', '.join(filter(None, (known, unknown)))}.")
    return " ".join(parts)


def _sites(run: Run) -> str | None:
    sites = run.sites
    if not sites:
        return None
    return f"{len(sites)} site{'s' if len(sites) > 1 else ''}: {_listed(sites)}."


def _clusters(run: Run) -> Fact:
    sites = run.sites
    if not sites:
        return None
    if len(sites) == 1:
        return NotApplicable("All patients are of one site.")
    return f"{_by(run, 'site')} Differences are described, not modelled."


def _by(run: Run, *covariates: str) -> str | None:
    """Write the accuracy in the subgroups of some covariates; None where none is known."""
    parts, labels = [], subgroup_labels(run.data.table)
    for covariate in [c for c in covariates if c in labels]:
        found = accuracy_by(run.predictions[SELECTED], labels[covariate])
        shown = ", ".join(
            f"{group} {100 * e.value:.0f} % ({100 * e.low:.0f} to {100 * e.high:.0f})"
            for group, e in found.items()
            if e.value is not None and e.low is not None and e.high is not None
        )
        parts.append(f"Accuracy by {COVARIATES[covariate].lower()}, with 95 % intervals: {shown}.")
    return " ".join(parts) or None


def _confounders(run: Run) -> str:
    looked = {"site": "site", "sex": "sex", "vendor": "vendor", "field_strength_t": "field strength"}
    known = [name for column, name in looked.items() if run.data.table[column].nunique(dropna=True) > 1]
    seen = f"accuracy is given by {', '.join(known)}" if known else "no covariate differs or is known"
    return f"Nothing was adjusted for; {seen}."


def _characteristics(table: pd.DataFrame) -> str:
    known = ", ".join(
        f"{name} (known in {int(table[column].notna().sum())} of {len(table)})"
        for column, name in (("age_y", "age"), ("sex", "sex"), ("height_cm", "height"), ("weight_kg", "weight"))
    )
    return f"By class in section Data: {known}."


def _preprocessing(run: Run) -> Fact:
    settings = {name.lower(): text for name, text in words.measured(run.spec).items()}
    if run.radiomic:
        settings |= {"normalisation": words.normalisation(run.spec), "re-segmentation": words.resegmentation(run.spec)}
    return " ".join(f"{name.capitalize()}: {text}." for name, text in settings.items()) or NO_RADIOMICS


def _missing(run: Run) -> str:
    missing = run.data.X.isna().sum()
    n = int((missing > 0).sum())
    where = (
        f"{n} of {len(missing)} columns have undefined values, at most in {missing.max()} of {len(run.data.y)} patients"
    )
    return (
        f"{where if n else 'No column has undefined values'}. Where there are any, they are filled with the median of "
        "the training patients; empty columns are dropped."
    )


def _families(columns: tuple[str, ...]) -> dict[str, int]:
    names = pd.Series([family_name(describe(c)) for c in columns])
    return {str(k): int(n) for k, n in names.value_counts().items()}


def _clinical(run: Run) -> Fact:
    columns = [c for c in run.model.columns if "__" not in c]
    if not columns:
        return NotApplicable("The models draw on radiomic features only.")
    more = f" and {len(columns) - NAMES_SHOWN} more" if len(columns) > NAMES_SHOWN else ""
    names = ", ".join(plain_name(c) for c in columns[:NAMES_SHOWN])
    return f"{len(columns)} measurements taken from the masks and images: {names}{more}. No covariate is a predictor."


def _single_sequence(run: Run) -> str | None:
    used = {sequence_of(c) or run.spec.sequence for c in run.model.columns}
    return f"One image type: {words.SEQUENCES[used.pop()]}." if len(used) == 1 else None
