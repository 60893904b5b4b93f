"""The evidence about several models on the same patients: scores, paired differences, subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.evaluation import metrics
from radiocard.evaluation.intervals import Estimate, exact_mcnemar, holm, wilson
from radiocard.evaluation.metrics import ABSTAINED, Predictions
from radiocard.evaluation.result import MAJORITY, RULE, RULE_NEAREST, NestedResult
from radiocard.evaluation.scores import Sample, Scores, score
from radiocard.specs import EvaluationPlan


@dataclass(frozen=True, slots=True)
class Comparison:
    """Difference in accuracy between a model and a baseline on the same patients.

    Parameters
    ----------
    model, baseline : str
        Names.
    difference : Estimate
        Accuracy of the model less that of the baseline, mean over repeats.
    only_model, only_baseline : int
        Independent patients that only one of them got right, by the vote over repeats.
    p, p_holm : float
        Exact McNemar p-value, alone and adjusted for the number of comparisons.
    """

    model: str
    baseline: str
    difference: Estimate
    only_model: int
    only_baseline: int
    p: float
    p_holm: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "model": self.model,
            "baseline": self.baseline,
            "difference": self.difference.to_dict(),
            "only_model": self.only_model,
            "only_baseline": self.only_baseline,
            "p": self.p,
            "p_holm": self.p_holm,
            "method": "McNemar, exact, one vote per independent patient; Holm-corrected",
        }


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that a nested cross-validation shows.

    Parameters
    ----------
    scores : dict of str to Scores
        ``selected`` (the model that the inner folds choose) first, then each recipe, then the baselines.
    comparisons : list of Comparison
        Each model against the published rule with borderline patients given to the nearest definition (the
        harder baseline), or against the majority class where there is no rule.
    chosen : dict of str to int
        In how many outer folds each model had the lowest inner log-loss.
    selection : dict of str to dict of str to int
        Model to column to the number of outer folds in which it reached the classifier.
    n_folds : int
        Outer folds, all repeats together.
    design : str
        The resampling in words.
    """

    scores: dict[str, Scores]
    comparisons: list[Comparison]
    chosen: dict[str, int]
    selection: dict[str, dict[str, int]]
    n_folds: int
    design: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "design": self.design,
            "scores": {k: v.to_dict() for k, v in self.scores.items()},
            "comparisons": [c.to_dict() for c in self.comparisons],
            "chosen": self.chosen,
            "selection": self.selection,
            "n_folds": self.n_folds,
        }


def score_nested(result: NestedResult, *, plan: EvaluationPlan) -> Evidence:
    """Score every model of a nested cross-validation and compare it with the baseline.

    Parameters
    ----------
    result : NestedResult
    plan : EvaluationPlan
        The plan that made the result.

    Returns
    -------
    Evidence
    """
    predictions = {name: result.predictions(name) for name in result.models}
    baseline = RULE_NEAREST if RULE_NEAREST in predictions else MAJORITY
    return Evidence(
        scores={name: score(name, result.titles[name], p, plan=plan) for name, p in predictions.items()},
        comparisons=compare({k: v for k, v in predictions.items() if k != RULE}, baseline, plan=plan),
        chosen=result.chosen_counts(),
        selection={name: result.selection_counts(name) for name in result.models if result.trained(name)},
        n_folds=len(result.folds),
        design=result.design(),
    )


def compare(models: Mapping[str, Predictions], baseline: str, *, plan: EvaluationPlan) -> list[Comparison]:
    """Compare each model with a baseline, patient by patient.

    Parameters
    ----------
    models : mapping of str to Predictions
        All on the same patients; the baseline among them.
    baseline : str
        Name of the baseline.
    plan : EvaluationPlan

    Returns
    -------
    list of Comparison
        One per other model, p-values adjusted by Holm for their number.
    """
    base = models[baseline]
    others = [name for name in models if name != baseline]
    first = np.unique(base.groups, return_index=True)[1]
    sample = Sample(base, plan)
    found = []
    for name in others:
        other = models[name]
        difference = sample.estimate(lambda w, p=other: metrics.accuracy(p, w) - metrics.accuracy(base, w))  # type: ignore[misc]
        right, base_right = (vote(p) == p.y for p in (other, base))
        found.append((name, difference, *exact_mcnemar(right[first], base_right[first])))
    adjusted = holm([row[-1] for row in found])
    return [
        Comparison(name, baseline, d, only, only_base, p, p_holm)
        for (name, d, only, only_base, p), p_holm in zip(found, adjusted, strict=True)
    ]


def accuracy_by(predictions: Predictions, labels: ArrayLike) -> dict[str, Estimate]:
    """Accuracy in subgroups of the patients, for example by site or sex.

    Parameters
    ----------
    predictions : Predictions
    labels : array_like of str, shape (n,)
        Subgroup of each patient.

    Returns
    -------
    dict of str to Estimate
        Sorted by subgroup, with Wilson intervals.
    """
    names = np.asarray(labels).astype(str)
    right = (predictions.predicted == predictions.y).mean(axis=0)
    return {
        str(s): wilson(float(right[names == s].mean()), np.unique(predictions.groups[names == s]).size)
        for s in np.unique(names)
    }


def vote(predictions: Predictions) -> NDArray[np.intp]:
    """Return one answer per patient: the class of highest mean probability, or the most frequent answer."""
    if predictions.probabilities is not None:
        best: NDArray[np.intp] = predictions.probabilities.mean(axis=0).argmax(axis=1)
        return best
    options = [ABSTAINED, *range(len(predictions.classes))]
    counts = np.stack([(predictions.predicted == o).sum(axis=0) for o in options])
    return np.asarray(options)[counts.argmax(axis=0)]
