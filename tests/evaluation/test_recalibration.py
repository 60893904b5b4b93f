import numpy as np
import pytest
import statsmodels.api as sm

from radiocard.evaluation.calibration import simulate_labels
from radiocard.evaluation.recalibration import calibration_intercepts, calibration_slope


def binary(n=300, slope=0.6, shift=0.5):
    rng = np.random.default_rng(0)
    score = rng.normal(0, 2, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-(slope * score + shift)))).astype(int)
    p = 1 / (1 + np.exp(-score))
    return score, y, np.stack([1 - p, p], axis=1)[None]


def labels(p, seed=0):
    return simulate_labels(p[None], n_draws=1, random_state=seed)[0][0]


def test_binary_slope_and_its_interval_are_those_of_logistic_recalibration():
    score, y, p = binary()
    found = calibration_slope(p, y, np.arange(300))
    peer = sm.Logit(y, sm.add_constant(score)).fit(disp=0, cov_type="HC0")
    assert found.value == pytest.approx(peer.params[1], abs=1e-5)
    half = 1.959964 * peer.bse[1] * np.sqrt(300 / 299)
    assert (found.low, found.high) == pytest.approx((peer.params[1] - half, peer.params[1] + half), abs=1e-4)


def test_interval_counts_groups_once():
    _, y, p = binary()
    twice = calibration_slope(p.repeat(2, axis=1), y.repeat(2), np.arange(300).repeat(2))
    once = calibration_slope(p, y, np.arange(300))
    assert (twice.value, twice.low, twice.high) == pytest.approx((once.value, once.low, once.high), abs=1e-6)
    assert twice.n == 300


def test_repeats_do_not_narrow_the_interval():
    _, y, p = binary()
    once, thrice = (calibration_slope(p.repeat(r, axis=0), y, np.arange(300)) for r in (1, 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=1e-9)


def test_binary_intercepts_are_half_of_the_one_with_offset():
    score, y, p = binary()
    offset = sm.GLM(y, np.ones(300), family=sm.families.Binomial(), offset=score).fit()
    found = [e.value for e in calibration_intercepts(p, y, np.arange(300))]
    assert found == pytest.approx([-offset.params[0] / 2, offset.params[0] / 2], abs=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_multiclass_slope_is_the_inverse_of_the_temperature(temperature):
    true = np.random.default_rng(0).dirichlet(np.full(5, 0.7), 20000)
    said = true ** (1 / temperature)
    said /= said.sum(axis=1, keepdims=True)
    found = calibration_slope(said[None], labels(true), np.arange(20000))
    assert found.value == pytest.approx(temperature, rel=0.05)


def test_multiclass_intercepts_show_a_shifted_class_mix():
    true = np.random.default_rng(0).dirichlet(np.ones(3), 20000)
    said = true * np.array([1.0, 2.0, 1.0])
    said /= said.sum(axis=1, keepdims=True)
    expected = -np.log([1.0, 2.0, 1.0])
    found = calibration_intercepts(said[None], labels(true), np.arange(20000))
    assert [e.value for e in found] == pytest.approx(expected - expected.mean(), abs=0.05)
    for e, truth in zip(found, expected - expected.mean(), strict=True):
        assert abs(e.value - truth) < 3 / 1.96 * (e.high - e.value)


def test_slope_interval_covers_one_under_perfect_calibration():
    rng, inside = np.random.default_rng(0), 0
    for seed in range(200):
        p = rng.dirichlet(np.full(5, 0.25), 70)
        estimate = calibration_slope(p[None], labels(p, seed), np.arange(70))
        inside += estimate.value is not None and estimate.low <= 1 <= estimate.high
    assert 0.89 <= inside / 200 <= 0.99


def test_says_where_there_is_no_slope():
    y = np.repeat([0, 1, 2], 10)
    alike = calibration_slope(np.full((1, 30, 3), 1 / 3), y, np.arange(30))
    assert alike.value is None
    assert "same probabilities" in alike.method
    separated = np.full((30, 3), 0.01)
    separated[np.arange(30), y] = 0.98
    assert "perfectly separated" in calibration_slope(separated[None], y, np.arange(30)).method
    p = np.random.default_rng(0).dirichlet(np.ones(3), 20)[None]
    two = np.repeat([0, 1], 10)
    assert "no patient" in calibration_slope(p, two, np.arange(20)).method
    assert [e.value for e in calibration_intercepts(p, two, np.arange(20))] == [None] * 3
