import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from radiocard.errors import UsageError
from radiocard.explain import audit
from radiocard.explain.shap_values import Explanation, explain
from radiocard.models.fitted import FittedModel
from radiocard.specs import read_recipe


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 5)), columns=list("abcde"))
    codes = (X["a"] + 0.5 * X["b"] + 0.5 * rng.normal(size=120) > 0).astype(int).to_numpy()
    pipeline = Pipeline([("model", LogisticRegression().fit(X.to_numpy(), codes))])
    return FittedModel(read_recipe("logistic"), pipeline, {}, 0.1, ("n", "y"), tuple("abcde"), 0), X, codes


def explanation(values):
    values = np.asarray(values, dtype=float)
    n, k, p = values.shape
    zero = np.zeros((n, k))
    names = (tuple(map(str, range(n))), tuple(map(str, range(k))), tuple("abcdefgh"[:p]))
    return Explanation("m", *names, values, np.zeros(k), zero, zero, "log-odds", "", "")


def test_importance_is_absolute_per_column_and_summed_first_per_group():
    found = explanation([[[1.0, -1.0, 2.0], [0.0, 2.0, -4.0]]])
    assert audit.patient_importance(found).tolist() == [[0.5, 1.5, 3.0]]
    assert audit.group_importance(found, [("a", "b"), ("c",)]).tolist() == [[1.0, 3.0]]


def test_rank_agreement_is_scipys():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 20), rng.integers(0, 5, 20)
    assert audit.rank_agreement(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(audit.rank_agreement([1, 1], [1, 2]))


def test_pairwise_agreement_is_the_mean_over_pairs():
    values = np.random.default_rng(2).exponential(size=(4, 9))
    rank, overlap, lowest = audit.pairwise_agreement(values, top=3)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    expected = [spearmanr(values[i], values[j]).statistic for i, j in pairs]
    assert (rank, lowest) == pytest.approx((np.mean(expected), min(expected)))
    best = [set(np.argsort(-v)[:3]) for v in values]
    assert overlap == pytest.approx(np.mean([len(best[i] & best[j]) / 3 for i, j in pairs]))
    assert audit.pairwise_agreement(values[[0, 0]], top=3) == pytest.approx((1, 1, 1))


def test_copies_form_a_group_and_noise_stands_alone():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    X["a_again"], X["minus_a"], X["flat"] = np.exp(X["a"]), -X["a"], 1.0
    X.loc[:5, "b"] = np.nan
    assert audit.correlated_groups(X) == (("a", "a_again", "minus_a"), ("b",), ("c",), ("flat",))
    assert audit.correlated_groups(X[["b"]]) == (("b",),)


def test_columns_group_from_a_rank_correlation_of_0_7_on():
    rng = np.random.default_rng(4)
    base, noise = rng.normal(size=(2, 2000))
    X = pd.DataFrame({r: r * base + np.sqrt(1 - r**2) * noise for r in (0.65, 0.77)})
    for r in X:
        pair = pd.DataFrame({"base": base, "other": X[r]})
        assert len(audit.correlated_groups(pair)) == (1 if r > 0.7 else 2)


def test_permutation_loss_is_scikit_learns_importance(fitted):
    model, X, codes = fitted
    rng = np.random.default_rng(0)
    ours = audit.permutation_loss(model, X.to_numpy(), codes, repeats=100, rng=rng).mean(axis=0)
    theirs = permutation_importance(
        model.estimator, X.to_numpy(), codes, scoring="neg_log_loss", n_repeats=100, random_state=1
    )
    error = np.sqrt(2) * theirs.importances_std / 10
    assert np.all(np.abs(ours - theirs.importances_mean) < 4 * error + 1e-12)
    assert ours.argmax() == 0


def test_deleting_a_column_is_predicting_at_its_usual_value(fitted):
    model, X, codes = fitted
    usual = X.median().to_numpy()
    found = audit.deletion_loss(model, X.to_numpy(), codes, columns=[0, 2], usual=usual)
    other = X.assign(a=usual[0], c=usual[2])
    p, q = model.predict_proba(X), model.predict_proba(other)
    rows = np.arange(len(X))
    assert found == pytest.approx(np.log(p[rows, codes]) - np.log(q[rows, codes]))
    least = audit.deletion_loss(model, X.to_numpy(), codes, columns=[4], usual=usual)
    assert found.mean() > least.mean()


def test_a_planted_table_holds_what_it_says():
    rng = np.random.default_rng(0)
    X, y, planted = audit.planted_table([400, 400], n_columns=6, informative=2, effect_sd=1.0, rng=rng)
    assert X.shape == (800, 6)
    assert len(set(planted)) == 2
    gap = (X[y == "class 0"].mean() - X[y == "class 1"].mean()).abs()
    assert gap[list(planted)].to_numpy() == pytest.approx([1, 1], abs=0.3)
    assert gap.drop(list(planted)).max() < 0.3
    assert X.corr().to_numpy()[np.triu_indices(6, 1)].max() < 0.2


def test_an_impossible_planted_table_is_refused():
    with pytest.raises(UsageError, match="6 of 6 columns are to matter in 2 classes"):
        audit.planted_table([4, 4], n_columns=6, informative=6, effect_sd=1.0, rng=np.random.default_rng(0))


def test_shap_of_a_linear_model_ranks_as_its_weights(fitted):
    model, X, _ = fitted
    importance = audit.patient_importance(explain(model, X, X)).mean(axis=0)
    weight = np.abs(model.final.coef_[0]) * (X - X.mean()).abs().mean().to_numpy()
    assert audit.rank_agreement(importance, weight) == pytest.approx(1)
