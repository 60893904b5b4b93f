"""Sets of classes that hold the true one with a stated probability, from out-of-fold answers (conformal prediction).

Written here and not taken from MAPIE, since its cross-conformal classifier trains its own folds
(which know neither groups nor repeats), keeps every one of its models, and has no class-conditional
form; a model file holds the out-of-fold probabilities and one model. MAPIE is the oracle of the tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.errors import CohortError, UsageError
from radiocard.models.bundle import ModelBundle

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Kind = Literal["marginal", "class"]

# Keeps whole products such as 10 * 0.1 whole.
_SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class ConformalSets:
    """Which classes stay possible for each patient.

    Parameters
    ----------
    sets : ndarray of bool, shape (n_patients, n_classes)
        Whether the class is in the set of the patient; a set can be empty.
    classes : tuple of str
        Columns of ``sets``.
    alpha : float
        Share of the sets that may miss the true class.
    kind : {'marginal', 'class'}
        Whether that share holds over all patients together or in each class.
    thresholds : ndarray of float, shape (n_classes,)
        A class is in the set if its probability is at least one minus its threshold.
    n_calibration : dict of str to int
        Independent training patients of each class.
    mean_size : float
        Mean number of classes in the sets of the training patients, each out of fold and
        without its own score.
    mean_size_by_class : dict of str to float
        The same for the training patients of each class.
    """

    sets: Bools
    classes: tuple[str, ...]
    alpha: float
    kind: Kind
    thresholds: Floats
    n_calibration: Mapping[str, int]
    mean_size: float
    mean_size_by_class: Mapping[str, float]

    def members(self, patient: int) -> tuple[str, ...]:
        """Return the classes in the set of one patient, by row number."""
        return tuple(c for c, inside in zip(self.classes, self.sets[patient], strict=True) if inside)

    def sentence(self, patient: int, *, names: Mapping[str, str] | None = None) -> str:
        """Say the set of one patient, its size and the mean size.

        Parameters
        ----------
        patient : int
            Row number.
        names : mapping of str to str, optional
            Class to its plain name.
        """
        found = [(names or {}).get(c, c) for c in self.members(patient)]
        scope = "of each class" if self.kind == "class" else "of all patients together"
        n = sum(self.n_calibration.values())
        aim = f"built to hold the true class for {100 * (1 - self.alpha):g} % {scope} at the training mix"
        mean = f"{self.mean_size:.1f} of {len(self.classes)} on average over {n} training patients"
        if not found:
            return f"No class is probable enough to stay possible (sets {aim}; {mean})."
        return f"Possible: {', '.join(found)}; {len(found)} of {len(self.classes)} classes (sets {aim}; {mean})."


def needed_rank(n: int, alpha: float) -> int:
    """Return k = ceil((n + 1) (1 - alpha)): the k-th smallest of n scores is the threshold.

    Examples
    --------
    >>> needed_rank(9, 0.1), needed_rank(20, 0.1)
    (9, 19)
    """
    return n + 1 - math.floor((n + 1) * alpha + _SLACK)


def fewest_cases(alpha: float) -> int:
    """Return ceil(1 / alpha) - 1: with fewer scores no finite threshold keeps the promise.

    Examples
    --------
    >>> fewest_cases(0.1), fewest_cases(0.05)
    (9, 19)
    """
    return math.ceil(1 / alpha - _SLACK) - 1


def conformal_thresholds(probabilities: ArrayLike, labels: ArrayLike, *, alpha: float, kind: Kind) -> Floats:
    """Find the largest score that a class may have and stay in the set [1]_ [2]_.

    The score of a class is one minus its probability (LAC, the least ambiguous sets).

    Parameters
    ----------
    probabilities : array-like of float, shape (n, n_classes)
        Of calibration patients that the model was not trained on, one row per independent patient.
    labels : array-like of int, shape (n,)
        Positions of their classes.
    alpha : float
        Share of the sets that may miss the true class, between 0 and 1.
    kind : {'marginal', 'class'}
        Over all patients together, or in each class (Mondrian).

    Returns
    -------
    ndarray of float, shape (n_classes,)
        One threshold per class; all alike for 'marginal'.

    Raises
    ------
    UsageError
        If alpha is not between 0 and 1.
    CohortError
        If a class has fewer than ceil(1 / alpha) - 1 patients (``E_CLASS_COUNT``).

    References
    ----------
    .. [1] Sadinle, Lei & Wasserman, J Am Stat Assoc 114 (2019), doi:10.1080/01621459.2017.1395341
    .. [2] Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005)
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    _check_counts(np.bincount(y, minlength=p.shape[1]), alpha)
    scores = _scores(p, y)
    if kind == "marginal":
        return np.full(p.shape[1], np.sort(scores)[needed_rank(len(y), alpha) - 1])
    own = [np.sort(scores[y == c]) for c in range(p.shape[1])]
    return np.array([s[needed_rank(len(s), alpha) - 1] for s in own])


