import numpy as np
import pytest

from radiocard.evaluation.calibration import (
    binned_error,
    classwise_error,
    expected_error,
    simulate_labels,
    top_label_error,
)


def ones(n):
    return np.ones((1, n))


def test_binned_error_by_hand():
    confidence = np.array([0.1, 0.2, 0.8, 0.9])
    outcome = np.array([0.0, 1.0, 1.0, 1.0])
    # two bins of two patients: |0.5 - 0.15| and |1 - 0.85|
    assert binned_error(confidence, outcome, ones(4), bins=2)[0] == pytest.approx((0.35 + 0.15) / 2)


def test_equal_confidences_do_not_part():
    outcome = np.r_[np.ones(14), np.zeros(56)]
    assert binned_error(np.full(70, 0.2), outcome, ones(70), bins=10)[0] == pytest.approx(0.0, abs=1e-12)
    shuffled = np.random.default_rng(0).permutation(70)
    p = np.round(np.linspace(0, 1, 70), 1)
    a = binned_error(p, outcome, ones(70), bins=10)
    assert a == pytest.approx(binned_error(p[shuffled], outcome[shuffled], ones(70), bins=10))


def test_weights_are_copies():
    rng = np.random.default_rng(0)
    p, o, times = rng.random(40), rng.integers(0, 2, 40).astype(float), rng.integers(0, 3, 40)
    copied = binned_error(p.repeat(times), o.repeat(times), ones(times.sum()), bins=5)
    assert binned_error(p, o, times[None].astype(float), bins=5) == pytest.approx(copied)


def test_perfect_and_hopeless():
    p, y = np.eye(3)[None, [0, 1, 2, 0]], np.array([0, 1, 2, 0])
    assert top_label_error(p, y, ones(4), bins=2)[0] == 0.0
    assert classwise_error(p, y, ones(4), bins=2)[0] == 0.0
    assert top_label_error(p, (y + 1) % 3, ones(4), bins=2)[0] == 1.0


def confident(n, rng):
    """Five classes; the named one has a probability spread evenly over 0.6 to 1."""
    top = rng.uniform(0.6, 1.0, n)
    rest = rng.dirichlet(np.full(4, 0.5), n) * (1 - top)[:, None]
    return np.c_[top, rest][None]


def test_perfect_calibration_shows_about_0_106_at_70_patients_and_10_bins():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        p = confident(70, rng)
        found.append(expected_error(p, 0.0, kind="top", bins=10, n_draws=200, random_state=1).mean)
    assert np.mean(found) == pytest.approx(0.106, abs=0.012)


def test_expected_error_falls_with_n_and_the_p_value_is_fair():
    rng = np.random.default_rng(1)
    few, many = (
        expected_error(confident(n, rng), 0.0, kind="classwise", bins=10, n_draws=100, random_state=0).mean
        for n in (70, 2000)
    )
    assert many < few / 3
    p_values = []
    for seed in range(60):
        p = confident(70, rng)
        y = simulate_labels(p, n_draws=1, random_state=100 + seed)[0][0]
        observed = top_label_error(p, y, ones(70), bins=10)[0]
        p_values.append(expected_error(p, observed, kind="top", bins=10, n_draws=100, random_state=0).p)
    assert 0.35 < np.mean(p_values) < 0.65


def test_simulated_labels_follow_the_probabilities():
    p = np.tile([0.2, 0.5, 0.3], (2, 4, 1))
    first, second = simulate_labels(p, n_draws=5000, random_state=0)
    assert (first == second).all()
    assert np.bincount(first.ravel()) / first.size == pytest.approx([0.2, 0.5, 0.3], abs=0.02)
