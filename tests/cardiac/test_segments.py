from dataclasses import replace

import numpy as np
import pytest

from radiocard.cardiac.orientation import heart_axes
from radiocard.cardiac.segments import SEGMENT_NAMES, map_segments


def directions_of(made, grid, segments, n):
    """Mean angle of a segment's voxels from septum towards anterior [degrees], and its slices."""
    voxels = np.argwhere(segments.array == n)
    world = voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    x, y = world @ np.array(grid.septum), world @ np.cross(grid.septum, grid.apex)
    angle = np.arctan2(y, x)
    return np.rad2deg(np.angle(np.exp(1j * angle).mean())), sorted(set(voxels[:, 2].tolist()))


@pytest.mark.parametrize("rotation", [0, 33, 117, 260])
@pytest.mark.parametrize("spacing", [(1.5, 1.5, 9.0), (1.3, 1.8, 9.0)])
def test_segments_lie_where_the_model_puts_them(made, rotation, spacing):
    grid = made.Grid(spacing=spacing, rotation_deg=rotation, shape=(84, 84, 11))
    mask = made.paint(made.Heart(), grid)
    segments = map_segments(mask, heart_axes(mask))
    six, four = {1: 90, 2: 30, 3: -30, 4: -90, 5: -150, 6: 150}, {13: 90, 14: 0, 15: -90, 16: 180}
    expected = {**six, **{n + 6: a for n, a in six.items()}, **four}
    slices = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]  # nine slices from slice 1: three to a level
    for n, angle in expected.items():
        found, where = directions_of(made, grid, segments, n)
        assert abs((found - angle + 180) % 360 - 180) < 4.0, SEGMENT_NAMES[n - 1]
        assert where == slices[0 if n <= 6 else 1 if n <= 12 else 2]


def test_every_voxel_of_the_wall_has_one_segment(made):
    mask = made.paint(made.Heart(), made.Grid())
    segments = map_segments(mask, heart_axes(mask))
    assert ((segments.array > 0) == mask.mask("lv_myocardium")).all()
    assert set(np.unique(segments.array)) == set(range(17))


def test_apical_slices_without_right_ventricle_inherit_the_angle(made):
    mask = made.paint(made.Heart(rv_slices=5), made.Grid(rotation_deg=40))
    frames = map_segments(mask, heart_axes(mask)).frames
    assert [f.inherited for f in frames] == [False] * 5 + [True] * 4
    assert {f.septum_rad for f in frames[5:]} == {frames[4].septum_rad}


def test_a_slice_that_shows_a_corner_of_the_right_ventricle_inherits_the_angle(made):
    """Near the apex only the inferior septum has a right ventricle beside it."""
    grid = made.Grid(rotation_deg=40)
    mask = made.paint(made.Heart(), grid)
    voxels = np.argwhere(mask.array == 1)
    world = voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    gone = voxels[(voxels[:, 2] == 6) & (world @ np.cross(grid.septum, grid.apex) > -16.0)]
    labels = mask.array.copy()
    labels[tuple(gone.T)] = 0
    cut = replace(mask, array=labels)
    frames = map_segments(cut, heart_axes(cut)).frames
    assert (labels[..., 6] == 1).any()
    assert [f.inherited for f in frames] == [False] * 5 + [True] * 4
    assert frames[5].septum_rad == frames[4].septum_rad


def test_the_septum_is_the_bisector_of_the_insertions(made):
    grid = made.Grid(spacing=(1.0, 1.0, 9.0), rotation_deg=25, shape=(100, 100, 11))
    mask = made.paint(made.Heart(), grid)
    frame = map_segments(mask, heart_axes(mask)).frames[0]
    in_plane = grid.affine[:3, :3] / grid.spacing @ [np.cos(frame.septum_rad), np.sin(frame.septum_rad), 0.0]
    assert np.rad2deg(np.arccos(in_plane @ np.array(grid.septum))) < 1.5


def test_a_right_ventricle_that_touches_nowhere_still_points_to_the_septum(made):
    mask = made.paint(made.Heart(), made.Grid())
    labels = mask.array.copy()
    near = np.isin(labels, [2, 3])
    for _ in range(3):
        for axis in (0, 1):
            near |= np.roll(near, 1, axis) | np.roll(near, -1, axis)
    labels[(labels == 1) & near] = 0
    apart = replace(mask, array=labels)
    touching = map_segments(mask, heart_axes(mask)).frames
    frames = map_segments(apart, heart_axes(apart)).frames
    assert all(f.inherited for f in frames)
    assert frames[0].septum_rad % (2 * np.pi) == pytest.approx(touching[0].septum_rad % (2 * np.pi), abs=0.03)


def test_only_slices_with_an_enclosed_cavity_are_numbered(made):
    mask = made.paint(made.Heart(), made.Grid())
    labels = mask.array.copy()
    labels[..., 9][labels[..., 9] == 3] = 2  # apical cap
    basal = labels[..., 1]
    basal[np.cumsum(basal == 2, axis=1) > 8] = 0  # an outflow tract: most of the ring is gone
    opened = replace(mask, array=labels)
    segments = map_segments(opened, heart_axes(opened))
    assert [f.k for f in segments.frames] == [2, 3, 4, 5, 6, 7, 8]
    assert [f.level for f in segments.frames] == [0, 0, 1, 1, 1, 2, 2]


def test_no_enclosed_cavity_gives_no_segment(made):
    mask = made.paint(made.Heart(), made.Grid())
    labels = np.where(mask.array == 2, 0, mask.array)
    labels[0, 0, 0] = 2
    bare = replace(mask, array=labels)
    segments = map_segments(bare, heart_axes(bare))
    assert segments.frames == ()
    assert not segments.array.any()