def calibration_patients(
    bundle: ModelBundle, *, keep: Bools | None = None, name: str | None = None
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the out-of-fold probabilities that sets rest on: one row per independent training patient.

    Probabilities are means over repeats. Of patients with identical images the one with the
    least probability for its class stands for all.

    Parameters
    ----------
    bundle : ModelBundle
        Trained models.
    keep : ndarray of bool, shape (n_training_patients,), optional
        Training patients to use; all without it.
    name : str, optional
        A key of ``out_of_fold``; the first one when None.

    Returns
    -------
    probabilities : ndarray of float, shape (n, n_classes)
    labels : ndarray of int, shape (n,)
        Positions in the classes of the bundle.

    Raises
    ------
    UsageError
        If there are no such out-of-fold predictions.
    """
    key = next(iter(bundle.out_of_fold), "") if name is None else name
    if key not in bundle.out_of_fold:
        msg = f"There are no out-of-fold predictions {key!r}; there are: {', '.join(bundle.out_of_fold) or 'none'}."
        raise UsageError(msg)
    p = bundle.out_of_fold[key].mean(axis=0)
    rows = np.flatnonzero(np.ones(len(p), dtype=bool) if keep is None else keep)
    worst_first = rows[np.argsort(-_scores(p[rows], bundle.labels[rows]), kind="stable")]
    _, first = np.unique(bundle.groups[worst_first], return_index=True)
    chosen = worst_first[first]
    return p[chosen], bundle.labels[chosen]


def conformal_sets(
    bundle: ModelBundle,
    p: ArrayLike,
    alpha: float,
    *,
    kind: Kind = "class",
    keep: Bools | None = None,
    name: str | None = None,
) -> ConformalSets:
    """Give the set of possible classes of each patient, calibrated by the out-of-fold answers of the training.

    Folds serve as calibration set in turn, and the model that answers is trained on all patients.
    The k-th smallest of n scores gives a coverage that follows Beta(k, n + 1 - k) where the scores
    come from one fixed model (split conformal [1]_). Here they do not: cross-conformal sets built
    with all models of K folds are only proven to cover 1 - 2 alpha - 2 (1 - alpha) (K - 1) / (n + K)
    [2]_ [3]_, and sets by a model trained again on all patients, as here, have no guarantee without
    an assumption of stability [4]_. In practice they cover 1 - alpha or a little more, as the
    models of the folds have seen fewer patients; ``reports/validation/conformal.md`` measures it.
    All of this holds for patients like those of the training, at their mix of classes.

    Parameters
    ----------
    bundle : ModelBundle
        Trained models.
    p : array-like of float, shape (n_patients, n_classes)
        What the bundle says of the patients, in the order of its classes.
    alpha : float
        Share of the sets that may miss the true class, between 0 and 1.
    kind : {'class', 'marginal'}
        Whether the share holds in each class or over all patients together.
    keep : ndarray of bool, shape (n_training_patients,), optional
        Training patients to calibrate with; leave the group of a patient out who was in training.
    name : str, optional
        A key of ``out_of_fold``: the model that ``p`` came from; the first one when None.

    Returns
    -------
    ConformalSets

    Raises
    ------
    UsageError
        If ``p`` has other classes, alpha is not between 0 and 1, or ``name`` is not known.
    CohortError
        If a class has fewer than ceil(1 / alpha) - 1 calibration patients (``E_CLASS_COUNT``).

    References
    ----------
    .. [1] Vovk, Mach Learn 92 (2013), doi:10.1007/s10994-013-5355-6
    .. [2] Vovk, Ann Math Artif Intell 74 (2015), doi:10.1007/s10472-013-9368-4
    .. [3] Gasparin & Ramdas (2025), arXiv:2503.01495
    .. [4] Barber et al., Ann Stat 49 (2021), doi:10.1214/20-AOS1965
    """
    asked = np.asarray(p, dtype=np.float64)
    if asked.ndim != 2 or asked.shape[1] != len(bundle.classes):
        msg = f"Probabilities have shape {asked.shape}, expected (n_patients, {len(bundle.classes)})."
        raise UsageError(msg)
    known, y = calibration_patients(bundle, keep=keep, name=name)
    thresholds = conformal_thresholds(known, y, alpha=alpha, kind=kind)
    sizes = held_out_sets(known, y, alpha=alpha, kind=kind).sum(axis=1)
    counts = np.bincount(y, minlength=len(bundle.classes))
    return ConformalSets(
        sets=1.0 - asked <= thresholds,
        classes=bundle.classes,
        alpha=alpha,
        kind=kind,
        thresholds=thresholds,
        n_calibration=dict(zip(bundle.classes, counts.tolist(), strict=True)),
        mean_size=float(sizes.mean()),
        mean_size_by_class={c: float(sizes[y == i].mean()) for i, c in enumerate(bundle.classes)},
    )


def held_out_sets(probabilities: Floats, labels: NDArray[Any], *, alpha: float, kind: Kind) -> Bools:
    """Return the set of each calibration patient by the scores of all others, shape (n, n_classes).

    Where too few others are left for a threshold, the class is in the set. Parameters and errors
    as for :func:`conformal_thresholds`.
    """
    full = conformal_thresholds(probabilities, labels, alpha=alpha, kind=kind)
    scores = _scores(probabilities, labels)
    thresholds = np.tile(full, (len(labels), 1))
    if kind == "marginal":
        thresholds[:] = _without_each(scores, alpha)[:, None]
    else:
        for c in range(probabilities.shape[1]):
            thresholds[labels == c, c] = _without_each(scores[labels == c], alpha)
    return np.asarray(1.0 - probabilities <= thresholds)


def _without_each(scores: Floats, alpha: float) -> Floats:
    """Return the threshold that is left when each score in turn is taken out, shape (n,)."""
    n = len(scores)
    k = needed_rank(n - 1, alpha)
    ordered = np.sort(scores)
    if k > n - 1:
        return np.full(n, np.inf)
    position = np.empty(n, dtype=np.intp)
    position[np.argsort(scores, kind="stable")] = np.arange(n)
    return np.where(position < k, ordered[k], ordered[k - 1])


def _scores(p: Floats, y: NDArray[Any]) -> Floats:
    return np.asarray(1.0 - p[np.arange(len(y)), y])


def _check_counts(counts: NDArray[Any], alpha: float) -> None:
    if not 0 < alpha < 1:
        msg = f"alpha is {alpha!r}, expected a number between 0 and 1."
        raise UsageError(msg)
    fewest = fewest_cases(alpha)
    if counts.min() < fewest:
        msg = (
            f"A class has {int(counts.min())} calibration patients (identical images count once), "
            f"expected at least {fewest} for sets that miss {100 * alpha:g} %."
        )
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Ask for a larger alpha, or add patients.")
