import numpy as np
import pytest

from radiocard.simulate.layers import WallPoints
from radiocard.simulate.map_structure import focal_pattern, wall_values


@pytest.fixture(scope="module")
def wall():
    theta, depth = np.meshgrid(np.arange(0.5, 360.0), np.linspace(0.005, 0.995, 100), indexing="ij")
    theta, depth = theta[None], depth[None]
    return WallPoints(np.full(theta.shape, 0.4), theta, depth, 25 + 10 * depth, np.full(theta.shape, 10.0))


LATENTS = {"t1_ms": 1300.0, "ecv_pct": 30.0, "t2_ms": 48.0, "grain_ms": 0.0, "focal_ms": 0.0, "gradient_ms": 0.0}


def values(wall, pattern="insertion", seed=0, **latents):
    inside = np.ones(wall.depth.shape, dtype=bool)
    rng = np.random.default_rng(seed)
    return wall_values(wall, inside, {**LATENTS, **latents}, pattern, pixel_mm=1.4, rng=rng)


def test_structure_leaves_the_mean_and_sets_the_spread(wall):
    found = values(wall, grain_ms=30.0)
    assert found.t1_ms.mean() == pytest.approx(1300.0)
    assert found.ecv_pct.mean() == pytest.approx(30.0)
    assert found.t2_ms.mean() == pytest.approx(48.0)
    assert found.t1_ms.std() == pytest.approx(30.0, rel=0.02)
    assert not values(wall).t1_ms.std()


def test_gradient_runs_from_the_endocardium_to_the_epicardium(wall):
    t1 = values(wall, gradient_ms=50.0).t1_ms
    assert t1[wall.depth < 0.01].mean() - t1[wall.depth > 0.99].mean() == pytest.approx(50.0, rel=0.02)


def test_ecv_and_t2_rise_with_t1(wall):
    found = values(wall, pattern="septal-stripe", focal_ms=100.0)
    np.testing.assert_allclose(found.ecv_pct - 30.0, 0.04 * (found.t1_ms - 1300.0))
    bright = found.t1_ms > np.percentile(found.t1_ms, 95)
    assert found.t2_ms[bright].mean() > found.t2_ms[~bright].mean() + 2


@pytest.mark.parametrize(
    ("pattern", "theta", "depth"),
    [
        ("insertion", {120, 240}, (0.4, 1.0)),
        ("septal-patches", {165, 120, 240}, (0.2, 0.9)),
        ("subendocardial", None, (0.0, 0.33)),
        ("septal-stripe", {180}, (0.3, 0.7)),
        ("subepicardial", {310}, (0.5, 1.0)),
    ],
)
def test_patterns_lie_where_they_should(wall, pattern, theta, depth):
    found = focal_pattern(pattern, wall, np.zeros(wall.depth.shape), shift_deg=0.0)
    assert found.min() >= 0
    assert 0.4 < found.max() <= 1
    weight = found / found.sum()
    across = weight[(wall.depth >= depth[0]) & (wall.depth <= depth[1])].sum()
    assert across > 0.7
    if theta is not None:
        off = np.min([np.abs((wall.theta_deg - t + 180) % 360 - 180) for t in theta], axis=0)
        assert weight[off < 45].sum() > 0.75
    else:
        np.testing.assert_allclose(found[0, 0], found[0, 180])  # all around


def test_a_pattern_turns_with_the_patient(wall):
    zero = np.zeros(wall.depth.shape)
    a, b = (focal_pattern("septal-stripe", wall, zero, shift_deg=s) for s in (0.0, 10.0))
    np.testing.assert_allclose(np.roll(a, 10, axis=1), b)
