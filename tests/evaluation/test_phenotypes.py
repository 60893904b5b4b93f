import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation.phenotypes import jaccard, phenotypes


def people(n):
    return np.arange(n).astype(str)


def clouds(centres, per=30, n_columns=6, seed=0):
    """Normal clouds around centres on the first two columns, the others noise."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(centres)), per)
    X = rng.normal(size=(len(truth), n_columns))
    X[:, :2] += np.asarray(centres, dtype=float)[truth]
    return pd.DataFrame(X, columns=[f"f{i}" for i in range(n_columns)], index=people(len(truth))), truth


THREE = [(0, 0), (9, 0), (0, 9)]


def test_planted_groups_are_found_and_no_more():
    X, truth = clouds(THREE, n_columns=2)
    found = phenotypes(X, people(90), ks=(2, 3, 4), n_resamples=80)
    assert found.chosen is not None
    assert found.chosen.k == 3
    assert adjusted_rand_score(truth, found.chosen.labels) > 0.95
    assert min(found.chosen.jaccard) > 0.9
    assert found.chosen.adjusted_rand > 0.9
    assert found.sentence.startswith("3 groups (30, 30, 30 patients) hold")
    assert found.tried[2].p_value > 0.05  # three clouds give four groups as well
    assert found.profile.shape == (3, 2)
    standard = (X - X.mean()) / X.std(ddof=0)
    expected = standard.groupby(found.chosen.labels).mean()
    assert found.profile.to_numpy() == pytest.approx(expected.to_numpy())


def test_mixtures_find_planted_groups():
    X, truth = clouds(THREE, n_columns=2)
    found = phenotypes(X, people(90), ks=(3,), method="gaussian_mixture", n_resamples=20)
    assert found.chosen is not None
    assert adjusted_rand_score(truth, found.chosen.labels) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_one_cloud_has_no_groups(seed):
    X, _ = clouds([(0, 0)], per=90, seed=seed)
    found = phenotypes(X, people(90), ks=(2, 3), n_resamples=40, random_state=seed)
    assert found.chosen is None
    assert found.profile.empty
    assert found.sentence.startswith("No number of groups from 2 to 3 holds")
    assert found.sentence.endswith("No number of groups is named.")


def test_a_long_cloud_is_cut_in_a_stable_way_and_still_refused():
    """One measurement six times over: two halves come back in every resample, but one cloud gives them as well."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=120)
    X = pd.DataFrame({f"f{i}": size + 0.2 * rng.normal(size=120) for i in range(6)}, index=people(120))
    found = phenotypes(X, people(120), ks=(2,), n_resamples=40)
    assert min(found.tried[0].jaccard) >= 0.75
    assert found.tried[0].p_value > 0.05
    assert found.chosen is None


def test_components_are_those_of_the_correlation_matrix():
    X, _ = clouds(THREE)
    found = phenotypes(X, people(90), ks=(2,), n_resamples=20)
    values, vectors = np.linalg.eigh(np.corrcoef(X.to_numpy().T))
    n = len(found.explained)
    assert found.explained == pytest.approx(values[::-1][:n] / 6)
    assert sum(found.explained) >= 0.9 > sum(found.explained[:-1])
    assert np.abs(found.loadings.to_numpy()) == pytest.approx(np.abs(vectors[:, ::-1][:, :n]), abs=1e-8)
    assert (found.loadings.to_numpy()[np.abs(found.loadings.to_numpy()).argmax(axis=0), np.arange(n)] > 0).all()
    assert found.scores.var(axis=0) == pytest.approx(values[::-1][:n])


def test_same_seed_same_result_and_useless_columns_do_not_count():
    X, _ = clouds(THREE)
    odd = X.assign(empty=np.nan, constant=1.0)
    odd.iloc[5, 0] = np.nan
    first, second = (phenotypes(odd, people(90), ks=(3,), n_resamples=20, random_state=4) for _ in range(2))
    assert first.columns == tuple(X.columns)
    assert first.tried[0].jaccard == second.tried[0].jaccard
    assert np.isfinite(first.scores).all()


def test_twins_are_drawn_together(monkeypatch):
    """Patients whose rows stand twice: every resample holds both rows, or neither."""
    from radiocard.evaluation import phenotypes as module

    X, _ = clouds(THREE, per=20)
    twice = pd.concat([X, X + 1e-3])
    groups = np.tile(people(60), 2)
    sizes = []
    real = module.jaccard

    def spy(ours, theirs, *, k):
        sizes.append(len(ours))
        return real(ours, theirs, k=k)

    monkeypatch.setattr(module, "jaccard", spy)
    phenotypes(twice, groups, ks=(3,), n_resamples=20)
    assert len(sizes) == 20
    assert all(n % 2 == 0 for n in sizes)


def test_jaccard_by_hand():
    ours, theirs = np.array([0, 0, 0, 1, 1, 1]), np.array([1, 1, 0, 0, 0, 0])
    assert jaccard(ours, theirs, k=2) == pytest.approx([2 / 3, 3 / 4])
    assert jaccard(ours, ours, k=2) == pytest.approx([1, 1])


def test_what_is_refused():
    X, _ = clouds(THREE, per=10)
    with pytest.raises(CohortError, match="30 patients are too few to look for 4 groups, expected at least 40"):
        phenotypes(X, people(30), ks=(2, 4))
    with pytest.raises(CohortError, match="15 patients are too few to look for 2 groups"):
        phenotypes(X, np.repeat(people(15), 2), ks=(2,))
    with pytest.raises(UsageError, match=r"Found k = \[1\]"):
        phenotypes(X, people(30), ks=(1,))
    with pytest.raises(UsageError, match="5 resamples"):
        phenotypes(X, people(30), ks=(2,), n_resamples=5)
    with pytest.raises(LeakError, match="30 patients and 3 groups"):
        phenotypes(X, people(3), ks=(2,))
