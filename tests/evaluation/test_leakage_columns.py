import numpy as np
import pandas as pd
import pytest

from radiocard.evaluation.leakage_columns import (
    column_findings,
    constant_per_class,
    is_date,
    missing_by_class,
    ordered_by,
    separation,
)

N = 40
Y = np.array(["DCM", "NOR"] * (N // 2))


def make_table(**columns):
    rng = np.random.default_rng(0)
    ids = pd.Index([f"p{i:03d}" for i in rng.permutation(N)], name="patient_id")
    return pd.DataFrame({"honest": rng.normal(size=N), **columns}, index=ids)


def audit(table, used=None, **options):
    used = [c for c in table if pd.api.types.is_numeric_dtype(table[c])] if used is None else used
    return column_findings(table, Y, table.index.to_numpy(), used=used, **options)


def test_an_honest_column_is_not_reported():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = make_table(**{f"c{i}": rng.normal(size=N) for i in range(50)})
        assert audit(table) == []


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.where(Y == "DCM", 3.0, 5.0), "one value in each class"),
        (np.where(Y == "DCM", np.nan, np.arange(N) % 7), "undefined for every patient of DCM and for nobody else"),
        (20200101.0 + np.arange(N) % 9, "holds dates"),
    ],
)
def test_the_label_in_disguise_must_be_fixed_in_the_pool_and_is_noted_outside(column, message):
    table = make_table(odd=column)
    (found,) = audit(table)
    assert (found.severity, found.columns) == ("fix", ("odd",))
    assert message in found.message
    (noted,) = audit(table, used=["honest"])
    assert noted.severity == "note"
    assert audit(table, used=["honest"], known=["odd"]) == []


def test_identifiers_in_the_pool_must_be_fixed_and_sorted_rows_looked_at():
    table = make_table()
    table["number"] = [float(i[1:]) * 3 for i in table.index]
    table["place"] = np.arange(N) * -0.5
    found = {f.columns[0]: f for f in audit(table)}
    assert found["number"].severity == "fix"
    assert "every step of the identifiers" in found["number"].message
    assert found["place"].severity == "look"
    assert "every step of the order of the rows" in found["place"].message


def test_one_column_that_sets_a_class_apart_is_looked_at_with_its_gap():
    rng = np.random.default_rng(0)
    table = make_table(apart=np.where(Y == "DCM", 1.0, 5.0) + rng.uniform(0, 1, N))
    found = audit(table)
    assert {f.severity for f in found} == {"look"}
    assert "'apart' alone sets DCM apart: AUC 1, nothing between" in found[0].message
    assert audit(table, used=["honest"]) == []


def test_separation_that_noise_would_show_among_so_many_columns_is_not_reported():
    y = np.array(["a", "b"] * 3)
    columns = {"c": [1.0, 10.0, 2.0, 11.0, 3.5, 12.0]} | {f"n{i}": np.ones(6) for i in range(9)}
    table = pd.DataFrame(columns, index=[f"x{i}" for i in "abcdef"])
    assert separation(table["c"], y, "a") == (3.5, 10.0)
    assert column_findings(table, y, table.index.to_numpy(), used=list(columns)) == []


def test_text_columns_are_named_and_groups_count_once():
    table = make_table(ward=["a", "b", "c", "d"] * 10, group_name=np.where(Y == "DCM", "ill", "well"))
    label, texts = audit(table)
    assert label.severity == "note"
    assert "'group_name' has one value in each class" in label.message
    assert texts.columns == ("ward", "group_name")
    one = pd.DataFrame({"c": [1.0, 1.0, 2.0, 2.0]}, index=list("abcd"))
    args = (one, ["x", "x", "y", "y"])
    assert column_findings(*args, ["g", "g", "h", "h"], used=["c"]) == []
    assert len(column_findings(*args, ["a", "b", "c", "d"], used=["c"])) == 1


def test_the_single_rules():
    y = np.array(["a", "a", "b", "b"])
    assert constant_per_class(pd.Series(["u", "u", "v", None]), y) is False
    assert constant_per_class(pd.Series([1, 1, 1, 1]), y) is False
    assert constant_per_class(pd.Series([1, 1, 2, 2]), y) is True
    assert missing_by_class(pd.Series([np.nan, 1, np.nan, np.nan]), y) == []
    assert missing_by_class(pd.Series([1, 1, np.nan, np.nan]), y) == ["b"]
    assert is_date(pd.Series(["2020-01-31", None, "2021-12-01 10:00"]))
    assert is_date(pd.Series(pd.to_datetime(["2020-01-31"])))
    assert is_date(pd.Series([2019.0, 2021.0], name="scan_year"))
    assert not is_date(pd.Series([20201340.0, 20200101.0]))
    assert not is_date(pd.Series([20.5, 20200101.0]))
    assert not is_date(pd.Series([True, False], name="time"))
    assert not is_date(pd.Series([2019.0, 2021.0], name="lvedv_ml"))
    assert not is_date(pd.Series([None, None], dtype=object))
    assert ordered_by(pd.Series(np.arange(9.0)), None) is None
    assert ordered_by(pd.Series([*np.arange(9.0), np.nan]), None) is None
    assert ordered_by(pd.Series([*np.arange(9.0), 8.0]), None) is None
    assert separation(pd.Series([1.0, 2.0, 2.0, 3.0]), y, "a") is None
    assert separation(pd.Series([np.nan, np.nan, 2.0, 3.0]), y, "a") is None
    assert separation(pd.Series([4.0, 5.0, 2.0, 3.0]), y, "a") == (3.0, 4.0)
