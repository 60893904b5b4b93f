"""Transmurality of shells: scar between two radii takes (r2 - r1) / wall of every chord."""

import numpy as np
import pytest

from radiocard.cardiac.orientation import heart_axes
from radiocard.cardiac.segments import map_segments
from radiocard.cardiac.transmurality import (
    ChordScar,
    chord_scar,
    pattern_values,
    transmurality_values,
    wall_chords,
)
from radiocard.errors import GeometryError

SIX = {1: 90, 2: 30, 3: -30, 4: -90, 5: -150, 6: 150}
FOUR = {13: 90, 14: 0, 15: -90, 16: 180}
HALF_PIXEL_PCT = 100 * 0.5 * 1.5 / 10.0  # of a wall of 10 mm


def shell(made, *, segmented=True, heart=None, **grid):
    """A heart with a wall from 20 to 30 mm: chords, and radius and angle (from septum to anterior) of each voxel."""
    grid = made.Grid(**({"shift_mm": (0.4, 0.7), "shape": (96, 96, 11)} | grid))
    mask = made.paint(heart or made.Heart(), grid)
    world = grid.affine[:3, :3] @ np.indices(grid.shape).reshape(3, -1) + grid.affine[:3, 3:]
    x, y = np.array(grid.septum) @ world, np.cross(grid.septum, grid.apex) @ world
    segments = map_segments(mask, heart_axes(mask)) if segmented else None
    radius, angle = np.hypot(x, y).reshape(grid.shape), np.rad2deg(np.arctan2(y, x)).reshape(grid.shape)
    return mask, wall_chords(mask, segments), radius, angle


def measured(mask, chords, scar):
    return chord_scar(scar & mask.mask("lv_myocardium"), mask, chords)


def per_segment(values, quantity="transmurality"):
    return np.array([values[f"{quantity}_aha_{n:02d}_pct"] for n in range(1, 17)], dtype=float)


def overlap_deg(a, half_a, b, half_b):
    """Angle that two sectors share [degrees]."""
    apart = abs((a - b + 180) % 360 - 180)
    return float(np.clip(half_a + half_b - apart, 0, 2 * min(half_a, half_b)))


@pytest.mark.parametrize("rotation", [0, 17, 45, 83, 200])
@pytest.mark.parametrize("spacing", [(1.5, 1.5, 9.0), (1.1, 1.9, 9.0)])
def test_subendocardial_scar_is_as_deep_as_it_was_planted(made, rotation, spacing):
    mask, chords, radius, _ = shell(made, rotation_deg=rotation, spacing=spacing)
    for depth in (25, 50, 75):
        found = per_segment(transmurality_values(measured(mask, chords, radius < 20 + depth / 10)))
        np.testing.assert_allclose(found, depth, atol=HALF_PIXEL_PCT)
        assert found.mean() == pytest.approx(depth, abs=2.5)  # no bias beyond a sixth of a pixel


@pytest.mark.parametrize("rotation", [0, 33, 117, 260])
def test_transmural_scar_lies_in_the_segments_that_it_covers(made, rotation):
    """A sector of 60 degrees at segments 2 and 8 covers 30 to 60 degrees of the apical ones."""
    mask, chords, _, angle = shell(made, rotation_deg=rotation, spacing=(1.0, 1.0, 9.0), shape=(130, 130, 11))
    found = transmurality_values(measured(mask, chords, np.abs(angle - 30) < 30))
    expected = [100 * overlap_deg(30, 30, a, 30) / 60 for a in [*SIX.values()] * 2]
    expected += [100 * overlap_deg(30, 30, a, 45) / 90 for a in FOUR.values()]
    np.testing.assert_allclose(per_segment(found), expected, atol=4.0)
    np.testing.assert_allclose(per_segment(found, "scar_extent"), expected, atol=4.0)
    assert found["transmurality_scarred_aha_14_pct"] == pytest.approx(100, abs=3.0)
    assert found["transmurality_over_50_n"] in {2.0, 3.0}  # segment 14 is half covered


def test_transmurality_is_the_extent_times_the_depth(made):
    mask, chords, radius, angle = shell(made, spacing=(1.0, 1.0, 9.0), shape=(130, 130, 11), rotation_deg=20)
    found = transmurality_values(measured(mask, chords, (np.abs(angle + 90) < 15) & (radius < 26)))
    assert found["scar_extent_aha_10_pct"] == pytest.approx(50, abs=4)
    assert found["transmurality_scarred_aha_10_pct"] == pytest.approx(60, abs=4)
    assert found["transmurality_aha_10_pct"] == pytest.approx(30, abs=4)
    assert found["transmurality_aha_07_pct"] == 0.0
    assert found["transmurality_scarred_aha_07_pct"] is None
    assert found["transmurality_over_50_n"] == 0.0


