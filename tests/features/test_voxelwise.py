import os
from importlib.util import find_spec

import numpy as np
import pytest
from ruamel.yaml import YAML

from radiocard.errors import MaskError, SpecError, UsageError
from radiocard.features.extract import extract_region
from radiocard.features.voxelwise import voxel_maps
from radiocard.image import Image
from radiocard.specs import read_spec

AFFINE = np.diag([1.4, 1.4, 8.0, 1.0])
TAGS = ("stat_mean", "stat_var", "ih_entropy_fbn32", "cm_contrast_2d_avg_fbn32")


def _study(seed=0, shape=(14, 12, 3)):
    rng = np.random.default_rng(seed)
    i, j, _ = np.indices(shape)
    radius = np.hypot(i - 6, j - 6)
    return Image(rng.normal(200, 30, shape), AFFINE), (radius < 5) & (radius >= 2)


@pytest.fixture
def spec(make_spec):
    return make_spec("cine_sax", normalisation={"method": "none", "within": "labelled"})


def test_a_map_holds_the_features_of_each_neighbourhood(spec):
    image, mask = _study()
    maps = voxel_maps(image, mask, spec, tags=TAGS, radius=1)
    assert list(maps) == list(TAGS)
    i, j, k = 8, 6, 1
    box = (slice(i - 1, i + 2), slice(j - 1, j + 2), slice(k, k + 1))
    near = image.array[box][mask[box]]
    assert maps["stat_mean"].array[i, j, k] == pytest.approx(near.mean())
    assert maps["stat_var"].array[i, j, k] == pytest.approx(near.var())
    for found in maps.values():
        assert np.isnan(found.array[~mask]).all()
        assert np.isfinite(found.array[mask]).any()


def test_grey_levels_are_those_of_the_whole_region(spec):
    image, mask = _study()
    low, high = image.array[mask].min(), image.array[mask].max()
    levels = np.minimum(np.floor(32 * (image.array - low) / (high - low)) + 1, 32)
    found = voxel_maps(image, mask, spec, tags=["cm_contrast_2d_avg_fbn32"], radius=1)["cm_contrast_2d_avg_fbn32"]
    for i, j, k in np.argwhere(mask)[::9]:
        voxels = [(a, b) for a in range(i - 1, i + 2) for b in range(j - 1, j + 2) if mask[a, b, k]]
        contrasts = []
        for step in ((0, 1), (1, -1), (1, 0), (1, 1)):
            pairs = [(v, (v[0] + step[0], v[1] + step[1])) for v in voxels]
            squares = [(levels[*v, k] - levels[*w, k]) ** 2 for v, w in pairs if w in voxels]
            contrasts += [np.mean(squares)] if squares else []
        assert found.array[i, j, k] == pytest.approx(np.mean(contrasts))


def test_in_space_the_neighbourhood_is_a_cube(make_spec):
    texture = {"aggregation": ("3d_avg",), "distances": (1,), "weighting": "none", "coarseness": 0}
    spec = make_spec("cine_sax", normalisation={"method": "none", "within": "labelled"}, texture=texture)
    image, mask = _study()
    found = voxel_maps(image, mask, spec, tags=["stat_max"], radius=1)["stat_max"].array
    i, j, k = 8, 6, 1
    box = (slice(i - 1, i + 2), slice(j - 1, j + 2), slice(0, 3))
    assert found[i, j, k] == image.array[box][mask[box]].max()


def test_processes_and_storage_order_change_nothing(spec):
    image, mask = _study(shape=(14, 12, 9))
    one = voxel_maps(image, mask, spec, tags=TAGS, radius=1)
    many = voxel_maps(image, mask, spec, tags=TAGS, radius=1, jobs=2)
    turned = Image(
        np.flip(image.array, 0).transpose(2, 0, 1),
        np.array([[0, -1.4, 0, 18.2], [0, 0, 1.4, 0], [8.0, 0, 0, 0], [0, 0, 0, 1.0]]),
    )
    stored = voxel_maps(turned, np.flip(mask, 0).transpose(2, 0, 1), spec, tags=TAGS, radius=1)
    for tag in TAGS:
        np.testing.assert_array_equal(one[tag].array, many[tag].array)
        np.testing.assert_allclose(np.flip(one[tag].array, 0).transpose(2, 0, 1), stored[tag].array, rtol=1e-9)


