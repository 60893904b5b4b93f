import numpy as np
import pytest
from scipy import ndimage

from radiocard.image import Image
from radiocard.preprocessing.resample import resample
from radiocard.preprocessing.resample_pyradiomics import resample_cropped
from radiocard.specs import Resampling

LPS = np.diag([-1.0, -1.0, 1.0])
OBLIQUE = np.linalg.qr(np.array([[2.0, 1, 0.3], [-1, 2, 0.7], [0.1, -0.6, 3]]))[0]
FLIPPED = np.diag([-1.0, -1.0, 1.0])
ITK_NAMES = {"nearest": "sitkNearestNeighbor", "linear": "sitkLinear", "bspline": "sitkBSpline"}


def case(directions, spacing, dtype):
    rng = np.random.default_rng(0)
    array = (500 + 900 * ndimage.gaussian_filter(rng.normal(size=(25, 22, 9)), 1)).astype(dtype)
    mask = np.zeros(array.shape, dtype=bool)
    mask[5:18, 3:16, 2:8] = ndimage.gaussian_filter(rng.normal(size=(13, 13, 6)), 1) > 0
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing)
    affine[:3, 3] = (-100.3, 51.2, 7)
    return Image(array, affine), mask


def settings(spacing, interpolation="bspline", pad=5):
    return Resampling(
        spacing_mm=spacing,
        interpolation=interpolation,
        mask_interpolation="nearest",
        round_grey=False,
        pad_distance=pad,
    )


@pytest.mark.parametrize("directions", [np.eye(3), FLIPPED, OBLIQUE], ids=["axial", "flipped", "oblique"])
@pytest.mark.parametrize("old", [(1.5, 1.5, 8.0), (1.37, 0.9765625, 3.0)], ids=str)
@pytest.mark.parametrize("new", [(2, 2, 0), (1, 1, 1), (3, 3, 3), (1.5, 1.5, 8), (0.7, 2.3, 5), (0, 0, 4)], ids=str)
def test_every_voxel_is_that_of_pyradiomics(directions, old, new, pyradiomics, to_itk, from_itk):
    for interpolation, dtype, pad in (("bspline", float, 5), ("linear", np.int16, 0), ("nearest", float, 3)):
        image, mask = case(directions, old, dtype)
        theirs, their_mask = pyradiomics.resampleImage(
            to_itk(image),
            to_itk(Image(mask.astype(np.uint8), image.affine)),
            resampledPixelSpacing=list(new),
            interpolator=ITK_NAMES[interpolation],
            padDistance=pad,
            label=1,
        )
        ours, our_mask = resample(image, mask, settings=settings(new, interpolation, pad), convention="pyradiomics")
        assert ours.array.dtype == dtype
        np.testing.assert_array_equal(ours.array, from_itk(theirs))
        np.testing.assert_array_equal(our_mask, from_itk(their_mask).astype(bool))
        np.testing.assert_allclose(ours.spacing_mm, theirs.GetSpacing())
        np.testing.assert_allclose(LPS @ ours.affine[:3, 3], theirs.GetOrigin(), atol=1e-9)


def test_without_pad_distance_it_is_five():
    image, mask = case(np.eye(3), (1.5, 1.5, 8.0), float)
    asked, unsaid = (resample_cropped(image, mask, settings=settings((2, 2, 2), pad=pad))[0] for pad in (5, None))
    assert asked.array.shape == unsaid.array.shape


def test_same_spacing_is_cropped_only():
    image, mask = case(OBLIQUE, (1.5, 1.5, 8.0), float)
    found, found_mask = resample_cropped(image, mask, settings=settings((1.5, 1.5, 8.0), pad=2))
    start = np.round(np.linalg.inv(image.affine) @ found.affine[:, 3], 9)[:3].astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(start, found.array.shape, strict=True))
    np.testing.assert_array_equal(found.array, image.array[box])
    np.testing.assert_array_equal(found_mask, mask[box])
    assert found_mask.sum() == mask.sum()


def test_grid_is_aligned_to_the_corner():
    """The outer corner of the first voxel, origin - spacing / 2, is that of the old grid."""
    image, mask = case(np.eye(3), (1.5, 1.5, 8.0), float)
    mask[:] = True
    found, _ = resample_cropped(image, mask, settings=settings((2.0, 2.0, 4.0)))
    old, new = (one.affine[:3, 3] - np.array(one.spacing_mm) / 2 for one in (image, found))
    np.testing.assert_allclose(new, old, atol=1e-9)
    assert found.array.shape == (19, 17, 18)
