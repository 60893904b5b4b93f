import numpy as np
import pytest
from scipy import ndimage

from radiocard.checks.anatomy import enclosed_fraction
from radiocard.errors import MaskError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, LabelMap
from radiocard.segmentation.clean import basal_end, clean_mask, most_probable
from radiocard.segmentation.probabilities import Probabilities

AFFINE = np.diag([1.5, 1.5, 10.0, 1.0])
RV, WALL, LV = 1, 2, 3


def heart(shape=(60, 60, 6), labels=LABELS_ACDC):
    """A cavity that narrows towards the last slice, in a closed wall, with an RV at its side."""
    i, j = np.meshgrid(*[np.arange(n) for n in shape[:2]], indexing="ij")
    r = np.hypot(i - 35, j - 30)
    out = np.zeros(shape, np.uint8)
    for k in range(shape[2]):
        out[:, :, k][(np.hypot(i - 18, j - 30) < 14 - k) & (r >= 18 - k)] = RV
        out[:, :, k][r < 18 - k] = WALL
        out[:, :, k][r < 11 - k] = LV
    return label_map(out, labels)


def label_map(codes, labels=LABELS_ACDC):
    numbers = np.array([0, labels["rv_cavity"], labels["lv_myocardium"], labels["lv_cavity"]])
    return LabelMap(numbers[codes].astype(np.uint8), AFFINE, labels=labels)


def changed(mask, where, code):
    array = mask.array.copy()
    array[where] = code
    return LabelMap(array, mask.affine, labels=mask.labels)


def test_a_clean_mask_is_not_touched():
    for labels in (LABELS_ACDC, LABELS_MNMS):
        mask = heart(labels=labels)
        found, report = clean_mask(mask)
        np.testing.assert_array_equal(found.array, mask.array)
        assert found.array.dtype == mask.array.dtype
        assert found.labels == mask.labels
        assert report.sentences() == ()
        assert {c.removed + c.added for c in report.regions.values()} == {0}


def test_simulated_hearts_are_hardly_touched(hearts):
    for h in hearts:
        for mask in h.case.masks.values():
            _, report = clean_mask(mask)
            for change in report.regions.values():
                assert change.removed + change.added <= 0.05 * change.voxels


def test_detached_parts_go_and_are_counted():
    mask = changed(heart(), np.s_[2:4, 2:4, 1], LV)
    mask = changed(mask, np.s_[50:53, 50, 2], RV)
    found, report = clean_mask(mask)
    np.testing.assert_array_equal(found.array, heart().array)
    assert (report.regions["lv_cavity"].removed, report.regions["lv_cavity"].detached) == (4, 1)
    assert (report.regions["rv_cavity"].removed, report.regions["lv_myocardium"].removed) == (3, 0)
    assert "lv_cavity: 1 detached part(s), 4 of" in report.sentences()[0]


def test_parts_that_touch_at_a_corner_are_one():
    array = heart().array.copy()
    corner = np.argwhere(array[:, :, 0] == RV)[0]
    array[corner[0] - 1, corner[1] - 1, 0] = RV
    found, report = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    assert report.regions["rv_cavity"].detached == 0
    np.testing.assert_array_equal(found.array, array)


def test_a_ring_is_not_detached_from_a_much_smaller_ring_beside_it():
    i, j = np.meshgrid(np.arange(60), np.arange(60), indexing="ij")
    r = np.hypot(i - 30, j - 30)
    array = np.zeros((60, 60, 5), np.uint8)
    for k, (inner, outer) in enumerate([(17, 20), (17, 20), (9, 13), (9, 13), (4, 8)]):
        array[:, :, k][r < outer] = WALL
        array[:, :, k][r < inner] = LV
    assert ndimage.label(array == WALL, structure=np.ones((3, 3, 3)))[1] == 2  # rings that do not touch
    found, report = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    np.testing.assert_array_equal(found.array, array)
    assert report.sentences() == ()


def test_a_cavity_that_is_alone_in_its_slice_stays():
    array = heart().array.copy()
    array[:, :, 5] = np.roll(array[:, :, 5], 14, 1)
    assert ndimage.label(array == LV, structure=np.ones((3, 3, 3)))[1] == 2
    found, report = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    assert (found.array[:, :, 5] == LV).sum() == (array[:, :, 5] == LV).sum()
    assert (report.regions["lv_cavity"].removed, report.regions["lv_cavity"].detached, report.holes) == (0, 0, 0)


def test_holes_join_the_region_around_them():
    truth = heart()
    mask = changed(truth, np.s_[35, 30, 3], 0)  # in the cavity
    mask = changed(mask, np.s_[35, 30 - 13, 1], 0)  # in the wall
    mask = changed(mask, np.s_[14, 30, 0], 0)  # in the RV
    found, report = clean_mask(mask)
    np.testing.assert_array_equal(found.array, truth.array)
    assert report.holes == 3
    assert {name: c.added for name, c in report.regions.items()} == dict.fromkeys(LABELS_ACDC, 1)


def test_a_ring_without_cavity_gets_its_cavity_back():
    truth = heart()
    last = np.s_[:, :, 5]
    mask = changed(truth, last, np.where(truth.array[last] == LV, 0, truth.array[last]))
    found, _ = clean_mask(mask)
    np.testing.assert_array_equal(found.array, truth.array)


