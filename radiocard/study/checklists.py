"""Fill reporting checklists with what a run knows; the rest stays open for the author."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from radiocard.cohort.table import specification
from radiocard.errors import SpecError
from radiocard.evaluation.evidence import Evidence
from radiocard.evaluation.metrics import Predictions
from radiocard.models.bundle import ModelBundle
from radiocard.report.schema_checklist import Checklist, ChecklistGroup, ChecklistRow, Reporting
from radiocard.specs import read_as
from radiocard.specs.checklists import ChecklistItem, ChecklistSpec
from radiocard.study.checklist_facts import Fact, NotApplicable, Run, feature_facts, patient_facts
from radiocard.study.checklist_models import modelling_facts, testing_facts
from radiocard.study.ibsi_reporting import NOTE as PROCESSING_NOTE
from radiocard.study.ibsi_reporting import processing_groups
from radiocard.study.predict import spec_of
from radiocard.study.train import LearningData

CHECKLISTS = ("clear", "metrics", "tripod_ai")
NOTE = (
    "Filled in with what this run knows; topics are shortened, so read each item in its paper. An item counts as "
    "answered where the run states the fact it asks for, not where the fact is good. There is no score."
)


def reporting(
    model: ModelBundle,
    data: LearningData,
    evidence: Evidence,
    predictions: Mapping[str, Predictions],
    *,
    external: bool,
) -> Reporting:
    """Fill section 8 of the cohort report: the checklists and the table of image processing."""
    made = specification(data.table)
    return Reporting(
        note=NOTE,
        checklists=fill_checklists(model, data, evidence, predictions, external=external),
        processing=processing_groups(
            spec_of(model),
            name=str(made.get("spec_name", "")),
            digest=model.feature_spec_hash,
            made_with=str(made.get("version", version("radiocard"))),
        ),
        processing_note=PROCESSING_NOTE,
    )


def fill_checklists(
    model: ModelBundle,
    data: LearningData,
    evidence: Evidence,
    predictions: Mapping[str, Predictions],
    *,
    external: bool,
) -> list[Checklist]:
    """Fill CLEAR, METRICS and TRIPOD+AI.

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

    Returns
    -------
    list of Checklist
    """
    run = Run(model, data, evidence, predictions, external)
    facts = patient_facts(run) | feature_facts(run) | modelling_facts(run) | testing_facts(run)
    return [fill(read_as(ChecklistSpec, name, "models"), facts) for name in CHECKLISTS]


def fill(spec: ChecklistSpec, facts: Mapping[str, Fact]) -> Checklist:
    """Fill one checklist.

    Parameters
    ----------
    spec : ChecklistSpec
        Its items.
    facts : mapping of str to str, NotApplicable or None
        What is known; None where a person must state it.

    Returns
    -------
    Checklist

    Raises
    ------
    SpecError
        If an item names a fact that no run states.
    """
    unknown = sorted({f for s in spec.sections for i in s.items for f in (*i.answered_by, *i.partly_by)} - set(facts))
    if unknown:
        msg = f"{spec.name}: no run states {', '.join(unknown)}."
        raise SpecError(msg, hint=f"Known facts: {', '.join(sorted(facts))}.")
    groups = [ChecklistGroup(title=s.title, rows=[_row(i, facts) for i in s.items]) for s in spec.sections]
    status = [row.status for group in groups for row in group.rows if not row.condition]
    return Checklist(
        key=spec.name,
        title=spec.title,
        citation=spec.citation,
        doi=spec.doi,
        note=spec.note,
        n_items=len(status),
        n_answered=status.count("answered"),
        n_open=status.count("open"),
        n_not_applicable=status.count("not applicable"),
        groups=groups,
    )


def _row(item: ChecklistItem, facts: Mapping[str, Fact]) -> ChecklistRow:
    found = [facts[name] for name in (*item.answered_by, *item.partly_by)]
    reasons = list(dict.fromkeys(f.reason for f in found if isinstance(f, NotApplicable)))
    said = [f for f in found if isinstance(f, str)]
    base = {"number": item.number, "topic": item.topic, "condition": item.condition}
    if reasons and len([f for f in found if isinstance(f, NotApplicable)]) == len(found):
        return ChecklistRow(**base, status="not applicable", answer=" ".join(reasons))
    answer = " ".join([*said, *reasons]) or None
    if item.answered_by and None not in found:
        return ChecklistRow(**base, status="answered", answer=answer)
    return ChecklistRow(**base, status="open", answer=answer, write=item.write)
