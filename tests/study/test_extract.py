import numpy as np
import pytest
import SimpleITK as sitk

import radiocard
from radiocard.errors import GeometryError, MaskError
from radiocard.image import Image, turned
from radiocard.io.cohort import read_cohort


def box():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 400, (12, 12, 4)).astype(np.int16)
    mask = np.zeros(image.shape, np.uint8)
    mask[3:9, 2:10, 1:3] = 2
    return image, mask


def test_one_region_from_arrays_simpleitk_and_files_is_the_same(tmp_path):
    image, mask = box()
    spacing = (1.5, 1.25, 8.0)
    from_arrays = radiocard.extract_features(image, mask, label=2, spacing_mm=spacing)
    pair = []
    for name, array in (("image", image), ("mask", mask)):
        item = sitk.GetImageFromArray(array.T)
        item.SetSpacing(spacing)
        sitk.WriteImage(item, str(tmp_path / f"{name}.nii.gz"))
        pair.append(item)
    assert radiocard.extract_features(*pair, label=2) == pytest.approx(from_arrays, rel=1e-9, nan_ok=True)
    paths = [tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz"]
    assert radiocard.extract_features(*paths, label=2) == pytest.approx(from_arrays, rel=1e-6, nan_ok=True)
    assert from_arrays["morph_vol_approx"] == pytest.approx(6 * 8 * 2 * 1.5 * 1.25 * 8)


def test_maps_take_what_features_take_and_average_to_the_region():
    rng = np.random.default_rng(4)
    image, mask = rng.normal(100, 20, (16, 15, 4)), np.zeros((16, 15, 4), dtype=int)
    mask[3:12, 3:11], mask[12:14, 3:11] = 2, 1
    tag = "stat_mean"
    found = radiocard.feature_maps(image, mask, tags=[tag], label=2, radius=1, spacing_mm=(1, 1, 8))[tag]
    normalised = (image - image[mask > 0].mean()) / image[mask > 0].std()
    assert found.array[7, 7, 2] == pytest.approx(normalised[6:9, 6:9, 2].mean())
    assert np.array_equal(np.isfinite(found.array), mask == 2)
    with pytest.raises(MaskError, match="Label 7 is not present"):
        radiocard.feature_maps(image, mask, tags=[tag], label=7, spacing_mm=(1, 1, 8))


def test_bad_pairs_are_refused_with_the_values_compared():
    image, mask = box()
    with pytest.raises(MaskError, match="Label 7 is not present in the mask; labels found: 0, 2"):
        radiocard.extract_features(image, mask, label=7, spacing_mm=(1, 1, 8))
    with pytest.raises(GeometryError, match=r"image 12 x 12 x 4 voxels .*; mask 12 x 12 x 3 voxels"):
        radiocard.extract_features(image, mask[..., :3], label=2, spacing_mm=(1, 1, 8))


def test_the_grids_may_differ_by_the_tolerance_of_the_specification_and_no_more():
    image, mask = box()
    spec = radiocard.read_spec("cine_sax")  # 0.001 voxel
    affine = np.diag([1.5, 1.25, 8.0, 1.0])
    grid, near, far = Image(image, affine), affine.copy(), affine.copy()
    near[:2, 3], far[0, 0] = 0.0005 * 1.5, 1.5 * (1 + 0.002 / 11)  # at the last of 12 voxels, off by 0.002
    radiocard.extract_features(grid, Image(mask, near), spec=spec, label=2)
    with pytest.raises(GeometryError, match=r"0\.002 voxels apart, expected at most 0\.001: image 12 x .*; mask 12 x "):
        radiocard.extract_features(grid, Image(mask, far), spec=spec, label=2)
    loose = spec.model_copy(update={"checks": spec.checks.model_copy(update={"grid_tolerance_voxel": 0.01})})
    radiocard.extract_features(grid, Image(mask, far), spec=loose, label=2)


def test_a_mask_stored_from_the_other_end_is_the_same_mask():
    image, mask = box()
    mask[:, :, 1] = 0
    grid = Image(image, np.diag([1.5, 1.25, 8.0, 1.0]))
    upside_down = turned(Image(mask, grid.affine), (0, 1, 2), (False, True, True))
    found = radiocard.extract_features(grid, upside_down, label=2)
    assert found == radiocard.extract_features(grid, Image(mask, grid.affine), label=2)


def test_validate_counts_and_says_the_layout(simulated_folder):
    found = radiocard.validate(simulated_folder)
    assert (found.n_cases, found.n_usable, found.n_refused) == (30, 30, 0)
    assert found.layout == "manifest"
    assert "1 RV cavity" in found.label_convention
    assert not [i for i in found.issues if i.severity == "refuse"]


def test_a_cohort_object_serves_as_well_as_a_path(simulated_folder, table):
    cohort = read_cohort(simulated_folder)
    assert len(cohort.cases) == len(table) == 30
    assert table["orientation_proven"].all()
