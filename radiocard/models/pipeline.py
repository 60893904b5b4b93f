"""From a recipe to an unfitted scikit-learn pipeline."""

from __future__ import annotations

from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from radiocard.models.recipes import candidates, check_recipe
from radiocard.models.steps import CorrelationFilter, DropUnusable, SelectTop
from radiocard.specs import ModelRecipe

CALIBRATION_FOLDS = 5


def build_pipeline(recipe: ModelRecipe, *, random_state: int) -> Pipeline:
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

    Returns
    -------
    sklearn.pipeline.Pipeline
        Not fitted. Takes arrays of float, NaN for undefined.

    Raises
    ------
    SpecError
        If the recipe names an unknown parameter or a value out of range.
    """
    check_recipe(recipe)
    model = _estimator(recipe, random_state)
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


def _estimator(recipe: ModelRecipe, random_state: int) -> Any:
    fixed = dict(recipe.fixed)
    match recipe.estimator:
        case "svc_rbf":
            svc = SVC(kernel="rbf", random_state=random_state).set_params(**fixed)
            return CalibratedClassifierCV(svc, method="sigmoid", cv=CALIBRATION_FOLDS, ensemble=False)
        case "random_forest":
            return RandomForestClassifier(n_jobs=1, random_state=random_state).set_params(**fixed)
        case "xgboost":
            return XGBClassifier(tree_method="hist", n_jobs=1, random_state=random_state).set_params(**fixed)
        case "logistic":
            return LogisticRegression(random_state=random_state).set_params(**fixed)
        case "majority":
            return DummyClassifier(strategy="prior")
