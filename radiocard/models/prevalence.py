"""Probabilities at another class mix than that of the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.errors import UsageError
from radiocard.models.bundle import ModelBundle

Floats = NDArray[np.float64]

_MAX_ITERATIONS = 10_000
_CONVERGED = 1e-10
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Reweighted:
    """Probabilities at a stated or estimated class mix.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n_patients, n_classes)
        At the new mix.
    before : ndarray of float, shape (n_patients, n_classes)
        At the mix the model works with.
    training, prevalence : dict of str to float
        Share of each class there and at the site.
    transductive : bool
        Whether the mix was estimated from the very patients that are answered for, so that the
        answer for one depends on who else is in the table.
    """

    probabilities: Floats
    before: Floats
    training: Mapping[str, float]
    prevalence: Mapping[str, float]
    transductive: bool

    def sentence(self, patient: int, *, names: Mapping[str, str] | None = None) -> str:
        """Say what the mix does to the first class of one patient, by row number."""
        classes = list(self.prevalence)
        best = int(self.probabilities[patient].argmax())
        label = classes[best]
        now, then = self.probabilities[patient, best], self.before[patient, best]
        source = "estimated from these patients" if self.transductive else "stated"
        return (
            f"At the class mix {source} for this site ({100 * self.prevalence[label]:.0f} % "
            f"{(names or {}).get(label, label)}, {100 * self.training[label]:.0f} % in training) its probability is "
            f"{100 * now:.0f} % instead of {100 * then:.0f} %; this holds only if the patients of one class look alike "
            "at both sites."
        )


def training_mix(bundle: ModelBundle) -> dict[str, float]:
    """Return the class mix that the answering model works with.

    The shares of the independent training patients; equal shares where the classes were weighted
    to equal ones and no calibrator has brought the true mix back.
    """
    answering = bundle.answering
    weight = {**answering.recipe.fixed, **answering.params}
    balanced = [v for k, v in weight.items() if k.rsplit("__", 1)[-1] == "class_weight" and v is not None]
    _, first = np.unique(bundle.groups, return_index=True)
    shares = np.bincount(bundle.labels[first], minlength=len(bundle.classes)) / len(first)
    if balanced and answering.recipe.calibration == "none":
        shares = np.full(len(shares), 1 / len(shares))
    return dict(zip(bundle.classes, shares.tolist(), strict=True))


def reweight(bundle: ModelBundle, p: ArrayLike, prevalence: Mapping[str, float]) -> Reweighted:
    """Bring probabilities to the class mix that a site states (Bayes' rule) [1]_.

    Parameters
    ----------
    bundle : ModelBundle
        Trained models.
    p : array-like of float, shape (n_patients, n_classes)
        What the bundle says, in the order of its classes.
    prevalence : mapping of str to float
        Share of every class among the patients of the site; they sum to 1.

    Returns
    -------
    Reweighted

    Raises
    ------
    UsageError
        If the classes are not those of the bundle, or the shares are not shares.

    References
    ----------
    .. [1] Saerens, Latinne & Decaestecker, Neural Comput 14 (2002), doi:10.1162/089976602753284446
    """
    if set(prevalence) != set(bundle.classes):
        msg = f"The class mix names {', '.join(sorted(prevalence))}; expected {', '.join(bundle.classes)}."
        raise UsageError(msg)
    shares = np.array([prevalence[c] for c in bundle.classes], dtype=np.float64)
    if not (shares >= 0).all() or abs(shares.sum() - 1) > _SUM_TOLERANCE:
        msg = f"The class mix sums to {shares.sum():g}, or holds a number below 0; expected shares that sum to 1."
        raise UsageError(msg)
    mix = training_mix(bundle)
    return _reweighted(bundle, p, mix, shares / shares.sum(), transductive=False)


def reweight_estimated(bundle: ModelBundle, p: ArrayLike) -> Reweighted:
    """Bring probabilities to the class mix that they themselves suggest (EM) [1]_.

    Transductive: the mix is estimated from all patients given, without their labels. It needs
    many patients, and probabilities that are calibrated. Parameters, returns and source as for
    :func:`reweight`.

    Raises
    ------
    UsageError
        If there is no patient.
    """
    before = np.asarray(p, dtype=np.float64)
    if len(before) == 0:
        msg = "There is no patient to estimate a class mix from."
        raise UsageError(msg)
    mix = training_mix(bundle)
    shares = estimate_prevalence(before, list(mix.values()))
    return _reweighted(bundle, before, mix, shares, transductive=True)


def estimate_prevalence(p: ArrayLike, training: ArrayLike) -> Floats:
    """Estimate a class mix from probabilities by expectation and maximisation.

    Parameters
    ----------
    p : array-like of float, shape (n_patients, n_classes)
        Calibrated probabilities at the training mix.
    training : array-like of float, shape (n_classes,)
        Class shares of the training.

    Returns
    -------
    ndarray of float, shape (n_classes,)
        The mix of greatest likelihood.
    """
    q, prior = np.asarray(p, dtype=np.float64), np.asarray(training, dtype=np.float64)
    shares = prior.copy()
    for _ in range(_MAX_ITERATIONS):
        updated = _posterior(q, shares, prior).mean(axis=0)
        if np.abs(updated - shares).max() < _CONVERGED:
            return np.asarray(updated)
        shares = updated
    return shares


def _reweighted(
    bundle: ModelBundle, p: ArrayLike, mix: dict[str, float], shares: Floats, *, transductive: bool
) -> Reweighted:
    before = np.asarray(p, dtype=np.float64)
    after = _posterior(before, shares, np.array(list(mix.values())))
    prevalence = dict(zip(bundle.classes, shares.tolist(), strict=True))
    return Reweighted(after, before, mix, prevalence, transductive)


def _posterior(p: Floats, shares: Floats, prior: Floats) -> Floats:
    """Apply Bayes' rule; where only classes that the site does not have were possible, return its mix."""
    weighted = p * (shares / prior)
    total = weighted.sum(axis=1, keepdims=True)
    return np.where(total > 0, weighted / np.where(total > 0, total, 1.0), shares)
