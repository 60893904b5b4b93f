import numpy as np
import pytest

from radiocard.simulate.grid import label_slices
from radiocard.simulate.heart import HeartParameters, end_diastole
from radiocard.simulate.layers import draw_surroundings, tissue_shares, wall_points


@pytest.fixture(scope="module")
def stack():
    numbers = {"lvedv_ml": 150.0, "lvef": 0.55, "rvef": 0.55, "sv_ratio": 1.0, "myocardium_ml": 120.0}
    walls = {"septal_excess": 0.4, "septal_centre_deg": 165.0, "deficit": 0.1, "thinning": 0.01, "territory": "LAD"}
    size = {"territory_shift_deg": 0.0, "territory_scale": 1.0, "length_mm": 85.0, "apex_mm": 5.0, "descent": 0.27}
    shape = end_diastole(HeartParameters(**numbers, **walls, **size))
    rng = np.random.default_rng(0)
    around = draw_surroundings(rng)
    grid = around.grid(np.array([20.0, 45.0, 70.0]), size=160, pixel_mm=1.4, rng=rng)
    return shape, grid, grid.window(75.0), around


def shares_of(stack, parts=None, thickness_mm=0.01):
    shape, grid, window, around = stack
    return tissue_shares(shape, grid, window, thickness_mm=thickness_mm, fat_mm=around.fat_mm, parts=parts or {})


def test_shares_fill_every_pixel(stack):
    found = shares_of(stack, thickness_mm=8.0)
    np.testing.assert_allclose(sum(found.values()), 1.0, atol=1e-5)
    assert min(s.min() for s in found.values()) > -1e-6


def test_shares_sum_to_the_area_of_the_phantom(stack):
    shape, grid, _, _ = stack
    found = shares_of(stack)
    endo, epi = shape.rings(grid.levels_mm)
    for k in range(3):
        cavity, heart = (np.mean(r[k] ** 2) * np.pi for r in (endo, epi))  # the area within a polar curve
        assert found["blood"][k].sum() * 1.4**2 == pytest.approx(cavity, rel=0.01)
        assert found["muscle"][k].sum() * 1.4**2 == pytest.approx(heart - cavity, rel=0.015)


def test_parts_are_weighed_by_the_myocardium(stack):
    found = shares_of(stack, {"half": lambda wall: np.full_like(wall.depth, 0.5)})
    np.testing.assert_allclose(found["half"], 0.5 * found["muscle"], atol=1e-6)


def test_wall_points_agree_with_the_labels(stack):
    shape, grid, window, _ = stack
    points = wall_points(shape, grid, window)
    labels = label_slices(shape, grid, window).transpose(2, 0, 1)[window.where]
    np.testing.assert_array_equal((points.depth >= 0) & (points.depth < 1), labels == 2)
    septal, lateral = (points.wall_mm[np.abs((points.theta_deg - t + 180) % 360 - 180) < 10].mean() for t in (165, 0))
    assert septal / lateral == pytest.approx(1.4, rel=0.1)


def test_grid_is_rigid_and_follows_the_slices(stack):
    _, grid, _, around = stack
    affine = around.affine(grid)
    steps = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    np.testing.assert_allclose(steps, [1.4, 1.4, 25.0])
    np.testing.assert_allclose((affine[:3, :3] / steps).T @ (affine[:3, :3] / steps), np.eye(3), atol=1e-12)
