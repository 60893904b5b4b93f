"""PyRadiomics parameter files, run by the native engine and by PyRadiomics 3 side by side."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from scipy import ndimage

from radiocard.features.extract import extract_region
from radiocard.image import LABELS_ACDC, Image
from radiocard.specs import read_spec

REQUIRED = os.environ.get("RADIOCARD_REQUIRE") == "all"
CLASSES = ("firstorder", "shape", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
N_FEATURES = {"firstorder": 18, "shape": 14, "glcm": 24, "glrlm": 16, "glszm": 16, "gldm": 14, "ngtdm": 5, "shape2D": 9}
# PyRadiomics fills these in for a region with one grey value; radiocard calls them undefined.
FILLED = {"firstorder_Skewness", "firstorder_Kurtosis", "glcm_Correlation", "glcm_Imc1", "glcm_MCC"}
FILLED |= {"ngtdm_Coarseness", "ngtdm_Contrast", "ngtdm_Busyness", "ngtdm_Strength"}

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:radiomics", "ignore::DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def _pyradiomics():
    if find_spec("radiomics") is None:
        (pytest.fail if REQUIRED else pytest.skip)("parity: not run (PyRadiomics is not installed)")
    import radiomics

    radiomics.setVerbosity(50)


def _blob(seed: int, shape=(30, 26, 12)):
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0.03
    mask[[0, -1]] = mask[:, [0, -1]] = mask[:, :, [0, -1]] = False
    return 200 + 400 * ndimage.gaussian_filter(rng.normal(size=shape), 1), mask


def _regions():
    image, mask = _blob(0)
    thick = (1.4, 1.4, 8.0)
    yield "blob", image, mask, thick
    yield "anisotropic", image, mask, (1.3, 0.7, 2.1)
    yield "negative", image - 700, mask, thick
    yield "whole_numbers", np.round(image), mask, (1.0, 2.0, 3.0)
    yield "scattered", image, np.random.default_rng(1).random(mask.shape) < 0.4, (1.3, 0.7, 2.1)
    yield "one_slice", image, mask & (np.arange(12) == 5), thick
    yield "two_levels", np.where(image > 200, 100.0, 50.0), mask, thick
    line = np.zeros_like(mask)
    line[3, 3:12, 3] = True
    yield "line", image, line, thick
    yield "flat", np.full(image.shape, 80.5), mask, thick


def _settings():
    yield "default", {}
    yield "fbn", {"binCount": 32}
    yield "force2D", {"force2D": True}
    yield "narrow_bins", {"binWidth": 3.7}
    for norm in ("no_weighting", "manhattan", "euclidean", "infinity"):
        yield f"weights_{norm}", {"weightingNorm": norm}
    yield "weights_in_plane", {"weightingNorm": "euclidean", "force2D": True}
    yield "distances_1_2", {"distances": [1, 2]}
    yield "distance_2", {"distances": [2]}
    yield "distance_2_in_plane", {"distances": [2], "force2D": True}
    yield "gldm_a", {"gldm_a": 1}
    yield "shifted", {"voxelArrayShift": 300}
    yield "normalised", {"normalize": True, "normalizeScale": 100, "removeOutliers": 3}
    yield "resegmented", {"resegmentRange": [150, 320], "resegmentShape": True}
    yield "resegmented_relative", {"resegmentRange": [0.2, 0.9], "resegmentMode": "relative"}
    yield "resegmented_sigma", {"resegmentRange": [-1.5, 2], "resegmentMode": "sigma"}
    for interpolator in ("sitkBSpline", "sitkLinear", "sitkNearestNeighbor"):
        yield f"resampled_{interpolator}", {"resampledPixelSpacing": [2, 2, 2], "interpolator": interpolator}
    yield "resampled_in_plane", {"resampledPixelSpacing": [1, 1, 0], "padDistance": 3, "force2D": True}


def _filters():
    yield "log", {"LoG": {"sigma": [1.0, 2.0, 3.0]}}, {}
    yield "wavelet", {"Wavelet": {}}, {}
    yield "wavelet_two_levels", {"Wavelet": {"wavelet": "db2", "level": 2}}, {}
    yield "wavelet_start_level", {"Wavelet": {"start_level": 1, "level": 1}}, {}
    yield "wavelet_in_plane", {"Wavelet": {"wavelet": "haar"}}, {"force2D": True}
    yield "points", {"Square": {}, "SquareRoot": {}, "Logarithm": {}, "Exponential": {}}, {}
    yield "gradient", {"Gradient": {}}, {}
    yield "gradient_per_voxel", {"Gradient": {"gradientUseSpacing": False}}, {}
    yield "own_bins", {"Original": {}, "Wavelet": {"binWidth": 5}, "LoG": {"sigma": [2.0], "binWidth": 7}}, {}
    yield "cropped", {"Wavelet": {}, "Square": {}}, {"preCrop": True, "padDistance": 4}


def _both(tmp_path, image, mask, spacing, *, classes=CLASSES, images=None, **settings):
    import SimpleITK as sitk
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    parameters = {
        "imageType": images or {"Original": {}},
        "featureClass": {name: [] for name in classes},
        "setting": {"additionalInfo": False, **settings},
    }
    path = tmp_path / "parameters.yaml"
    YAML(typ="safe").dump(parameters, path)
    volumes = [
        sitk.GetImageFromArray(np.ascontiguousarray(a.transpose(2, 1, 0))) for a in (image, mask.astype(np.uint8))
    ]
    for volume in volumes:
        volume.SetSpacing(spacing)
    theirs = RadiomicsFeatureExtractor(str(path)).execute(*volumes)
    given = Image(image, np.diag([*spacing, 1.0]))
    ours = extract_region(given, mask, read_spec(path))
    return ours, {name: np.real(value) for name, value in theirs.items()}


def _assert_equal(ours, theirs, *, filled=frozenset()):
    assert list(ours.keys() - theirs.keys()) == list(theirs.keys() - ours.keys()) == []
    differ = {}
    for name, value in theirs.items():
        if name.partition("_")[2] in filled:
            assert ours[name] is None, name
        elif ours[name] is None or ours[name] != pytest.approx(float(value), rel=1e-6, abs=1e-11):
            differ[name] = (ours[name], float(value))
    assert differ == {}


@pytest.mark.parametrize("region", list(_regions()), ids=lambda r: r[0])
@pytest.mark.parametrize("settings", list(_settings())[:3], ids=lambda s: s[0])
def test_every_region_equals_pyradiomics(region, settings, tmp_path):
    ours, theirs = _both(tmp_path, *region[1:], minimumROISize=1, minimumROIDimensions=1, **settings[1])
    assert len(theirs) == sum(N_FEATURES[name] for name in CLASSES) == 107
    _assert_equal(ours, theirs, filled=FILLED if region[0] == "flat" else frozenset())


@pytest.mark.parametrize("settings", list(_settings())[3:], ids=lambda s: s[0])
def test_every_setting_equals_pyradiomics(settings, tmp_path):
    image, mask = _blob(2)
    _assert_equal(*_both(tmp_path, image, mask, (1.4, 1.3, 2.5), **settings[1]))


@pytest.mark.parametrize("case", list(_filters()), ids=lambda c: c[0])
def test_every_filter_equals_pyradiomics(case, tmp_path):
    image, mask = _blob(3, shape=(41, 36, 12))
    mask[:8] = mask[33:] = mask[:, :9] = mask[:, :, :4] = False  # cropping must matter
    _assert_equal(*_both(tmp_path, image, mask, (1.4, 1.3, 2.5), images=case[1], **case[2]))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("grid", [{}, {"resampledPixelSpacing": [2, 2, 2], "interpolator": "sitkLinear"}])
def test_every_kind_of_number_equals_pyradiomics(dtype, grid, tmp_path):
    image, mask = _blob(6)
    images = {"Original": {}} if dtype is np.float32 else {"Original": {}, "Wavelet": {}}
    stored = (10 * image).astype(dtype)
    _assert_equal(*_both(tmp_path, stored, mask, (1.4, 1.3, 2.5), images=images, **grid))


@pytest.mark.parametrize(("decimals", "width"), [(1, 0.1), (3, 0.01)])
def test_bin_edges_are_rounded_as_the_image_is(decimals, width, tmp_path):
    image, mask = _blob(7)
    stored = np.round(image / 10**decimals, decimals).astype(np.float32)
    _assert_equal(*_both(tmp_path, stored, mask, (1.4, 1.3, 2.5), binWidth=width))


def test_shape_in_the_plane_equals_pyradiomics(tmp_path):
    image, mask = _blob(4)
    mask = mask & (np.arange(mask.shape[2]) == 6)
    ours, theirs = _both(tmp_path, image, mask, (1.4, 1.3, 8.0), classes=("shape2D", "firstorder"), force2D=True)
    assert sum(name.startswith("original_shape2D") for name in theirs) == N_FEATURES["shape2D"]
    _assert_equal(ours, theirs)


def test_both_engines_give_the_same_table_row(make_spec):
    image, mask = _blob(5)
    spec = make_spec("cine_sax_pyradiomics")
    given = Image(image, np.diag([1.4, 1.4, 8.0, 1.0]))
    native = extract_region(given, mask, spec)
    theirs = extract_region(given, mask, spec.model_copy(update={"engine": "pyradiomics"}))
    assert theirs.keys() <= native.keys()
    for tag, value in theirs.items():
        assert native[tag] == pytest.approx(value, rel=1e-6, abs=1e-12), tag


@pytest.mark.parametrize(
    "images", [{"Original": {}}, {"Wavelet": {}, "LoG": {"sigma": [2.0, 3.0]}}], ids=["original", "filters"]
)
def test_real_regions_equal_pyradiomics(images, tmp_path):
    folder = os.environ.get("RADIOCARD_ACDC")
    if not folder:
        pytest.skip("parity on ACDC: not run (RADIOCARD_ACDC is not set)")
    import nibabel as nib

    for mask_path in sorted(Path(folder).glob("patient*/*_gt.nii.gz"))[:6]:
        labels = nib.load(mask_path)
        image = nib.load(str(mask_path).replace("_gt", "")).get_fdata()
        spacing = tuple(map(float, labels.header.get_zooms()[:3]))
        for label in LABELS_ACDC.values():
            mask = np.asarray(labels.dataobj) == label
            _assert_equal(*_both(tmp_path, image, mask, spacing, images=images))