@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_storage_order_changes_nothing(made, order, flips):
    mask, chords, radius, angle = shell(made, rotation_deg=25)
    scar = (radius < 25.3) & (angle > 10) & mask.mask("lv_myocardium")
    reference = transmurality_values(chord_scar(scar, mask, chords)) | pattern_values(chord_scar(scar, mask, chords))
    both = made.stored(mask, order, flips)
    marked = made.stored(type(mask)(scar.astype(int), mask.affine, labels={"lv_scar": 1}), order, flips)
    again = chord_scar(marked.array == 1, both, wall_chords(both, map_segments(both, heart_axes(both))))
    found = transmurality_values(again) | pattern_values(again)
    assert {c for c, v in found.items() if v is None} == {c for c, v in reference.items() if v is None}
    assert {c: v for c, v in found.items() if v is not None} == pytest.approx(
        {c: v for c, v in reference.items() if v is not None}, rel=1e-9
    )


LAYERS = {
    "transmural": ((20, 30), (100, 100, 100)),
    "subendocardial": ((20, 25), (100, 50, 0)),
    "midwall": ((20 + 10 / 3, 20 + 20 / 3), (0, 100, 0)),
    "subepicardial": ((20 + 20 / 3, 30), (0, 0, 100)),
}


@pytest.mark.parametrize("segmented", [True, False])
@pytest.mark.parametrize("pattern", LAYERS)
def test_patterns_are_told_apart(made, pattern, segmented):
    (inner, outer), thirds = LAYERS[pattern]
    mask, chords, radius, angle = shell(made, segmented=segmented, spacing=(1.0, 1.0, 9.0), shape=(130, 130, 11))
    values = pattern_values(measured(mask, chords, (radius >= inner) & (radius < outer) & (np.abs(angle) < 90)))
    ischaemic = pattern in {"transmural", "subendocardial"}
    assert values[f"scar_pattern_{pattern}_pct"] > 95
    assert values["scar_ischaemic_pattern_pct"] == pytest.approx(100 * ischaemic, abs=3)
    assert values["scar_nonischaemic_pattern_pct"] == pytest.approx(100 - 100 * ischaemic, abs=3)
    assert sum(values[f"scar_pattern_{p}_pct"] for p in LAYERS) == pytest.approx(100)
    found = [values[f"scar_{name}_third_pct"] for name in ("inner", "middle", "outer")]
    np.testing.assert_allclose(found, np.array(thirds) / 2, atol=7)  # half of the circumference


def test_without_scar_there_is_no_pattern(made):
    mask, chords, radius, _ = shell(made)
    found = measured(mask, chords, radius < 0)
    assert (per_segment(transmurality_values(found)) == 0).all()
    assert pattern_values(found)["scar_ischaemic_pattern_pct"] is None
    assert pattern_values(found)["scar_outer_third_pct"] == 0.0


def test_without_a_right_ventricle_there_are_no_segments(made):
    mask, chords, radius, _ = shell(made, segmented=False)
    values = transmurality_values(measured(mask, chords, radius < 25))
    assert set(values.values()) == {None}
    assert sorted(set(chords.k.tolist())) == list(range(1, 10))


def test_a_gap_in_the_wall_has_no_chords(made):
    mask, chords, radius, _ = shell(made, heart=made.Heart(open_deg=(70.0, 110.0)), rotation_deg=10)
    found = measured(mask, chords, radius < 25)
    basal = chords.k == 1
    assert 30 <= np.isnan(found.share[basal]).sum() <= 60  # 40 of 360 degrees of 384 chords are 42.7
    assert not np.isnan(found.share[~basal]).any()
    np.testing.assert_allclose(found.share[~np.isnan(found.share)].mean(), 0.5, atol=0.03)


def test_a_third_that_is_unknown_is_not_scarred():
    values = pattern_values(ChordScar(np.array([1]), np.array([0.5]), np.array([[np.nan, 0.2, 0.9]])))
    assert values["scar_pattern_subepicardial_pct"] == 100.0
    assert values["scar_inner_third_pct"] is None


def test_scar_of_another_shape_is_refused(made):
    mask, chords, _, _ = shell(made)
    with pytest.raises(GeometryError, match=r"Scar has shape \(2, 2, 2\), expected that of the mask"):
        chord_scar(np.zeros((2, 2, 2), dtype=bool), mask, chords)
