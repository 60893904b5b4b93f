from itertools import permutations

import numpy as np
import pytest

from radiocard.evaluation.drift_measures import binned, range_p_value, stability_index


def test_stability_index_is_the_sum_of_its_definition():
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.3, 0.6])
    expected = sum((y - x) * np.log(y / x) for x, y in zip(p, q, strict=True))
    assert stability_index(100 * p, 300 * q) == pytest.approx(expected)
    assert stability_index([10, 10], [3, 3]) == 0
    assert np.isfinite(stability_index([10, 0], [0, 10]))


def test_chance_of_values_outside_the_range_is_that_of_all_orders():
    n, m = 3, 2
    outside = []
    for order in permutations(range(n + m)):
        old, new = order[:n], order[n:]
        outside.append(sum(v < min(old) or v > max(old) for v in new))
    for k in range(m + 1):
        assert range_p_value(k, n_training=n, n_incoming=m) == pytest.approx(np.mean(np.array(outside) >= k))
    assert range_p_value(0, n_training=150, n_incoming=400) == pytest.approx(1)


def test_bins_hold_equal_shares_of_training():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=200), rng.normal(size=50)
    counts = binned(a, b)
    assert counts[0].tolist() == [20] * 10
    assert counts[1].sum() == 50
    assert binned(a, b[:20])[0].tolist() == [50] * 4  # 5 of 20 in each
    edges = np.quantile(a, np.arange(1, 10) / 10)
    assert counts[1].tolist() == np.histogram(b, np.r_[-np.inf, edges, np.inf])[0].tolist()


def test_ties_share_a_bin_and_a_constant_has_one():
    few = np.repeat([1.0, 2.0, 3.0], 20)
    counts = binned(few, few)
    assert counts[0].tolist() == counts[1].tolist()
    assert counts[0].sum() == 60
    assert binned(np.ones(30), np.ones(30))[0].tolist() == [30]
