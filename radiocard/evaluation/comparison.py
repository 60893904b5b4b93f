"""Several models on the same patients: metrics, paired differences, tests, decision curves, agreement, cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.evaluation import metrics
from radiocard.evaluation.agreement import agreement, reclassification
from radiocard.evaluation.comparison_result import (
    CROSS_VALIDATED,
    Difference,
    Entrant,
    McNemar,
    ModelComparison,
    Pair,
)
from radiocard.evaluation.decision import decision_curve
from radiocard.evaluation.delong import DeLongTest, delong_test
from radiocard.evaluation.evidence import vote
from radiocard.evaluation.intervals import Estimate, exact_mcnemar, holm, percentile
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.paired_tests import ResampledT, corrected_resampled_t, non_inferiority
from radiocard.evaluation.scores import Sample, score
from radiocard.specs import EvaluationPlan

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]
Measure = Callable[[Predictions, FloatArray], FloatArray]


def compare_models(
    models: Mapping[str, Entrant],
    *,
    reference: str,
    plan: EvaluationPlan,
    positive: str | None = None,
    margin: float | None = None,
    notes: Sequence[str] = (),
) -> ModelComparison:
    """Compare several models with a reference, all on the same patients and the same resamples.

    Parameters
    ----------
    models : mapping of str to Entrant
        Two or more, with the same classes, patients and groups in the same order.
    reference : str
        One of them.
    plan : EvaluationPlan
        Size and seed of the bootstrap, bins of the calibration error.
    positive : str or None
        Class named beforehand for the DeLong test of more than two classes, against the others.
    margin : float or None
        Largest loss of accuracy that is accepted, stated beforehand.
    notes : sequence of str
        Kept in the result.

    Returns
    -------
    ModelComparison

    Raises
    ------
    UsageError
        If there are fewer than two models, the reference or the class is none of them, the margin is not
        between 0 and 1, or the models differ in patients, groups or classes.
    """
    base = _check(models, reference, positive)
    sample = Sample(base, plan)
    others = [name for name in models if name != reference]
    pairs = {k: _pair(models[k], models[reference], sample, positive=positive, margin=margin) for k in others}
    told = {k: e.predictions for k, e in models.items()}
    shown = base.classes if len(base.classes) > 2 else (positive or base.classes[1],)
    present = [c for c in shown if 0 < base.class_groups(base.classes.index(c)) < base.n_groups]
    return ModelComparison(
        reference=reference,
        classes=base.classes,
        n_patients=base.y.size,
        n_groups=base.n_groups,
        scores={k: score(k, k, p, plan=plan) for k, p in told.items()},
        kinds={k: e.kind for k, e in models.items()},
        pairs=_adjust(pairs),
        decision={c: decision_curve(told, c, reference=reference, sample=sample) for c in present},
        costs={k: e.cost for k, e in models.items()},
        notes=tuple(notes),
    )


def paired_difference(
    measure: Measure, model: Predictions, reference: Predictions, sample: Sample
) -> tuple[Estimate, float | None]:
    """Difference of a metric with its paired bootstrap interval and two-sided p-value.

    Parameters
    ----------
    measure : callable
        Metric of predictions and weights of shape (m, n), giving shape (m,).
    model, reference : Predictions
        On the patients of the sample.
    sample : Sample

    Returns
    -------
    Estimate
    p : float or None
        Twice the smaller share of the resamples on either side of 0; None where it is not defined.
    """
    value = float((measure(model, sample.ones) - measure(reference, sample.ones))[0])
    draws = measure(model, sample.weights) - measure(reference, sample.weights)
    estimate = percentile(value, draws, n=sample.predictions.n_groups)
    seen = draws[~np.isnan(draws)]
    if estimate.low is None and estimate.high is None:
        return estimate, None
    side = min(int((seen <= 0).sum()), int((seen >= 0).sum()))
    return estimate, min(1.0, 2 * (1 + side) / (1 + seen.size))


def fold_differences(measure: Measure, model: Predictions, reference: Predictions, fold_of: IntArray) -> FloatArray:
    """Difference of a metric in each outer fold of each repeat.

    Parameters
    ----------
    measure : callable
        See :func:`paired_difference`.
    model, reference : Predictions
        Out of fold, with as many repeats as ``fold_of``, or one for a rule.
    fold_of : ndarray of int, shape (repeats, n)

    Returns
    -------
    ndarray of float, shape (repeats * folds,)
    """
    found = []
    for r, folds in enumerate(fold_of):
        weights = (folds[None] == np.unique(folds)[:, None]).astype(float)
        found.append(measure(_repeat(model, r), weights) - measure(_repeat(reference, r), weights))
    return np.concatenate(found)


def _repeat(p: Predictions, r: int) -> Predictions:
    if p.predicted.shape[0] == 1:
        return p
    return replace(
        p, predicted=p.predicted[r : r + 1], probabilities=None if p.probabilities is None else p.probabilities[[r]]
    )


def _given(p: Predictions) -> FloatArray:
    if p.probabilities is None:
        msg = "These predictions hold no probabilities."
        raise UsageError(msg)
    return p.probabilities


def _macro_auc(p: Predictions, w: FloatArray) -> FloatArray:
    return metrics.auc(_given(p), p.y, w)[:, np.unique(p.y)].mean(axis=1)


_ANSWERS: tuple[tuple[str, Measure], ...] = (
    ("accuracy", metrics.accuracy),
    ("balanced_accuracy", metrics.balanced_accuracy),
)
_PROBABILITIES: tuple[tuple[str, Measure], ...] = (
    ("macro_auc", _macro_auc),
    ("brier", lambda p, w: metrics.brier(_given(p), p.y, w)),
    ("log_loss", lambda p, w: metrics.log_loss(_given(p), p.y, w)),
)


def _check(models: Mapping[str, Entrant], reference: str, positive: str | None) -> Predictions:
    if len(models) < 2 or reference not in models:
        msg = f"The models are {', '.join(models)}; expected two or more, with the reference {reference!r} among them."
        raise UsageError(msg)
    base = models[reference].predictions
    if positive is not None and positive not in base.classes:
        msg = f"There is no class {positive!r}; the classes are {', '.join(base.classes)}."
        raise UsageError(msg)
    for name, entrant in models.items():
        p = entrant.predictions
        same = p.classes == base.classes and np.array_equal(p.y, base.y) and np.array_equal(p.groups, base.groups)
        if not same:
            msg = f"{name!r} and {reference!r} differ in classes, patients or groups."
            raise UsageError(msg, hint="Compare models on the same patients, in the same order.")
    return base


def _pair(model: Entrant, reference: Entrant, sample: Sample, *, positive: str | None, margin: float | None) -> Pair:
    p, base = model.predictions, reference.predictions
    both = p.probabilities is not None and base.probabilities is not None
    differences = {}
    for key, measure in (*_ANSWERS, *(_PROBABILITIES if both else ())):
        value, p_value = paired_difference(measure, p, base, sample)
        differences[key] = Difference(value, None if key == "accuracy" else p_value)
    first = np.unique(base.groups, return_index=True)[1]
    said, base_said, truth = vote(p)[first], vote(base)[first], base.y[first]
    only, only_base, p_mcnemar = exact_mcnemar(said == truth, base_said == truth)
    test, note = _delong(model, reference, first, positive)
    return Pair(
        differences=differences,
        mcnemar=McNemar(only, only_base, first.size, p_mcnemar, p_mcnemar),
        delong=test,
        delong_note=note,
        non_inferiority=None if margin is None else non_inferiority(only, only_base, first.size, margin=margin),
        over_folds=_over_folds(model, reference),
        agreement=agreement(base_said, said),
        reclassification=reclassification(base_said, said, truth, classes=base.classes),
    )


def _delong(model: Entrant, reference: Entrant, first: IntArray, positive: str | None) -> tuple[DeLongTest | None, str]:
    p, base = model.predictions, reference.predictions
    if p.probabilities is None or base.probabilities is None:
        return None, "No DeLong test: a model gives no probabilities."
    repeated = max(p.predicted.shape[0], base.predicted.shape[0]) > 1
    if repeated or CROSS_VALIDATED in (model.kind, reference.kind):
        return None, "No DeLong test: the scores of different folds come from different models."
    if positive is None and len(base.classes) > 2:
        return None, "No DeLong test: of more than two classes, name the one against the rest beforehand."
    label = positive or base.classes[1]
    c = base.classes.index(label)
    of_class = base.y[first] == c
    if min(of_class.sum(), (~of_class).sum()) < 2:
        return None, f"No DeLong test: fewer than two patients with or without {label}."
    return delong_test(p.probabilities[0, first, c], base.probabilities[0, first, c], of_class), f"{label} against rest"


def _over_folds(model: Entrant, reference: Entrant) -> dict[str, ResampledT]:
    folds, p, base = model.fold_of, model.predictions, reference.predictions
    if folds is None or reference.fold_of is None or not np.array_equal(folds, reference.fold_of):
        return {}
    both = p.probabilities is not None and base.probabilities is not None
    parts = folds.size / sum(np.unique(row).size for row in folds)
    out = {}
    for key, measure in (_ANSWERS[0], *(_PROBABILITIES[2:] if both else ())):
        found = fold_differences(measure, p, base, folds)
        out[key] = corrected_resampled_t(found, n_train=base.y.size - parts, n_test=parts, n_patients=base.n_groups)
    return out


def _adjust(pairs: Mapping[str, Pair]) -> dict[str, Pair]:
    """Adjust p-values by Holm: McNemar over models, DeLong over models, bootstrap over models and metrics."""
    names = list(pairs)
    exact = holm([pairs[k].mcnemar.p for k in names])
    by_delong = _holm_where([(k, test.p) for k in names if (test := pairs[k].delong) is not None])
    drawn = _holm_where([((k, m), d.p) for k in names for m, d in pairs[k].differences.items()])
    out = {}
    for name, p_exact in zip(names, exact, strict=True):
        pair = pairs[name]
        test = pair.delong
        out[name] = replace(
            pair,
            mcnemar=replace(pair.mcnemar, p_holm=p_exact),
            delong=None if test is None else test.adjusted(by_delong.get(name)),
            differences={m: replace(d, p_holm=drawn.get((name, m))) for m, d in pair.differences.items()},
        )
    return out


def _holm_where(p: Sequence[tuple[Any, float | None]]) -> dict[Any, float]:
    known = [(key, value) for key, value in p if value is not None]
    return dict(zip([key for key, _ in known], holm([value for _, value in known]), strict=True))
