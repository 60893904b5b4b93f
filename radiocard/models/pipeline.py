"""From a recipe to an unfitted scikit-learn pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from radiocard.models.calibrate import calibrated
from radiocard.models.kinds import make_ensemble, make_kind
from radiocard.models.recipes import candidates, check_recipe
from radiocard.models.steps import CorrelationFilter, DropUnusable, SelectTop
from radiocard.specs import ModelRecipe


def build_pipeline(recipe: ModelRecipe, *, random_state: int, classes: Sequence[str] = ()) -> Pipeline:
    """Build the pipeline of a recipe, from raw columns to probabilities.

    The steps are ``drop`` (empty and constant columns), ``impute`` (median),
    ``decorrelate``, ``scale``, ``select`` and ``model``, as far as the recipe asks for
    them; ``majority`` has only ``model``. The classes are whole numbers from 0, in the
    order of the sorted labels.

    Parameters
    ----------
    recipe : ModelRecipe
        Settings; the first candidate of the grid is set.
    random_state : int
        Seed of every step that draws numbers.
    classes : sequence of str, optional
        Sorted labels; a cascade needs them, to know where its normal class stands.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Not fitted. Takes arrays of float, NaN for undefined.

    Raises
    ------
    SpecError
        If the recipe names an unknown parameter or a value out of range, or a cascade does not fit the classes.
    """
    check_recipe(recipe)
    model = calibrated(_estimator(recipe, random_state, classes), recipe.calibration)
    if recipe.estimator == "majority":
        return Pipeline([("model", model)])
    steps: list[tuple[str, Any]] = [
        ("drop", DropUnusable()),
        ("impute", SimpleImputer(strategy="median")),
        ("decorrelate", CorrelationFilter(threshold=recipe.correlation_max)),
    ]
    if recipe.scale == "standard":
        steps.append(("scale", StandardScaler()))
    if recipe.select.method != "none":
        steps.append(("select", SelectTop(method=recipe.select.method, random_state=random_state)))
    pipeline = Pipeline([*steps, ("model", model)])
    return pipeline.set_params(**candidates(recipe)[0])


def _estimator(recipe: ModelRecipe, random_state: int, classes: Sequence[str]) -> Any:
    if recipe.members:
        return make_ensemble(recipe, classes=classes, random_state=random_state)
    return make_kind(recipe.estimator, recipe.fixed, random_state=random_state)
