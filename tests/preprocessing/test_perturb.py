import numpy as np
import pytest

from radiocard.errors import MaskError, UsageError
from radiocard.image import Image, LabelMap
from radiocard.preprocessing.perturb import (
    MAX_MOVE_MM,
    add_basal_slice,
    contour_distances_mm,
    drop_basal_slice,
    move_contours,
    shift_grid,
)

LABELS = {"rv_cavity": 1, "lv_myocardium": 2, "lv_cavity": 3}


def heart(spacing=(1.5, 1.5), *, off=0.0, endo=24.0, epi=33.0, n=4):
    """Concentric circles [mm], smaller towards the last slice; right ventricle as a disc beside them."""
    i, j = np.mgrid[:75, :61]
    layers = []
    for k in range(n):
        r = np.hypot((i - 30 - off) * spacing[0], (j - 30) * spacing[1]) + 3 * k
        right = np.hypot((i - 60) * spacing[0], (j - 30) * spacing[1]) < 15
        layers.append(np.where(r < endo, 3, np.where(r < epi, 2, np.where(right, 1, 0))))
    return LabelMap(np.stack(layers, axis=-1), np.diag([*spacing, 8.0, 1.0]), labels=LABELS)


def radius_mm(region, spacing):
    return np.sqrt(region.sum() * spacing[0] * spacing[1] / np.pi)


@pytest.mark.parametrize("spacing", [(1.5, 1.5), (1.2, 1.8)])
@pytest.mark.parametrize("off", [0.0, 0.3])
@pytest.mark.parametrize("move", [-1.0, -0.5, 0.25, 0.5, 1.0])
def test_a_circle_grows_by_the_displacement_though_it_is_less_than_a_pixel(spacing, off, move):
    mask = heart(spacing, off=off, n=1)
    moved = move_contours(mask, endo_mm=move, epi_mm=move)
    for old, new in ((mask.array == 3, moved.array == 3), (mask.array >= 2, moved.array >= 2)):
        assert radius_mm(new, spacing) - radius_mm(old, spacing) == pytest.approx(move, abs=0.1)


def test_endocardium_and_epicardium_move_apart():
    mask = heart(n=1)
    thicker = move_contours(mask, endo_mm=-1, epi_mm=1)
    ring = (mask.array == 2).sum() * 2.25
    expected = np.pi * (34**2 - 23**2) - np.pi * (33**2 - 24**2)
    assert (thicker.array == 2).sum() * 2.25 - ring == pytest.approx(expected, rel=0.05)


def test_no_displacement_changes_no_pixel_and_only_the_moved_contour_changes():
    mask = heart()
    np.testing.assert_array_equal(move_contours(mask).array, mask.array)
    endo = move_contours(mask, endo_mm=1)
    np.testing.assert_array_equal(endo.array >= 2, mask.array >= 2)
    np.testing.assert_array_equal(endo.array == 1, mask.array == 1)
    right = move_contours(mask, rv_mm=-1)
    np.testing.assert_array_equal(right.array >= 2, mask.array >= 2)
    assert (right.array == 1).sum() < (mask.array == 1).sum()


def test_distances_given_give_the_same():
    mask = heart()
    distances = contour_distances_mm(mask)
    np.testing.assert_array_equal(
        move_contours(mask, endo_mm=0.5, distances=distances).array, move_contours(mask, endo_mm=0.5).array
    )


def test_distance_of_a_circle_is_signed_and_in_mm():
    mask = heart((1.2, 1.8), endo=23.7, n=1)
    distance = contour_distances_mm(mask)["cavity"][:, :, 0]
    i, j = np.mgrid[:75, :61]
    true = np.hypot((i - 30) * 1.2, (j - 30) * 1.8) - 23.7
    near = np.abs(true) < 2
    assert np.abs(distance[near] - true[near]).max() < 0.9  # the mask knows the circle to half a pixel
    assert np.abs((distance - true)[near].mean()) < 0.1
    assert np.isinf(distance[true > MAX_MOVE_MM + 1]).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_flipping_the_image_flips_the_result(axis):
    mask = heart(off=0.3)
    flipped = LabelMap(np.flip(mask.array, axis), mask.affine, labels=LABELS)
    moved = move_contours(mask, endo_mm=0.5, epi_mm=-0.5)
    other = move_contours(flipped, endo_mm=0.5, epi_mm=-0.5)
    assert [int((moved.array == v).sum()) for v in (1, 2, 3)] == [int((other.array == v).sum()) for v in (1, 2, 3)]


