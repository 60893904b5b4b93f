"""All metrics of one model, each with its interval over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from radiocard.evaluation import calibration, metrics
from radiocard.evaluation.curves import all_curves
from radiocard.evaluation.intervals import (
    Estimate,
    finite,
    mean_of_proportions,
    percentile,
    resample_weights,
    wilson,
)
from radiocard.evaluation.metrics import ABSTAINED, Predictions, from_probabilities
from radiocard.evaluation.recalibration import calibration_intercepts, calibration_slope
from radiocard.specs import EvaluationPlan

FloatArray = NDArray[np.floating[Any]]

SIMULATIONS = 1000
METRIC_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "macro_auc": "macro AUC (each class against the others)",
        "brier": "Brier score (0 to 2)",
        "log_loss": "log-loss",
        "calibration_slope": "calibration slope",
        "ece": "calibration error of the named class",
        "ece_classwise": "calibration error over all classes",
        "abstained": "share without an answer",
        "accuracy_answered": "accuracy where an answer was given",
    }
)
INTERVAL_NOTE = (
    "95 % intervals are taken over independent patients (identical images count once), never over patients times "
    "repeats: Wilson intervals for proportions; the influence of each patient for calibration slope and intercept; "
    "else patients drawn again within each class, with all their repeats. They do not hold the variation from "
    "training on other patients."
)


@dataclass(frozen=True, eq=False)
class Scores:
    """How good one model is.

    Parameters
    ----------
    name, title : str
        Short name and name for readers.
    classes : tuple of str
        Labels.
    n_patients, n_groups, repeats : int
        Patients, independent patients, repeats of the cross-validation.
    metrics : dict of str to Estimate
        ``accuracy``, ``balanced_accuracy``; with probabilities also ``macro_auc``, ``brier``, ``log_loss``,
        ``calibration_slope``, ``ece``, ``ece_classwise``; with abstentions ``abstained``, ``accuracy_answered``.
    per_class : dict of str to dict of str to Estimate
        ``sensitivity``, ``specificity``, ``ppv``, ``npv``; with probabilities ``auc``, ``calibration_intercept``.
    expected : dict of str to ExpectedError
        ``ece`` and ``ece_classwise`` of a perfectly calibrated model at this n.
    confusion : ndarray of float, shape (classes, classes + 1)
        Mean counts over repeats; the last column holds abstentions.
    confusion_rates : list of list of Estimate
        Shares of each row.
    curves : dict
        See :func:`radiocard.evaluation.curves.all_curves`.
    notes : tuple of str
        What a reader must know.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    n_patients: int
    n_groups: int
    repeats: int
    metrics: dict[str, Estimate]
    per_class: dict[str, dict[str, Estimate]]
    expected: dict[str, calibration.ExpectedError]
    confusion: FloatArray
    confusion_rates: list[list[Estimate]]
    curves: dict[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "classes": list(self.classes),
            "n_patients": self.n_patients,
            "n_groups": self.n_groups,
            "repeats": self.repeats,
            "metrics": {k: v.to_dict() for k, v in self.metrics.items()},
            "per_class": {c: {k: v.to_dict() for k, v in row.items()} for c, row in self.per_class.items()},
            "expected": {k: {"mean": v.mean, "high": v.high, "p": v.p} for k, v in self.expected.items()},
            "confusion": self.confusion.tolist(),
            "confusion_rates": [[e.to_dict() for e in row] for row in self.confusion_rates],
            "curves": self.curves,
            "notes": list(self.notes),
        }

    def sentence(self, metric: str = "accuracy") -> str:
        """Write one metric as an honest sentence with interval, n and, for calibration errors, what to expect."""
        text = f"{self.title}: {METRIC_NAMES[metric]} {self.metrics[metric].text(decimals=3)}"
        if metric in self.expected:
            text += f"; a perfectly calibrated model shows {self.expected[metric].mean:.3f} here"
        return text + "."


