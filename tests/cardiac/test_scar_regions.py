"""Sectors, enclosed cores and grey zones in rings that are made from formulas."""

import numpy as np
import pytest

from radiocard.cardiac.scar_regions import (
    beside,
    darkest_sector,
    enclosed_core,
    grey_zone,
    largest_patch,
    wall_interior,
)
from radiocard.errors import MaskError
from radiocard.image import LabelMap

ROW, COLUMN = np.indices((61, 61)) - 30
RADIUS = np.hypot(ROW, COLUMN)[..., None]
ANGLE = np.rad2deg(np.arctan2(COLUMN, ROW))[..., None]
CAVITY, WALL = RADIUS < 12, (RADIUS >= 12) & (RADIUS < 24)


def labelled():
    return LabelMap(CAVITY * 1 + WALL * 2, np.diag([1.5, 1.5, 8.0, 1.0]), labels={"lv_cavity": 1, "lv_myocardium": 2})


@pytest.mark.parametrize("middle", [0, 70, -120, 180])
def test_the_darkest_sector_is_where_it_was_planted(middle):
    apart = np.abs((ANGLE - middle + 180) % 360 - 180)
    found = darkest_sector(np.where(apart <= 30, 10.0, 20.0), labelled(), width_deg=60.0)
    assert found.any()
    assert ((apart <= 30.01) & WALL)[found].all()
    assert found.sum() == pytest.approx(WALL.sum() / 6, rel=0.05)


def test_a_heart_with_next_to_no_wall_is_refused():
    labels = labelled().array.copy()
    labels[(labels == 2) & (ANGLE > 20)] = 0
    labels[(labels == 2) & (ANGLE < 10)] = 0
    labels[(labels == 2) & (RADIUS > 13)] = 0
    mask = LabelMap(labels, np.eye(4), labels={"lv_cavity": 1, "lv_myocardium": 2})
    with pytest.raises(MaskError, match="No sector of any slice holds 10 voxels") as error:
        darkest_sector(np.zeros(labels.shape), mask, width_deg=60.0)
    assert error.value.code == "E_ROI_SIZE"


def test_a_hole_in_scar_is_no_reflow():
    hole = WALL & (np.abs(ANGLE) < 15) & (RADIUS > 15) & (RADIUS < 20)
    scar = WALL & (np.abs(ANGLE) < 40) & ~hole
    np.testing.assert_array_equal(enclosed_core(scar, WALL, CAVITY), hole)


def test_a_core_that_reaches_the_endocardium_is_no_reflow():
    core = WALL & (np.abs(ANGLE) < 15) & (RADIUS < 18)
    scar = WALL & (np.abs(ANGLE) < 40) & ~core
    np.testing.assert_array_equal(enclosed_core(scar, WALL, CAVITY), core)


def test_myocardium_that_reaches_the_epicardium_is_not_enclosed():
    gap = WALL & (np.abs(ANGLE) < 15) & (RADIUS > 18)
    assert not enclosed_core(WALL & (np.abs(ANGLE) < 40) & ~gap, WALL, CAVITY).any()


@pytest.mark.parametrize("half_angle", [90, 181], ids=["arc", "ring"])
def test_the_inner_layer_beside_mid_wall_scar_is_not_enclosed(half_angle):
    scar = (RADIUS >= 15) & (RADIUS < 19) & (np.abs(ANGLE) < half_angle)
    assert not enclosed_core(scar, WALL, CAVITY).any()


def test_no_scar_encloses_nothing():
    assert not enclosed_core(np.zeros_like(WALL), WALL, CAVITY).any()


def test_the_grey_zone_touches_its_core():
    core = WALL & (np.abs(ANGLE) < 20)
    border = WALL & (np.abs(ANGLE) >= 20) & (np.abs(ANGLE) < 30)
    elsewhere = WALL & (np.abs(ANGLE) > 100) & (np.abs(ANGLE) < 110)
    np.testing.assert_array_equal(grey_zone(border | elsewhere, core), border)
    assert not grey_zone(elsewhere, core).any()


def test_the_interior_leaves_out_one_pixel_at_both_edges():
    interior = wall_interior(WALL, edge_pixels=1)
    assert interior[(RADIUS >= 13.5) & (RADIUS < 22.5)].all()
    assert not interior[(RADIUS < 12.5) | (RADIUS > 23.5)].any()
    np.testing.assert_array_equal(wall_interior(WALL, edge_pixels=0), WALL)


def test_a_wall_that_is_mostly_edge_stays_whole():
    thin = (RADIUS >= 12) & (RADIUS < 15)
    np.testing.assert_array_equal(wall_interior(thin, edge_pixels=1), thin)


def test_a_bright_rim_alone_is_dropped_and_the_edge_of_scar_kept():
    interior = wall_interior(WALL, edge_pixels=1)
    scar = WALL & (np.abs(ANGLE) < 30)
    rim = WALL & (RADIUS < 12.5) & (np.abs(ANGLE) > 60)
    np.testing.assert_array_equal(beside(interior, scar | rim, edge_pixels=1), scar)
    assert not beside(interior, rim, edge_pixels=1).any()
    np.testing.assert_array_equal(beside(WALL, rim, edge_pixels=0), rim)


def test_the_darkest_sector_can_be_kept_to_the_interior():
    interior = wall_interior(WALL, edge_pixels=1)
    found = darkest_sector(np.zeros(WALL.shape), labelled(), width_deg=60.0, within=interior)
    assert found.any()
    assert not (found & ~interior).any()


def test_the_largest_patch_is_that_of_one_slice():
    region = np.zeros((6, 6, 2), dtype=bool)
    region[:2, :2, 0] = region[:2, :2, 1] = region[2, 2, 1] = region[5, 5, 0] = True
    assert np.argwhere(largest_patch(region)).tolist() == [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1], [2, 2, 1]]
    assert not largest_patch(np.zeros((6, 6, 2), dtype=bool)).any()
