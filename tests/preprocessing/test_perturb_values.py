import numpy as np
import pytest

from radiocard.errors import MaskError, UsageError
from radiocard.image import Image, LabelMap
from radiocard.preprocessing.perturb_values import add_noise, fill_regions, patient_rng, shuffle_regions

LABELS = {"rv_cavity": 1, "lv_myocardium": 2, "lv_cavity": 3}


def heart():
    """Three regions in two slices."""
    i, j = np.mgrid[:40, :40]
    r = np.hypot(i - 20, j - 20)
    layer = np.where(r < 8, 3, np.where(r < 13, 2, np.where((r < 18) & (i > 20), 1, 0)))
    return LabelMap(np.stack([layer, layer], axis=-1), np.eye(4), labels=LABELS)


def test_noise_has_the_stated_ratio():
    mask = heart()
    image = Image(np.full(mask.array.shape, 200, dtype=np.int16), mask.affine)
    noisy = add_noise(image, mask.array > 0, snr=20, rng=np.random.default_rng(0))
    assert (noisy.array - 200).std() == pytest.approx(10, rel=0.03)
    with pytest.raises(UsageError, match="ratio is 2, expected at least 3"):
        add_noise(image, mask.array > 0, snr=2, rng=np.random.default_rng(0))
    with pytest.raises(MaskError, match="has no voxel"):
        add_noise(image, mask.array > 9, snr=20, rng=np.random.default_rng(0))


def test_shuffling_keeps_the_histogram_of_each_region_and_the_rest():
    mask = heart()
    image = Image(np.random.default_rng(0).integers(0, 500, mask.array.shape), mask.affine)
    shuffled = shuffle_regions(image, mask, rng=np.random.default_rng(1))
    for value in (1, 2, 3):
        inside = mask.array == value
        assert not np.array_equal(image.array[inside], shuffled.array[inside])
        np.testing.assert_array_equal(np.sort(image.array[inside]), np.sort(shuffled.array[inside]))
    np.testing.assert_array_equal(image.array[mask.array == 0], shuffled.array[mask.array == 0])


def test_filling_leaves_nothing_of_the_grey_values():
    mask = heart()
    one, two = (Image(np.full(mask.array.shape, v), mask.affine) for v in (10, 900))
    filled = [fill_regions(i, mask, mean=100, sd=5, rng=np.random.default_rng(3)) for i in (one, two)]
    inside = mask.array > 0
    np.testing.assert_array_equal(filled[0].array[inside], filled[1].array[inside])
    assert filled[0].array[inside].mean() == pytest.approx(100, abs=0.5)
    assert (filled[1].array[~inside] == 900).all()


def test_random_numbers_follow_from_patient_and_purpose():
    draw = [patient_rng(*names).random() for names in (("p1", "a"), ("p1", "a"), ("p1", "b"), ("p2", "a"))]
    assert draw[0] == draw[1]
    assert len(set(draw)) == 3
