import math

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_1samp

from radiocard.errors import UsageError
from radiocard.evaluation.paired_tests import (
    corrected_resampled_t,
    non_inferiority,
    tango_interval,
    tango_statistic,
)


def test_resampled_t_is_the_paired_t_divided_by_the_correction():
    d = np.random.default_rng(1).normal(0.02, 0.05, size=30)
    found = corrected_resampled_t(d, n_train=80, n_test=20, n_patients=100)
    naive = ttest_1samp(d, 0)
    assert found.t == pytest.approx(naive.statistic / math.sqrt(1 + 30 * 20 / 80))
    assert found.p == pytest.approx(2 * t.sf(abs(found.t), 29))
    interval = naive.confidence_interval(0.95)
    widened = (interval.high - interval.low) * math.sqrt(1 + 30 * 20 / 80)
    assert found.difference.high - found.difference.low == pytest.approx(widened)
    assert (found.difference.n, found.folds) == (100, 30)


@pytest.mark.slow
def test_resampled_t_of_the_published_example():
    """Values printed in the scikit-learn example "Statistical comparison of models using grid search"."""
    from sklearn.datasets import make_moons
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)

    def areas(**kernel):
        return cross_val_score(SVC(random_state=0, **kernel), X, y, cv=folds, scoring="roc_auc")

    found = corrected_resampled_t(areas(kernel="rbf") - areas(kernel="linear"), n_train=90, n_test=10, n_patients=100)
    assert (round(found.t, 3), round(found.p / 2, 3)) == (0.750, 0.227)


def test_repeating_the_same_folds_brings_no_certainty():
    """The naive interval of 100 copies of five folds shrinks tenfold; the corrected one keeps its floor."""
    five = np.array([0.01, 0.05, -0.02, 0.03, 0.04])
    once = corrected_resampled_t(five, n_train=80, n_test=20, n_patients=100).difference
    often = corrected_resampled_t(np.tile(five, 100), n_train=80, n_test=20, n_patients=100).difference
    assert (often.high - often.low) / (once.high - once.low) > 0.45
    assert often.n == 100


def test_resampled_t_without_variance_or_folds():
    found = corrected_resampled_t([0.1, 0.1, 0.1], n_train=80, n_test=20, n_patients=100)
    assert (found.t, found.p, found.difference.low, found.to_dict()["t"]) == (None, None, None, None)
    assert "all folds agree" in found.difference.method
    for bad in ([0.1], [0.1, float("nan")]):
        with pytest.raises(UsageError, match="expected two folds and finite differences"):
            corrected_resampled_t(bad, n_train=80, n_test=20, n_patients=100)
    with pytest.raises(UsageError, match="with 0 and 20 patients"):
        corrected_resampled_t([0.1, 0.2], n_train=0, n_test=20, n_patients=100)


def quartic(b, c, n):
    """Tango's limits as roots of the quartic of Yang, Sun & Hardin, Stat Med 32 (2013), doi:10.1002/sim.5561."""
    g, d, s = norm.ppf(0.975) ** 2, b - c, b + c
    coefficients = [
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * (s / g + 1),
        n * d * (2 * s / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - s) / g,
    ]
    real = np.sort([r.real for r in np.roots(coefficients) if abs(r.imag) < 1e-6])
    return real[0], real[-1]


@pytest.mark.parametrize(
    ("b", "c", "n"),
    [(1, 7, 21), (7, 1, 21), (25, 28, 618), (9, 2, 31), (5, 5, 16), (0, 7, 14), (25, 12, 200), (3, 2, 14)],
)
def test_tango_interval_is_the_closed_form(b, c, n):
    found = tango_interval(b, c, n)
    assert (found.low, found.high) == pytest.approx(quartic(b, c, n), abs=1e-7)
    assert found.value == (b - c) / n


def test_tango_interval_of_published_examples():
    """Airway hyper-responsiveness, Fagerland et al. (2014): -0.517 to -0.026."""
    found = tango_interval(1, 7, 21)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.517, -0.026)


def test_tango_interval_where_nothing_or_everything_differs():
    z2 = norm.ppf(0.975) ** 2
    none = tango_interval(0, 0, 14)
    assert (none.low, none.high) == pytest.approx((-z2 / (14 + z2), z2 / (14 + z2)), abs=1e-6)
    assert tango_interval(14, 0, 14).high == 1.0
    assert tango_interval(0, 14, 14).low == -1.0


def test_the_limits_are_where_the_statistic_is_critical():
    found = tango_interval(6, 13, 60)
    for limit, sign in ((found.low, 1), (found.high, -1)):
        assert tango_statistic(6, 13, 60, difference=limit) == pytest.approx(sign * norm.ppf(0.975), abs=1e-6)
    assert tango_statistic(9, 2, 31, difference=0) == pytest.approx(7 / math.sqrt(11))  # McNemar
    assert math.isnan(tango_statistic(0, 0, 31, difference=0))


def test_tango_interval_keeps_its_level():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        b, c, _ = rng.multinomial(40, [0.15, 0.05, 0.8])
        found = tango_interval(int(b), int(c), 40)
        covered += found.low <= 0.1 <= found.high
    assert 0.92 <= covered / 500 <= 0.98


def test_non_inferiority_agrees_with_its_interval():
    near = non_inferiority(12, 12, 400, margin=0.05)
    assert near.shown
    assert near.difference.low > -0.05
    assert near.p < 0.025
    far = non_inferiority(5, 9, 60, margin=0.05)
    assert not far.shown
    assert far.p > 0.025
    assert far.to_dict()["margin"] == 0.05


@pytest.mark.parametrize("margin", [0.0, -0.05, 1.0, float("nan")])
def test_a_margin_is_a_loss_of_accuracy(margin):
    with pytest.raises(UsageError, match="expected a loss of accuracy above 0 and below 1"):
        non_inferiority(5, 5, 50, margin=margin)


@pytest.mark.parametrize(("b", "c", "n"), [(-1, 2, 5), (4, 4, 7), (0, 0, 0)])
def test_counts_must_fit(b, c, n):
    with pytest.raises(UsageError, match="expected counts that add up to at most n"):
        tango_interval(b, c, n)
