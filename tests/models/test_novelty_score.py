import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import LedoitWolf
from sklearn.utils.estimator_checks import parametrize_with_checks

from radiocard.errors import UsageError
from radiocard.models.novelty_score import NoveltyScore


@parametrize_with_checks([NoveltyScore()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture
def two_classes():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    X = rng.normal(size=(80, 3)) * [1.0, 10.0, 0.1] + np.where(y == 1, 6.0, 0.0)[:, None] * [1.0, 10.0, 0.1]
    return X, y


def test_range_counts_the_columns_beyond_the_margin():
    X = np.column_stack([np.linspace(0, 10, 20), np.linspace(-1, 1, 20)])
    scorer = NoveltyScore().fit(X)
    rows = [[5, 0], [-0.9, 0], [-1.1, 0], [11.1, 1.3], [np.nan, 1.3]]
    assert scorer.score_parts(rows)[:, 0].tolist() == [0, 0, 1, 2, 1]
    assert scorer.outside(rows)[3].tolist() == [True, True]


def test_distance_is_the_mahalanobis_distance_to_the_nearest_centre(two_classes):
    X, y = two_classes
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    centres = np.array([z[y == c].mean(axis=0) for c in (0, 1)])
    covariance = LedoitWolf(assume_centered=True).fit(z - centres[y]).covariance_
    new = np.array([[0.5, 3.0, 0.2], [20.0, 20.0, 1.0]])
    w = (new - X.mean(axis=0)) / X.std(axis=0)
    expected = cdist(w, centres, metric="mahalanobis", VI=np.linalg.inv(covariance)).min(axis=1)
    found = NoveltyScore(covariance="shrunk").fit(X, y)
    np.testing.assert_allclose(found.score_parts(new)[:, 1], expected, rtol=1e-9)


def test_the_robust_covariance_is_that_of_the_half_with_the_least_determinant():
    X = np.random.default_rng(5).normal(size=(16, 2)) * [1.0, 3.0]
    X[:3] += 40.0
    h = 12
    least = min(itertools.combinations(range(16), h), key=lambda rows: np.linalg.det(np.cov(X[list(rows)].T)))
    assert not set(least) & {0, 1, 2}
    scorer = NoveltyScore().fit(X)
    assert scorer.covariance_ == "mcd"
    half = X[list(least)]
    raw = cdist(X, half.mean(axis=0)[None], metric="mahalanobis", VI=np.linalg.inv(np.cov(half.T)))[:, 0]
    assert set(np.argsort(scorer.score_parts(X)[:, 1])[-3:]) == {0, 1, 2} == set(np.argsort(raw)[-3:])


def test_a_fifth_of_odd_training_rows_does_not_move_the_robust_distance(two_classes):
    X, y = two_classes
    odd = X.copy()
    odd[::5] += [0.0, 300.0, 0.0]
    new = X[[1]] + [[0.0, 80.0, 0.0]]
    of = {
        name: [NoveltyScore(covariance=name).fit(rows, y).score_parts(new)[0, 1] for rows in (X, odd)]
        for name in ("mcd", "shrunk")
    }
    assert of["mcd"][1] == pytest.approx(of["mcd"][0], rel=0.3)
    assert of["shrunk"][1] < 0.3 * of["shrunk"][0]


def test_without_odd_rows_the_robust_distance_is_near_that_of_the_law():
    rng = np.random.default_rng(11)
    X = rng.multivariate_normal([1.0, -2.0], [[2.0, 0.9], [0.9, 1.0]], size=4000)
    new = np.array([[4.0, 0.0]])
    expected = cdist(new, [[1.0, -2.0]], metric="mahalanobis", VI=np.linalg.inv([[2.0, 0.9], [0.9, 1.0]]))[0, 0]
    assert NoveltyScore().fit(X).score_parts(new)[0, 1] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("n", "used"), [(14, "shrunk"), (15, "mcd")])
def test_the_robust_covariance_needs_five_rows_for_each_column(n, used):
    assert NoveltyScore().fit(np.random.default_rng(0).normal(size=(n, 3))).covariance_ == used


def test_a_row_that_breaks_a_tie_of_the_training_is_far(two_classes):
    X, y = two_classes
    tied = np.column_stack([X, X[:, 0] + X[:, 1]])
    scorer = NoveltyScore().fit(tied, y)
    across = tied.var(axis=0) / tied.std(axis=0).sum() * [1.0, 1.0, 0.0, -1.0]  # no way that the training varies along
    near, far = scorer.score_parts([tied[0], tied[0] + 10 * across])[:, 1]
    assert scorer.covariance_ == "mcd"
    assert far > near + 10


def test_the_same_rows_give_the_same_bits():
    X = np.random.default_rng(0).standard_cauchy(size=(60, 8))
    np.testing.assert_array_equal(*(NoveltyScore().fit(X).score_parts(X[:9]) for _ in range(2)))


def test_an_unknown_covariance_is_refused(two_classes):
    with pytest.raises(UsageError, match="Covariance 'sparse' is not known, expected one of mcd, shrunk"):
        NoveltyScore(covariance="sparse").fit(*two_classes)


def test_neighbours_is_the_distance_to_the_fifth(two_classes):
    X, y = two_classes
    mean, sd = X.mean(axis=0), X.std(axis=0)
    new = np.array([[0.5, 3.0, 0.2]])
    expected = np.sort(np.linalg.norm((X - mean) / sd - (new - mean) / sd, axis=1))[4]
    assert NoveltyScore().fit(X, y).score_parts(new)[0, 2] == pytest.approx(expected, rel=1e-12)


def test_a_point_between_the_classes_is_far_from_both_centres(two_classes):
    X, y = two_classes
    between = X.mean(axis=0, keepdims=True)
    scorer, pooled = (NoveltyScore(covariance="shrunk").fit(*rows) for rows in ((X, y), (X,)))
    assert scorer.score_parts(between)[0, 1] > np.quantile(scorer.score_parts(X)[:, 1], 0.95)
    assert pooled.score_parts(between)[0, 1] < 0.01


def test_units_do_not_matter(two_classes):
    X, y = two_classes
    factor = np.array([1000.0, 0.01, 7.0])
    new = X[:5] * 1.5
    ours = NoveltyScore().fit(X, y).score_parts(new)
    np.testing.assert_allclose(NoveltyScore().fit(X * factor, y).score_parts(new * factor), ours, rtol=1e-9)


def test_undefined_values_are_the_median(two_classes):
    X, y = two_classes
    scorer = NoveltyScore().fit(X, y)
    median = np.median(X, axis=0)[None]
    np.testing.assert_allclose(scorer.score_parts(np.full((1, 3), np.nan)), scorer.score_parts(median), rtol=1e-12)


def test_an_empty_column_says_nothing_and_a_constant_one_only_by_its_range(two_classes):
    X, y = two_classes
    scorer = NoveltyScore().fit(np.column_stack([X, np.full(80, np.nan), np.full(80, 2.0)]), y)
    at = [[0.5, 3.0, 0.2, np.nan, 2.0], [0.5, 3.0, 0.2, 99.0, 2.0], [0.5, 3.0, 0.2, np.nan, 3.0]]
    scores = scorer.score_parts(at)
    assert scores[:, 0].tolist() == [0, 0, 1]
    np.testing.assert_array_equal(scores[1:, 1:], scores[[0, 0], 1:])
    assert np.isfinite(scores).all()


def test_deviations_are_from_the_nearest_centre(two_classes):
    X, y = two_classes
    centre, sd = X[y == 1].mean(axis=0), np.sqrt(np.mean([X[y == c].var(axis=0) for c in (0, 1)], axis=0))
    found = NoveltyScore(covariance="shrunk").fit(X, y).deviations(centre[None] + [[0.0, 3.0, 0.0]] * sd)
    np.testing.assert_allclose(found, [[0.0, 3.0, 0.0]], atol=1e-9)
