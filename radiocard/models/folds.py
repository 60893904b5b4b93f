"""Folds that are stratified by class and keep groups together, in time that grows with the patients only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]
Split = tuple[Ints, Ints]

# As numpy.isclose, by which scikit-learn compares two folds.
_RELATIVE, _ABSOLUTE = 1e-5, 1e-8


def stratified_group_splits(codes: Ints, groups: NDArray[Any], *, folds: int, random_state: int) -> list[Split]:
    """Return the splits of :class:`sklearn.model_selection.StratifiedGroupKFold` (shuffled), to the last row.

    scikit-learn tries each group in each fold one by one, which takes most of the time of an
    evaluation on thousands of patients; here a group is tried in all folds at once.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Classes.
    groups : ndarray, shape (n,)
        Groups.
    folds : int
        Number of folds.
    random_state : int
        Seed.

    Returns
    -------
    list of (train, test)
        Row numbers, rising.

    Raises
    ------
    ValueError
        Where scikit-learn does: fewer groups, or fewer members of every class, than folds.
    """
    _, members = np.unique(codes, return_counts=True)
    names, place = np.unique(groups, return_inverse=True)
    if min(members.min(), names.size) < folds:  # its warnings and errors
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=random_state)
        return list(splitter.split(np.zeros((len(codes), 1)), codes, groups))
    counts = np.zeros((names.size, members.size))
    np.add.at(counts, (place, np.unique(codes, return_inverse=True)[1]), 1)
    order = np.arange(names.size)
    np.random.RandomState(random_state).shuffle(order)
    fold_of = np.empty(names.size, dtype=np.intp)
    fold_of[order] = _spread(counts[order], members, folds)
    rows = np.arange(len(codes))
    inside = fold_of[place]
    return [(rows[inside != f], rows[inside == f]) for f in range(folds)]


def _spread(counts: Floats, members: Ints, folds: int) -> Ints:
    """Give each group, shape (n_groups, n_classes), a fold; the most one-sided groups first."""
    fold_of = np.empty(len(counts), dtype=np.intp)
    filled = np.zeros((folds, members.size))
    own = np.eye(folds)[:, :, None]
    for g in np.argsort(-np.std(counts, axis=1), kind="stable"):
        shares = (filled + own * counts[g]) / members
        apart = shares - shares.sum(axis=1, keepdims=True) / folds
        spread = np.sqrt((apart * apart).sum(axis=1) / folds)
        best = _best((spread.sum(axis=1) / members.size).tolist(), filled.sum(axis=1).tolist())
        filled[best] += counts[g]
        fold_of[g] = best
    return fold_of


def _best(spread: list[float], sizes: list[float]) -> int:
    """Return the fold that leaves the classes most even; of nearly equal ones the smaller."""
    best = 0
    for i in range(1, len(spread)):
        low = spread[best]
        near = abs(spread[i] - low) <= _ABSOLUTE + _RELATIVE * abs(low)
        if spread[i] < low or (near and sizes[i] < sizes[best]):
            best = i
    return best
