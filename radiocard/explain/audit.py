"""Measure what an explanation is worth: whether it repeats, finds what is there, and names what the model needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from radiocard.errors import UsageError
from radiocard.explain.shap_values import Explanation
from radiocard.models.fitted import FittedModel

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

SAME_GROUP = 0.7


def patient_importance(explanation: Explanation) -> Floats:
    """Return the mean absolute SHAP value over the classes, shape (n, columns)."""
    return np.asarray(np.abs(explanation.values).mean(axis=1), dtype=np.float64)


def group_importance(explanation: Explanation, groups: Sequence[Sequence[str]]) -> Floats:
    """Return the absolute sum of SHAP values in each group, mean over the classes, shape (n, groups).

    What correlated columns share between them is counted once, and what they say against each other cancels.
    """
    places = {c: j for j, c in enumerate(explanation.columns)}
    sums = [explanation.values[:, :, [places[c] for c in group]].sum(axis=2) for group in groups]
    return np.stack([np.abs(s).mean(axis=1) for s in sums], axis=1)


def correlated_groups(X: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Group columns by average linkage on one minus their absolute rank correlation, cut at 0.7.

    Parameters
    ----------
    X : DataFrame, shape (n, columns)
        Undefined values are left out pair by pair; a column without variation stands alone.

    Returns
    -------
    tuple of tuple of str
        Largest group first; each in the order of the table.
    """
    columns = tuple(map(str, X.columns))
    if len(columns) < 2:
        return (columns,) if columns else ()
    distance = 1 - np.nan_to_num(X.corr(method="spearman").abs().to_numpy(dtype=float, copy=True))
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(np.clip(distance, 0, 1), checks=False), method="average")
    codes = fcluster(tree, 1 - SAME_GROUP, criterion="distance")
    groups = [tuple(c for c, code in zip(columns, codes, strict=True) if code == g) for g in np.unique(codes)]
    return tuple(sorted(groups, key=lambda g: (-len(g), columns.index(g[0]))))


def rank_agreement(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's correlation of two rankings; NaN where one of them has no order.

    Examples
    --------
    >>> round(rank_agreement([1, 2, 3], [10, 30, 20]), 3)
    0.5
    """
    a, b = (np.asarray(rankdata(v), dtype=float) for v in (first, second))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm > 0 else float("nan")


def pairwise_agreement(importances: Floats, *, top: int) -> tuple[float, float, float]:
    """Compare all pairs of several importances.

    Parameters
    ----------
    importances : ndarray of float, shape (models, columns)
    top : int
        How many leading columns are compared.

    Returns
    -------
    rank, overlap, lowest : float
        Mean Spearman correlation; mean share of the leading columns in common; lowest correlation.
    """
    ranks = rankdata(importances, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = np.divide(centred, norm, out=np.full_like(centred, np.nan), where=norm > 0)
    leading = np.zeros(importances.shape)
    np.put_along_axis(leading, leaders(importances, top), 1.0, axis=1)
    upper = np.triu_indices(len(importances), 1)
    rank, overlap = (unit @ unit.T)[upper], (leading @ leading.T)[upper] / min(top, importances.shape[1])
    return float(rank.mean()), float(overlap.mean()), float(rank.min())


def leaders(importances: Floats, top: int) -> Ints:
    """Return the positions of the largest values along the last axis, largest first."""
    return np.argsort(-importances, axis=-1, kind="stable")[..., :top]


def patient_loss(fitted: FittedModel, array: Floats, codes: Ints) -> Floats:
    """Return minus the log of the probability given to the true class [nat], shape (n,)."""
    given = fitted.predict_aligned(array)[np.arange(len(codes)), codes]
    return np.asarray(-np.log(np.maximum(given, np.finfo(float).eps)))


def deletion_loss(fitted: FittedModel, array: Floats, codes: Ints, *, columns: ArrayLike, usual: Floats) -> Floats:
    """Return how much each patient's loss grows where columns are replaced by usual values.

    Parameters
    ----------
    fitted : FittedModel
        Not trained on these patients.
    array : ndarray of float, shape (n, columns)
    codes : ndarray of int, shape (n,)
        Classes.
    columns : array_like of int
        Positions.
    usual : ndarray of float, shape (columns,)
        For example medians of training.

    Returns
    -------
    ndarray of float, shape (n,)
        In nat; negative where the model does better without.
    """
    without, places = array.copy(), np.asarray(columns, dtype=np.intp)
    without[:, places] = usual[places]
    return np.asarray(patient_loss(fitted, without, codes) - patient_loss(fitted, array, codes))


def permutation_loss(
    fitted: FittedModel, array: Floats, codes: Ints, *, repeats: int, rng: np.random.Generator
) -> Floats:
    """Return how much each patient's loss grows where one column is shuffled among the patients.

    Its mean over the patients is scikit-learn's permutation importance for the log-loss.

    Parameters
    ----------
    fitted : FittedModel
        Not trained on these patients.
    array : ndarray of float, shape (n, columns)
    codes : ndarray of int, shape (n,)
        Classes.
    repeats : int
        Shuffles of each column.
    rng : Generator

    Returns
    -------
    ndarray of float, shape (n, columns)
        In nat.
    """
    base = patient_loss(fitted, array, codes)
    out = np.zeros(array.shape)
    used = set(fitted.final_columns)
    for j, column in enumerate(fitted.columns):
        if column not in used:
            continue
        for _ in range(repeats):
            shuffled = array.copy()
            shuffled[:, j] = array[rng.permutation(len(array)), j]
            out[:, j] += (patient_loss(fitted, shuffled, codes) - base) / repeats
    return out


def planted_table(
    counts: Sequence[int], *, n_columns: int, informative: int, effect_sd: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, NDArray[np.str_], tuple[str, ...]]:
    """Simulate a table in which it is known what matters.

    All columns are independent and normal; each informative one is shifted in one class, the classes in turn.

    Parameters
    ----------
    counts : sequence of int
        Patients of each class.
    n_columns, informative : int
        Columns in all, and those that matter.
    effect_sd : float
        Shift [SD].
    rng : Generator

    Returns
    -------
    X : DataFrame, shape (n, n_columns)
    y : ndarray of str, shape (n,)
    planted : tuple of str
        The informative columns, at random places.

    Raises
    ------
    UsageError
        If there are not more columns than informative ones, or no two classes.
    """
    if not 0 < informative < n_columns or len(counts) < 2:
        msg = f"{informative} of {n_columns} columns are to matter in {len(counts)} classes; expected fewer, 2 classes."
        raise UsageError(msg)
    codes = np.repeat(np.arange(len(counts)), counts)
    values: NDArray[Any] = rng.normal(size=(codes.size, n_columns))
    places = rng.choice(n_columns, informative, replace=False)
    for turn, j in enumerate(places):
        values[:, j] += effect_sd * (codes == turn % len(counts))
    names = [f"column_{j:03d}" for j in range(n_columns)]
    y = np.array([f"class {c}" for c in codes])
    return pd.DataFrame(values, columns=names), y, tuple(names[j] for j in places)
