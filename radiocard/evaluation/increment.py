"""What one step of models adds to the one before: paired gains over patients, decision curves, controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from radiocard.errors import UsageError
from radiocard.evaluation import metrics
from radiocard.evaluation.decision import net_benefit
from radiocard.evaluation.intervals import Estimate, percentile
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.scores import Sample
from radiocard.specs import EvaluationPlan

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

PRIMARY = "log_loss"
SCALES: Mapping[str, str] = MappingProxyType(
    {
        "log_loss": "log-loss [nat]",
        "brier": "Brier score (0 to 2)",
        "macro_auc": "macro AUC",
        "balanced_accuracy": "balanced accuracy",
    }
)
NAMES: Mapping[str, str] = MappingProxyType({"shuffled": "shuffled voxels", "noise": "regions filled with noise"})
LOWER_IS_BETTER = frozenset({"log_loss", "brier"})
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)


def step_scores(predictions: Predictions, *, plan: EvaluationPlan) -> dict[str, Estimate]:
    """Score one step out of fold.

    Returns
    -------
    dict of str to Estimate
        ``log_loss``, ``brier``, ``macro_auc`` where there are probabilities, and ``balanced_accuracy``, with
        bootstrap intervals over patients.
    """
    sample = Sample(predictions, plan)
    ones, drawn = _values(predictions, sample.ones), _values(predictions, sample.weights)
    return {name: _estimate(float(ones[name][0]), drawn[name], sample) for name in ones}


def gains(before: Predictions, after: Predictions, *, plan: EvaluationPlan) -> dict[str, Estimate]:
    """Compare two steps patient by patient; a gain above 0 means that the later one is better.

    Parameters
    ----------
    before, after : Predictions
        Out of the same folds, of the same patients.
    plan : EvaluationPlan
        Size and seed of the bootstrap.

    Returns
    -------
    dict of str to Estimate
        For each metric that both have, the gain with its paired bootstrap interval over patients: the
        fall of log-loss and Brier score, the rise of AUC and balanced accuracy.

    Raises
    ------
    UsageError
        If the two are not about the same patients.
    """
    _same_patients(before, after)
    sample = Sample(before, plan)
    first = _values(before, sample.ones), _values(before, sample.weights)
    second = _values(after, sample.ones), _values(after, sample.weights)
    out = {}
    for name in first[0]:
        if name in second[0]:
            sign = -1.0 if name in LOWER_IS_BETTER else 1.0
            value = sign * float(second[0][name][0] - first[0][name][0])
            out[name] = _estimate(value, sign * (second[1][name] - first[1][name]), sample)
    return out


def mean_net_benefit(p: FloatArray, y: IntArray, weights: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Net benefit of naming a class where its probability reaches a threshold, mean over the classes.

    Parameters
    ----------
    p : ndarray of float, shape (repeats, n, classes)
    y : ndarray of int, shape (n,)
    weights : ndarray of float, shape (m, n)
    thresholds : ndarray of float, shape (t,)

    Returns
    -------
    ndarray of float, shape (m, t)
        See :func:`radiocard.evaluation.decision.net_benefit`.

    Examples
    --------
    >>> p = np.array([[[0.1, 0.9], [0.8, 0.2]]])
    >>> mean_net_benefit(p, np.array([1, 0]), np.ones((1, 2)), np.array([0.5])).tolist()
    [[0.5]]
    """
    each = [net_benefit(p[:, :, c], y == c, weights, thresholds) for c in range(p.shape[2])]
    return np.mean(each, axis=0)


def net_benefit_gains(
    before: Predictions, after: Predictions, *, plan: EvaluationPlan, thresholds: Sequence[float] = THRESHOLDS
) -> dict[float, Estimate]:
    """Compare the decision curves of two steps.

    Parameters
    ----------
    before, after : Predictions
        With probabilities, of the same patients.
    plan : EvaluationPlan
    thresholds : sequence of float

    Returns
    -------
    dict of float to Estimate
        Threshold to the rise of net benefit, mean over the classes, with its paired bootstrap interval.

    Raises
    ------
    UsageError
        If the two are not about the same patients, or one has no probabilities.
    """
    _same_patients(before, after)
    first, second = before.probabilities, after.probabilities
    if first is None or second is None:
        msg = "A decision curve needs probabilities, and a rule gives none."
        raise UsageError(msg)
    sample, grid = Sample(before, plan), np.asarray(thresholds, dtype=float)
    value, draws = (
        mean_net_benefit(second, after.y, w, grid) - mean_net_benefit(first, before.y, w, grid)
        for w in (sample.ones, sample.weights)
    )
    return {float(t): _estimate(float(value[0, i]), draws[:, i], sample) for i, t in enumerate(thresholds)}


