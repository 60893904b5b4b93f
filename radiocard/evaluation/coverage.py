"""Whether prediction sets hold the true class as often as stated, and alarms are as rare as stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, betabinom

from radiocard.errors import UsageError
from radiocard.evaluation.intervals import Estimate, percentile, resample_weights, wilson
from radiocard.models.conformal import needed_rank

IntArray = NDArray[np.intp]
N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class Coverage:
    """How often sets held the true class, and how large they were.

    Parameters
    ----------
    all : Estimate
        Share of the patients whose set holds their class.
    by_class : dict of str to Estimate
        The same among the patients of each class.
    mean_size : Estimate
        Mean number of classes in a set.
    sizes : tuple of int
        Number of sets with 0, 1, 2, ... classes.
    """

    all: Estimate
    by_class: Mapping[str, Estimate]
    mean_size: Estimate
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Detection:
    """How well patients of another kind stand out from those of the training.

    Parameters
    ----------
    auroc : Estimate
        Probability that one of them is more unlike the training than a patient of its kind.
    flagged : Estimate
        Share of them that raised an alarm.
    false_alarms : Estimate
        Share of the patients of the training's kind that did.
    """

    auroc: Estimate
    flagged: Estimate
    false_alarms: Estimate


def coverage_law(n: int, alpha: float) -> Any:
    """Return the law of the coverage of split conformal sets over draws of n calibration patients [1]_.

    Beta(k, n + 1 - k) with k = ceil((n + 1) (1 - alpha)) and mean k / (n + 1), exact where scores
    have no ties; for class-conditional sets it holds in each class, with its own n.

    Returns
    -------
    scipy.stats frozen distribution

    References
    ----------
    .. [1] Vovk, Mach Learn 92 (2013), doi:10.1007/s10994-013-5355-6

    Examples
    --------
    >>> float(coverage_law(9, 0.1).mean())
    0.9
    """
    k = _rank(n, alpha)
    return beta(k, n + 1 - k)


def observed_coverage_law(n: int, alpha: float, *, n_test: int) -> Any:
    """Return the law of the number of n_test fresh patients that are covered: beta-binomial."""
    k = _rank(n, alpha)
    return betabinom(n_test, k, n + 1 - k)


def set_coverage(sets: ArrayLike, y: ArrayLike, groups: ArrayLike, *, classes: Sequence[str]) -> Coverage:
    """Measure coverage and size of prediction sets.

    Parameters
    ----------
    sets : array-like of bool, shape (n, n_classes)
        Whether each class is in the set of each patient.
    y : array-like of int, shape (n,)
        Position of the true class; below 0 where the classes do not hold it.
    groups : array-like of int, shape (n,)
        Patients of one group count once in n.
    classes : sequence of str
        Names of the columns of ``sets``.

    Returns
    -------
    Coverage

    Raises
    ------
    UsageError
        If the shapes do not fit together.
    """
    inside, truth, kin = np.asarray(sets, dtype=bool), np.asarray(y, dtype=np.intp), np.asarray(groups)
    if inside.ndim != 2 or inside.shape != (truth.size, len(classes)) or kin.shape != truth.shape:
        msg = f"Sets have shape {inside.shape}; expected ({truth.size}, {len(classes)}) and one group per patient."
        raise UsageError(msg)
    codes = np.unique(kin, return_inverse=True)[1]
    held = np.where(truth >= 0, inside[np.arange(truth.size), truth], False)
    size = inside.sum(axis=1)
    weights = resample_weights(truth, codes, n_bootstrap=N_BOOTSTRAP, random_state=0)
    draws = (weights @ size) / weights.sum(axis=1)
    return Coverage(
        all=_share(held, codes),
        by_class={c: _share(held[truth == i], codes[truth == i]) for i, c in enumerate(classes)},
        mean_size=percentile(float(size.mean()), draws, n=float(np.unique(codes).size)),
        sizes=tuple(np.bincount(size, minlength=len(classes) + 1).tolist()),
    )


def detection(p_inside: ArrayLike, p_outside: ArrayLike, *, level: float, random_state: int = 0) -> Detection:
    """Measure alarms on patients of the training's kind and on others, one value per independent patient.

    Parameters
    ----------
    p_inside, p_outside : array-like of float, shape (n,), (m,)
        Novelty p-values; small is unlike the training. Neither was trained on.
    level : float
        Alarms are the p-values up to this rate of false alarms.
    random_state : int
        Seed of the bootstrap.

    Returns
    -------
    Detection

    Raises
    ------
    UsageError
        If there is no patient on one side.
    """
    usual, other = np.asarray(p_inside, dtype=np.float64), np.asarray(p_outside, dtype=np.float64)
    if not usual.size or not other.size:
        msg = f"There are {usual.size} patients of the training's kind and {other.size} others; expected both."
        raise UsageError(msg)
    won = (other[:, None] < usual) + 0.5 * (other[:, None] == usual)
    rng = np.random.default_rng(random_state)
    w_other, w_usual = (rng.multinomial(n, np.full(n, 1 / n), size=N_BOOTSTRAP) / n for n in won.shape)
    draws = ((w_other @ won) * w_usual).sum(axis=1)
    return Detection(
        auroc=percentile(float(won.mean()), draws, n=float(sum(won.shape))),
        flagged=wilson(float((other <= level).mean()), other.size),
        false_alarms=wilson(float((usual <= level).mean()), usual.size),
    )


def _share(held: NDArray[np.bool_], groups: IntArray) -> Estimate:
    n = np.unique(groups).size
    return wilson(float(held.mean()) if n else float("nan"), n)


def _rank(n: int, alpha: float) -> int:
    k = needed_rank(n, alpha) if 0 < alpha < 1 else n + 1
    if k > n:
        msg = f"{n} calibration patients give no finite threshold at alpha {alpha:g}."
        raise UsageError(msg)
    return k