@dataclass(eq=False)
class Sample:
    """Predictions with the weights of the data set and of its resamples.

    Parameters
    ----------
    predictions : Predictions
        What is scored.
    plan : EvaluationPlan
        Size and seed of the bootstrap.
    """

    predictions: Predictions
    plan: EvaluationPlan
    weights: FloatArray = field(init=False)
    ones: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        p = self.predictions
        self.weights = resample_weights(
            p.y, p.groups, n_bootstrap=self.plan.n_bootstrap, random_state=self.plan.random_state
        )
        self.ones = np.ones((1, p.y.size))

    def estimate(self, measure: Callable[[FloatArray], FloatArray], *, centred: bool = False) -> Estimate:
        """Value on the data and percentile interval over the resamples, of a metric of shape (m,)."""
        value = float(measure(self.ones)[0])
        return percentile(value, measure(self.weights), n=self.predictions.n_groups, centred=centred)


def score(name: str, title: str, predictions: Predictions, *, plan: EvaluationPlan) -> Scores:
    """Compute every metric of one model with its interval.

    Parameters
    ----------
    name, title : str
        Short name and name for readers.
    predictions : Predictions
        Out of fold, or on other patients.
    plan : EvaluationPlan
        Size and seed of the bootstrap, bins of the calibration error.

    Returns
    -------
    Scores
    """
    sample = Sample(predictions, plan)
    with threadpool_limits(1):
        per_class = _class_rates(predictions)
        values = _answer_metrics(predictions, per_class)
        expected: dict[str, calibration.ExpectedError] = {}
        if predictions.probabilities is not None:
            p = predictions.probabilities
            areas = tuple(metrics.auc(p, predictions.y, weights) for weights in (sample.ones, sample.weights))
            values |= _probability_metrics(sample, p, areas)
            expected = _expected_errors(sample, p, values)
            _add_class_estimates(sample, p, per_class, areas)
        curves = all_curves(predictions, bins=plan.calibration_bins)
    counts = metrics.confusion(predictions)
    rates = [[_row_rate(predictions, counts, i, j) for j in range(counts.shape[1])] for i in range(counts.shape[0])]
    return Scores(
        name=name,
        title=title,
        classes=predictions.classes,
        n_patients=predictions.y.size,
        n_groups=predictions.n_groups,
        repeats=predictions.predicted.shape[0],
        metrics=values,
        per_class=per_class,
        expected=expected,
        confusion=counts,
        confusion_rates=rates,
        curves=curves,
        notes=_notes(predictions, values),
    )


def evaluate_frozen(
    probabilities: ArrayLike,
    y: ArrayLike,
    *,
    classes: tuple[str, ...],
    groups: ArrayLike | None,
    plan: EvaluationPlan,
    name: str = "model",
    title: str = "Frozen model",
) -> Scores:
    """Score a trained model on patients who took no part in its making.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, classes)
    y : array_like of str, shape (n,)
    classes : tuple of str
        Labels in the order of the columns; classes without a patient here get no rate.
    groups : array_like of str, shape (n,), or None
    plan : EvaluationPlan
    name, title : str

    Returns
    -------
    Scores

    Raises
    ------
    UsageError, CohortError
        See :func:`radiocard.evaluation.metrics.from_probabilities`.
    """
    return score(name, title, from_probabilities(probabilities, y, classes=classes, groups=groups), plan=plan)


def _answer_metrics(predictions: Predictions, per_class: dict[str, dict[str, Estimate]]) -> dict[str, Estimate]:
    ones = np.ones((1, predictions.y.size))
    present = [predictions.classes[c] for c in np.unique(predictions.y)]
    out = {
        "accuracy": wilson(float(metrics.accuracy(predictions, ones)[0]), predictions.n_groups),
        "balanced_accuracy": mean_of_proportions([per_class[c]["sensitivity"] for c in present]),
    }
    silent = (predictions.predicted == ABSTAINED).mean(axis=0)
    if silent.any():
        n = predictions.n_groups
        answered = float((1 - silent).sum())
        right = float((predictions.predicted == predictions.y).mean(axis=0).sum())
        out["abstained"] = wilson(float(silent.mean()), n)
        out["accuracy_answered"] = wilson(right / answered if answered else float("nan"), answered * n / silent.size)
    return out


