"""Wall thickness against the closed form of shells: R_outer - |p - c_outer| for a point p of the inner circle."""

import numpy as np
import pytest

from radiocard.cardiac.orientation import heart_axes
from radiocard.cardiac.segments import map_segments
from radiocard.cardiac.wall import outline_mm, wall_samples


def sampled(made, heart, grid):
    """Samples, and their exact thickness from the formula of the shell."""
    mask = made.paint(heart, grid)
    wall = wall_samples(mask, map_segments(mask, heart_axes(mask)))
    index = np.column_stack([wall.points_mm / grid.spacing[:2], wall.k])
    world = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    point = np.column_stack([world @ np.array(grid.septum), world @ np.cross(grid.septum, grid.apex)])
    centre = np.array(heart.offset_mm)
    direction = (point - centre) / np.linalg.norm(point - centre, axis=1, keepdims=True)
    exact = heart.outer_mm - np.linalg.norm(centre + heart.inner_mm * direction, axis=1)
    return wall, exact


@pytest.mark.parametrize("offset", [(0.0, 0.0), (4.0, 3.0), (-2.0, 5.0)])
@pytest.mark.parametrize("spacing", [(1.5, 1.5, 9.0), (1.1, 1.9, 9.0), (1.9, 1.1, 9.0)])
@pytest.mark.parametrize("rotation", [0, 17, 45, 83])
def test_shells_are_exact_to_half_a_pixel_in_all_segments(made, offset, spacing, rotation):
    grid = made.Grid(spacing=spacing, rotation_deg=rotation, shift_mm=(0.4, 0.7), shape=(90, 90, 11))
    wall, exact = sampled(made, made.Heart(offset_mm=offset), grid)
    assert not np.isnan(wall.thickness_mm).any()
    for n in range(1, 17):
        here = wall.segment == n
        assert wall.thickness_mm[here].mean() == pytest.approx(exact[here].mean(), abs=0.5 * np.mean(spacing[:2]))
    assert np.abs(wall.thickness_mm - exact).max() < max(spacing[:2])


@pytest.mark.parametrize(("inner", "outer"), [(5.0, 17.0), (8.0, 20.0), (30.0, 35.0)])
def test_small_cavities_and_thin_walls(made, inner, outer):
    wall, exact = sampled(made, made.Heart(inner_mm=inner, outer_mm=outer), made.Grid(shift_mm=(0.3, 0.6)))
    assert not np.isnan(wall.thickness_mm).any()
    for n in range(1, 17):
        here = wall.segment == n
        assert wall.thickness_mm[here].mean() == pytest.approx(exact[here].mean(), abs=0.75)


def test_an_open_ring_has_no_thickness_in_its_gap(made):
    heart = made.Heart(open_deg=(70.0, 110.0))  # outflow tract in the basal slice, anterior
    grid = made.Grid(shape=(90, 90, 11))
    wall, _ = sampled(made, heart, grid)
    basal = wall.k == 1
    index = np.column_stack([wall.points_mm / grid.spacing[:2], wall.k])
    world = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    angle = np.rad2deg(np.arctan2(world @ np.cross(grid.septum, grid.apex), world @ np.array(grid.septum)))
    gap = (angle > 70) & (angle < 110)
    assert np.isnan(wall.thickness_mm[basal & gap]).all()
    near = basal & ~gap & (angle > 60) & (angle < 120)
    known = wall.thickness_mm[basal & ~np.isnan(wall.thickness_mm)]
    np.testing.assert_allclose(known, 10.0, atol=1.5)  # no short distance to the ends of the horseshoe
    assert np.isnan(wall.thickness_mm[near]).sum() <= near.sum() / 2
    assert not np.isnan(wall.thickness_mm[~basal]).any()


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.6)])
@pytest.mark.parametrize("radius", [3.0, 12.0])
def test_an_outline_keeps_the_area_of_a_disc(spacing, radius):
    i, j = np.indices((60, 60))
    disc = np.hypot((i - 30.2) * spacing[0], (j - 29.6) * spacing[1]) < radius
    x, y = outline_mm(disc, np.array(spacing)).T
    area = abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2
    assert area == pytest.approx(disc.sum() * spacing[0] * spacing[1], rel=0.03)


def test_one_voxel_has_an_outline():
    speck = np.zeros((5, 5), dtype=bool)
    speck[2, 2] = True
    np.testing.assert_allclose(outline_mm(speck, np.array([1.0, 2.0])).mean(axis=0), [2.0, 4.0], atol=0.2)


def test_no_segments_give_no_samples(made):
    mask = made.paint(made.Heart(), made.Grid())
    segments = map_segments(mask, heart_axes(mask))
    empty = type(segments)(np.zeros_like(segments.array), (), 1)
    assert wall_samples(mask, empty).thickness_mm.size == 0
