import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import beta

from radiocard.errors import CohortError, UsageError
from radiocard.models.conformal import (
    calibration_patients,
    conformal_sets,
    conformal_thresholds,
    fewest_cases,
    held_out_sets,
    needed_rank,
)
from radiocard.models.persist import model_bytes, read_model


def answers(n, seed=0, *, shares=(0.4, 0.35, 0.25)):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=n, p=shares)
    return softmax(rng.normal(size=(n, 3)) + 2.0 * np.eye(3)[y], axis=1), y


@pytest.mark.parametrize(
    ("n", "alpha", "k"), [(9, 0.1, 9), (19, 0.05, 19), (19, 0.1, 18), (99, 0.1, 90), (20, 0.3, 15)]
)
def test_rank(n, alpha, k):
    assert needed_rank(n, alpha) == k


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 1 / 3])
def test_fewest_is_the_least_n_with_a_finite_threshold(alpha):
    fewest = fewest_cases(alpha)
    assert needed_rank(fewest, alpha) <= fewest
    assert needed_rank(fewest - 1, alpha) > fewest - 1


def test_threshold_is_the_kth_smallest_score():
    p = np.column_stack([np.linspace(0.1, 0.9, 9), 1 - np.linspace(0.1, 0.9, 9)])
    p, y = np.vstack([p, p]), np.repeat([0, 1], 9)
    np.testing.assert_allclose(conformal_thresholds(p, y, alpha=0.1, kind="class"), [0.9, 0.9])
    np.testing.assert_allclose(conformal_thresholds(p, y, alpha=0.5, kind="class"), [0.5, 0.5])
    np.testing.assert_allclose(conformal_thresholds(p, y, alpha=0.5, kind="marginal"), [0.5, 0.5])


def test_classes_of_unlike_difficulty_get_unlike_thresholds():
    p, y = answers(400)
    hard = (y == 2) & (np.arange(400) % 3 == 0)
    p[hard] = p[hard][:, [2, 0, 1]]
    low, high = conformal_thresholds(p, y, alpha=0.1, kind="class")[[0, 2]]
    assert high > low + 0.2


@pytest.mark.parametrize("kind", ["marginal", "class"])
def test_coverage_of_split_conformal_follows_its_beta_law(kind):
    alpha, n, found = 0.1, 99, []
    fresh, truth = answers(20000, seed=10**6)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        p, y = answers(4 * n, seed=seed)
        rows = rng.permutation(np.flatnonzero(y == 0) if kind == "class" else 4 * n)[:n]
        if kind == "class":  # n patients of class 0, and enough of the others
            rows = np.r_[rows, np.flatnonzero(y > 0)]
        thresholds = conformal_thresholds(p[rows], y[rows], alpha=alpha, kind=kind)
        inside = 1 - fresh[np.arange(len(truth)), truth] <= thresholds[truth]
        found.append(inside[truth == 0].mean() if kind == "class" else inside.mean())
    k = needed_rank(n, alpha)
    law = beta(k, n + 1 - k)
    assert law.mean() == pytest.approx(k / (n + 1))
    assert np.mean(found) == pytest.approx(k / (n + 1), abs=4 * law.std() / np.sqrt(300) + 0.005)
    assert np.std(found) == pytest.approx(law.std(), rel=0.15)


@pytest.mark.parametrize("kind", ["marginal", "class"])
def test_held_out_sets_are_those_without_the_patient(kind):
    p, y = answers(90, seed=4)
    expected = np.array(
        [
            1 - p[i] <= conformal_thresholds(np.delete(p, i, 0), np.delete(y, i), alpha=0.15, kind=kind)
            for i in range(90)
        ]
    )
    np.testing.assert_array_equal(held_out_sets(p, y, alpha=0.15, kind=kind), expected)


def test_held_out_sets_keep_a_class_whose_others_are_too_few():
    p, y = answers(90, seed=4)
    rows = np.r_[np.flatnonzero(y == 2)[:9], np.flatnonzero(y < 2)]
    sets = held_out_sets(p[rows], y[rows], alpha=0.1, kind="class")
    assert sets[:9, 2].all()


def test_sets_are_those_of_mapie():
    mapie = pytest.importorskip("mapie.classification", reason="mapie is not installed: its comparison was not run")
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Echo(ClassifierMixin, BaseEstimator):
        """Answers with its input."""

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X):
            return np.asarray(X)

        def predict(self, X):
            return np.asarray(X).argmax(axis=1)

    p, y = answers(151, seed=2)
    new, _ = answers(500, seed=3)
    levels = (0.05, 0.1, 0.2)
    oracle = mapie.SplitConformalClassifier(
        Echo().fit(p, y), confidence_level=[1 - a for a in levels], conformity_score="lac", prefit=True
    )
    expected = oracle.conformalize(p, y).predict_set(new)[1]
    for i, alpha in enumerate(levels):
        found = 1 - new <= conformal_thresholds(p, y, alpha=alpha, kind="marginal")
        np.testing.assert_array_equal(found, expected[:, :, i])


