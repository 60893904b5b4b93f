"""The cohort report: a table and its evaluation to everything that the page shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from radiocard.cardiac.map_dictionary import MAP_NAMES
from radiocard.cohort.table import specification
from radiocard.evaluation.evidence import Evidence
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.result import SELECTED, NestedResult
from radiocard.evaluation.scores import INTERVAL_NOTE
from radiocard.explain.shap_values import Explanation, explain_cohort
from radiocard.explain.words import class_name
from radiocard.models.bundle import ModelBundle
from radiocard.report.schema_base import Estimate
from radiocard.report.schema_cohort import CohortReport
from radiocard.report.schema_evidence import Beeswarm, BeeswarmRow, Importance, Reasons, Resampling
from radiocard.specs import FeatureSpec
from radiocard.study import cohort_parts, evidence_parts
from radiocard.study.checklists import reporting
from radiocard.study.evidence_parts import plain_name
from radiocard.study.patient import provenance
from radiocard.study.predict import spec_of
from radiocard.study.train import LearningData, plan_of

FEATURES_SHOWN = 12


def make_cohort_report(
    model: ModelBundle,
    data: LearningData,
    evidence: Evidence,
    predictions: Mapping[str, Predictions],
    *,
    kind: str,
    result: NestedResult | None,
    command: str | None,
) -> CohortReport:
    """Fill the cohort report.

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
    kind : {'nested cross-validation', 'external test'}
        How patients were divided.
    result : NestedResult or None
        The cross-validation.
    command : str or None
        Printed as it is: it must name no path.

    Returns
    -------
    CohortReport
    """
    table, plan = data.table, plan_of(model)
    issues = cohort_parts.table_issues(table)
    selected = evidence.scores[SELECTED]
    physiology = spec_of(model).checks.physiology
    limits = physiology.model_dump() if physiology else {}
    simulated = bool(table["simulated"].any())
    answers = model.answering.name
    return CohortReport(
        title="Simulated cohort" if simulated else "Cohort report",
        subtitle=f"{len(data.y)} patients, {len(model.classes)} classes; {kind}.",
        simulated=simulated,
        classes=list(model.classes),
        class_names={label: class_name(label) for label in model.classes},
        summary=_summary(model, evidence),
        alerts=cohort_parts.alerts(table, issues, target=model.target),
        flow=cohort_parts.flow(table, issues, used=len(data.y), target=model.target),
        data=cohort_parts.data_part(table, target=model.target, groups=data.groups.tolist(), limits=limits),
        features=cohort_parts.feature_part(table, model.columns),
        performance=evidence_parts.performance(
            evidence.scores,
            predictions,
            evidence.comparisons,
            resampling=_resampling(data, evidence, kind, result),
            table=table,
            plan=plan,
        ),
        trust=evidence_parts.trust(evidence.scores, bins=plan.calibration_bins),
        reasons=_reasons(model, data, evidence, answers),
        checklists=reporting(model, data, evidence, predictions, external=result is None),
        methods=_methods(model, data, evidence, selected.n_groups),
        provenance=provenance(model, command),
    )


def _summary(model: ModelBundle, evidence: Evidence) -> list[str]:
    lines = [evidence.scores[SELECTED].sentence("accuracy")]
    lines += [
        s.sentence("accuracy") for name, s in evidence.scores.items() if evidence_parts.kind_of(name) == "baseline"
    ]
    if evidence.chosen:
        chosen = ", ".join(f"{model.model(n).title} {k}" for n, k in evidence.chosen.items() if k)
        lines.append(f"The inner folds chose, in {evidence.n_folds} outer folds: {chosen}.")
    return lines


def _resampling(data: LearningData, evidence: Evidence, kind: str, result: NestedResult | None) -> Resampling:
    sizes = (
        {"outer_folds": result.outer_folds, "inner_folds": result.inner_folds, "repeats": result.fold_of.shape[0]}
        if result
        else {}
    )
    return Resampling(
        kind=kind,
        sentence=evidence.design,
        n_patients=len(data.y),
        n_groups=len(np.unique(data.groups)),
        **sizes,
    )


def _reasons(model: ModelBundle, data: LearningData, evidence: Evidence, answers: str) -> Reasons:
    fitted = model.answering
    explained = explain_cohort(fitted, model.training_table, data.X)
    mean = explained.importance().mean(axis=0).sort_values(ascending=False, kind="stable")
    top = [str(c) for c in mean.index[:FEATURES_SHOWN] if mean[c] > 0]
    what = "these patients" if not evidence.chosen else "the training patients, by the model fitted to all of them"
    return Reasons(
        model=fitted.title,
        scale=explained.scale,
        note=f"SHAP values over {what}; {explained.method}. They say what the model uses, not how good it is.",
        importance=[Importance(column=c, name=plain_name(c), estimate=Estimate(value=float(mean[c]))) for c in top],
        beeswarms=[_beeswarm(explained, label, top, data) for label in explained.classes],
        selection=evidence_parts.selection(evidence.selection.get(answers, {}), evidence.n_folds),
    )


def _beeswarm(explained: Explanation, label: str, columns: list[str], data: LearningData) -> Beeswarm:
    c = explained.class_index(label)
    rows = []
    values = data.X.loc[list(explained.ids)]
    for column in columns:
        rank = values[column].rank(pct=True)
        phi = explained.values[:, c, explained.columns.index(column)]
        points = [(float(p), None if np.isnan(r) else float(r)) for p, r in zip(phi, rank, strict=True)]
        rows.append(BeeswarmRow(column=column, name=plain_name(column), points=points))
    return Beeswarm(label=label, rows=rows)


def _measured(spec: FeatureSpec) -> str:
    """Say how the measurements of a specification are made."""
    density = f"{spec.cardiac.myocardial_density_g_ml:g} g/mL"
    if spec.maps is not None:
        names, inner, outer = (
            ", ".join(MAP_NAMES[sequence] for sequence in spec.maps.sequences),
            f"{spec.maps.erosion_endo_pct:g} %",
            f"{spec.maps.erosion_epi_pct:g} %",
        )
        return (
            f"Maps of {names} were measured within short-axis masks; the inner {inner} and the outer {outer} of the "
            "wall were left out, for values and texture alike. Values are means over pixels, by segment of the "
            "16-segment model."
        )
    if spec.scar is not None:
        return (
            "Scar was taken as drawn where the masks hold it, else found by the method "
            f"'{spec.scar.method}' with {spec.scar.n_sd:g} standard deviations above remote myocardium; mass uses "
            f"{density}. Transmurality is measured along lines across the wall, by segment of the 16-segment model."
        )
    formula = "Mosteller" if spec.cardiac.bsa_formula == "mosteller" else "Du Bois"
    return (
        "Measured from short-axis cine masks at end-diastole and end-systole. Volumes are sums of voxels times slice "
        f"spacing; left ventricular mass uses {density}; body surface area is by {formula}; papillary muscles are "
        f"counted in the {spec.cardiac.papillary}. Wall thickness is reported by segment of the 16-segment model."
    )


def _methods(model: ModelBundle, data: LearningData, evidence: Evidence, n_groups: int) -> list[str]:
    spec, made = spec_of(model), specification(data.table)
    counts = ", ".join(f"{label} {int((data.y == label).sum())}" for label in model.classes)
    bins = (
        f"fixed bin number of {spec.discretisation.bins}"
        if spec.discretisation.method == "fbn"
        else f"fixed bin size of {spec.discretisation.width:g}"
    )
    normalised = (
        f"standardised within the {'labelled regions' if spec.normalisation.within == 'labelled' else 'image'}"
        if spec.normalisation.method == "zscore"
        else "not normalised"
    )
    titles = "; ".join(m.title for m in model.models)
    return [
        f"{len(data.y)} patients ({n_groups} independent; {counts}). {_measured(spec)}",
        f"Radiomic features follow the {spec.convention.upper() if spec.convention == 'ibsi' else 'PyRadiomics'} "
        f"definitions ({spec.engine} engine; grey values {normalised}, {bins}, texture aggregation "
        f"{', '.join(spec.texture.aggregation)}, distance {', '.join(map(str, spec.texture.distances))}). "
        f"Specification {made.get('spec_name', '')} {model.feature_spec_hash[:12]}. The models drew on "
        f"{len(model.columns)} columns of the pool '{model.pool}'.",
        f"Models: {titles}. {evidence.design} The model that answers was chosen by the inner folds, so that its score "
        f"includes the choice.",
        INTERVAL_NOTE,
    ]
