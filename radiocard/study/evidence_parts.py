"""Scores to the parts of the cohort report: performance, trust, reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from radiocard.cohort.table import describe
from radiocard.evaluation.evidence import Comparison
from radiocard.evaluation.intervals import Estimate as Measured
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.result import BASELINES, RULE, SELECTED
from radiocard.evaluation.scores import INTERVAL_NOTE, Scores
from radiocard.evaluation.subgroups import SubgroupRow, subgroup_labels, subgroup_table
from radiocard.report.schema_base import Estimate
from radiocard.report.schema_evidence import (
    ClassCurve,
    ClassQuality,
    Confusion,
    CurveSet,
    GroupRow,
    MetricColumn,
    ModelRow,
    PairedTest,
    Performance,
    Reliability,
    ReliabilityBin,
    Resampling,
    SelectionShare,
    Trust,
)
from radiocard.specs import EvaluationPlan

METRICS = (
    MetricColumn(key="accuracy", name="Accuracy", better="higher"),
    MetricColumn(key="balanced_accuracy", name="Balanced accuracy", better="higher"),
    MetricColumn(key="macro_auc", name="Macro AUC", percent=False, better="higher"),
    MetricColumn(key="brier", name="Brier", percent=False, better="lower"),
    MetricColumn(key="log_loss", name="Log-loss", percent=False, better="lower"),
)
ABSTAINS = "no answer"
FEATURES_SHOWN = 15


def estimate(measured: Measured) -> Estimate | None:
    """Turn a measured value into its report form; None where it is undefined."""
    if measured.value is None:
        return None
    return Estimate(value=measured.value, low=measured.low, high=measured.high)


def kind_of(name: str) -> Literal["answer", "model", "baseline"]:
    """Say what a model of the evaluation is to the reader."""
    if name == SELECTED:
        return "answer"
    return "baseline" if name in BASELINES else "model"


def performance(
    scores: Mapping[str, Scores],
    predictions: Mapping[str, Predictions],
    comparisons: Sequence[Comparison],
    *,
    resampling: Resampling,
    table: pd.DataFrame,
    plan: EvaluationPlan,
) -> Performance:
    """Fill section 4.

    Parameters
    ----------
    scores : mapping of str to Scores
        By model; ``selected`` first.
    predictions : mapping of str to Predictions
        What each model said.
    comparisons : sequence of Comparison
        Paired differences to the baseline.
    resampling : Resampling
        How patients were divided.
    table : DataFrame
        Rows in the order of the predictions; gives sites and the like.
    plan : EvaluationPlan
        Size and seed of the bootstrap.

    Returns
    -------
    Performance
    """
    answer = next(iter(scores))
    found = subgroup_table(predictions[answer], subgroup_labels(table), plan=plan)
    return Performance(
        resampling=resampling,
        metrics=list(METRICS),
        models=[_model_row(name, s) for name, s in scores.items()],
        interval_note=INTERVAL_NOTE,
        roc=_curves(scores[answer], "roc"),
        precision_recall=_curves(scores[answer], "precision_recall"),
        confusion=[_confusion(scores[name]) for name in (answer, RULE) if name in scores],
        paired=[_paired(c, scores) for c in comparisons],
        groups=[_group(row) for row in found.rows if row.metrics],
        group_notes=list(found.sentences),
    )


def trust(scores: Mapping[str, Scores], *, bins: int) -> Trust:
    """Fill section 5: calibration of every model that gives probabilities and was trained."""
    models = [_reliability(s) for name, s in scores.items() if s.curves and kind_of(name) != "baseline"]
    note = (
        f"Reliability of the class that is named, in at most {bins} bins of equal mass. The calibration error is "
        "printed beside the value that a perfectly calibrated model shows with these patients and bins, since that is "
        "never zero."
    )
    return Trust(models=models, note=note)


def selection(counts: Mapping[str, int], of: int) -> list[SelectionShare]:
    """List the columns that were chosen most often."""
    top = list(counts.items())[:FEATURES_SHOWN]
    return [SelectionShare(column=c, name=plain_name(c), chosen=n, of=of) for c, n in top]


def plain_name(column: str) -> str:
    """Return the plain name of a column; the column itself where it has none."""
    info = describe(column)
    return info.name if info else column


def _model_row(name: str, scores: Scores) -> ModelRow:
    found = {m.key: e for m in METRICS if m.key in scores.metrics and (e := estimate(scores.metrics[m.key]))}
    return ModelRow(model=scores.title, kind=kind_of(name), metrics=found)


def _curves(scores: Scores, kind: str) -> list[CurveSet]:
    curves: dict[str, list[tuple[float, float]]] = scores.curves.get(kind, {})
    drawn = []
    for label, points in curves.items():
        area = scores.per_class[label].get("auc") if kind == "roc" else None
        if len(points) > 1:
            drawn.append(ClassCurve(label=label, points=points, area=estimate(area) if area else None))
    return [CurveSet(model=scores.title, curves=drawn)] if drawn else []


def _confusion(scores: Scores) -> Confusion:
    counts = np.asarray(scores.confusion)
    labels = list(scores.classes)
    if counts[:, -1].any():
        labels.append(ABSTAINS)
    else:
        counts = counts[:, :-1]
    quality = []
    for label, rates in scores.per_class.items():
        sensitivity, specificity = estimate(rates["sensitivity"]), estimate(rates["specificity"])
        if sensitivity and specificity:
            quality.append(ClassQuality(label=label, sensitivity=sensitivity, specificity=specificity))
    return Confusion(model=scores.title, labels=labels, counts=counts.tolist(), quality=quality)


def _paired(comparison: Comparison, scores: Mapping[str, Scores]) -> PairedTest:
    return PairedTest(
        a=scores[comparison.model].title,
        b=scores[comparison.baseline].title,
        only_a=comparison.only_model,
        only_b=comparison.only_baseline,
        p=comparison.p_holm,
        method=str(comparison.to_dict()["method"]),
    )


def _group(row: SubgroupRow) -> GroupRow:
    found = {key: e for key, measured in row.metrics.items() if (e := estimate(measured))}
    return GroupRow(covariate=row.covariate, group=row.group, n=row.n, metrics=found)


def _reliability(scores: Scores) -> Reliability:
    def metric(key: str) -> Estimate | None:
        return estimate(scores.metrics[key]) if key in scores.metrics else None

    return Reliability(
        model=scores.title,
        bins=[_bin(b) for b in scores.curves["reliability"]],
        ece=metric("ece"),
        ece_expected=scores.expected["ece"].mean,
        ece_classwise=metric("ece_classwise"),
        ece_classwise_expected=scores.expected["ece_classwise"].mean,
        slope=metric("calibration_slope"),
        brier=metric("brier"),
        log_loss=metric("log_loss"),
    )


def _bin(found: Mapping[str, Any]) -> ReliabilityBin:
    return ReliabilityBin(
        predicted=found["predicted"],
        observed=found["observed"],
        n=round(found["n"]),
        low=found["low"],
        high=found["high"],
    )
