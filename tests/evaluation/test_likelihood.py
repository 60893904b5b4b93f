import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, chi2_contingency
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.likelihood import likelihood_ratio_test


def test_likelihood_ratio_of_one_binary_column_is_the_g_statistic():
    x = np.repeat([0, 1, 0, 1], [40, 20, 15, 35])
    y = np.repeat(["a", "a", "b", "b"], [40, 20, 15, 35])
    found = likelihood_ratio_test(pd.DataFrame({"x": x}), y, np.arange(110), base=[], added=["x"])
    g = chi2_contingency([[40, 20], [15, 35]], correction=False, lambda_="log-likelihood")
    assert (found.statistic, found.p) == (pytest.approx(g.statistic), pytest.approx(g.pvalue))
    assert (found.df, found.n) == (1, 110)


def test_likelihood_ratio_of_three_classes_is_that_of_unpenalised_regression():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(150, 3)) * [1, 50, 0.01], columns=list("abc"))
    y = np.array(["u", "v", "w"])[np.clip((X["a"] + rng.normal(size=150)).round() + 1, 0, 2).astype(int)]
    found = likelihood_ratio_test(X, y, np.arange(150), base=["a"], added=["b", "c"])
    z = (X / X.std()).to_numpy()
    fits = [LogisticRegression(C=np.inf, max_iter=5000, tol=1e-10).fit(z[:, :k], y) for k in (1, 3)]
    losses = [log_loss(y, m.predict_proba(z[:, :k]), normalize=False) for m, k in zip(fits, (1, 3), strict=True)]
    assert found.statistic == pytest.approx(2 * (losses[0] - losses[1]), abs=1e-4)
    assert found.df == 4
    assert found.p == pytest.approx(chi2.sf(found.statistic, 4))


def test_likelihood_ratio_counts_each_group_once():
    x = np.tile(np.r_[np.arange(40.0), np.arange(10, 50.0)], 2)
    y = np.tile(np.repeat(["a", "b"], 40), 2)
    X = pd.DataFrame({"x": x})
    twice = likelihood_ratio_test(X, y, np.tile(np.arange(80), 2), base=[], added=["x"])
    once = likelihood_ratio_test(X[:80], y[:80], np.arange(80), base=[], added=["x"])
    assert twice == once


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"added": []}, UsageError, "Columns are to be added"),
        ({"base": ["a"], "added": ["a"]}, UsageError, "each named once"),
        ({"added": ["z"]}, CohortError, "lacks z"),
        ({"added": list("abcde")}, UsageError, "5 columns and the smallest class 30 patients"),
        ({"added": ["n"]}, CohortError, "some are undefined"),
        ({"added": ["y"]}, UsageError, "tell the classes apart completely"),
    ],
)
def test_likelihood_ratio_is_refused_where_it_means_nothing(change, error, match):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 5)), columns=list("abcde"))
    y = np.repeat(["u", "v"], 30)
    X["n"], X["y"] = np.nan, np.repeat([0.0, 1.0], 30)
    with pytest.raises(error, match=match):
        likelihood_ratio_test(X, y, np.arange(60), **({"base": []} | change))
