import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from radiocard.errors import CohortError, ModelError
from radiocard.models import calibrate
from radiocard.models.calibrate import calibrated
from radiocard.models.codecs.registry import CODECS
from radiocard.models.encoding import model_document
from radiocard.models.persist import model_bytes, read_model
from radiocard.models.selection import fit_best

METHODS = ("sigmoid", "isotonic", "temperature")
RECIPES = ("svm", "rf", "xgboost", "logistic")


def overconfident(n=4000, steepness=3.0, seed=0):
    """Three classes, and a classifier whose logits are too steep by a known factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, size=(n, 3))
    y = np.array([rng.choice(3, p=p) for p in softmax(logits, axis=1)])
    return steepness * logits, y


class Known(LogisticRegression):
    """Answers with its input, taken as logits."""

    def fit(self, X, y):
        self.classes_, self.n_features_in_, self.coef_ = np.unique(y), np.shape(X)[1], np.eye(3)
        return self

    def decision_function(self, X):
        return np.asarray(X)


def test_temperature_finds_the_factor_by_which_logits_are_too_steep():
    X, y = overconfident(steepness=3.0)
    model = calibrated(Known(), "temperature").fit(X, y)
    beta = model.calibrated_classifiers_[0].calibrators[0].beta_
    best = minimize_scalar(lambda b: -log_softmax(b * X, axis=1)[np.arange(len(y)), y].mean(), bounds=(0.01, 10)).x
    assert beta == pytest.approx(best, rel=1e-4)
    assert 1 / beta == pytest.approx(3.0, rel=0.05)
    np.testing.assert_array_equal(model.predict_proba(X).argmax(axis=1), X.argmax(axis=1))


def test_calibrators_see_only_answers_for_held_out_rows():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 40)), np.repeat([0, 1], 30)
    model = calibrated(LogisticRegression(C=1e6, max_iter=5000), "sigmoid").fit(X, y)
    held_out = cross_val_predict(LogisticRegression(C=1e6, max_iter=5000), X, y, cv=5, method="decision_function")
    sigmoid = model.calibrated_classifiers_[0].calibrators[0]
    a, b = sigmoid.a_, sigmoid.b_
    target = np.where(y == 1, 31 / 32, 1 / 32)  # Platt's targets

    def loss(a, b):
        p = expit(-(a * held_out + b))
        return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum()

    around = [loss(a * (1 + d), b + e) for d in (-0.05, 0, 0.05) for e in (-0.05, 0, 0.05)]
    assert loss(a, b) == pytest.approx(min(around), rel=1e-9)
    assert model.predict_proba(X)[y == 1, 1].mean() < 0.9  # separated in training, chance outside


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_every_calibrated_model_comes_back_from_its_file(method, n_classes, tools, monkeypatch):
    monkeypatch.setattr(calibrate, "ISOTONIC_MIN_PATIENTS", 10)
    X, y, groups = tools["plant"](n_classes=n_classes)
    recipes = [tools["small"](n).model_copy(update={"calibration": method}) for n in RECIPES]
    fitted = [fit_best(r, X, y, groups, inner_folds=3, random_state=7) for r in recipes]
    loaded = read_model(model_bytes(tools["bundle_of"](X, y, groups, fitted)))
    new = tools["plant"](seed=5, n_classes=n_classes)[0]
    for model in fitted:
        ours, theirs = model.predict_proba(new), loaded.model(model.name).predict_proba(new)
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-12, err_msg=model.name)
        np.testing.assert_allclose(ours.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("name", RECIPES)
def test_a_grid_reaches_the_classifier_inside_the_calibrator(name, planted, tools):
    recipe = tools["small"](name).model_copy(update={"calibration": "temperature"})
    fitted = fit_best(recipe, *planted, inner_folds=3, random_state=7)
    assert set(fitted.params) - {"select__k"} <= {f"model__estimator__{p}" for p in recipe.grid}


def test_isotonic_is_refused_on_few_patients(planted, tools):
    recipe = tools["small"]("rf").model_copy(update={"calibration": "isotonic"})
    with pytest.raises(CohortError, match="fitted on 24 patients, expected at least 1000") as caught:
        fit_best(recipe, *planted, inner_folds=3, random_state=7)
    assert caught.value.code == "E_CLASS_COUNT"


@pytest.mark.parametrize(
    ("method", "name", "change", "message"),
    [
        ("isotonic", "isotonic_x", lambda a: a[::-1].copy(), "a step function does not rise"),
        ("isotonic", "isotonic_y", lambda a: a + 2.0, "numbers outside 0 to 1"),
        ("isotonic", "isotonic_n", lambda a: a * 0, "numbers outside 1 to"),
        ("isotonic", "isotonic_n", lambda a: a + 1, "expected <f8"),
        ("temperature", "inverse_temperature", lambda a: -a, "numbers outside"),
        ("temperature", "single", lambda a: a + 2, "numbers outside 0 to 1"),
        ("sigmoid", "sigmoid", lambda a: a[:2].copy(), "expected <f8"),
    ],
)
def test_forged_calibrators_are_refused(method, name, change, message, planted, tools, monkeypatch):
    monkeypatch.setattr(calibrate, "ISOTONIC_MIN_PATIENTS", 10)
    recipe = tools["small"]("logistic").model_copy(update={"calibration": method})
    fitted = fit_best(recipe, *planted, inner_folds=3, random_state=7)
    document, arrays = model_document(tools["bundle_of"](*planted, [fitted]))
    arrays[f"logistic.model.{name}"] = change(arrays[f"logistic.model.{name}"])
    with pytest.raises(ModelError, match=message):
        read_model(tools["forge"](document, arrays))


def test_every_calibrated_classifier_has_a_codec(planted, tools):
    fitted = fit_best(
        tools["small"]("svm").model_copy(update={"calibration": "temperature"}), *planted, inner_folds=3, random_state=0
    )
    assert type(fitted.final.estimator) in CODECS