def test_a_ring_without_cavity_at_the_base_is_left():
    array = heart().array.copy()
    array[:, :, 0][array[:, :, 0] == LV] = 0
    found, report = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    np.testing.assert_array_equal(found.array, array)
    assert report.holes == 0


def test_a_speck_of_cavity_within_the_wall_becomes_wall():
    truth = heart()
    found, report = clean_mask(changed(truth, np.s_[35, 30 - 14, 1], LV))
    np.testing.assert_array_equal(found.array, truth.array)
    assert report.regions["lv_cavity"].removed == 1


@pytest.mark.parametrize("flip", [False, True])
def test_a_small_gap_is_closed_away_from_the_base_only(flip):
    truth = heart()
    array = truth.array.copy()
    gap = np.s_[:, 30:, :]
    part = array[gap]
    wedge = (part == WALL) & (np.abs(np.arange(60) - 35) < 3)[:, None, None]
    part[wedge] = 0
    if flip:
        array = array[:, :, ::-1]
    found, report = clean_mask(LabelMap(array.copy(), AFFINE, labels=LABELS_ACDC))
    codes = found.array[:, :, ::-1] if flip else found.array
    assert (codes[:, :, :2] == (array[:, :, ::-1] if flip else array)[:, :, :2]).all()  # within 20 mm of the base
    for k in range(2, 6):
        cavity, wall = (codes[:, :, k : k + 1] == code for code in (LV, WALL))
        assert enclosed_fraction(cavity, wall) == 1.0
    assert report.wall > 0
    assert report.open_slices == ()
    assert "gap" in " ".join(report.sentences())


def test_a_gap_towards_the_rv_is_closed_with_rv_voxels():
    array = heart().array.copy()
    array[:30, 28:33, 3][array[:30, 28:33, 3] == WALL] = RV
    found, report = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    touching = ndimage.binary_dilation(found.array[:, :, 3] == LV) & (found.array[:, :, 3] == RV)
    assert not touching.any()
    assert 0 < report.regions["rv_cavity"].removed <= 7


def test_a_wall_that_is_mostly_missing_is_said_and_not_invented():
    array = heart().array.copy()
    array[35:, :, 3][array[35:, :, 3] == WALL] = 0
    found, report = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    np.testing.assert_array_equal(found.array, array)
    assert report.open_slices == (3,)
    assert "the wall is open in slice 4; left as it is" in report.sentences()
    assert report.to_dict()["open_slices"] == [3]


@pytest.mark.parametrize("seed", range(4))
def test_cleaning_twice_changes_nothing_more(seed):
    rng = np.random.default_rng(seed)
    array = heart().array.copy()
    noisy = rng.random(array.shape) < 0.03
    array[noisy] = rng.integers(0, 4, noisy.sum())
    once, _ = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    twice, report = clean_mask(once)
    np.testing.assert_array_equal(once.array, twice.array)
    assert report.holes + report.wall == 0


@pytest.mark.parametrize("seed", range(3))
def test_counts_add_up(seed):
    rng = np.random.default_rng(seed)
    array = heart().array.copy()
    noisy = rng.random(array.shape) < 0.05
    array[noisy] = rng.integers(0, 4, noisy.sum())
    found, report = clean_mask(LabelMap(array, AFFINE, labels=LABELS_ACDC))
    for name, change in report.regions.items():
        code = LABELS_ACDC[name]
        assert change.voxels == (array == code).sum()
        assert change.voxels - change.removed + change.added == (found.array == code).sum()
    for ventricle in (found.array == RV, found.array >= WALL):
        assert ndimage.label(ventricle, structure=np.ones((3, 3, 3)))[1] == 1


def test_an_empty_mask_stays_empty():
    found, report = clean_mask(label_map(np.zeros((5, 5, 2), int)))
    assert not found.array.any()
    assert report.open_slices == ()


def test_other_labels_stay():
    labels = {**LABELS_ACDC, "lv_scar": 9}
    array = heart().array.copy()
    array[1, 1, 1] = 9
    found, _ = clean_mask(LabelMap(array, AFFINE, labels=labels))
    np.testing.assert_array_equal(found.array, array)


def test_a_mask_without_all_regions_is_refused():
    with pytest.raises(MaskError, match="states no label number for rv_cavity"):
        clean_mask(LabelMap(np.zeros((3, 3, 2), int), AFFINE, labels={"lv_cavity": 3, "lv_myocardium": 2}))


def test_the_base_is_the_end_with_more_cavity():
    cavity = heart().array == LV
    assert (basal_end(cavity), basal_end(cavity[:, :, ::-1])) == (0, -1)
    assert basal_end(np.zeros((2, 2, 3), bool)) == 0


def test_the_most_probable_class_is_by_the_mean():
    members = np.full((2, 4, 2, 2, 1), 0.1, np.float32)
    members[:, 0] = 0.7
    members[0, :, 0, 0, 0] = [0.0, 0.0, 0.1, 0.9]
    members[1, :, 0, 0, 0] = [0.5, 0.0, 0.3, 0.2]
    found = most_probable(Probabilities(members, AFFINE))
    assert found.array[0, 0, 0] == LV
    assert found.array.sum() == LV
    assert found.labels == dict(LABELS_ACDC)
