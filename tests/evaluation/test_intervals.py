import math

import numpy as np
import pytest
from scipy.stats import binomtest

from radiocard.evaluation.intervals import (
    exact_mcnemar,
    holm,
    mean_of_proportions,
    mean_over_patients,
    percentile,
    resample_weights,
    wilson,
)


def wilson_by_hand(p, n, z=1.959963984540054):
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


@pytest.mark.parametrize(("p", "n"), [(0.5, 10), (0.9, 70), (1.0, 14), (0.0, 14), (0.9523, 70)])
def test_wilson_is_the_published_formula(p, n):
    estimate = wilson(p, n)
    assert (estimate.low, estimate.high) == pytest.approx(wilson_by_hand(p, n), abs=1e-12)
    assert estimate.n == n


def test_wilson_says_nothing_about_nobody():
    estimate = wilson(float("nan"), 0)
    assert (estimate.value, estimate.low, estimate.high) == (None, None, None)
    assert "not defined" in estimate.text()


def test_wilson_covers_95_percent():
    """Exact coverage, summed over the binomial, averaged over true proportions (Brown et al. 2001)."""
    n, covered = 70, []
    intervals = [wilson(k / n, n) for k in range(n + 1)]
    for p in np.linspace(0.6, 0.97, 38):
        mass = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        covered.append(sum(m for m, i in zip(mass, intervals, strict=True) if i.low <= p <= i.high))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_mean_of_one_proportion_is_that_proportion():
    one = wilson(0.8, 20)
    both = mean_of_proportions([one])
    assert (both.value, both.low, both.high) == pytest.approx((one.value, one.low, one.high))


def test_mean_of_proportions_does_not_collapse_at_one():
    estimate = mean_of_proportions([wilson(1.0, 14)] * 5)
    assert estimate.value == 1.0
    assert 0.8 < estimate.low < 0.95
    assert mean_of_proportions([wilson(1.0, 14), wilson(float("nan"), 0)]).value is None


def test_mean_of_proportions_covers():
    rng = np.random.default_rng(0)
    truth = np.array([0.95, 0.8, 0.9, 0.7, 0.85])
    hits = 0
    for _ in range(400):
        found = [wilson(rng.binomial(14, p) / 14, 14) for p in truth]
        estimate = mean_of_proportions(found)
        hits += estimate.low <= truth.mean() <= estimate.high
    assert 0.92 <= hits / 400 <= 0.99


def test_resamples_keep_groups_whole_and_classes_their_size():
    y = np.array([0, 0, 0, 1, 1, 1, 1])
    groups = np.array([0, 0, 1, 2, 3, 4, 5])
    weights = resample_weights(y, groups, n_bootstrap=200, random_state=3)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3:].sum(axis=1) == 4).all()
    assert (weights[:, 0] + weights[:, 2] == 2).all()
    assert (weights == resample_weights(y, groups, n_bootstrap=200, random_state=3)).all()
    assert (weights != resample_weights(y, groups, n_bootstrap=200, random_state=4)).any()


def test_percentile_takes_the_middle_95():
    estimate = percentile(0.5, np.linspace(0, 1, 1001), n=10)
    assert (estimate.low, estimate.high) == pytest.approx((0.025, 0.975), abs=2e-3)


def test_percentile_says_when_it_cannot_know():
    assert "cannot show" in percentile(1.0, np.ones(100), n=10).method
    assert percentile(float("nan"), np.ones(100), n=10).low is None
    unbounded = percentile(3.0, np.r_[np.linspace(1, 4, 90), np.full(10, np.inf)], n=10)
    assert unbounded.high is None
    assert "no upper bound" in unbounded.text()


def test_centred_percentile_removes_the_bias_of_resampling():
    estimate = percentile(0.10, np.full(100, 0.16) + np.linspace(-0.02, 0.02, 100), n=10, centred=True)
    assert (estimate.low + estimate.high) / 2 == pytest.approx(0.10, abs=1e-3)


def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs():
    first = np.r_[np.ones(9), np.zeros(2), np.ones(20)].astype(bool)
    second = np.r_[np.zeros(9), np.ones(2), np.ones(20)].astype(bool)
    only_first, only_second, p = exact_mcnemar(first, second)
    assert (only_first, only_second) == (9, 2)
    assert p == pytest.approx(binomtest(2, 11).pvalue)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_mean_over_patients_is_close_to_the_normal_interval():
    values = np.random.default_rng(0).normal(5, 2, size=(200, 2))
    found = mean_over_patients(values, np.zeros(200, dtype=int), np.arange(200), n_bootstrap=2000, random_state=0)
    for j, estimate in enumerate(found):
        half = 1.96 * values[:, j].std(ddof=1) / np.sqrt(200)
        assert estimate.value == pytest.approx(values[:, j].mean())
        assert (estimate.low, estimate.high) == pytest.approx(
            (estimate.value - half, estimate.value + half), abs=0.15 * half
        )
