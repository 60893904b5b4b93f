import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.reliability import intraclass_correlation
from radiocard.evaluation.stability import (
    StabilityFilter,
    feature_stability,
    probability_ranges,
    stable_shares,
    stack_variants,
    unchanged_answers,
)


@parametrize_with_checks([StabilityFilter()])
def test_is_a_scikit_learn_selector(estimator, check):
    check(estimator)


@pytest.fixture
def variants():
    """Column 0 keeps its value, column 1 is drawn anew in each of 3 variants."""
    rng = np.random.default_rng(0)
    held = rng.normal(size=40)
    return [pd.DataFrame({"held": held + 0.05 * rng.normal(size=40), "loose": rng.normal(size=40)}) for _ in range(3)]


def test_keeps_what_holds_as_drawn_and_nothing_else(variants):
    X = stack_variants(variants)
    assert list(X.columns) == ["held", "loose", "held@1", "loose@1", "held@2", "loose@2"]
    kept = StabilityFilter(n_variants=3).fit(X)
    assert list(kept.get_feature_names_out()) == ["held"]
    expected = intraclass_correlation(np.stack([v.to_numpy() for v in variants], axis=1)).icc_a_1[:, 0]
    np.testing.assert_allclose(kept.icc_, expected)
    new = X.iloc[:5].copy()
    new.iloc[:, 2:] = np.nan
    np.testing.assert_array_equal(kept.transform(new)[:, 0], variants[0]["held"][:5])


def test_patients_outside_the_training_part_change_nothing_that_is_fitted(variants):
    X = stack_variants(variants)
    y = np.arange(40) % 2
    changed = X.copy()
    changed.iloc[30:] = 1e3 * np.random.default_rng(1).normal(size=(10, 6))
    one, two = (make_pipeline(StabilityFilter(3), LogisticRegression()).fit(t.iloc[:30], y[:30]) for t in (X, changed))
    np.testing.assert_array_equal(one[0].icc_, two[0].icc_)
    np.testing.assert_array_equal(one[1].coef_, two[1].coef_)


def test_refuses_columns_that_are_not_whole_tables_or_all_loose(variants):
    X = stack_variants(variants)
    with pytest.raises(CohortError, match="6 columns, expected a multiple of 4"):
        StabilityFilter(n_variants=4).fit(X)
    with pytest.raises(CohortError, match=r"None of 1 columns has an ICC\(A,1\) of at least 0.75"):
        StabilityFilter(n_variants=3).fit(X[["loose", "loose@1", "loose@2"]])
    with pytest.raises(CohortError, match="other patients or columns"):
        stack_variants([variants[0], variants[1].iloc[::-1]])


def test_shares_count_by_family():
    icc = pd.Series({"a": 0.95, "b": 0.8, "c": 0.1, "d": np.nan})
    found = stable_shares(icc, {"a": "x", "b": "x", "c": "y", "d": "y"})
    assert [(s.family, s.n, s.good, s.excellent) for s in found] == [
        ("all", 3, pytest.approx(2 / 3), pytest.approx(1 / 3)),
        ("x", 2, 1.0, 0.5),
        ("y", 1, 0.0, 0.0),
    ]


def test_table_names_every_column():
    values = np.random.default_rng(0).normal(size=(10, 2, 2))
    found = feature_stability(["a", "b"], values)
    assert list(found.index) == ["a", "b"]
    assert found.loc["b", "icc_1_1_low"] == intraclass_correlation(values).icc_1_1[1, 1]


def test_ranges_and_answers_over_variants():
    told = {"as drawn": {"A": 0.7, "B": 0.3}, "noise": {"A": 0.4, "B": 0.6}}
    assert probability_ranges(told) == {"A": (0.4, 0.7), "B": (0.3, 0.6)}
    same = unchanged_answers([{"as drawn": "A", "noise": "B"}, {"as drawn": "A", "noise": "A"}], reference="as drawn")
    assert (same.value, same.n) == (0.5, 2)
    with pytest.raises(UsageError, match="no variant"):
        probability_ranges({})
