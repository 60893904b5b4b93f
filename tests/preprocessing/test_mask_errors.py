import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.image import LabelMap
from radiocard.preprocessing.mask_errors import grow_regions, shift_mask, swap_regions

LABELS = {"rv_cavity": 1, "lv_myocardium": 2, "lv_cavity": 3}


def squares(cavity=5, whole=11, right=7):
    """Concentric squares, and a square far from them, in one of two slices."""
    array = np.zeros((60, 40, 2), dtype=int)
    array[40 : 40 + right, 20 : 20 + right, 0] = 1
    for side, label in ((whole, 2), (cavity, 3)):
        start = 15 - side // 2
        array[start : start + side, start : start + side, 0] = label
    return LabelMap(array, np.diag([1.5, 1.5, 8.0, 1.0]), labels=LABELS)


def areas(mask):
    return {name: int((mask.array == number).sum()) for name, number in mask.labels.items()}


@pytest.mark.parametrize("pixels", [-2, -1, 0, 1, 2])
def test_squares_grow_by_whole_pixels_on_every_side_and_not_into_other_slices(pixels):
    grown = grow_regions(squares(), pixels=pixels)
    cavity, whole, right = ((side + 2 * pixels) ** 2 for side in (5, 11, 7))
    assert areas(grown) == {"rv_cavity": right, "lv_myocardium": whole - cavity, "lv_cavity": cavity}
    assert not grown.array[:, :, 1].any()


@pytest.mark.parametrize("pixels", [-4, 4])
def test_a_shifted_mask_keeps_its_areas_and_moves_by_whole_pixels(pixels):
    mask = squares()
    moved = shift_mask(mask, pixels=pixels)
    assert areas(moved) == areas(mask)
    centre = [np.argwhere(m.array == 3).mean(axis=0) for m in (mask, moved)]
    assert (centre[1] - centre[0]).tolist() == [pixels, 0, 0]


def test_what_leaves_the_grid_is_lost():
    assert shift_mask(squares(), pixels=57).array.sum() == 0


def test_swapped_regions_have_each_other_s_voxels_and_the_array_stays():
    mask = squares()
    swapped = swap_regions(mask, "rv_cavity", "lv_cavity")
    np.testing.assert_array_equal(swapped.mask("rv_cavity"), mask.mask("lv_cavity"))
    np.testing.assert_array_equal(swapped.mask("lv_cavity"), mask.mask("rv_cavity"))
    np.testing.assert_array_equal(swapped.array, mask.array)


def test_an_unknown_region_is_refused():
    with pytest.raises(UsageError, match="Region 'scar' is not in this label map, which knows: rv_cavity"):
        swap_regions(squares(), "rv_cavity", "scar")
