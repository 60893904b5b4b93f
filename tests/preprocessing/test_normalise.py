import numpy as np
import pytest

from radiocard.errors import IntensityError, MaskError
from radiocard.image import Image
from radiocard.preprocessing.normalise import normalise, require_finite
from radiocard.specs import Normalisation

LABELLED = Normalisation(method="zscore", within="labelled")
WHOLE = Normalisation(method="zscore", within="image")
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(300, 80, size=(6, 5, 4))
MASK = RNG.random(IMAGE.shape) < 0.5


@pytest.mark.parametrize(("settings", "where"), [(LABELLED, MASK), (WHOLE, np.ones_like(MASK))])
def test_zscore_has_mean_zero_and_sd_one_where_it_was_fitted(settings, where):
    out = normalise(IMAGE, MASK, settings=settings)
    assert out[where].mean() == pytest.approx(0, abs=1e-12)
    assert out[where].std() == pytest.approx(1)


def test_zscore_is_blind_to_gain_and_offset():
    out = normalise(IMAGE, MASK, settings=LABELLED)
    np.testing.assert_allclose(normalise(7.5 * IMAGE - 40, MASK, settings=LABELLED), out, atol=1e-12)


def test_none_leaves_the_values():
    settings = Normalisation(method="none", within="labelled")
    np.testing.assert_array_equal(normalise(IMAGE, MASK, settings=settings), IMAGE)


def test_whole_numbers_do_not_wrap():
    image = np.array([[[0, 255]]], dtype=np.uint8)
    assert normalise(image, image >= 0, settings=LABELLED).tolist() == [[[-1.0, 1.0]]]


def test_one_grey_value_is_centred_and_not_divided():
    assert (normalise(np.full((2, 2, 2), 9.0), np.ones((2, 2, 2), bool), settings=LABELLED) == 0).all()


def test_nan_outside_the_labels_counts_for_the_image_only():
    image = IMAGE.copy()
    image[~MASK] = np.nan
    normalise(image, MASK, settings=LABELLED)
    with pytest.raises(IntensityError, match=r"E_NONFINITE: .* of 120 voxels are NaN or infinite in .*\(image\)"):
        normalise(image, MASK, settings=WHOLE)


def test_no_labelled_voxel_is_refused():
    with pytest.raises(MaskError, match="E_EMPTY_ROI: No voxel is labelled"):
        normalise(IMAGE, np.zeros_like(MASK), settings=LABELLED)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_require_finite_counts(bad):
    with pytest.raises(IntensityError, match="E_NONFINITE: 2 of 3 voxels are NaN or infinite in here, expected none"):
        require_finite(np.array([1.0, bad, bad]), where="here")


def test_outliers_are_clipped_before_the_scale():
    settings = Normalisation(method="zscore", within="image", scale=100, outliers_sd=1.5)
    expected = 100 * np.clip(normalise(IMAGE, MASK, settings=WHOLE), -1.5, 1.5)
    out = normalise(IMAGE, MASK, settings=settings)
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    assert out.max() == -out.min() == 150


def test_the_given_array_is_left_alone():
    image = IMAGE.copy()
    normalise(image, MASK, settings=Normalisation(method="zscore", within="image", scale=2, outliers_sd=1))
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize(("scale", "outliers_sd"), [(1.0, None), (100.0, None), (1.0, 1.5), (100.0, 2.0)])
def test_whole_image_is_that_of_pyradiomics(scale, outliers_sd, dtype, pyradiomics, to_itk, from_itk):
    image = Image(IMAGE.astype(dtype), np.eye(4))
    theirs = from_itk(pyradiomics.normalizeImage(to_itk(image), normalizeScale=scale, removeOutliers=outliers_sd))
    settings = Normalisation(method="zscore", within="image", scale=scale, outliers_sd=outliers_sd)
    ours = normalise(image.array, MASK, settings=settings, convention="pyradiomics")
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13 * scale)


def test_pyradiomics_divides_by_one_voxel_less_in_the_whole_image_only():
    whole = normalise(IMAGE, MASK, settings=WHOLE, convention="pyradiomics")
    assert whole.std(ddof=1) == pytest.approx(1)
    labelled = normalise(IMAGE, MASK, settings=LABELLED, convention="pyradiomics")
    np.testing.assert_array_equal(labelled, normalise(IMAGE, MASK, settings=LABELLED))
