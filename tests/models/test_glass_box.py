import os
import sys

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from radiocard.errors import CohortError, MissingExtraError, ModelError
from radiocard.explain.shap_values import explain
from radiocard.models.glass_box import GlassBoxClassifier
from radiocard.models.persist import model_bytes, read_model


@pytest.fixture
def interpret():
    if os.environ.get("RADIOCARD_REQUIRE") == "all":
        import interpret
    else:
        interpret = pytest.importorskip("interpret", reason="not run: no interpret-core")
    return interpret


def table(n_classes, n=90):
    rng = np.random.default_rng(0)
    y = np.arange(n) % n_classes
    X = rng.normal(size=(n, 4))
    X[:, 1] += 2.0 * y
    X[:, 3] = 1.0
    return X, y


SMALL = {"max_bins": 8, "outer_bags": 2, "max_rounds": 20, "learning_rate": 0.2}


@parametrize_with_checks([GlassBoxClassifier(**SMALL)])
def test_scikit_learn_contract(estimator, check, interpret):
    check(estimator)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities_are_those_of_interpret(n_classes, interpret):
    from interpret.glassbox import ExplainableBoostingClassifier

    X, y = table(n_classes)
    ours = GlassBoxClassifier(**SMALL, random_state=3).fit(X, y)
    theirs = ExplainableBoostingClassifier(
        **SMALL, interactions=0, random_state=3, n_jobs=1, feature_types=["continuous"] * 4
    ).fit(X, y)
    new = np.vstack([X, 1.3 * X, np.full((1, 4), -50.0), np.full((1, 4), 50.0)])
    at_cuts = np.tile(new[:1], (len(ours.cuts_[1]), 1))
    at_cuts[:, 1] = ours.cuts_[1]
    new = np.vstack([new, at_cuts])
    assert ours.predict_proba(new) == pytest.approx(theirs.predict_proba(new), abs=1e-12)
    score = ours.contributions(new).sum(axis=2) + ours.intercept_
    assert ours.decision_function(new) == pytest.approx(score[:, 0] if n_classes == 2 else score, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_round_trip_without_interpret(n_classes, interpret, tools, monkeypatch):
    X, y, groups = tools["plant"](n_classes=n_classes)
    (model,) = tools["train"](X, y, groups, names=["ebm"])
    data = model_bytes(tools["bundle_of"](X, y, groups, [model]))
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    loaded = read_model(data).answering
    np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
    assert explain(loaded, X, X.iloc[:3]).values == pytest.approx(explain(model, X, X.iloc[:3]).values)


def test_forged_curves_are_refused(interpret, tools, planted):
    from radiocard.models.encoding import model_document

    bundle = tools["bundle_of"](*planted, tools["train"](*planted, names=["ebm"]))
    for name, message in (("cuts", "do not ascend"), ("sizes", "sizes"), ("heights", "'heights' holds numbers")):
        document, arrays = model_document(bundle)
        changed = arrays[f"ebm.model.{name}"].copy()
        changed.reshape(-1)[2 if name == "cuts" else 0] = {"cuts": -1e9, "sizes": 0, "heights": np.nan}[name]
        with pytest.raises(ModelError, match=message):
            read_model(tools["forge"](document, {**arrays, f"ebm.model.{name}": changed}))


def test_one_class_is_refused():
    with pytest.raises(CohortError, match="only one class"):
        GlassBoxClassifier().fit(np.ones((4, 2)), np.zeros(4))


def test_missing_extra_says_how_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    with pytest.raises(MissingExtraError, match="needs interpret-core, which is not installed") as caught:
        GlassBoxClassifier().fit(*table(2))
    assert "radiocard[ebm]" in caught.value.issue.hint
