import dataclasses

import numpy as np
import pytest
from sklearn.metrics import log_loss

from radiocard.errors import CohortError, LeakError, SpecError
from radiocard.models import selection
from radiocard.models.pipeline import build_pipeline
from radiocard.models.selection import check_class_counts, choose_model, fit_best, grouped_splits
from radiocard.specs import read_recipe

TRAINED = ("svm", "rf", "xgboost", "logistic")


def test_planted_signal_is_learned(models, tools):
    X, y, _ = tools["plant"](seed=99)
    accuracy = {
        m.name: (np.array(m.classes)[m.predict_proba(X).argmax(axis=1)] == y).mean() for m in models
    }  # fmt: skip
    assert accuracy.pop("majority") == pytest.approx(1 / 3)
    assert min(accuracy.values()) > 0.85


def test_the_majority_model_gives_the_class_shares(models):
    majority = models[-1]
    assert majority.inner_log_loss == pytest.approx(np.log(3), rel=1e-3)


@pytest.mark.parametrize("name", TRAINED)
def test_column_order_changes_no_bit(name, planted, models, tools):
    X, y, groups = planted
    shuffled = X[list(X.columns[::-1])]
    again = tools["train"](shuffled, y, groups, [name])[0]
    known = next(m for m in models if m.name == name)
    assert again.params == known.params
    assert again.inner_log_loss == known.inner_log_loss
    assert (again.predict_proba(X) == known.predict_proba(shuffled)).all()


def test_probabilities_follow_the_sorted_classes(models, planted):
    X = planted[0]
    for model in models:
        p = model.predict_proba(X)
        assert model.classes == ("DCM", "HCM", "NOR")
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


def test_inner_log_loss_is_that_of_held_out_rows(planted, tools):
    X, y, groups = planted
    recipe = tools["small"]("logistic")
    fitted = fit_best(recipe, X, y, groups, inner_folds=3, random_state=5)
    codes = np.unique(y, return_inverse=True)[1]
    p = np.zeros((len(y), 3))
    for train, test in grouped_splits(codes, groups, folds=3, random_state=5):
        part = fit_best(recipe, X.iloc[train], y[train], groups[train], inner_folds=2, random_state=5)
        p[test] = part.predict_proba(X.iloc[test])
    assert fitted.inner_log_loss == pytest.approx(log_loss(y, p), rel=1e-9)


@pytest.mark.parametrize("name", TRAINED)
def test_held_out_rows_change_nothing_fitted(name, planted, tools):
    """The inner folds see only their training part: other test values move no fitted number."""
    X, y, groups = planted
    train = np.arange(len(y)) % 4 != 0
    fit = tools["train"]
    first = fit(X[train], y[train], groups[train], [name])[0]
    broken = X.copy()
    broken.loc[~train] = 1e6
    second = fit(broken[train], y[train], groups[train], [name])[0]
    assert (first.predict_proba(X) == second.predict_proba(X)).all()


def test_one_inner_fold_cannot_see_the_other(planted, tools, monkeypatch):
    """Changing the test rows of a fold leaves the shared steps of that fold bit-equal."""
    X, y, groups = planted
    seen = []
    original = selection._shared

    def spy(pipeline):
        head = original(pipeline)
        seen.append(head)
        return head

    monkeypatch.setattr(selection, "_shared", spy)
    codes = np.unique(y, return_inverse=True)[1]
    _, test = grouped_splits(codes, groups, folds=3, random_state=7)[0]
    changed = X.copy()
    changed.iloc[test] = changed.iloc[test] + 100.0
    for table in (X, changed):
        tools["train"](table, y, groups, ["logistic"])
    before, after = seen[0], seen[3]
    np.testing.assert_array_equal(before["impute"].statistics_, after["impute"].statistics_)
    np.testing.assert_array_equal(before["scale"].mean_, after["scale"].mean_)


def test_groups_stay_together(planted):
    _, y, groups = planted
    groups = groups.copy()
    groups[[0, 5]] = "twins"
    codes = np.unique(y, return_inverse=True)[1]
    for train, test in grouped_splits(codes, groups, folds=4, random_state=0):
        assert not set(groups[train]) & set(groups[test])


def test_the_calibrator_keeps_groups_together(planted, tools, monkeypatch):
    X, y, groups = planted
    groups = groups.copy()
    groups[[0, 5]] = "twins"
    seen = []
    original = selection.grouped_splits

    def spy(codes, names, **settings):
        splits = original(codes, names, **settings)
        seen.append((names, splits))
        return splits

    monkeypatch.setattr(selection, "grouped_splits", spy)
    model = tools["train"](X, y, groups, ["svm"])[0]
    assert len(seen) == 1 + 3 + 1
    assert all(not set(n[a]) & set(n[b]) for n, splits in seen for a, b in splits)
    assert all(set(n) <= set(groups) for n, _ in seen)
    assert model.estimator.get_params()["model__cv"] == 5


