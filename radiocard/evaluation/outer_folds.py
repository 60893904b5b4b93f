"""The outer folds of a nested cross-validation: fitted, or taken from what an earlier run kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from radiocard.evaluation.checkpoints import FoldAnswer, FoldFolder, part_key, table_hash
from radiocard.evaluation.result import SELECTED, Fold
from radiocard.models.selection import fit_best
from radiocard.specs import ModelRecipe

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class FoldData:
    """What all folds share.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        One block, so that processes can map it instead of copying it.
    labels, groups : ndarray of str, shape (n,)
        Classes; rows of one group are never on both sides.
    inner_folds : int
        Number of inner folds.
    """

    X: pd.DataFrame
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    inner_folds: int


@dataclass(frozen=True, eq=False)
class OuterFold:
    """One outer fold.

    Parameters
    ----------
    repeat, fold : int
        Counted from 0.
    train, test : ndarray of int
        Row numbers.
    seed : int
        Of the inner folds and the models.
    """

    repeat: int
    fold: int
    train: IntArray
    test: IntArray
    seed: int


def run_folds(
    data: FoldData,
    jobs: Sequence[OuterFold],
    recipes: Sequence[ModelRecipe],
    *,
    folder: FoldFolder | None,
    progress: Progress | None,
    n_jobs: int,
) -> list[tuple[Fold, dict[str, FloatArray]]]:
    """Answer every recipe in every outer fold, from what was kept where it was.

    Parameters
    ----------
    data : FoldData
    jobs : sequence of OuterFold
    recipes : sequence of ModelRecipe
    folder : FoldFolder or None
        Where finished parts are kept.
    progress : callable or None
        Called with the number of folds done and their total; where there is a folder, first with those kept.
    n_jobs : int
        Processes.

    Returns
    -------
    list of (Fold, dict)
        Per outer fold what happened, and recipe to probabilities of its test rows, shape (n_test, classes).
    """
    parts = [(job, recipe) for job in jobs for recipe in recipes]
    keys, found = _kept(data, parts, folder)
    missing = [i for i, answer in enumerate(found) if answer is None]
    left = Counter(i // len(recipes) for i in missing)
    done = len(jobs) - len(left)
    if progress is not None and folder is not None:
        progress(done, len(jobs))
    calls = (delayed(_fit_part)(data, *parts[i], folder, keys[i]) for i in missing)
    for i, answer in zip(missing, Parallel(n_jobs=n_jobs, return_as="generator")(calls), strict=True):
        found[i] = answer
        left[i // len(recipes)] -= 1
        if not left[i // len(recipes)]:
            done += 1
            if progress is not None:
                progress(done, len(jobs))
    answers = iter(answer for answer in found if answer is not None)
    return [_join(job, recipes, answers) for job in jobs]


def _kept(
    data: FoldData, parts: Sequence[tuple[OuterFold, ModelRecipe]], folder: FoldFolder | None
) -> tuple[list[str], list[FoldAnswer | None]]:
    """Return the key of each part, and its answer where an earlier run kept it."""
    if folder is None:
        return [""] * len(parts), [None] * len(parts)
    table = table_hash(data.X, data.labels, data.groups)
    columns, n_classes = list(map(str, data.X.columns)), np.unique(data.labels).size
    keys, found = [], []
    for job, recipe in parts:
        key = part_key(table, recipe, inner_folds=data.inner_folds, seed=job.seed, train=job.train, test=job.test)
        keys.append(key)
        found.append(folder.read(key, recipe, columns=columns, shape=(job.test.size, n_classes)))
    return keys, found


def _fit_part(data: FoldData, job: OuterFold, recipe: ModelRecipe, folder: FoldFolder | None, key: str) -> FoldAnswer:
    """Tune and fit one recipe on the training rows, then look at the test rows once."""
    train = job.train
    fitted = fit_best(
        recipe,
        data.X.iloc[train],
        data.labels[train],
        data.groups[train],
        inner_folds=data.inner_folds,
        random_state=job.seed,
    )
    probabilities = fitted.predict_proba(data.X.iloc[job.test])
    answer = FoldAnswer(dict(fitted.params), fitted.inner_log_loss, fitted.final_columns, probabilities)
    if folder is not None:
        folder.write(key, answer)
    return answer


def _join(
    job: OuterFold, recipes: Sequence[ModelRecipe], answers: Iterator[FoldAnswer]
) -> tuple[Fold, dict[str, FloatArray]]:
    """Put the recipes of one fold together and choose between them; of equal ones the first."""
    said = {recipe.name: next(answers) for recipe in recipes}
    best = min(said, key=lambda name: said[name].inner_log_loss)
    fold = Fold(
        repeat=job.repeat,
        fold=job.fold,
        chosen=best,
        params={name: answer.params for name, answer in said.items()},
        inner_log_loss={name: answer.inner_log_loss for name, answer in said.items()},
        features={name: answer.features for name, answer in said.items()},
    )
    return fold, {name: answer.probabilities for name, answer in said.items()} | {SELECTED: said[best].probabilities}