def _class_rates(predictions: Predictions) -> dict[str, dict[str, Estimate]]:
    ones = np.ones((1, predictions.y.size))
    sensitivity = metrics.sensitivity(predictions, ones)[0]
    specificity = metrics.specificity(predictions, ones)[0]
    independent = predictions.n_groups / predictions.y.size
    out = {}
    for c, label in enumerate(predictions.classes):
        of_class = predictions.y == c
        called = (predictions.predicted == c).mean(axis=0)
        positives, negatives = float(called.sum()), float((1 - called).sum())
        ppv = float((called * of_class).sum() / positives) if positives else float("nan")
        npv = float(((1 - called) * ~of_class).sum() / negatives) if negatives else float("nan")
        others = np.unique(predictions.groups[~of_class]).size
        out[label] = {
            "sensitivity": wilson(float(sensitivity[c]), predictions.class_groups(c)),
            "specificity": wilson(float(specificity[c]), others),
            "ppv": wilson(ppv, positives * independent),
            "npv": wilson(npv, negatives * independent),
        }
    return out


def _probability_metrics(sample: Sample, p: FloatArray, areas: tuple[FloatArray, ...]) -> dict[str, Estimate]:
    y, bins = sample.predictions.y, sample.plan.calibration_bins
    present = np.unique(y)
    macro, macro_draws = (a[:, present].mean(axis=1) for a in areas)
    return {
        "macro_auc": percentile(float(macro[0]), macro_draws, n=sample.predictions.n_groups),
        "brier": sample.estimate(lambda w: metrics.brier(p, y, w)),
        "log_loss": sample.estimate(lambda w: metrics.log_loss(p, y, w)),
        "calibration_slope": calibration_slope(p, y, sample.predictions.groups),
        "ece": sample.estimate(lambda w: calibration.top_label_error(p, y, w, bins=bins), centred=True),
        "ece_classwise": sample.estimate(lambda w: calibration.classwise_error(p, y, w, bins=bins), centred=True),
    }


def _expected_errors(
    sample: Sample, p: FloatArray, values: Mapping[str, Estimate]
) -> dict[str, calibration.ExpectedError]:
    out = {}
    for key, kind in (("ece", "top"), ("ece_classwise", "classwise")):
        observed = values[key].value
        out[key] = calibration.expected_error(
            p,
            float("nan") if observed is None else observed,
            kind=kind,
            bins=sample.plan.calibration_bins,
            n_draws=SIMULATIONS,
            random_state=sample.plan.random_state,
        )
    return out


def _add_class_estimates(
    sample: Sample, p: FloatArray, per_class: dict[str, dict[str, Estimate]], areas: tuple[FloatArray, ...]
) -> None:
    y, n = sample.predictions.y, sample.predictions.n_groups
    area, draws = areas
    offsets = calibration_intercepts(p, y, sample.predictions.groups)
    for c, label in enumerate(sample.predictions.classes):
        per_class[label]["auc"] = percentile(float(area[0, c]), draws[:, c], n=n)
        per_class[label]["calibration_intercept"] = offsets[c]


def _row_rate(predictions: Predictions, counts: FloatArray, i: int, j: int) -> Estimate:
    total = counts[i].sum()
    return wilson(float(counts[i, j] / total) if total else float("nan"), predictions.class_groups(i))


def _notes(predictions: Predictions, values: Mapping[str, Estimate]) -> tuple[str, ...]:
    notes = [INTERVAL_NOTE]
    if predictions.n_groups < predictions.y.size:
        notes.append(f"{predictions.y.size} patients, of whom {predictions.n_groups} are independent.")
    missing = [label for c, label in enumerate(predictions.classes) if not (predictions.y == c).any()]
    if missing:
        notes.append(f"No patient of {', '.join(missing)}: means over classes leave them out.")
    if "abstained" in values:
        share = finite(values["abstained"].value or 0.0)
        notes.append(f"Gave no answer in {share:.1%} of the patients; these count as wrong.")
    return tuple(notes)
