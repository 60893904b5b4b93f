import numpy as np
import pytest
from ruamel.yaml import YAML

from radiocard.errors import GeometryError, IntensityError, MaskError
from radiocard.features.extract import extract_case_texture, extract_region
from radiocard.features.prepare import prepare_all
from radiocard.image import LABELS_ACDC, Case, Image, LabelMap
from radiocard.specs import read_spec

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])
NONE = {"method": "none", "within": "labelled"}
ZSCORE = {"method": "zscore", "within": "labelled"}
LOG = {"kind": "laplacian_of_gaussian", "dimension": "2d", "sigma_mm": 2, "truncate": 4, "boundary": "mirror"}
GRID = {"spacing_mm": [1, 1, 0], "interpolation": "linear", "mask_interpolation": "linear", "round_grey": False}


def study(seed=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros((20, 18, 6), dtype=bool)
    mask[5:15, 4:13, 1:5] = True
    return Image(rng.uniform(0, 300, mask.shape), AFFINE), mask


def test_nan_near_the_region_is_refused_before_a_filter_spreads_it(make_spec):
    image, mask = study()
    array = image.array.copy()
    array[3, :, :] = np.nan
    plain = make_spec("cine_sax", families=["intensity"])
    extract_region(Image(array, AFFINE), mask, plain)
    for settings in ({"filters": [LOG]}, {"resampling": GRID}):
        spec = make_spec("cine_sax", families=["intensity"], **settings)
        with pytest.raises(IntensityError, match="E_NONFINITE: 108 of 2160 voxels are NaN .* to be resampled or filt"):
            extract_region(Image(array, AFFINE), mask, spec)


def test_the_range_of_re_segmentation_is_not_that_of_filtered_images(make_spec):
    image, mask = study()
    settings = {
        "families": ["ivh"],
        "normalisation": NONE,
        "ivh": {"method": "fbs", "width": 5},
        "filters": [{"kind": "original"}, LOG],
    }
    wide = {"range": [-1, 400], "unit": "absolute", "outliers_sd": None, "shape": False}  # drops no voxel
    with_range = extract_region(image, mask, make_spec("cine_sax", resegmentation=wide, **settings))
    without = extract_region(image, mask, make_spec("cine_sax", **settings))
    filtered = {tag for tag in without if tag.startswith("laplacian")}
    assert len(filtered) == len(without) / 2
    assert {tag: with_range[tag] for tag in filtered} == {tag: without[tag] for tag in filtered}
    assert with_range["ivh_v10_fbs5"] != without["ivh_v10_fbs5"]


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_the_centre_of_mass_is_weighed_by_grey_values_as_acquired(convention, make_spec):
    image, mask = study()
    nearest = "nearest" if convention == "pyradiomics" else "linear"
    grid = GRID | {"mask_interpolation": nearest}
    if convention == "pyradiomics":
        grid["pad_distance"] = 5
    name = "cine_sax_pyradiomics" if convention == "pyradiomics" else "cine_sax"
    shifts = [
        extract_region(image, mask, make_spec(name, families=["shape_3d"], resampling=grid, normalisation=how))
        for how in (NONE, ZSCORE)
    ]
    assert shifts[1]["morph_com"] == pytest.approx(shifts[0]["morph_com"], rel=1e-6)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, ">i2", np.float16, np.float32, ">f4", np.longdouble])
@pytest.mark.parametrize("resampled", [False, True])
def test_every_kind_of_real_number_is_read(dtype, resampled, make_spec):
    image, mask = study()
    grid = GRID | {"interpolation": "nearest", "mask_interpolation": "nearest", "pad_distance": 5}
    spec = make_spec("cine_sax_pyradiomics", normalisation=NONE, resampling=grid if resampled else None)
    array = (image.array > 150) if dtype is bool else np.round(image.array / 2)
    found = extract_region(Image(array.astype(dtype), AFFINE), mask, spec)
    assert found["stat_max"] == pytest.approx(1 if dtype is bool else array[mask].max(), rel=0.02)


def test_complex_numbers_are_refused(make_spec):
    image, mask = study()
    with pytest.raises(GeometryError, match="E_NDIM: The grey values are of type complex128.*take the magnitude"):
        extract_region(Image(image.array + 1j, AFFINE), mask, make_spec("cine_sax"))


@pytest.mark.parametrize("name", ["cine_sax", "cine_sax_pyradiomics"])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_unusable_affine_is_refused_under_both_conventions(name, value, make_spec):
    image, mask = study()
    with pytest.raises(GeometryError, match="E_AFFINE: The affine gives voxel spacings"):
        extract_region(Image(image.array, np.diag([1.5, value, 8, 1])), mask, make_spec(name))


def test_a_region_lost_on_the_way_says_where(make_spec):
    image, mask = study()
    tiny = np.zeros_like(mask)
    tiny[5:7, 5:7, 2:4] = True
    roi = {"min_voxels": 1, "keep_largest": False}
    coarse = make_spec("cine_sax", roi=roi, resampling=GRID | {"spacing_mm": [9, 9, 0]})
    with pytest.raises(MaskError, match=r"The region of 8 voxels .* has none left at 9 x 9 x 8 mm"):
        extract_region(image, tiny, coarse)
    narrow = {"range": [292, 300], "unit": "absolute", "outliers_sd": None, "shape": False}
    spec = make_spec("cine_sax", normalisation=NONE, resegmentation=narrow)
    with pytest.raises(MaskError, match=r"The region after re-segmentation has \d+ voxels, .*Check the range"):
        extract_region(image, mask, spec)


def test_dimensions_are_counted_after_resampling_too(tmp_path):
    image, mask = study()
    small = np.zeros_like(mask)
    small[5:7, 5:7, 2:4] = True
    path = tmp_path / "p.yaml"
    setting = {"minimumROIDimensions": 3, "minimumROISize": 1, "resampledPixelSpacing": [1.5, 1.5, 17]}
    YAML(typ="safe").dump({"setting": setting, "featureClass": {"firstorder": ["Mean"]}}, path)
    with pytest.raises(MaskError, match="The region after resampling extends over more than one voxel along 2 axes"):
        extract_region(image, small, read_spec(path))


def test_a_constant_image_is_centred_and_not_divided(make_spec):
    image, mask = study()
    flat = Image(np.full(image.array.shape, 0.1), AFFINE)
    regions, refused = prepare_all(flat, {"a": mask}, make_spec("cine_sax"), labelled=mask)
    assert refused == {}
    assert np.abs(regions["a"].image.array).max() < 1e-12


def test_thick_slices_are_those_of_the_grid_in_use_in_any_storage_order(make_spec):
    image, mask = study()
    texture = {"aggregation": ["3d_avg"], "distances": [1], "weighting": "none", "coarseness": 0}
    spec = make_spec("cine_sax", texture=texture, resampling=GRID | {"spacing_mm": [0, 0, 2]})
    for axes in ((0, 1, 2), (2, 0, 1)):
        affine = np.eye(4)
        affine[:3, :3] = np.diag([1.5, 1.5, 8.0])[:, list(axes)]
        labels = LabelMap(np.where(mask, 3, 0).transpose(axes), affine, labels=LABELS_ACDC)
        key = ("cine", "ed")
        _, issues = extract_case_texture(
            Case("p", {key: Image(image.array.transpose(axes), affine)}, {key: labels}), spec
        )
        assert "W_THICK_SLICES" not in {issue.code for issue in issues}
