import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.special import softmax

from radiocard.errors import ModelError, UsageError
from radiocard.explain.shap_methods import _permutation
from radiocard.explain.shap_values import check_additivity, explain, explain_cohort
from radiocard.models.fitted import FittedModel
from radiocard.models.pipeline import build_pipeline
from radiocard.specs import ModelRecipe

ESTIMATORS = {
    "logistic": {"C": 1.0, "max_iter": 500},
    "random_forest": {"n_estimators": 30, "max_depth": 5, "min_samples_leaf": 2},
    "xgboost": {"n_estimators": 15, "max_depth": 2, "learning_rate": 0.3},
    "svc_rbf": {"C": 1.0, "gamma": 0.1},
    "lda": {"shrinkage": "auto"},
    "naive_bayes": {},
    "tree": {"max_depth": 4, "min_samples_leaf": 3},
    "hist_boosting": {"max_iter": 10, "max_depth": 2, "min_samples_leaf": 5},
    "adaboost": {"n_estimators": 8, "estimator__max_depth": 1},
    "knn": {"n_neighbors": 9},
}


def make_table(n_classes, n=60, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    X = pd.DataFrame(
        rng.normal(size=(n, 8)),
        columns=[f"f{i}" for i in range(7)] + ["planted"],
        index=pd.Index([f"p{i}" for i in range(n)], name="patient_id"),
    )
    X["planted"] += 3.0 * codes
    X["f1"] += 0.5 * codes
    X["f3"] = 7.0
    X.iloc[::5, 0] = np.nan
    return X, codes


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few orders are enough: additivity holds for any number of them."""
    monkeypatch.setattr("radiocard.explain.shap_values.PERMUTATION_EVALUATIONS", 2000)
    monkeypatch.setattr("radiocard.explain.shap_values.COHORT_EVALUATIONS", 1000)


def train(estimator, n_classes, k=(5,)):
    X, codes = make_table(n_classes)
    recipe = ModelRecipe.model_validate(
        {
            "schema": "radiocard/model-recipe/1",
            "name": estimator,
            "title": estimator,
            "estimator": estimator,
            "fixed": ESTIMATORS[estimator],
            "grid": {},
            "scale": "standard" if estimator in {"svc_rbf", "logistic", "lda", "naive_bayes", "knn"} else "none",
            "correlation_max": 0.95,
            "select": {"method": "anova", "k": k},
            "calibration": "sigmoid" if estimator == "svc_rbf" else "none",
        }
    )
    pipeline = build_pipeline(recipe, random_state=0)
    columns = tuple(sorted(X.columns))
    pipeline.fit(X[list(columns)].to_numpy(), codes)
    classes = tuple(f"class {c}" for c in range(n_classes))
    return FittedModel(recipe, pipeline, {}, 0.1, classes, columns, 0), X


MODELS = {(e, c): train(e, c) for e, c in itertools.product(ESTIMATORS, (2, 4))}


@pytest.mark.parametrize(("estimator", "n_classes"), MODELS)
def test_contributions_add_up_to_the_very_output(estimator, n_classes):
    fitted, X = MODELS[estimator, n_classes]
    found = explain(fitted, X, X.iloc[:3])
    assert found.values.shape == (3, n_classes, 8)
    total = found.base + found.values.sum(axis=2)
    assert total == pytest.approx(found.output, abs=1e-5)
    printed = fitted.predict_proba(X.iloc[:3])
    assert found.probabilities == pytest.approx(printed)
    if found.scale == "probability":
        assert total == pytest.approx(printed, abs=1e-9)
    elif n_classes == 2:
        assert 1 / (1 + np.exp(-total)) == pytest.approx(printed, abs=1e-6)
    else:
        assert softmax(total, axis=1) == pytest.approx(printed, abs=1e-6)


def test_scales_are_those_that_are_stated():
    scales = {e: explain(m, X, X.iloc[:1]).scale for (e, c), (m, X) in MODELS.items() if c == 4}
    assert scales == {
        "logistic": "log-odds",
        "random_forest": "probability",
        "xgboost": "log-odds",
        "svc_rbf": "probability",
        "lda": "log-odds",
        "naive_bayes": "log-odds",
        "tree": "probability",
        "hist_boosting": "log-odds",
        "adaboost": "probability",
        "knn": "probability",
    }
    note = explain(*MODELS["svc_rbf", 4], MODELS["svc_rbf", 4][1].iloc[:1]).note
    assert "calibrated" in note


@pytest.mark.parametrize(("estimator", "n_classes"), MODELS)
def test_the_planted_feature_is_first_and_unused_columns_are_zero(estimator, n_classes):
    fitted, X = MODELS[estimator, n_classes]
    found = explain_cohort(fitted, X, X)
    importance = found.importance()
    assert (importance.idxmax(axis=1) == "planted").all()
    unused = [c for c in fitted.columns if c not in fitted.final_columns]
    assert "f3" in unused
    assert (importance[unused] == 0).to_numpy().all()
    assert found.ranked(found.classes[-1], row=X["planted"].argmax())[0][0] == "planted"


@pytest.mark.parametrize("n_classes", [2, 4])
def test_xgboost_agrees_with_its_own_contributions(n_classes):
    fitted, X = MODELS["xgboost", n_classes]
    z = fitted.transform(X)
    own = fitted.final.get_booster().predict(xgboost.DMatrix(z.to_numpy()), pred_contribs=True)
    found = explain(fitted, X, X)
    place = [fitted.columns.index(c) for c in fitted.final_columns]
    if n_classes == 2:
        assert found.values[:, 1][:, place] == pytest.approx(own[:, :-1], abs=1e-5)
        assert found.base[1] == pytest.approx(own[0, -1], abs=1e-5)
    else:
        centred = own - own.mean(axis=1, keepdims=True)
        assert found.values[:, :, place] == pytest.approx(centred[:, :, :-1], abs=1e-5)
        assert found.base == pytest.approx(centred[0, :, -1], abs=1e-5)


def test_logistic_by_hand():
    fitted, X = MODELS["logistic", 2]
    z = fitted.transform(X).to_numpy()
    expected = (z[4] - z.mean(axis=0)) * fitted.final.coef_[0]
    found = explain(fitted, X, X.iloc[4:5])
    place = [fitted.columns.index(c) for c in fitted.final_columns]
    assert found.values[0, 1, place] == pytest.approx(expected)
    assert found.values[0, 0, place] == pytest.approx(-expected)


def exact_shapley(predict, row, reference):
    """Shapley values by all coalitions."""
    d = len(row)

    def worth(coalition):
        rows = reference.copy()
        rows[:, list(coalition)] = row[list(coalition)]
        return predict(rows).mean(axis=0)

    out = np.zeros((len(worth(())), d))
    for j in range(d):
        others = [i for i in range(d) if i != j]
        for size in range(d):
            weight = math.factorial(size) * math.factorial(d - size - 1) / math.factorial(d)
            for coalition in itertools.combinations(others, size):
                out[:, j] += weight * (worth((*coalition, j)) - worth(coalition))
    return out


@pytest.mark.parametrize(("estimator", "n_classes"), list(itertools.product(["lda", "naive_bayes"], (2, 4))))
def test_additive_log_odds_have_exact_shapley_values(estimator, n_classes):
    """All coalitions of the log of the model's own probabilities, against the mean of all classes."""
    fitted, X = MODELS[estimator, n_classes]
    z = fitted.transform(X).to_numpy()

    def log_odds(rows):
        p = fitted.final.predict_log_proba(rows)
        return p - p.mean(axis=1, keepdims=True)

    exact = exact_shapley(log_odds, z[3], z) * (2 if n_classes == 2 else 1)
    place = [fitted.columns.index(c) for c in fitted.final_columns]
    assert explain(fitted, X, X.iloc[3:4]).values[0][:, place] == pytest.approx(exact, abs=1e-6)


def test_permutation_values_approach_the_exact_ones():
    fitted, X = MODELS["svc_rbf", 4]
    z = fitted.transform(X).to_numpy()
    exact = exact_shapley(fitted.final.predict_proba, z[3], z)
    parts = _permutation(fitted.final.predict_proba, z[3:4], z, evaluations=40_000, random_state=0)
    assert parts.values[0] == pytest.approx(exact, abs=0.01)


def test_same_bits_again_and_no_global_random_state():
    fitted, X = MODELS["svc_rbf", 4]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = explain(fitted, X, X.iloc[:2]), explain(fitted, X, X.iloc[:2])
    assert (first.values == second.values).all()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert json.dumps(first.to_dict(), allow_nan=False) == json.dumps(second.to_dict(), allow_nan=False)


def test_order_and_number_of_rows_do_not_matter():
    for fitted, X in MODELS.values():
        together, alone = explain(fitted, X, X.iloc[[2, 5]]), explain(fitted, X[X.columns[::-1]], X.iloc[[5]])
        assert together.values[1] == pytest.approx(alone.values[0], abs=1e-9)


def test_refuse_values_that_do_not_add_up():
    values, base = np.ones((1, 2, 3)), np.zeros(2)
    check_additivity(values, base, np.full((1, 2), 3.0), tolerance=1e-6, model="m")
    with pytest.raises(ModelError, match="SHAP values of model 'm' miss its output by 0.1, expected at most 1e-06"):
        check_additivity(values, base, np.array([[3.0, 3.1]]), tolerance=1e-6, model="m")
    with pytest.raises(ModelError, match="miss its output by nan"):
        check_additivity(values * np.nan, base, np.full((1, 2), 3.0), tolerance=1e-6, model="m")


def test_refuse_to_explain_something_that_is_not_printed(monkeypatch):
    fitted, X = MODELS["logistic", 4]
    monkeypatch.setattr(FittedModel, "predict_proba", lambda self, X: np.full((len(X), 4), 0.25))
    with pytest.raises(ModelError, match="What is explained of model 'logistic' differs from what it prints"):
        explain(fitted, X, X.iloc[:1])


def test_refuse_nothing_and_unknown_classes():
    fitted, X = MODELS["logistic", 2]
    with pytest.raises(UsageError, match="Nothing to explain: 0 patients"):
        explain(fitted, X, X.iloc[:0])
    with pytest.raises(UsageError, match="Class 'XYZ' is not among those of model 'logistic': class 0, class 1"):
        explain(fitted, X, X.iloc[:1]).ranked("XYZ")
    with pytest.raises(ModelError, match="lacks 1 of 8 columns: planted"):
        explain(fitted, X, X.iloc[:1].drop(columns="planted"))
