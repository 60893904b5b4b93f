from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiocard.checks.anatomy import check_anatomy, crop_to_labels, enclosed_fraction
from radiocard.image import LABELS_ACDC, LABELS_MNMS, LabelMap


def label_map(array, labels=LABELS_ACDC):
    return LabelMap(array, np.eye(4), True, labels)


def refused(array, labels=LABELS_ACDC):
    issues = check_anatomy(label_map(array, labels), case="1", field="m")
    assert len(issues) < 2
    return issues[0] if issues else None


def square(open_faces=0):
    """A 3 x 3 cavity has 12 faces; ``open_faces`` of one side are not myocardium."""
    array = np.zeros((7, 7, 1), "u1")
    array[1:6, 1:6] = 2
    array[2:5, 2:5] = 3
    array[1, 2 : 2 + open_faces] = 0
    return array


@pytest.mark.parametrize("open_faces", [0, 1, 2, 3])
def test_enclosed_fraction_counts_faces(open_faces):
    array = square(open_faces)
    assert enclosed_fraction(array == 3, array == 2) == pytest.approx(1 - open_faces / 12)


def test_a_region_at_the_edge_of_the_array_has_a_border_there():
    inner = np.ones((2, 2, 1), bool)
    assert enclosed_fraction(inner, ~inner) == 0
    assert enclosed_fraction(~inner, inner) == 0


def test_slices_above_and_below_do_not_enclose():
    array = np.full((3, 3, 3), 2, "u1")
    array[:, :, 1] = 3
    assert enclosed_fraction(array == 3, array == 2) == 0


def test_an_open_basal_slice_is_tolerated(heart):
    array = heart()
    i, _ = np.mgrid[:64, :64]
    basal = array[:, :, 6]
    basal[(i < 30) & (basal == 2)] = 0
    assert refused(array) is None


def test_a_myocardium_that_does_not_enclose_is_refused_without_a_guess(heart):
    array = heart()
    array[np.mgrid[:64, :64, :8][0] < 34] *= array[np.mgrid[:64, :64, :8][0] < 34] != 2
    issue = refused(array)
    assert issue.code == "E_LABEL_ANATOMY"
    assert issue.hint == "Check the mask slice by slice."
    assert "expected at least 70%" in issue.message


@pytest.mark.parametrize("radius", [3, 6, 9])
@pytest.mark.parametrize("numbers", list(permutations((1, 2, 3))))
def test_only_the_right_order_passes_for_small_and_large_hearts(heart, radius, numbers):
    order = dict(zip(("rv_cavity", "lv_myocardium", "lv_cavity"), numbers, strict=True))
    assert (refused(heart(radius), order) is None) is (numbers == (1, 2, 3))


def test_acdc_and_mnms_are_told_apart(heart):
    acdc = heart()
    mnms = np.array([0, 3, 2, 1], "u1")[acdc]
    assert refused(acdc, LABELS_ACDC) is None
    assert refused(mnms, LABELS_MNMS) is None
    assert "lv_cavity=1;lv_myocardium=2;rv_cavity=3" in refused(mnms, LABELS_ACDC).hint
    assert "lv_cavity=3;lv_myocardium=2;rv_cavity=1" in refused(acdc, LABELS_MNMS).hint


def test_nothing_to_compare_gives_no_finding(heart):
    assert refused(heart(), {"lv_cavity": 3}) is None


def test_crop_keeps_every_label_and_every_slice(heart):
    array = heart()
    cropped = crop_to_labels(array)
    assert cropped.shape[2] == array.shape[2]
    assert cropped.size < array.size
    np.testing.assert_array_equal(np.bincount(cropped.ravel())[1:], np.bincount(array.ravel())[1:])
    assert crop_to_labels(np.zeros((4, 4, 2), "u1")).size == 0


@given(st.integers(0, 3), st.booleans(), st.booleans(), st.integers(-3, 3))
def test_flips_turns_and_shifts_change_nothing(turns, flip, swap, shift):
    i, j = np.mgrid[:40, :40]
    array = np.zeros((40, 40, 1), "u1")
    array[np.hypot(i - 20, j - 17) <= 9, 0] = 2
    array[np.hypot(i - 20, j - 17) <= 5, 0] = 3
    expected = enclosed_fraction(array == 3, array == 2)
    moved = np.roll(np.rot90(array, turns), shift, axis=0)
    moved = moved[::-1] if flip else moved
    moved = moved.transpose(1, 0, 2) if swap else moved
    assert enclosed_fraction(moved == 3, moved == 2) == expected