def test_a_region_at_the_border_of_the_image_is_moved_too():
    labels = np.zeros((20, 20, 1), int)
    labels[:8, :8] = 3
    mask = LabelMap(labels, np.eye(4), labels={"lv_cavity": 3})
    assert (move_contours(mask, endo_mm=-1).array == 3).sum() < 64


def test_refuses_a_move_that_is_too_far():
    with pytest.raises(UsageError, match=r"moved by 0, 4, 0 mm, expected at most 3 mm"):
        move_contours(heart(), epi_mm=4)


@pytest.mark.parametrize("flip", [False, True])
def test_base_is_the_wide_end(flip):
    mask = heart()
    array = mask.array[:, :, ::-1] if flip else mask.array
    stack = np.pad(array, [(0, 0), (0, 0), (1, 1)])
    mask = LabelMap(stack, mask.affine, labels=LABELS)
    base, beyond = (4, 5) if flip else (1, 0)
    dropped, added = drop_basal_slice(mask).array, add_basal_slice(mask)
    assert not dropped[:, :, base].any()
    np.testing.assert_array_equal(np.delete(dropped, base, 2), np.delete(stack, base, 2))
    assert added is not None
    np.testing.assert_array_equal(added.array[:, :, beyond], stack[:, :, base])
    np.testing.assert_array_equal(np.delete(added.array, beyond, 2), np.delete(stack, beyond, 2))


def test_no_slice_is_added_beyond_the_stack_and_a_drawn_right_ventricle_stays():
    assert add_basal_slice(heart()) is None
    mask = heart()
    stack = np.pad(mask.array, [(0, 0), (0, 0), (1, 0)])
    stack[2:5, 2:5, 0] = 1
    added = add_basal_slice(LabelMap(stack, mask.affine, labels=LABELS))
    assert (added.array[:, :, 0] == 1).sum() == 9
    assert (added.array[:, :, 0] == 3).sum() == (stack[:, :, 1] == 3).sum()


def test_base_of_one_slice_is_refused():
    with pytest.raises(MaskError, match=r"in 1 slice, expected at least 2"):
        drop_basal_slice(heart(n=1))


def test_a_moved_grid_shows_the_same_world():
    mask = heart(n=1)
    i = np.arange(75.0)[:, None, None]
    image = Image(np.broadcast_to(i, mask.array.shape).copy(), mask.affine)
    moved, labels = shift_grid(image, mask, pixels=0.5)
    np.testing.assert_allclose(moved.array[:-1], image.array[:-1] + 0.5)
    assert moved.affine[:3, 3] == pytest.approx([0.75, 0.75, 0])
    np.testing.assert_array_equal(labels.affine, moved.affine)
    centre = np.argwhere(labels.array == 3).mean(axis=0)[:2]
    assert centre == pytest.approx([29.5, 29.5], abs=0.1)
    assert (labels.array == 3).sum() * 2.25 == pytest.approx(np.pi * 24**2, rel=0.02)
    with pytest.raises(UsageError, match=r"moved by 2 pixels"):
        shift_grid(image, mask, pixels=2)


def test_a_moved_grid_does_not_blend_pixels_without_a_value():
    mask = heart(n=1)
    values = np.full(mask.array.shape, 1000.0)
    values[30, 30, 0] = 0
    moved, _ = shift_grid(Image(values, mask.affine), mask, pixels=0.5, hollow=True)
    assert set(np.unique(moved.array)) == {0.0, 1000.0}
