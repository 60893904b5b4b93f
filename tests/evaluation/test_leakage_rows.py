import numpy as np
import pandas as pd
import pytest

from radiocard.evaluation.leakage_rows import near_duplicates, row_findings, split_findings

N = 60


def make_rows(seed=0, n=N, p=12):
    ids = pd.Index([f"p{i:03d}" for i in range(n)], name="patient_id")
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(n, p)), index=ids).add_prefix("c")


def persons(X, seed=1):
    rng = np.random.default_rng(seed)
    n = len(X)
    return pd.DataFrame(
        {
            "sex": rng.choice(["F", "M"], n),
            "age_y": rng.uniform(20, 80, n),
            "height_cm": rng.uniform(150, 190, n),
            "weight_kg": rng.uniform(50, 110, n),
        },
        index=X.index,
    )


def own_groups(X):
    return X.index.to_numpy(dtype=str)


@pytest.mark.parametrize("spread", ["even", "low-dimensional", "of two widths"])
def test_no_pair_is_reported_where_there_is_none(spread):
    alarms = 0
    for seed in range(40):
        X = make_rows(seed)
        if spread == "low-dimensional":
            X = X @ np.random.default_rng(seed).normal(size=(12, 12)) ** 3
        elif spread == "of two widths":
            X.iloc[: N // 2] *= 3
        alarms += bool(near_duplicates(X, own_groups(X)))
    assert alarms <= 2  # expected: fewer than 0.01 rows per table


def test_planted_near_duplicates_are_found_even_three_of_a_kind_and_in_a_dense_half():
    others = 0
    for seed in range(10):
        X = make_rows(seed)
        X.iloc[: N // 2] *= 4
        rng = np.random.default_rng(seed)
        X.iloc[41] = X.iloc[40] + 0.05 * rng.normal(size=12)
        X.iloc[42] = X.iloc[40] + 0.05 * rng.normal(size=12)
        found = near_duplicates(X, own_groups(X))
        near = [p for p in found if p.distance < 0.2 * p.typical]
        assert {i for p in near for i in (p.first, p.second)} == {"p040", "p041", "p042"}
        assert not any(p.copy for p in found)
        others += len(found) - len(near)
    assert others <= 1


def test_rows_of_one_group_are_not_compared_but_with_others_they_are():
    X = make_rows()
    X.iloc[1] = X.iloc[0]
    X.iloc[2] = X.iloc[0]
    groups = own_groups(X)
    groups[1] = groups[0]
    found = near_duplicates(X, groups)
    assert [p.copy for p in found] == [True, True]
    assert {frozenset((p.first, p.second)) for p in found} <= {frozenset(("p000", "p002")), frozenset(("p001", "p002"))}
    groups[2] = groups[0]
    assert near_duplicates(X, groups) == []


def test_copies_are_found_with_gaps_and_in_few_rows():
    X = make_rows(n=6)
    X.iloc[3] = X.iloc[5]
    X["c0"] = np.nan
    X.loc[["p003", "p005"], "c1"] = np.nan
    (pair,) = near_duplicates(X, own_groups(X))
    assert (pair.first, pair.second, pair.copy) == ("p003", "p005", True)
    assert near_duplicates(X.iloc[:1], ["a"]) == []
    assert near_duplicates(X.assign(**dict.fromkeys(X.columns, 1.0)), own_groups(X)) == []


def test_a_near_row_must_be_fixed_where_the_person_is_the_same_too():
    X = make_rows()
    X.iloc[1] = X.iloc[0] * (1 + 1e-3)
    table = persons(X)
    (near,) = row_findings(X, own_groups(X), table)
    assert near.severity == "look"
    assert near.patients == ("p000", "p001")
    table.iloc[1] = table.iloc[0]
    (near,) = row_findings(X, own_groups(X), table)
    assert near.severity == "fix"
    assert "same sex, age_y, height_cm, weight_kg" in near.message


def test_equal_persons_and_shared_images_are_noted():
    X = make_rows()
    table = persons(X)
    table.iloc[7] = table.iloc[3]
    groups = own_groups(X)
    groups[9] = groups[8]
    twins, equal = row_findings(X, groups, table)
    assert (twins.severity, twins.patients) == ("note", ("p008", "p009"))
    assert (equal.severity, equal.patients) == ("note", ("p003", "p007"))
    table.iloc[9] = table.iloc[8]
    assert len(row_findings(X, groups, table)) == 2


def test_a_group_or_a_near_row_on_both_sides_of_a_split_is_a_leak():
    X = make_rows()
    X.iloc[1] = X.iloc[0]
    groups = own_groups(X)
    groups[9] = groups[8]
    table = persons(X).assign(split=["train", "test"] * (N // 2))
    leaks = [f for f in row_findings(X, groups, table, split="split") if f.code == "E_LEAK_PATIENT"]
    assert [f.patients for f in leaks] == [("p008", "p009"), ("p000", "p001")]
    assert all(f.severity == "fix" for f in leaks)
    assert "p008, p009 share an image and are on several sides of 'split': test, train" in leaks[0].message
    table["split"] = "train"
    table.loc["p003", "split"] = "test"
    assert split_findings(table["split"], groups, near_duplicates(X, groups), column="split") == []
    table.loc["p008", "split"] = None
    assert split_findings(table["split"], groups, [], column="split") == []