def volume_correlations(table: pd.DataFrame, volumes: pd.DataFrame) -> pd.Series[float]:
    """Correlate each column with the volume of the region it was measured in.

    Parameters
    ----------
    table : DataFrame, shape (n, columns)
        Columns ``<region>__<image>__...``.
    volumes : DataFrame, shape (n, regions)
        Same rows; columns ``<region>__<image>`` [mL].

    Returns
    -------
    Series, index column
        Spearman's coefficient over the patients with both; NaN where one does not vary. Largest
        magnitude first.
    """
    out: dict[str, float] = {}
    for column in table.columns:
        region = "__".join(str(column).split("__")[:2])
        if region not in volumes:
            continue
        pair = pd.DataFrame({"a": table[column], "b": volumes[region]}).dropna()
        varies = len(pair) > 2 and pair["a"].nunique() > 1 and pair["b"].nunique() > 1
        out[str(column)] = float(spearmanr(pair["a"], pair["b"]).statistic) if varies else float("nan")
    found = pd.Series(out, dtype=float, name="spearman_with_volume")
    return found.reindex(found.abs().sort_values(ascending=False).index)


def answer(texture: Estimate, controls: Mapping[str, tuple[Estimate, Estimate]]) -> str:
    """Say in one sentence whether texture adds anything.

    Parameters
    ----------
    texture : Estimate
        Gain in log-loss of texture over what it was added to.
    controls : mapping of str to (Estimate, Estimate)
        ``shuffled``, ``noise``: the control's own gain over the same, and the gain of true texture over
        the control. May be empty.

    Returns
    -------
    str
    """
    n = f"n = {texture.n:g} independent patients"
    text = f"Log-loss {_fall(texture)} ({n}; 95 % intervals in brackets)."
    if _above(texture):
        head = "Texture adds to the step before"
    elif texture.high is not None and texture.high < 0:
        head = "Texture makes the answers worse"
    else:
        head = "Texture adds nothing that can be shown"
    if not controls:
        return f"{head}; controls were not run. {text}"
    alike = [name for name, (_, over) in controls.items() if not _above(over)]
    told = "".join(
        f" With texture from {NAMES[name]} it {_fall(own)}; true texture gains {_span(over)} on that."
        for name, (own, over) in controls.items()
    )
    return f"{head}{_against(alike, controls, adds=_above(texture))} {text}{told}"


def _fall(gain: Estimate) -> str:
    value, low, high = gain.value or 0.0, gain.low, gain.high
    if value >= 0:
        return f"falls by {_span(gain)}"
    turned = Estimate(-value, None if high is None else -high, None if low is None else -low, gain.n, gain.method)
    return f"rises by {_span(turned)}"


def _span(estimate: Estimate) -> str:
    low, high = ("?" if v is None else f"{v:.3f}" for v in (estimate.low, estimate.high))
    return "an unknown amount" if estimate.value is None else f"{estimate.value:.3f} [{low} to {high}]"


def _against(alike: Sequence[str], controls: Mapping[str, tuple[Estimate, Estimate]], *, adds: bool) -> str:
    if not alike:
        listed = " and from ".join(NAMES[name] for name in controls)
        return f", and does better than the same texture from {listed}: the pattern of grey values counts."
    listed = " and from ".join(NAMES[name] for name in alike)
    if not adds:
        return f", and does no better than the same texture from {listed}."
    reason = (
        "it is region size, not texture"
        if "noise" in alike or "noise" not in controls
        else "it is the grey values of the region, not their pattern"
    )
    if all(_above(controls[name][0]) for name in alike):
        return f"; but the same texture from {listed} adds as much: {reason}."
    return f"; but it is not shown to do better than the same texture from {listed}: perhaps {reason}."


def _above(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.low > 0


def _values(predictions: Predictions, weights: FloatArray) -> dict[str, FloatArray]:
    p, y = predictions.probabilities, predictions.y
    out = {}
    if p is not None:
        present = np.unique(y)
        out["log_loss"] = metrics.log_loss(p, y, weights)
        out["brier"] = metrics.brier(p, y, weights)
        out["macro_auc"] = metrics.auc(p, y, weights)[:, present].mean(axis=1)
    out["balanced_accuracy"] = metrics.balanced_accuracy(predictions, weights)
    return out


def _estimate(value: float, draws: FloatArray, sample: Sample) -> Estimate:
    return percentile(value, draws, n=sample.predictions.n_groups)


def _same_patients(before: Predictions, after: Predictions) -> None:
    same = (
        before.classes == after.classes
        and np.array_equal(before.y, after.y)
        and np.array_equal(before.groups, after.groups)
    )
    if not same:
        msg = "The two steps are not about the same patients, classes and groups."
        raise UsageError(msg)
