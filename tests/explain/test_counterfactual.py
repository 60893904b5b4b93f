import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from radiocard.cohort.table import describe
from radiocard.errors import UsageError
from radiocard.explain.counterfactual import ABOUT, counterfactual
from radiocard.explain.levers import consistency
from radiocard.models.fitted import FittedModel
from radiocard.specs import read_recipe


def hearts(n=80, seed=0):
    rng = np.random.default_rng(seed)
    edv, ef = rng.normal(150, 25, n), rng.uniform(30, 70, n)
    table = pd.DataFrame({"lvedv_ml": edv, "lvef_pct": ef, "lvesv_ml": edv * (1 - ef / 100)})
    table["lvm_g"] = rng.normal(110, 25, n).clip(60)
    table["age_y"] = rng.normal(50, 10, n)
    table["lv_cavity__cine_ed__original__x"] = rng.normal(size=n)
    return table[sorted(table)]


def fit(estimator, X, y):
    columns = tuple(X.columns)
    pipeline = Pipeline([("model", estimator)]).fit(X.to_numpy(), y)
    classes = tuple(["NOR", "HCM", "DCM"][: len(np.unique(y))])
    return FittedModel(read_recipe("logistic"), pipeline, {}, 0.1, classes, columns, 0)


def linear(X, **weights):
    """A model of given weights per training SD, decision at the mean."""
    model = LogisticRegression().fit(X.to_numpy(), np.arange(len(X)) % 2)
    w = np.array([weights.get(c, 0.0) for c in X.columns]) / X.std().to_numpy()
    model.coef_, model.intercept_ = w[None], np.array([-w @ X.mean().to_numpy()])
    fitted = fit(DecisionTreeClassifier(), X, np.arange(len(X)) % 2)
    return FittedModel(fitted.recipe, Pipeline([("model", model)]), {}, 0.1, fitted.classes, fitted.columns, 0)


def test_one_linear_quantity_is_moved_exactly_to_the_border():
    X = hearts()
    model = linear(X, lvm_g=2.0)
    row = X.iloc[[int(X["lvm_g"].argmin())]]
    found = counterfactual(model, row, training=X, describe=describe)
    distance = (X["lvm_g"].mean() - row["lvm_g"].iloc[0]) / X["lvm_g"].std()
    assert found.distance_sd == pytest.approx(distance, abs=1e-3)
    (change,) = found.changes
    assert (change.column, change.name) == ("lvm_g", describe("lvm_g").name)
    assert change.sd == pytest.approx(distance, abs=1e-3)
    assert change.after == pytest.approx(X["lvm_g"].mean(), abs=0.1)
    assert found.after["HCM"] == pytest.approx(0.5, abs=1e-3)


def test_what_is_found_is_never_nearer_than_the_border_of_a_linear_model():
    X = hearts()
    model = linear(X, lvm_g=1.0, lvedv_ml=1.0)
    flips = 0
    for i in range(10):
        row = X.iloc[[i]]
        found = counterfactual(model, row, training=X, describe=describe)
        border = abs(model.final.decision_function(row.to_numpy())[0]) / np.sqrt(2)
        if found is not None:
            flips += 1
            assert found.distance_sd >= border - 1e-6
            assert found.distance_sd <= 1.5 * border + 1e-3  # one quantity alone would need sqrt(2) times as much
    assert flips >= 5


def test_a_change_of_class_needs_what_cannot_change_and_there_is_none():
    X = hearts()
    for column in ("age_y", "lv_cavity__cine_ed__original__x"):
        model = linear(X, **{column: 5.0})
        assert counterfactual(model, X.iloc[[0]], training=X, describe=describe) is None


def test_nothing_beyond_the_training_range_counts():
    X = hearts()
    model = linear(X, lvm_g=2.0)
    model.final.intercept_ = model.final.intercept_ - 2.0 * (
        (X["lvm_g"].max() - X["lvm_g"].mean()) / X["lvm_g"].std() + 0.2
    )
    assert counterfactual(model, X.iloc[[0]], training=X, describe=describe) is None


