"""What a model recipe may say: the parameters of each estimator and their range."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from radiocard.errors import SpecError
from radiocard.specs import ModelRecipe

Value = float | int | str | bool | None
Range = tuple[float, float]

# A depth cap keeps every tree inside what C code walks recursively.
MAX_DEPTH = 64
MAX_TREES = 5000
MAX_CANDIDATES = 1000
MEMBER_CALIBRATION = "sigmoid"  # of an SVM that is a member of an ensemble

_WEIGHTS: tuple[Value, ...] = (None, "balanced")
_REAL: Range = (1e-8, 1e8)

# Parameter -> (whole number?, lowest, highest, words allowed instead of a number).
PARAMETERS: Mapping[str, Mapping[str, tuple[bool, float, float, tuple[Value, ...]]]] = MappingProxyType(
    {
        "svc_rbf": {
            "C": (False, *_REAL, ()),
            "gamma": (False, *_REAL, ("scale", "auto")),
            "class_weight": (False, 0, -1, _WEIGHTS),
        },
        "random_forest": {
            "n_estimators": (True, 1, MAX_TREES, ()),
            "max_depth": (True, 1, MAX_DEPTH, ()),
            "min_samples_leaf": (True, 1, 10_000, ()),
            "max_features": (True, 1, 100_000, ("sqrt", "log2", None)),
            "class_weight": (False, 0, -1, (*_WEIGHTS, "balanced_subsample")),
        },
        "xgboost": {
            "n_estimators": (True, 1, MAX_TREES, ()),
            "max_depth": (True, 1, 16, ()),
            "learning_rate": (False, 1e-4, 1, ()),
            "subsample": (False, 0.05, 1, ()),
            "colsample_bytree": (False, 0.05, 1, ()),
            "min_child_weight": (False, 0, 1e6, ()),
            "reg_lambda": (False, 0, 1e6, ()),
            "reg_alpha": (False, 0, 1e6, ()),
        },
        "logistic": {
            "C": (False, *_REAL, ()),
            "max_iter": (True, 1, 100_000, ()),
            "class_weight": (False, 0, -1, _WEIGHTS),
        },
        "majority": {},
        "lda": {"shrinkage": (False, 0, 1, ("auto",))},
        "naive_bayes": {"var_smoothing": (False, 1e-12, 1e3, ())},
        "knn": {
            "n_neighbors": (True, 1, 10_000, ()),
            "weights": (False, 0, -1, ("uniform", "distance")),
        },
        "tree": {
            "max_depth": (True, 1, MAX_DEPTH, ()),
            "min_samples_leaf": (True, 1, 10_000, ()),
            "ccp_alpha": (False, 0, 1, ()),
            "class_weight": (False, 0, -1, _WEIGHTS),
        },
        "adaboost": {
            "n_estimators": (True, 1, MAX_TREES, ()),
            "learning_rate": (False, 1e-4, 10, ()),
            "estimator__max_depth": (True, 1, 16, ()),
        },
        "hist_boosting": {
            "max_iter": (True, 1, MAX_TREES, ()),
            "max_depth": (True, 1, 16, ()),
            "learning_rate": (False, 1e-4, 1, ()),
            "min_samples_leaf": (True, 1, 10_000, ()),
            "l2_regularization": (False, 0, 1e6, ()),
        },
        "ebm": {
            "max_bins": (True, 2, 1024, ()),
            "outer_bags": (True, 1, 100, ()),
            "learning_rate": (False, 1e-4, 1, ()),
            "max_rounds": (True, 1, 50_000, ()),
            "min_samples_leaf": (True, 1, 10_000, ()),
        },
        "voting": {},
        "stacking": {"final_estimator__C": (False, *_REAL, ())},
        "cascade": {},
    }
)
_COMPULSORY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "svc_rbf": ("C",),
        "random_forest": ("n_estimators", "max_depth"),
        "xgboost": ("n_estimators", "max_depth"),
        "logistic": ("C",),
        "majority": (),
        "lda": ("shrinkage",),
        "naive_bayes": (),
        "knn": ("n_neighbors",),
        "tree": ("max_depth",),
        "adaboost": ("n_estimators", "estimator__max_depth"),
        "hist_boosting": ("max_iter", "max_depth"),
        "ebm": (),
        "voting": (),
        "stacking": ("final_estimator__C",),
        "cascade": (),
    }
)
# Ensemble -> least and greatest number of members.
_MEMBERS: Mapping[str, tuple[int, int]] = MappingProxyType({"voting": (2, 10), "stacking": (2, 10), "cascade": (2, 2)})


def check_recipe(recipe: ModelRecipe) -> None:
    """Refuse a recipe that names an unknown parameter or a value out of range.

    Raises
    ------
    SpecError
        Naming the parameter and the nearest known one.
    """
    for name, value in recipe.fixed.items():
        _check_value(recipe, name, value)
    for name, values in recipe.grid.items():
        if not values or name in recipe.fixed:
            msg = f"Recipe {recipe.name!r}: grid of {name!r} is empty, or the parameter is also fixed."
            raise SpecError(msg, field=f"grid.{name}")
        for value in values:
            _check_value(recipe, name, value)
    missing = [p for p in _COMPULSORY[recipe.estimator] if p not in recipe.fixed and p not in recipe.grid]
    if missing:
        msg = f"Recipe {recipe.name!r} does not state {', '.join(missing)}."
        raise SpecError(msg, field="fixed")
    combinations = math.prod([len(v) for v in recipe.grid.values()], start=max(len(recipe.select.k), 1))
    if combinations > MAX_CANDIDATES:
        msg = f"Recipe {recipe.name!r}: the grid has {combinations} combinations, expected at most {MAX_CANDIDATES}."
        raise SpecError(msg, field="grid")
    _check_steps(recipe)
    _check_members(recipe)


def _check_members(recipe: ModelRecipe) -> None:
    low, high = _MEMBERS.get(recipe.estimator, (0, 0))
    if not low <= len(recipe.members) <= high:
        span = f"{low}" if low == high else f"{low} to {high}"
        msg = f"Recipe {recipe.name!r}: {recipe.estimator} has {len(recipe.members)} members, expected {span}."
        raise SpecError(msg, field="members")
    if (recipe.estimator == "cascade") != (recipe.normal is not None):
        msg = f"Recipe {recipe.name!r}: a cascade states which class is 'normal', other estimators do not."
        raise SpecError(msg, field="normal")
    if recipe.estimator == "stacking" and recipe.calibration != "none":
        msg = f"Recipe {recipe.name!r}: stacking ends in logistic regression, found calibration {recipe.calibration!r}."
        raise SpecError(msg, field="calibration", hint="Use none.")
    for i, member in enumerate(recipe.members):
        plain: dict[str, Any] = {"name": f"{recipe.name}, member {i}", "grid": {}, "members": (), "normal": None}
        if member.estimator == "svc_rbf":
            plain["calibration"] = MEMBER_CALIBRATION
        check_recipe(recipe.model_copy(update={**plain, "estimator": member.estimator, "fixed": member.fixed}))


def _check_steps(recipe: ModelRecipe) -> None:
    if (recipe.select.method == "none") != (not recipe.select.k):
        msg = f"Recipe {recipe.name!r}: 'select' needs k with anova or mutual_info, and no k with none."
        raise SpecError(msg, field="select")
    if recipe.estimator == "svc_rbf" and recipe.calibration == "none":
        msg = f"Recipe {recipe.name!r}: svc_rbf has no probabilities of its own, found 'calibration: none'."
        raise SpecError(msg, field="calibration", hint="Use sigmoid, temperature or, with many patients, isotonic.")
    if recipe.estimator == "majority" and recipe.calibration != "none":
        msg = f"Recipe {recipe.name!r}: majority gives the class shares, found 'calibration: {recipe.calibration}'."
        raise SpecError(msg, field="calibration", hint="Use none.")


def candidates(recipe: ModelRecipe) -> list[dict[str, Value]]:
    """List the settings that the inner folds compare, as parameters of the pipeline.

    Examples
    --------
    >>> from radiocard.specs import read_recipe
    >>> candidates(read_recipe("majority"))
    [{}]
    """
    prefix = "model__" if recipe.calibration == "none" else "model__estimator__"
    axes: dict[str, tuple[Any, ...]] = {"select__k": recipe.select.k} if recipe.select.k else {}
    axes |= {prefix + name: tuple(values) for name, values in recipe.grid.items()}
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*axes.values())]


def _check_value(recipe: ModelRecipe, name: str, value: Value) -> None:
    known = PARAMETERS[recipe.estimator]
    where = f"Recipe {recipe.name!r}, estimator {recipe.estimator}"
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known) or 'none'}."
        msg = f"{where}: unknown parameter {name!r}."
        raise SpecError(msg, field=name, hint=hint)
    whole, low, high, words = known[name]
    if value is None or isinstance(value, str | bool):
        good = not isinstance(value, bool) and value in words
    else:
        good = low <= value <= high and (not whole or float(value).is_integer())
    if not good:
        number = f"a {'whole ' if whole else ''}number from {low:g} to {high:g}" if low <= high else ""
        expected = " or ".join(part for part in (number, ", ".join(map(repr, words))) if part)
        msg = f"{where}: {name} is {value!r}, expected {expected}."
        raise SpecError(msg, field=name)