def test_a_neighbourhood_larger_than_the_region_gives_the_value_of_the_region(spec):
    image, mask = _study(shape=(14, 12, 1))
    maps = voxel_maps(image, mask, spec, tags=TAGS, radius=20)
    whole = extract_region(image, mask, spec)
    for tag in TAGS:
        np.testing.assert_allclose(maps[tag].array[mask], whole[tag], rtol=1e-9)


LOG = {"kind": "laplacian_of_gaussian", "dimension": "2d", "sigma_mm": 2, "truncate": 4, "boundary": "mirror"}
NONE = {"method": "none", "within": "labelled"}


def test_maps_are_of_the_original_image_whatever_the_filters(make_spec):
    image, mask = _study()
    spec = make_spec("cine_sax", normalisation=NONE, filters=[LOG, {"kind": "original"}])
    found = voxel_maps(image, mask, spec, tags=["stat_mean"], radius=40)["stat_mean"].array
    for k in range(3):
        np.testing.assert_allclose(found[..., k][mask[..., k]], image.array[..., k][mask[..., k]].mean())
    with pytest.raises(SpecError, match="There is no voxel map of 'stat_mean'"):
        voxel_maps(image, mask, make_spec("cine_sax", normalisation=NONE, filters=[LOG]), tags=["stat_mean"], radius=1)


def test_bins_start_at_the_range_of_re_segmentation(make_spec):
    image, mask = _study(shape=(14, 12, 1))
    spec = make_spec(
        "cine_sax",
        normalisation=NONE,
        discretisation={"method": "fbs", "width": 25, "max_bins": 100},
        resegmentation={"range": [110, 290], "unit": "absolute", "outliers_sd": None, "shape": False},
    )
    found = voxel_maps(image, mask, spec, tags=["cm_joint_avg_2d_avg_fbs25"], radius=20)["cm_joint_avg_2d_avg_fbs25"]
    whole = extract_region(image, mask, spec)["cm_joint_avg_2d_avg_fbs25"]
    np.testing.assert_allclose(found.array[np.isfinite(found.array)], whole)


def test_planar_and_spatial_texture_have_neighbourhoods_of_their_own(make_spec):
    texture = {"distances": (1,), "weighting": "none", "coarseness": 0}
    image, mask = _study()
    tags = ["cm_contrast_2d_avg_fbn32", "cm_contrast_3d_avg_fbn32"]
    both = make_spec("cine_sax", normalisation=NONE, texture=texture | {"aggregation": ("2d_avg", "3d_avg")})
    together = voxel_maps(image, mask, both, tags=tags, radius=1)
    for tag, aggregation in zip(tags, ("2d_avg", "3d_avg"), strict=True):
        one = make_spec("cine_sax", normalisation=NONE, texture=texture | {"aggregation": (aggregation,)})
        alone = voxel_maps(image, mask, one, tags=[tag], radius=1)[tag]
        np.testing.assert_array_equal(together[tag].array, alone.array)


def test_energy_has_the_shift_and_the_volume_of_a_voxel(tmp_path):
    image, mask = _study(shape=(14, 12, 1))
    path = tmp_path / "parameters.yaml"
    classes = {"firstorder": ["Energy", "TotalEnergy"]}
    YAML(typ="safe").dump({"featureClass": classes, "setting": {"voxelArrayShift": 300, "force2D": True}}, path)
    tags = ["original_firstorder_Energy", "original_firstorder_TotalEnergy"]
    found = voxel_maps(image, mask, read_spec(path), tags=tags, radius=20)
    energy = ((image.array[mask] + 300) ** 2).sum()
    np.testing.assert_allclose(found[tags[0]].array[mask], energy)
    np.testing.assert_allclose(found[tags[1]].array[mask], energy * 1.4 * 1.4 * 8)


