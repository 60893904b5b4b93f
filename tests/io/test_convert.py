import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from radiocard.errors import GeometryError, UsageError
from radiocard.io.convert import as_image


def test_simpleitk_and_nibabel_agree_on_voxels_and_world(tmp_path):
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [1.25, 1.5, 8.0]
    affine[:3, 3] = [3, -40, 12]
    volume = rng.integers(0, 500, (5, 6, 4)).astype(np.int16)
    path = tmp_path / "x.nii.gz"
    nib.save(nib.Nifti1Image(volume, affine), path)
    image = as_image(sitk.ReadImage(str(path)))
    assert np.array_equal(image.array, volume)
    assert np.allclose(image.affine, affine, atol=1e-4)
    assert np.array_equal(as_image(path).array, volume)


def test_arrays_need_spacing_and_others_bring_their_own():
    volume = np.zeros((2, 3, 4))
    image = as_image(volume, spacing_mm=(1.4, 1.4, 8))
    assert image.spacing_mm == (1.4, 1.4, 8)
    assert as_image(image) is image
    for bad in (None, (1, 2), (1, 1, 0)):
        with pytest.raises(UsageError, match="give spacing_mm as three positive numbers"):
            as_image(volume, spacing_mm=bad)
    with pytest.raises(UsageError, match="spacing_mm is for arrays only"):
        as_image(image, spacing_mm=(1, 1, 1))
    with pytest.raises(UsageError, match="mask is a int, expected a path"):
        as_image(3, field="mask")


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 2, 1)])
def test_a_simpleitk_image_in_another_axis_order_gives_the_same_grid(order):
    volume = np.random.default_rng(1).integers(0, 500, (5, 6, 4)).astype(np.int16)
    stored = sitk.GetImageFromArray(volume.T)
    stored.SetSpacing((1.25, 1.5, 8.0))
    stored.SetOrigin((3, -40, 12))
    image = as_image(sitk.PermuteAxes(stored, order))
    assert image.spacing_mm == (1.25, 1.5, 8.0)
    assert np.array_equal(image.array, volume)
    assert np.allclose(image.affine, as_image(stored).affine)


@pytest.mark.parametrize(
    ("size", "pixel", "match"),
    [
        ((4, 4), sitk.sitkInt16, "mask has 2 dimensions, expected 3"),
        ((4, 4, 2, 2), sitk.sitkInt16, "mask has 4 dimensions, expected 3"),
        ((4, 4, 2), sitk.sitkVectorUInt8, "mask has 3 components per voxel, expected 1"),
    ],
)
def test_a_simpleitk_image_that_is_not_one_volume_is_refused(size, pixel, match):
    with pytest.raises(GeometryError, match=match) as caught:
        as_image(sitk.Image(size, pixel, 3 if pixel == sitk.sitkVectorUInt8 else 0), field="mask")
    assert caught.value.code == "E_NDIM"
