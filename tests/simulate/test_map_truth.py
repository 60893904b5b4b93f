import numpy as np
import pytest

from radiocard.simulate.layers import WallPoints
from radiocard.simulate.map_images import Blood
from radiocard.simulate.map_structure import WallValues
from radiocard.simulate.map_truth import map_truth
from radiocard.simulate.maps import simulate_map_patient


class Tube:
    """A cylinder with a wall of 8 mm, and 12 mm at 165 to 195 degree."""

    tip_mm = 90.0

    def rings(self, z_mm):
        theta = (np.arange(120) + 0.5) * 3.0
        endo = np.full((len(z_mm), 120), 25.0)
        return endo, endo + np.where(np.abs(theta - 180) < 15, 12.0, 8.0)


def points():
    level, theta, depth = np.meshgrid([0.2, 0.5, 0.8], np.arange(1.0, 360.0, 2.0), [0.25, 0.75], indexing="ij")
    return WallPoints(level, theta, depth, 25 + 8 * depth, np.full(depth.shape, 8.0))


def test_segments_and_gradients_of_a_wall_that_is_known_in_closed_form():
    wall = points()
    t1 = 1200.0 + 100.0 * (wall.theta_deg > 180) - 40.0 * wall.depth
    values = WallValues(t1, np.full(t1.shape, 30.0), np.full(t1.shape, 50.0))
    inside = np.ones(t1.shape, dtype=bool)
    truth = map_truth(Tube(), np.array([18.0, 45.0, 72.0]), wall, inside, values, Blood(1800.0, 400.0, 40.0))
    assert truth["t1_native_ms"] == pytest.approx(1200 + 50 - 20)
    assert truth["t1_native_aha_01_ms"] == pytest.approx(1200 - 20)  # anterior
    assert truth["t1_native_aha_04_ms"] == pytest.approx(1300 - 20)  # inferior
    assert truth["t1_native_gradient_aha_10_ms"] == pytest.approx(40 * 0.5)
    assert truth["ecv_aha_16_pct"] == pytest.approx(30.0)
    assert truth["t1_post_ms"] < 1200
    assert truth["wt_aha_12_map_mm"] == pytest.approx(8.0)
    # 15 of 60 degree are 12 mm thick on either side of the middle of the septum
    assert truth["wt_aha_08_map_mm"] == pytest.approx(8 + 4 * 15 / 60, abs=0.1)
    assert truth["mwt_max_map_mm"] == pytest.approx(8 + 4 * 30 / 90, abs=0.1)  # the apical septum spans 90 degree


def test_thickness_is_that_of_the_phantom_at_the_slices():
    thick, thin = (simulate_map_patient("t1-amyloid", group, 1, seed=0) for group in ("HCM", "NOR"))
    assert thick.truth["mwt_max_map_mm"] > thin.truth["mwt_max_map_mm"] + 3