def test_sets_of_a_bundle(bundle):
    p = np.array([[1.0, 0.0, 0.0], [0.4, 0.35, 0.25], [1 / 3, 1 / 3, 1 / 3]])
    known = bundle.out_of_fold["selected"].mean(axis=0)
    for kind in ("marginal", "class"):
        found = conformal_sets(bundle, p, 0.1, kind=kind)
        thresholds = conformal_thresholds(known, bundle.labels, alpha=0.1, kind=kind)
        np.testing.assert_array_equal(found.sets, 1 - p <= thresholds)
        assert found.members(0) == ("DCM",)
        assert found.n_calibration == {"DCM": 12, "HCM": 12, "NOR": 12}
        sizes = held_out_sets(known, bundle.labels, alpha=0.1, kind=kind).sum(axis=1)
        assert found.mean_size == pytest.approx(sizes.mean())
        assert found.mean_size_by_class["HCM"] == pytest.approx(sizes[bundle.labels == 1].mean())
    loaded = read_model(model_bytes(bundle))
    np.testing.assert_array_equal(conformal_sets(loaded, p, 0.1).thresholds, conformal_sets(bundle, p, 0.1).thresholds)


def test_a_score_at_the_threshold_is_inside(bundle):
    known, labels = calibration_patients(bundle)
    thresholds = conformal_thresholds(known, labels, alpha=0.1, kind="class")
    at = [next(p for p in known[labels == c] if 1 - p[c] == thresholds[c]) for c in range(3)]
    assert conformal_sets(bundle, at, 0.1).sets.diagonal().all()


def test_repeats_are_averaged_and_identical_patients_count_once(planted, models, tools):
    X, y, groups = planted
    groups = groups.copy()
    groups[1] = groups[0]
    twins = tools["bundle_of"](X, y, groups, models)
    p, labels = calibration_patients(twins)
    assert len(p) == len(labels) == 35
    mean = twins.out_of_fold["selected"].mean(axis=0)
    least = min(mean[0, 0], mean[1, 0])
    assert sum(np.isclose(p[:, 0], least)) == 1
    kept = calibration_patients(twins, keep=twins.groups != twins.groups[0])[0]
    assert len(kept) == 34


def test_sentence_names_set_size_and_mean(bundle):
    found = conformal_sets(bundle, [[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]], 0.1, kind="class")
    text = found.sentence(0, names={"DCM": "dilated cardiomyopathy"})
    assert text.startswith(
        "Possible: dilated cardiomyopathy; 1 of 3 classes (sets built to hold the true class for 90 %"
    )
    assert f"{found.mean_size:.1f} of 3 on average over 36 training patients" in text
    assert "of each class at the training mix" in text


def test_an_empty_set_is_said(bundle):
    p = np.full((1, 3), 1 / 3)
    sure = np.eye(3)[bundle.labels][None] * 0.9 + 0.1 / 3
    certain = conformal_sets(_with(bundle, sure), p, 0.1, kind="marginal")
    assert certain.members(0) == ()
    assert certain.sentence(0).startswith("No class is probable enough")


def _with(bundle, out_of_fold):
    from dataclasses import replace

    return replace(bundle, out_of_fold={"selected": out_of_fold})


def test_too_few_patients_are_refused(bundle):
    with pytest.raises(CohortError, match="12 calibration patients .* at least 19 for sets that miss 5 %"):
        conformal_sets(bundle, np.full((1, 3), 1 / 3), 0.05)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, float("nan")])
def test_bad_alpha_is_refused(alpha, bundle):
    with pytest.raises(UsageError, match="expected a number between 0 and 1"):
        conformal_sets(bundle, np.full((1, 3), 1 / 3), alpha)


def test_other_classes_are_refused(bundle):
    with pytest.raises(UsageError, match=r"shape \(1, 2\), expected \(n_patients, 3\)"):
        conformal_sets(bundle, [[0.5, 0.5]], 0.1)


def test_unknown_predictions_are_refused(bundle):
    with pytest.raises(UsageError, match="no out-of-fold predictions 'svm'; there are: selected"):
        conformal_sets(bundle, np.full((1, 3), 1 / 3), 0.1, name="svm")
