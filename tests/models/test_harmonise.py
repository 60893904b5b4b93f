"""ComBat against neuroCombat, closed forms, one patient at a time, new sites, refusals."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from radiocard.errors import CohortError, UsageError
from radiocard.models.harmonise import Combat


@parametrize_with_checks([Combat()])
def test_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def cohort(seed=0, n=(40, 25, 60), p=30):
    rng = np.random.default_rng(seed)
    s = np.repeat(np.arange(len(n)), n)
    age, sex = rng.normal(50, 10, s.size), rng.integers(0, 2, s.size)
    X = rng.normal(size=(s.size, p)) * rng.uniform(0.5, 20, p) + rng.normal(size=p) * 30
    X += age[:, None] * rng.normal(size=p) * 0.1
    X = X * np.array([1, 1.4, 0.8])[s][:, None] + rng.normal(size=(3, p))[s] * 3
    return s, age, sex, X


@pytest.fixture
def neuro():
    pytest.importorskip("neuroCombat", reason="oracle: not run (neuroCombat is not installed)")
    return sys.modules["neuroCombat.neuroCombat"]


@pytest.mark.parametrize("covariates", [False, True])
def test_equals_neurocombat_on_a_whole_cohort(neuro, covariates):
    s, age, sex, X = cohort()
    table = pd.DataFrame({"site": s, "age": age, "sex": sex})
    named = {"categorical_cols": ["sex"], "continuous_cols": ["age"]} if covariates else {}
    theirs = neuro.neuroCombat(X.T, table, "site", **named)["data"].T
    extra = [sex, age] if covariates else []
    ours = Combat(0, covariate_columns=[1, 2] if covariates else []).fit_transform(np.column_stack([s, *extra, X]))
    features = ours[:, len(extra) :]
    # neuroCombat stops its iteration at a relative change of 1e-4; this is what is left of it
    assert np.abs((features - theirs) / X.std(axis=0)).max() < 1e-6
    if covariates:
        assert np.array_equal(ours[:, :2], np.column_stack([sex, age]))


def test_equals_neurocombat_iterated_to_the_end(neuro, monkeypatch):
    s, _, _, X = cohort(1)
    monkeypatch.setattr(neuro.it_sol, "__defaults__", (1e-13,))
    theirs = neuro.neuroCombat(X.T, pd.DataFrame({"site": s}), "site")["data"].T
    assert np.abs(Combat(0).fit_transform(np.column_stack([s, X])) - theirs).max() < 1e-10


def test_one_patient_gets_what_the_cohort_gets():
    s, _, _, X = cohort(2)
    Z = np.column_stack([s, X])
    combat = Combat(0).fit(Z)
    whole = combat.transform(Z)
    for i in (0, 50, 100):
        assert np.array_equal(combat.transform(Z[i : i + 1])[0], whole[i])


def test_one_site_is_left_alone_and_the_diagnosis_changes_nothing():
    s, _, sex, X = cohort(3)
    assert np.allclose(Combat(0).fit_transform(np.column_stack([0 * s, X])), X, atol=1e-12)
    Z = np.column_stack([s, X])
    assert np.array_equal(Combat(0).fit(Z, sex).transform(Z), Combat(0).fit(Z).transform(Z))


def test_removes_a_planted_shift_and_scale_but_not_a_constant_column():
    rng = np.random.default_rng(4)
    s = np.repeat([0, 1], 4000)
    X = rng.normal(size=(8000, 12)) * np.where(s == 1, 2.0, 1.0)[:, None] + np.where(s == 1, 5.0, 0.0)[:, None]
    X += rng.normal(size=12) * 0.5 * s[:, None]
    X = np.column_stack([X, np.full(8000, 3.0)])
    out = Combat(0).fit_transform(np.column_stack([s, X]))
    first, second = out[s == 0], out[s == 1]
    assert np.abs(first.mean(axis=0) - second.mean(axis=0)).max() < 0.05
    assert np.abs(first[:, :12].std(axis=0) / second[:, :12].std(axis=0) - 1).max() < 0.05
    assert np.array_equal(out[:, 12], X[:, 12])


def test_changing_test_rows_changes_nothing_fitted():
    s, _, _, X = cohort(5)
    Z = np.column_stack([s, X])
    combat = Combat(0).fit(Z)
    before = combat.transform(Z[:5])
    combat.transform(Z * 3 + np.r_[0, np.ones(X.shape[1])] - 2 * np.column_stack([s, 0 * X]))
    assert np.array_equal(combat.transform(Z[:5]), before)


def planted_new_site(normals_only):
    """Two training sites, half diseased; a third one at +4 and twice the spread, 80 % diseased."""
    rng = np.random.default_rng(6)

    def draw(n, diseased):
        y = (rng.random(n) < diseased).astype(int)
        return rng.normal(size=(n, 20)) + 2.0 * y[:, None], y

    X, y = draw(4000, 0.5)
    s = np.repeat([0.0, 1.0], 2000)
    combat = Combat(0, normal=0).fit(np.column_stack([s, X + 3 * s[:, None]]), y)
    Xn, yn = draw(4000, 0.8)
    Zn = np.column_stack([np.full(4000, 2.0), 2 * Xn + 4])
    references = Zn[yn == 0] if normals_only else Zn
    other = combat.with_site(references, references="normals" if normals_only else "unlabelled")
    known = combat.transform(np.column_stack([s, X + 3 * s[:, None]]))
    return other.transform(Zn), yn, known, y, other, combat


def test_a_new_site_described_by_its_normals_lands_on_the_old_ones():
    new, yn, old, y, other, combat = planted_new_site(True)
    for label in (0, 1):
        assert np.abs(new[yn == label].mean(axis=0) - old[y == label].mean(axis=0)).max() < 0.2
    assert other.effects_[2.0].source == "normals"
    assert set(combat.effects_) == {0.0, 1.0}


def test_a_new_site_described_by_all_takes_its_class_mix_for_a_site_effect():
    new, yn, old, y, *_ = planted_new_site(False)
    assert (old[y == 1].mean(axis=0) - new[yn == 1].mean(axis=0)).min() > 0.4


def test_small_sites_and_unequal_mixes_are_said():
    s, _, _, X = cohort(7, n=(40, 12, 60))
    y = np.r_[np.zeros(35), np.ones(17), np.tile([0, 1], 30)]
    notes = Combat(0).fit(np.column_stack([s, X]), y).notes_
    assert "Site 1 is described by 12 patients, fewer than 20" in notes[0]
    assert "Cramer's V" in notes[1]
    assert not Combat(0).fit(np.column_stack([s % 1, X])).notes_


def test_refusals():
    s, _, _, X = cohort(8)
    Z = np.column_stack([s, X])
    with pytest.raises(CohortError, match="cannot be told apart"):
        Combat(0).fit(Z, np.where(s == 1, "a", "b"))
    with pytest.raises(CohortError, match="effect is not separable"):
        Combat(0, covariate_columns=[1]).fit(np.column_stack([s, s == 1, X]))
    with pytest.raises(CohortError, match="Site 7 has one patient"):
        Combat(0).fit(np.vstack([Z, np.r_[7.0, X[0]]]))
    with pytest.raises(UsageError, match="different numbers below"):
        Combat(99).fit(Z)
    with pytest.raises(CohortError, match="holds 0 patients of class 'x'"):
        Combat(0, normal="x").fit(Z, np.tile(["a", "b"], 63)[:125])
    combat = Combat(0).fit(Z)
    with pytest.raises(CohortError, match="Site 9 was not in training"):
        combat.transform(np.r_[9.0, X[0]][None])
    with pytest.raises(CohortError, match="expected 2 or more of one new site"):
        combat.with_site(Z[:10], references="unlabelled")
    with pytest.raises(UsageError, match="which patients are normal"):
        combat.with_site(np.column_stack([np.full(30, 9.0), X[:30]]), references="normals")