def test_equals_pyradiomics_voxel_maps(tmp_path):
    if find_spec("radiomics") is None:
        required = os.environ.get("RADIOCARD_REQUIRE") == "all"
        (pytest.fail if required else pytest.skip)("parity: not run (PyRadiomics is not installed)")
    import radiomics
    import SimpleITK as sitk
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    radiomics.setVerbosity(50)
    image, mask = _study()
    names = ["firstorder_Mean", "firstorder_Entropy", "glcm_Contrast", "glcm_JointEntropy", "gldm_DependenceEntropy"]
    classes = {}
    for name in names:
        classes.setdefault(name.partition("_")[0], []).append(name.partition("_")[2])
    path = tmp_path / "parameters.yaml"
    with_bins = {"binWidth": 10, "additionalInfo": False}
    YAML(typ="safe").dump({"imageType": {"Original": {}}, "featureClass": classes, "setting": with_bins}, path)
    volumes = [sitk.GetImageFromArray(a.transpose(2, 1, 0).copy()) for a in (image.array, mask.astype(np.uint8))]
    for volume in volumes:
        volume.SetSpacing((1.4, 1.4, 8.0))
    theirs = RadiomicsFeatureExtractor(str(path)).execute(*volumes, voxelBased=True)
    tags = [f"original_{name}" for name in names]
    ours = voxel_maps(image, mask, read_spec(path), tags=tags, radius=1)
    for tag in tags:
        index = theirs[tag].TransformPhysicalPointToIndex
        for i, j, k in np.argwhere(mask):
            at = index(volumes[0].TransformIndexToPhysicalPoint((int(i), int(j), int(k))))
            assert ours[tag].array[i, j, k] == pytest.approx(theirs[tag][at], rel=1e-6), tag


@pytest.mark.parametrize(("radius", "jobs"), [(0, 1), (1, 0)])
def test_reach_and_processes_are_at_least_one(spec, radius, jobs):
    with pytest.raises(UsageError, match=rf"radius is {radius} and jobs is {jobs}, expected at least 1"):
        voxel_maps(*_study(), spec, tags=TAGS, radius=radius, jobs=jobs)


@pytest.mark.parametrize("tag", ["morph_volume", "stat_meen", "cm_contrast_3d_avg_fbn32"])
def test_a_tag_without_a_map_is_refused(spec, tag):
    with pytest.raises(SpecError, match=f"There is no voxel map of '{tag}' under specification"):
        voxel_maps(*_study(), spec, tags=[tag], radius=1)


def test_resampling_is_refused(make_spec):
    grid = {"spacing_mm": (1, 1, 0), "interpolation": "linear", "mask_interpolation": "linear", "round_grey": False}
    with pytest.raises(SpecError, match="Voxel maps cannot honour resampling"):
        voxel_maps(*_study(), make_spec("cine_sax", resampling=grid), tags=TAGS, radius=1)


def test_an_empty_region_is_refused(spec):
    image, mask = _study()
    with pytest.raises(MaskError, match="The region has no voxel"):
        voxel_maps(image, np.zeros_like(mask), spec, tags=TAGS, radius=1)


def test_only_what_is_wanted_is_described(spec):
    image, mask = _study()
    every = voxel_maps(image, mask, spec, tags=TAGS, radius=1)
    within = np.zeros_like(mask)
    within[2:4] = True
    for tag, found in voxel_maps(image, mask, spec, tags=TAGS, radius=1, within=within).items():
        np.testing.assert_array_equal(found.array, np.where(within, every[tag].array, np.nan))
    nothing = voxel_maps(image, mask, spec, tags=TAGS, radius=1, within=np.zeros_like(mask))
    assert all(np.isnan(found.array).all() for found in nothing.values())
