import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax
from statsmodels.discrete.discrete_model import Logit

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.odds import odds_ratios


def people(n):
    return np.arange(n).astype(str)


def cohort(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 2)) * [10.0, 0.1] + [60.0, 1.0], columns=["lvef_pct", "ratio"])
    score = np.column_stack([np.zeros(n), (60 - X["lvef_pct"]) / 10, 0.5 * (X["ratio"] - 1) / 0.1])
    y = np.array(["NOR", "DCM", "HCM"])[(score + rng.gumbel(size=(n, 3))).argmax(axis=1)]
    return X, y


def test_counts_give_woolfs_interval():
    """One yes-or-no measurement: the ratio is that of the 2 x 2 table, and its standard error Woolf's (1955)."""
    table = {("NOR", 1): 10, ("NOR", 0): 40, ("DCM", 1): 25, ("DCM", 0): 20, ("HCM", 1): 12, ("HCM", 0): 30}
    rows = [(label, value) for (label, value), n in table.items() for _ in range(n)]
    X = pd.DataFrame({"scar": [v for _, v in rows]})
    found = odds_ratios(X, [c for c, _ in rows], people(len(rows)), reference="NOR")
    assert [r.label for r in found.ratios] == ["DCM", "HCM"]
    for ratio in found.ratios:
        a, b = table[ratio.label, 1], table[ratio.label, 0]
        expected = (a / b) / (10 / 40)
        reach = 1.959963984540054 * np.sqrt(1 / a + 1 / b + 1 / 10 + 1 / 40)
        assert ratio.step == 1
        assert ratio.ratio.value == pytest.approx(expected, rel=1e-6)
        assert np.log([ratio.ratio.low, ratio.ratio.high]) == pytest.approx(
            np.log(expected) + np.array([-reach, reach]), abs=1e-6
        )
    assert found.events == {"DCM": 45, "HCM": 42, "NOR": 50}
    assert found.events_per_variable == 21
    assert found.warnings == ()


def test_agrees_with_a_likelihood_written_by_hand():
    X, y = cohort()
    found = odds_ratios(X, y, people(len(X)), reference="NOR")
    z = ((X - X.mean()) / X.std()).to_numpy()
    design = np.column_stack([np.ones(len(z)), z])
    place = np.array([["NOR", "DCM", "HCM"].index(c) for c in y])

    def loss(theta):
        scores = np.column_stack([np.zeros(len(z)), design @ theta.reshape(2, 3).T])
        return -log_softmax(scores, axis=1)[np.arange(len(z)), place].sum()

    def slope(theta):
        scores = np.column_stack([np.zeros(len(z)), design @ theta.reshape(2, 3).T])
        p = np.exp(log_softmax(scores, axis=1))
        return ((p - np.eye(3)[place])[:, 1:].T @ design).ravel()

    best = minimize(loss, np.zeros(6), jac=slope, method="BFGS", options={"gtol": 1e-8}).x
    hessian = np.array([approx_fprime(best, lambda t, i=i: slope(t)[i], 1e-6) for i in range(6)])
    error = np.sqrt(np.diag(np.linalg.inv(hessian)))
    for ratio in found.ratios:
        at = 3 * ["DCM", "HCM"].index(ratio.label) + 1 + list(X.columns).index(ratio.column)
        assert np.log(ratio.ratio.value) == pytest.approx(best[at], abs=1e-4)
        assert np.log(ratio.ratio.high / ratio.ratio.low) == pytest.approx(2 * 1.959964 * error[at], rel=1e-3)


def test_twins_count_once():
    """Every patient twice: the interval of one copy each (clusters), with the small-sample factor g / (g - 1)."""
    X, y = cohort()
    rows = y != "HCM"
    X, y = X[rows], y[rows]
    twice = pd.concat([X, X])
    found = odds_ratios(twice, np.tile(y, 2), np.tile(people(len(X)), 2), reference="NOR")
    design = np.column_stack([np.ones(len(X)), (X - X.mean()) / twice.std()])
    sandwich = Logit(y == "DCM", design).fit(disp=0, cov_type="HC0")
    g = len(X)
    assert found.events == {"DCM": (y == "DCM").sum(), "NOR": (y == "NOR").sum()}
    for j, ratio in enumerate(found.ratios, start=1):
        assert np.log(ratio.ratio.value) == pytest.approx(np.asarray(sandwich.params)[j], abs=1e-5)
        width = np.log(ratio.ratio.high / ratio.ratio.low) / (2 * 1.959964)
        assert width == pytest.approx(np.asarray(sandwich.bse)[j] * np.sqrt(g / (g - 1)), rel=0.01)


def test_a_measurement_that_says_nothing_is_seldom_significant():
    """Under no effect the Wald test rejects one time in twenty."""
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(20):
        X = pd.DataFrame({"a": rng.normal(size=90), "b": rng.normal(size=90)})
        found = odds_ratios(X, rng.choice(["NOR", "DCM", "HCM"], 90), people(90), reference="NOR")
        rejected += found.p_values["a"] < 0.05
        assert found.p_holm["a"] >= found.p_values["a"]
    assert rejected <= 5  # binomial(20, 0.05): more than 5 has probability 0.0003


def test_a_strong_measurement_is_significant():
    X, y = cohort()
    found = odds_ratios(X, y, people(len(X)), reference="NOR")
    assert found.p_holm["lvef_pct"] < 1e-6
    dcm = next(r for r in found.ratios if (r.column, r.label) == ("lvef_pct", "DCM"))
    assert dcm.step == pytest.approx(X["lvef_pct"].std())
    assert dcm.ratio.low < np.exp(-X["lvef_pct"].std() / 10) < dcm.ratio.high


def test_few_events_and_undefined_measurements_warn():
    X, y = cohort(60)
    X.iloc[3, 0] = np.nan
    found = odds_ratios(X, y, people(60), reference="NOR")
    assert found.left_out == 1
    assert sum(found.events.values()) == 59
    assert found.events_per_variable == min(found.events.values()) / 4 < 10
    assert any("fewer than 10" in w for w in found.warnings)
    assert any("1 patients with an undefined" in w for w in found.warnings)


def test_perfect_separation_has_no_odds_ratio():
    X = pd.DataFrame({"a": np.arange(40.0)})
    found = odds_ratios(X, np.repeat(["NOR", "DCM"], 20), people(40), reference="NOR")
    assert found.ratios[0].ratio.value is None
    assert "perfectly separated" in found.ratios[0].ratio.text()
    assert found.p_values == {"a": None}
    assert "no odds ratio exists" in found.warnings[0]


def test_what_is_refused():
    X, y = cohort(40)
    with pytest.raises(UsageError, match="2 columns of 40 rows, 40 classes and 3 groups"):
        odds_ratios(X, y, people(3), reference="NOR")
    with pytest.raises(UsageError, match="0 columns"):
        odds_ratios(X[[]], y, people(40), reference="NOR")
    with pytest.raises(CohortError, match="reference class 'XYZ' needs another class.*NOR"):
        odds_ratios(X, y, people(40), reference="XYZ")
    with pytest.raises(CohortError, match="Too few patients for 4 coefficients"):
        odds_ratios(X.iloc[:5], np.array(["NOR", "DCM", "HCM", "NOR", "DCM"]), people(5), reference="NOR")
    with pytest.raises(CohortError, match="'ratio' has one value only"):
        odds_ratios(X.assign(ratio=1.0), y, people(40), reference="NOR")
    with pytest.raises(CohortError, match="a weighted sum of others"):
        odds_ratios(X.assign(again=X["ratio"] + X["lvef_pct"]), y, people(40), reference="NOR")