def test_trees_are_flipped_over_their_steps():
    X = hearts()
    y = (X["lvef_pct"] < 45).astype(int).to_numpy()
    model = fit(DecisionTreeClassifier(max_depth=2), X, y)
    row = X[X["lvef_pct"] > 50].iloc[[0]]
    found = counterfactual(model, row, training=X, describe=describe)
    assert found.other == model.classes[1]
    # Two ways to a low ejection fraction, and the search may take either: it holds in both.
    v = found.row
    assert v["lvef_pct"] == pytest.approx(100 * (v["lvedv_ml"] - v["lvesv_ml"]) / v["lvedv_ml"])


def test_a_named_class_is_reached_or_none():
    X = hearts()
    y = np.where(X["lvef_pct"] < 45, 2, np.where(X["lvm_g"] > 120, 1, 0))
    model = fit(DecisionTreeClassifier(max_depth=3), X, y)
    row = X[y == 0].iloc[[0]]
    for target in ("HCM", "DCM"):
        found = counterfactual(model, row, training=X, describe=describe, target=target)
        assert found.other == target
        assert max(found.after, key=found.after.get) == target
    with pytest.raises(UsageError, match="The class to reach is 'NOR', expected one of HCM, DCM"):
        counterfactual(model, row, training=X, describe=describe, target="NOR")
    with pytest.raises(UsageError, match="The class to reach is 'RV'"):
        counterfactual(model, row, training=X, describe=describe, target="RV")


def test_one_patient_at_a_time():
    X = hearts()
    with pytest.raises(UsageError, match="There are 2 patients and 80 of training"):
        counterfactual(linear(X, lvm_g=1.0), X.iloc[:2], training=X, describe=describe)


def test_the_sentence_is_about_the_model():
    X = hearts()
    model = linear(X, lvm_g=2.0, age_y=0.1)
    found = counterfactual(model, X.iloc[[int(X["lvm_g"].argmin())]], training=X, describe=describe)
    assert found.sentence.startswith("The model would say hypertrophic cardiomyopathy (50 %, now")
    assert found.sentence.endswith(ABOUT)
    assert "age_y" in found.held
    assert json.loads(json.dumps(found.to_dict()))["other"] == "HCM"


@pytest.mark.parametrize("name", ["rf", "logistic"])
def test_real_models_give_hearts_of_the_training_range(model, name):
    X, fitted = model.training_table, model.model(name)
    low, high = X.min(), X.max()
    ties = {k: (v.min(), v.max()) for k, v in consistency({c: X[c].to_numpy() for c in X}).items()}
    flips = 0
    for i in range(6):
        row = X.iloc[[i]]
        found = counterfactual(fitted, row, training=X.drop(index=i), describe=describe)
        if found is None:
            continue
        flips += 1
        v = pd.Series(found.row)
        told = fitted.predict_proba(v.to_frame().T)[0]
        assert fitted.classes[int(told.argmax())] == found.other != found.answer
        assert ((v >= low - 1e-9) & (v <= high + 1e-9)).all()
        for side in ("lv", "rv"):
            ed, es = v[f"{side}edv_ml"], v[f"{side}esv_ml"]
            assert v[f"{side}ef_pct"] == pytest.approx(100 * (ed - es) / ed)
        assert v["mass_volume_ratio_g_ml"] == pytest.approx(v["lvm_g"] / v["lvedv_ml"])
        assert v["lv_rv_edv_ratio"] == pytest.approx(v["lvedv_ml"] / v["rvedv_ml"])
        for k, value in consistency({c: np.array([v[c]]) for c in X}).items():
            assert ties[k][0] - 1e-9 <= value[0] <= ties[k][1] + 1e-9
    assert flips
