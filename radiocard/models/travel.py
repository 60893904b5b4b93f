"""A recipe that is fitted at some sites and answers at another, with or without help from there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from radiocard.errors import CohortError, UsageError
from radiocard.models.folds import Ints, Split
from radiocard.models.harmonise import Combat
from radiocard.models.pipeline import build_pipeline
from radiocard.models.recipes import Value, candidates
from radiocard.models.selection import check_class_counts, grouped_splits
from radiocard.models.sites import SiteScaler
from radiocard.models.table import align, to_array
from radiocard.specs import ModelRecipe

Floats = NDArray[np.float64]
Adaptation = Literal["none", "combat_normals", "combat_unlabelled", "site_scaling"]

ADAPTATIONS: Mapping[Adaptation, str] = MappingProxyType(
    {
        "none": "as it is (inductive)",
        "combat_normals": "ComBat; the new site is described by normals of its own (inductive for everybody else)",
        "combat_unlabelled": "ComBat; the new site is described by its own patients without labels (transductive)",
        "site_scaling": "each site standardised by its own patients without labels (transductive)",
    }
)
TRANSDUCTIVE: tuple[Adaptation, ...] = ("combat_unlabelled", "site_scaling")


@dataclass(frozen=True, eq=False)
class TravellingModel:
    """A model fitted at some sites.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted on the code of the site and the columns.
    classes, columns : tuple of str
        Labels in the order of the probabilities; columns of ``X``.
    sites : dict of str to float
        Codes of the known sites.
    adaptation : str
        Key of :data:`ADAPTATIONS`.
    recipe : ModelRecipe
        How the steps after the site step were made.
    params : mapping of str to value
        The candidate that the inner folds chose.
    random_state : int
        Seed.
    normal : int or None
        Position of the healthy in ``classes``.
    notes : tuple of str
        What a reader must know.
    """

    pipeline: Pipeline
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    sites: dict[str, float]
    adaptation: Adaptation
    recipe: ModelRecipe
    params: Mapping[str, Value]
    random_state: int
    normal: int | None
    notes: tuple[str, ...] = field(default=())

    def at_site(self, X: pd.DataFrame, *, site: str) -> TravellingModel:
        """Return a copy that also knows a new site, from reference patients without labels or from normals.

        Parameters
        ----------
        X : DataFrame of float, shape (n_references, columns)
            Which of both, the adaptation says; ``none`` needs no reference.
        site : str
            Name of the new site.

        Raises
        ------
        CohortError
            If the site is known, or there are too few references.
        """
        if site in self.sites:
            msg = f"Site {site!r} was in training."
            raise CohortError(msg, field="site", hint="Give each new site its own name.")
        code = 1.0 + max(self.sites.values(), default=-1.0)
        steps = dict(self.pipeline.steps)
        notes = self.notes
        if self.adaptation != "none":
            if len(X) < 2:
                msg = f"Site {site!r} is described by {len(X)} patients, expected at least 2."
                raise CohortError(msg, field="site")
            rows = steps["fill"].transform(np.column_stack([np.full(len(X), code), align(X, self.columns)[0]]))
            step = steps["harmonise"]
            if self.adaptation == "site_scaling":
                other = step.with_site(rows)
            else:
                kind = "normals" if self.adaptation == "combat_normals" else "unlabelled"
                other = step.with_site(rows, references=kind)
            notes = (*notes, *(n.replace(f"Site {code:g} ", f"Site {site} ") for n in other.notes_[len(step.notes_) :]))
            steps["harmonise"] = other
        return replace(self, pipeline=Pipeline(list(steps.items())), sites=self.sites | {site: code}, notes=notes)

    def predict_proba(self, X: pd.DataFrame, *, site: str) -> Floats:
        """Return class probabilities of patients of one known site, shape (n, classes).

        Raises
        ------
        CohortError
            If the site is not known and the adaptation needs to know it.
        """
        array = align(X, self.columns)[0]
        if self.adaptation != "none":
            if site not in self.sites:
                msg = f"Site {site!r} was not in training; known: {', '.join(self.sites)}."
                raise CohortError(msg, field="site", hint="Describe it first by patients of its own.")
            array = np.column_stack([np.full(len(X), self.sites[site]), array])
        p: Floats = np.asarray(self.pipeline.predict_proba(array), dtype=np.float64)
        return p


def fit_travelling(
    X: pd.DataFrame,
    y: ArrayLike,
    groups: ArrayLike,
    sites: ArrayLike,
    *,
    recipe: ModelRecipe,
    adaptation: Adaptation,
    inner_folds: int,
    random_state: int,
    normal: str | None = None,
) -> TravellingModel:
    """Choose the settings of a recipe in inner folds with the site step inside, then fit it on all rows.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        NaN where undefined.
    y, groups, sites : array_like of str, shape (n,)
        Classes; groups that are never parted; sites.
    recipe : ModelRecipe
        Without a calibration of its own.
    adaptation : str
        Key of :data:`ADAPTATIONS`.
    inner_folds, random_state : int
        Number of inner folds; seed.
    normal : str, optional
        Label of the healthy; needed by ``combat_normals``.

    Returns
    -------
    TravellingModel

    Raises
    ------
    UsageError
        If the recipe calibrates, the adaptation is unknown, or ``normal`` is missing.
    CohortError
        If a class or a site is too small for the folds, or site and class cannot be told apart.
    """
    labels, names, places = (np.asarray(v).astype(str) for v in (y, groups, sites))
    _check_request(recipe, adaptation, normal, labels)
    check_class_counts(labels, names, folds=inner_folds)
    classes, codes = np.unique(labels, return_inverse=True)
    known, where = np.unique(places, return_inverse=True)
    columns = tuple(map(str, X.columns))
    healthy = int(np.searchsorted(classes, normal)) if normal is not None else None
    array, pipeline = to_array(X), site_pipeline(recipe, adaptation, normal=healthy, random_state=random_state)
    if adaptation != "none":
        array = np.column_stack([where.astype(float), array])
    with threadpool_limits(1):
        folds = _inner_folds(codes, names, None if adaptation == "none" else where, inner_folds, random_state)
        params = _choose(pipeline, candidates(recipe), array, codes, folds)
        pipeline.set_params(**params).fit(array, codes)
    notes = () if adaptation == "none" else _named(dict(pipeline.steps)["harmonise"].notes_, known)
    site_codes = {str(s): float(i) for i, s in enumerate(known)}
    return TravellingModel(
        pipeline,
        tuple(map(str, classes)),
        columns,
        site_codes,
        adaptation,
        recipe=recipe,
        params=params,
        random_state=random_state,
        normal=healthy,
        notes=notes,
    )


def site_pipeline(recipe: ModelRecipe, adaptation: Adaptation, *, normal: int | None, random_state: int) -> Pipeline:
    """Build the pipeline of a recipe behind the step that knows sites; not fitted.

    Parameters
    ----------
    recipe : ModelRecipe
    adaptation : str
        Key of :data:`ADAPTATIONS`; with ``none`` there is no such step, and no column of the site.
    normal : int or None
        Position of the healthy among the classes.
    random_state : int
        Seed.
    """
    pipeline = build_pipeline(recipe, random_state=random_state)
    if adaptation == "none":
        return pipeline
    step = SiteScaler(0) if adaptation == "site_scaling" else Combat(0, normal=normal)
    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    return Pipeline([("fill", fill), ("harmonise", step), *pipeline.steps])


def _inner_folds(codes: Ints, groups: NDArray[Any], where: Ints | None, folds: int, random_state: int) -> list[Split]:
    """Split rows into grouped folds, stratified by class and, where sites matter, by site too."""
    if where is None:
        return grouped_splits(codes, groups, folds=folds, random_state=random_state)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # a site may lack a class
        splits = list(splitter.split(codes[:, None], where * (codes.max() + 1) + codes, groups))
    for train, _ in splits:
        if np.unique(codes[train]).size < np.unique(codes).size or np.bincount(where[train]).min() < 2:
            msg = (
                f"With {folds} inner folds, the training part of one would lack a class, or hold one patient of a site."
            )
            raise CohortError(msg, code="E_CLASS_COUNT", hint="Use a plan with fewer folds, or add patients.")
    return splits


def _choose(
    pipeline: Pipeline, tried: Sequence[dict[str, Value]], X: Floats, codes: Ints, folds: Sequence[Split]
) -> dict[str, Value]:
    """Return the settings with the lowest log-loss over the inner folds."""
    if len(tried) == 1:
        return tried[0]
    losses = []
    for setting in tried:
        given = np.zeros(codes.size)
        for train, test in folds:
            model = clone(pipeline).set_params(**setting).fit(X[train], codes[train])
            given[test] = model.predict_proba(X[test])[np.arange(test.size), codes[test]]
        losses.append(-np.log(np.maximum(given, np.finfo(float).eps)).mean())
    return tried[int(np.argmin(losses))]


def _check_request(recipe: ModelRecipe, adaptation: str, normal: str | None, labels: NDArray[Any]) -> None:
    if adaptation not in ADAPTATIONS:
        msg = f"Adaptation is {adaptation!r}, expected one of {', '.join(ADAPTATIONS)}."
        raise UsageError(msg, field="adaptation")
    if recipe.calibration != "none":
        msg = f"Recipe {recipe.name!r} calibrates in folds of its own, which know no sites."
        raise UsageError(msg, field="recipe", hint="Use logistic, rf or xgboost.")
    if adaptation == "combat_normals" and (normal is None or normal not in labels):
        msg = f"The class of the normals is {normal!r}, which no training patient has."
        raise UsageError(msg, field="normal")


def _named(notes: tuple[str, ...], known: NDArray[Any]) -> tuple[str, ...]:
    """Put the names of the sites in the place of their codes."""
    out = []
    for note in notes:
        words = note.split(" ", 2)
        if words[0] == "Site" and words[1].isdigit():
            words[1] = str(known[int(words[1])])
        out.append(" ".join(words))
    return tuple(out)