def test_undefined_constant_and_empty_columns_are_listed(models):
    logistic = models[3]
    assert logistic.left_out["empty"] == ("empty",)
    assert logistic.left_out["constant"] == ("constant",)
    assert len(logistic.left_out["correlated"]) == 1
    assert len(logistic.final_columns) == 3
    assert {"signal_b"} <= set(logistic.final_columns)


def test_one_class_is_refused(planted, tools):
    X, _, groups = planted
    with pytest.raises(CohortError, match=r"one class only \(NOR 36\)") as caught:
        fit_best(tools["small"]("rf"), X, ["NOR"] * 36, groups, inner_folds=3, random_state=0)
    assert caught.value.code == "E_CLASS_COUNT"


def test_a_small_class_is_refused_before_training(planted, tools, monkeypatch):
    X, y, groups = planted
    keep = np.r_[0:2, 12:36]
    monkeypatch.setattr(selection, "_inner_losses", lambda *a: pytest.fail("trained"))
    with pytest.raises(CohortError, match=r"fewer patients than the 3 folds .*DCM 2, HCM 12, NOR 12"):
        fit_best(tools["small"]("rf"), X.iloc[keep], y[keep], groups[keep], inner_folds=3, random_state=0)


def test_identical_images_count_once():
    with pytest.raises(CohortError, match="a 2, b 3"):
        check_class_counts(["a", "a", "a", "b", "b", "b"], ["1", "1", "2", "3", "4", "5"], folds=3)


def test_groups_are_compulsory():
    with pytest.raises(LeakError, match="6 patients and 2 groups") as caught:
        check_class_counts(["a"] * 3 + ["b"] * 3, ["1", "2"], folds=2)
    assert caught.value.code == "E_LEAK_PATIENT"


def test_a_fold_without_a_class_is_refused():
    codes = np.array([0, 0, 0, 0, 1, 1, 1])
    groups = np.array(["a", "b", "c", "d", "x", "x", "x"])
    with pytest.raises(CohortError, match="would hold no patient of some class"):
        grouped_splits(codes, groups, folds=2, random_state=0)


def test_calibration_needs_two_patients(planted, tools):
    X, y, groups = planted
    keep = np.r_[0:2, 12:14, 24:26]
    with pytest.raises(CohortError, match="calibration needs at least 2"):
        fit_best(tools["small"]("svm"), X.iloc[keep], y[keep], groups[keep], inner_folds=2, random_state=0)


def test_a_step_without_codec_is_refused_before_training(planted, tools, monkeypatch):
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.pipeline import Pipeline

    X, y, groups = planted
    other = Pipeline([("model", ExtraTreesClassifier())])
    monkeypatch.setattr(selection, "build_pipeline", lambda *a, **k: other)
    monkeypatch.setattr(ExtraTreesClassifier, "fit", lambda *a: pytest.fail("trained"))
    with pytest.raises(SpecError, match=r"'model' \(ExtraTreesClassifier\) has no codec"):
        fit_best(tools["small"]("rf"), X, y, groups, inner_folds=3, random_state=0)


def test_the_lowest_inner_log_loss_is_chosen(models):
    a, b = (dataclasses.replace(m, inner_log_loss=v) for m, v in zip(models[:2], (0.4, 0.3), strict=True))
    assert choose_model([a, b]) is b
    assert choose_model([a, dataclasses.replace(b, inner_log_loss=0.4)]) is a


def test_there_must_be_a_model_to_choose():
    with pytest.raises(CohortError, match="no trained model"):
        choose_model([])


@pytest.mark.parametrize("name", ["svm", "xgboost"])
def test_scoring_the_columns_once_per_fold_changes_no_bit(name, planted):
    """Each candidate fitted alone, as one whole pipeline, has the same inner log-loss."""
    X, y, groups = planted
    recipe = read_recipe(name)
    fitted = fit_best(recipe, X, y, groups, inner_folds=3, random_state=5)
    classes, codes = np.unique(y, return_inverse=True)
    array = X[sorted(X.columns)].to_numpy(float)
    p = np.zeros(len(y))
    for train, test in grouped_splits(codes, groups, folds=3, random_state=5):
        pipeline = build_pipeline(recipe, random_state=5, classes=classes.tolist()).set_params(**fitted.params)
        if name == "svm":
            inner = grouped_splits(codes[train], groups[train], folds=5, random_state=5)
            pipeline.set_params(model__cv=inner)
        pipeline.fit(array[train], codes[train])
        p[test] = pipeline.predict_proba(array[test])[np.arange(len(test)), codes[test]]
    assert fitted.inner_log_loss == -np.log(np.maximum(p, np.finfo(float).eps)).mean()
