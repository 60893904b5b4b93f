"""Decision curves: net benefit of acting on a probability, beside acting on all or on nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.evaluation.intervals import Estimate, percentile
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.scores import Sample

FloatArray = NDArray[np.floating[Any]]

THRESHOLDS = np.arange(1, 100) / 100
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit of several models for one class against the others.

    Parameters
    ----------
    label : str
        The class that is acted on.
    prevalence : float
        Its share of the patients, on which every net benefit depends.
    thresholds : ndarray of float, shape (t,)
        Probabilities from which on one acts.
    treat_all : ndarray of float, shape (t,)
        Net benefit of acting on everybody; of acting on nobody it is 0.
    models : dict of str to ndarray of float, shape (t,)
        Net benefit by model.
    differences : dict of str to list of Estimate
        Model less reference at each threshold, with paired pointwise intervals.
    """

    label: str
    prevalence: float
    thresholds: FloatArray
    treat_all: FloatArray
    models: dict[str, FloatArray]
    differences: dict[str, list[Estimate]]

    def useful(self, model: str) -> list[tuple[float, float]]:
        """Return the ranges of thresholds in which a model beats acting on all and on nobody."""
        better = self.models[model] > np.maximum(self.treat_all, 0.0) + _ROUNDING
        edges = np.flatnonzero(np.diff(np.r_[False, better, False].astype(int)))
        t = self.thresholds
        return [(float(t[a]), float(t[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "label": self.label,
            "prevalence": self.prevalence,
            "thresholds": self.thresholds.tolist(),
            "treat_all": self.treat_all.tolist(),
            "models": {k: v.tolist() for k, v in self.models.items()},
            "useful_between": {k: [list(span) for span in self.useful(k)] for k in self.models},
            "differences": {k: [e.to_dict() for e in v] for k, v in self.differences.items()},
        }


def net_benefit(
    probabilities: FloatArray, positive: NDArray[np.bool_], weights: FloatArray, thresholds: FloatArray
) -> FloatArray:
    """Net benefit of acting on patients whose probability reaches a threshold [1]_.

    Parameters
    ----------
    probabilities : ndarray of float, shape (repeats, n)
        Of the class; the net benefit is the mean over repeats.
    positive : ndarray of bool, shape (n,)
        Which patients have the class.
    weights : ndarray of float, shape (m, n)
        How often each patient counts.
    thresholds : ndarray of float, shape (t,)
        Above 0 and below 1.

    Returns
    -------
    ndarray of float, shape (m, t)
        True positives less false positives, the latter weighed by the odds of the threshold, per patient.

    Raises
    ------
    UsageError
        If a threshold is not between 0 and 1.

    References
    ----------
    .. [1] Vickers & Elkin, Med Decis Making 26 (2006), doi:10.1177/0272989X06295361

    Examples
    --------
    >>> p, sick = np.array([[0.9, 0.4, 0.1]]), np.array([True, False, False])
    >>> round(float(net_benefit(p, sick, np.ones((1, 3)), np.array([0.2]))[0, 0]), 3)
    0.25
    """
    t = np.asarray(thresholds, dtype=float)
    if not ((t > 0) & (t < 1)).all():
        msg = f"Thresholds lie between {t.min():g} and {t.max():g}, expected above 0 and below 1."
        raise UsageError(msg)
    treated = (probabilities[:, :, None] >= t - _ROUNDING).mean(axis=0)
    worth = treated * np.where(positive[:, None], 1.0, -t / (1 - t))
    benefit: FloatArray = (weights @ worth) / weights.sum(axis=1, keepdims=True)
    return benefit


def decision_curve(
    models: Mapping[str, Predictions],
    label: str,
    *,
    reference: str,
    sample: Sample,
    thresholds: FloatArray = THRESHOLDS,
) -> DecisionCurve:
    """Compute the decision curves of several models for one class against the others.

    Parameters
    ----------
    models : mapping of str to Predictions
        On the same patients; those without probabilities are left out.
    label : str
        The class that is acted on.
    reference : str
        Model from which the others are subtracted.
    sample : Sample
        Resamples of the patients, the same for all models.
    thresholds : ndarray of float, shape (t,)

    Returns
    -------
    DecisionCurve

    Raises
    ------
    UsageError
        If there is no such class.
    """
    base = sample.predictions
    if label not in base.classes:
        msg = f"There is no class {label!r}; the classes are {', '.join(base.classes)}."
        raise UsageError(msg)
    c = base.classes.index(label)
    positive = base.y == c
    given = {k: p.probabilities[:, :, c] for k, p in models.items() if p.probabilities is not None}
    curves = {k: net_benefit(p, positive, sample.ones, thresholds)[0] for k, p in given.items()}
    differences = {}
    if reference in given:
        base_draws = net_benefit(given[reference], positive, sample.weights, thresholds)
        for name in [k for k in given if k != reference]:
            draws = net_benefit(given[name], positive, sample.weights, thresholds) - base_draws
            value = curves[name] - curves[reference]
            differences[name] = [percentile(float(v), draws[:, j], n=base.n_groups) for j, v in enumerate(value)]
    prevalence = float(positive.mean())
    odds = thresholds / (1 - thresholds)
    return DecisionCurve(label, prevalence, thresholds, prevalence - (1 - prevalence) * odds, curves, differences)
