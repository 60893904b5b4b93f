import numpy as np
import pytest
from scipy.stats import f_oneway, spearmanr
from sklearn.utils.estimator_checks import parametrize_with_checks

from radiocard.errors import CohortError
from radiocard.models.steps import SCORE_CAP, CorrelationFilter, DropUnusable, SelectTop, anova_f


@parametrize_with_checks(
    [
        DropUnusable(),
        CorrelationFilter(),
        SelectTop(k=2),
        SelectTop(method="anova_per_class", k=2),
        SelectTop(method="mutual_info", k=2),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_drop_lists_empty_and_constant_columns():
    X = np.array([[1.0, np.nan, 5.0, 2.0], [2.0, np.nan, 5.0, np.nan], [4.0, np.nan, np.nan, 2.0]])
    step = DropUnusable().fit(X)
    assert step.empty_.tolist() == [False, True, False, False]
    assert step.constant_.tolist() == [False, False, True, True]
    assert step.transform(X).tolist() == [[1.0], [2.0], [4.0]]


def test_drop_refuses_a_table_without_information():
    with pytest.raises(CohortError, match="None of the 2 columns varies") as caught:
        DropUnusable().fit(np.array([[1.0, np.nan], [1.0, np.nan]]))
    assert caught.value.code == "E_COLUMNS"


def test_correlation_filter_leaves_no_pair_above_the_threshold():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(80, 4))
    X = np.column_stack([base, np.exp(base[:, 0]), -base[:, 1], base[:, 2] + 0.01 * rng.normal(size=80)])
    step = CorrelationFilter(threshold=0.9).fit(X)
    kept = step.transform(X)
    r = np.abs(spearmanr(kept).statistic)
    assert kept.shape[1] == 4
    assert (r[~np.eye(4, dtype=bool)] <= 0.9).all()
    # exp is monotone and -x mirrored: both are the same column to a rank correlation
    assert {frozenset(np.flatnonzero(step.stands_in_ == k).tolist()) for k in set(step.stands_in_)} == {
        frozenset({0, 4}), frozenset({1, 5}), frozenset({2, 6}), frozenset({3}),
    }  # fmt: skip


def test_correlation_threshold_of_one_keeps_all():
    X = np.random.default_rng(0).normal(size=(20, 5))
    assert CorrelationFilter(threshold=1.0).fit(X).get_support().all()


def test_anova_equals_scipy():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 6)), rng.integers(0, 4, 40)
    expected = f_oneway(*[X[y == c] for c in range(4)]).statistic
    np.testing.assert_allclose(anova_f(X, y), expected, rtol=1e-10)


def test_anova_of_constant_and_of_perfect_columns():
    X = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    assert anova_f(X, np.array([0, 0, 1, 1])).tolist() == [0.0, np.inf]
    assert SelectTop(k=1).fit(X, [0, 0, 1, 1]).scores_.tolist() == [0.0, SCORE_CAP]


@pytest.mark.parametrize("method", ["anova", "anova_per_class", "mutual_info"])
def test_select_finds_the_planted_columns(method, planted):
    X, y, _ = planted
    columns = ["noise_0", "signal_a", "noise_1", "signal_b"]
    step = SelectTop(method=method, k=2).fit(X[columns].to_numpy(), y)
    assert np.array(columns)[step.get_support()].tolist() == ["signal_a", "signal_b"]


def test_per_class_gives_every_class_a_column():
    # five columns tell class 0 from the rest, one weak column tells class 2: plain ANOVA forgets it
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 30)
    strong = (y == 0)[:, None] * 10 + rng.normal(size=(90, 5))
    weak = (y == 2) * 1.5 + rng.normal(size=90)
    X = np.column_stack([strong, weak])
    assert 5 not in np.flatnonzero(SelectTop("anova", k=3).fit(X, y).get_support())
    assert 5 in np.flatnonzero(SelectTop("anova_per_class", k=3).fit(X, y).get_support())


def test_select_with_k_beyond_the_columns_keeps_all(planted):
    X, y, _ = planted
    assert SelectTop(k=99).fit(X[["noise_0", "noise_1"]], y).get_support().all()
