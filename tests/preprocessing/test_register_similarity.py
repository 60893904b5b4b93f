import numpy as np
import pytest

from radiocard.preprocessing.register_similarity import Ruler, entropy_correlation, search_shift
from radiocard.specs.registration import RegistrationSettings

SETTINGS = RegistrationSettings(contrast="different", max_shift_mm=10.0, search_step_mm=2.0)


def test_entropy_correlation_in_closed_form():
    """Independent: 0. A permutation of levels: 1. Two bits of which one is shared: 2 * 1 / (2 + 2) bits."""
    a, b = (v.ravel().astype(float) for v in np.meshgrid(np.arange(4), np.arange(4)))
    assert entropy_correlation(a, b) == pytest.approx(0.0, abs=1e-12)
    assert entropy_correlation(a, (3 * a + 1) % 4) == pytest.approx(1.0)
    high, low, other = np.meshgrid([0, 1], [0, 1], [0, 1])
    first, second = (2.0 * high + low).ravel(), (2.0 * high + other).ravel()
    assert entropy_correlation(first, second) == pytest.approx(0.5)
    assert entropy_correlation(np.zeros(8), np.zeros(8)) == 0.0


def test_search_finds_a_shift_of_whole_steps():
    rng = np.random.default_rng(0)
    fixed = np.kron(rng.standard_normal((16, 16)), np.ones((4, 4)))
    region = np.zeros(fixed.shape, dtype=bool)
    region[20:44, 20:44] = True
    moving = np.roll(-fixed, (4, -6), axis=(0, 1))
    everywhere = np.ones_like(region)
    ruler = Ruler.of(fixed, region, spacing_mm=(1.0, 1.0), settings=SETTINGS)
    peak = search_shift(ruler, ruler.prepared(moving, everywhere), everywhere)
    assert peak.shift_mm == (4.0, -6.0)
    assert peak.distinctness > SETTINGS.min_distinctness
    assert peak.runner_up < SETTINGS.max_runner_up
    assert search_shift(ruler, ruler.prepared(moving, everywhere), ~everywhere) is None
