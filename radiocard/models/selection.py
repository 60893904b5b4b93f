"""Choice of settings and of the model, by the log-loss of inner folds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from radiocard.errors import CohortError, LeakError
from radiocard.models.calibrate import CALIBRATION_FOLDS, check_isotonic
from radiocard.models.codecs.registry import require_codecs
from radiocard.models.fitted import FittedModel
from radiocard.models.folds import Ints, Split, stratified_group_splits
from radiocard.models.pipeline import build_pipeline
from radiocard.models.recipes import Value, candidates
from radiocard.models.table import to_array
from radiocard.specs import ModelRecipe


def fit_best(
    recipe: ModelRecipe,
    X: pd.DataFrame,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    inner_folds: int,
    random_state: int,
) -> FittedModel:
    """Choose the settings of one recipe in inner folds, then fit it on all rows.

    Parameters
    ----------
    recipe : ModelRecipe
        What is tried.
    X : DataFrame of float, shape (n_patients, n_columns)
        NaN for undefined; the order of columns is irrelevant.
    y : array-like of str, shape (n_patients,)
        Classes.
    groups : array-like of str, shape (n_patients,)
        Rows of one group are never on both sides of a fold.
    inner_folds : int
        Number of stratified, grouped folds.
    random_state : int
        Seed of folds and models.

    Returns
    -------
    FittedModel

    Raises
    ------
    CohortError
        If a class has fewer patients or groups than folds, or there is one class only
        (``E_CLASS_COUNT``), before anything is trained.
    SpecError
        If the recipe is not usable, or holds a step that could not be saved.
    """
    labels = np.asarray(y).astype(str)
    names = np.asarray(groups).astype(str)
    classes, codes = np.unique(labels, return_inverse=True)
    pipeline = build_pipeline(recipe, random_state=random_state, classes=classes.tolist())
    require_codecs(pipeline)
    check_class_counts(labels, names, folds=inner_folds)
    columns = tuple(sorted(map(str, X.columns)))
    array = to_array(X.loc[:, list(columns)])
    with threadpool_limits(1):
        splits = grouped_splits(codes, names, folds=inner_folds, random_state=random_state)
        tried = candidates(recipe)
        losses = _inner_losses(pipeline, tried, array, codes, names, splits, random_state)
        best = int(np.argmin(losses))
        pipeline.set_params(**tried[best])
        folds = _calibration_folds(pipeline, codes, names, random_state)
        pipeline.set_params(**folds).fit(array, codes)
        pipeline.set_params(**dict.fromkeys(folds, CALIBRATION_FOLDS))
    return FittedModel(
        recipe=recipe,
        estimator=pipeline,
        params=tried[best],
        inner_log_loss=float(losses[best]),
        classes=tuple(str(c) for c in classes),
        columns=columns,
        random_state=random_state,
    )


def choose_model(models: Sequence[FittedModel]) -> FittedModel:
    """Return the model with the lowest inner log-loss; the first one if several are equal.

    Raises
    ------
    CohortError
        If there is no model to choose from.
    """
    if not models:
        msg = "There is no trained model to choose from."
        raise CohortError(msg, code="E_USAGE")
    return min(models, key=lambda m: m.inner_log_loss)


def check_class_counts(y: ArrayLike, groups: ArrayLike, *, folds: int) -> None:
    """Refuse classes that cannot be spread over the folds.

    Raises
    ------
    LeakError
        If there is not one group per row (``E_LEAK_PATIENT``).
    CohortError
        With the count of each class (``E_CLASS_COUNT``).
    """
    labels = np.asarray(y).astype(str)
    names = np.asarray(groups).astype(str)
    if names.shape != labels.shape:
        msg = f"There are {labels.size} patients and {names.size} groups; expected one group per patient."
        raise LeakError(msg, hint="Groups keep one patient out of two folds.")
    counts = {str(c): len(set(names[labels == c])) for c in np.unique(labels)}
    listed = ", ".join(f"{c} {n}" for c, n in counts.items())
    if len(counts) < 2:
        msg = f"There is one class only ({listed or 'no patient'}), expected at least 2."
        raise CohortError(msg, code="E_CLASS_COUNT")
    if min(counts.values()) < folds:
        msg = f"A class has fewer patients than the {folds} folds (identical images count once): {listed}."
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Use a plan with fewer folds, join classes, or add patients.")


def grouped_splits(codes: Ints, groups: NDArray[Any], *, folds: int, random_state: int) -> list[Split]:
    """Split rows into stratified folds that keep each group together.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Classes.
    groups : ndarray of str, shape (n,)
        Groups.
    folds : int
        Number of folds.
    random_state : int
        Seed.

    Returns
    -------
    list of (train, test)
        Row numbers.

    Raises
    ------
    CohortError
        If the training part of a fold would lack a class (``E_CLASS_COUNT``).
    """
    splits = stratified_group_splits(codes, groups, folds=folds, random_state=random_state)
    for train, _ in splits:
        if len(np.unique(codes[train])) < len(np.unique(codes)):
            msg = f"With {folds} folds, the training part of one would hold no patient of some class."
            raise CohortError(msg, code="E_CLASS_COUNT", hint="Use fewer folds or add patients.")
    return splits


def _inner_losses(
    pipeline: Pipeline,
    tried: Sequence[dict[str, Value]],
    X: NDArray[np.float64],
    codes: Ints,
    groups: NDArray[Any],
    splits: Iterable[Split],
    random_state: int,
) -> NDArray[np.float64]:
    """Return the log-loss of each candidate over all held-out rows, shape (n_candidates,).

    What the candidates share is fitted once per fold: all steps before ``select``, and the
    scores of the columns, which depend on no setting.
    """
    p = np.zeros((len(tried), len(codes)))
    for train, test in splits:
        head = _shared(pipeline)
        a, b = X[train], X[test]
        if head is not None:
            a, b = head.fit_transform(a, codes[train]), head.transform(b)
        ranked = clone(pipeline["select"]).fit(a, codes[train]) if "select" in pipeline.named_steps else None
        folds = _calibration_folds(pipeline, codes[train], groups[train], random_state)
        for i, setting in enumerate(tried):
            model = clone(pipeline).set_params(**setting, **folds)["model"]
            fit_on, ask = a, b
            if ranked is not None:
                ranked.set_params(k=setting["select__k"])
                fit_on, ask = ranked.transform(a), ranked.transform(b)
            model.fit(fit_on, codes[train])
            p[i, test] = model.predict_proba(ask)[np.arange(len(test)), codes[test]]
    return -np.log(np.maximum(p, np.finfo(float).eps)).mean(axis=1)


def _shared(pipeline: Pipeline) -> Pipeline | None:
    steps = [s for s in pipeline.steps if s[0] not in {"select", "model"}]
    return clone(Pipeline(steps)) if steps else None


def _calibration_folds(
    pipeline: Pipeline, codes: Ints, groups: NDArray[Any], random_state: int
) -> dict[str, list[Split] | int]:
    """Return grouped folds for the calibrators, so that identical images do not vouch for each other.

    Parameters of the pipeline; empty where nothing is calibrated. Stacking and a cascade fit a calibrated
    member on some of the rows only, so that its folds are a number, and know no groups.
    """
    known = pipeline.get_params()
    outer = [name for name in known if name == "model__cv"]
    inner = [name for name in known if re.fullmatch(r"model__(member_\d+|first|second)__cv", name)]
    if not outer and not inner:
        return {}
    check_isotonic(pipeline, n_patients=len(set(groups)))
    fewest = min(len(set(groups[codes == c])) for c in np.unique(codes))
    folds = min(CALIBRATION_FOLDS, fewest)
    whole_rows = isinstance(known["model"], VotingClassifier)
    left = fewest if whole_rows or not inner else fewest - math.ceil(fewest / max(folds, 1))
    if min(folds, left) < 2:
        msg = "A class has too few patients in the training part of a fold; calibration needs at least 2."
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Use more folds or add patients.")
    splits = grouped_splits(codes, groups, folds=folds, random_state=random_state)
    return dict.fromkeys(outer, splits) | dict.fromkeys(inner, splits if whole_rows else min(folds, left))
