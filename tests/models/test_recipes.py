import pytest

from radiocard.errors import SpecError
from radiocard.models.recipes import PARAMETERS, candidates, check_recipe
from radiocard.specs import EvaluationPlan, Selection, read_as, read_recipe

SHIPPED = (
    "svm", "rf", "xgboost", "logistic", "majority", "lda", "naive_bayes", "knn", "tree", "adaboost", "hist_boosting",
    "ebm", "voting", "stacking", "cascade",
)  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_usable(name):
    recipe = read_recipe(name)
    check_recipe(recipe)
    assert recipe.name == name
    assert len(candidates(recipe)) <= 12


def test_every_estimator_has_a_shipped_recipe():
    assert {read_recipe(n).estimator for n in SHIPPED} == set(PARAMETERS)


def test_evaluation_plan_is_shipped():
    plan = read_as(EvaluationPlan, "evaluation", "models")
    assert (plan.outer_folds, plan.repeats, plan.inner_folds) == (5, 3, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fixed": {"n_estimator": 10, "max_depth": 3}}, "unknown parameter 'n_estimator'.*Did you mean 'n_estimators"),
        ({"fixed": {"n_estimators": 10, "max_depth": 1000}}, "max_depth is 1000, expected a whole number from 1 to 64"),
        ({"fixed": {"n_estimators": 10, "max_depth": None}}, "max_depth is None"),
        ({"fixed": {"n_estimators": True, "max_depth": 3}}, "n_estimators is True"),
        ({"fixed": {"n_estimators": 2.5, "max_depth": 3}}, "n_estimators is 2.5"),
        ({"fixed": {"n_estimators": 10}}, "does not state max_depth"),
        ({"grid": {"min_samples_leaf": ()}}, "grid of 'min_samples_leaf' is empty"),
        ({"grid": {"max_depth": (3,)}}, "also fixed"),
        ({"fixed": {"n_estimators": 1, "max_depth": 3, "max_features": "all"}}, "expected .* or 'sqrt', 'log2', None"),
        ({"grid": {"min_samples_leaf": tuple(range(1, 1002))}, "fixed": {"n_estimators": 1, "max_depth": 3}},
         "the grid has 1001 combinations, expected at most 1000"),
        ({"select": Selection(method="anova", k=())}, "'select' needs k"),
        ({"select": Selection(method="none", k=(3,))}, "no k with none"),
        ({"estimator": "svc_rbf", "fixed": {"C": 1.0}, "grid": {}}, "svc_rbf has no probabilities of its own"),
        ({"estimator": "majority", "fixed": {}, "grid": {}, "calibration": "sigmoid"},
         "majority gives the class shares"),
    ],
)  # fmt: skip
def test_bad_recipes_are_refused_by_name(change, message):
    with pytest.raises(SpecError, match=message):
        check_recipe(read_recipe("rf").model_copy(update=change))


def test_candidates_are_all_combinations():
    recipe = read_recipe("svm").model_copy(
        update={"grid": {"C": (1.0, 2.0)}, "select": Selection(method="anova", k=(3, 4))}
    )
    assert candidates(recipe) == [
        {"select__k": k, "model__estimator__C": c} for k in (3, 4) for c in (1.0, 2.0)
    ]  # fmt: skip
