"""``convention: pyradiomics`` of the native engine against PyRadiomics 3, run side by side."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from radiocard.features.extract import extract_region
from radiocard.image import LABELS_ACDC, Image

AGGREGATIONS = ("2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")
FBN = {"method": "fbn", "bins": 32, "max_bins": 4096}
FBS = {"method": "fbs", "width": 25, "max_bins": 4096}
FLAT = {"stat_skew", "stat_kurt", "cm_corr", "cm_info_corr1"}
REQUIRED = os.environ.get("RADIOCARD_REQUIRE") == "all"

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning:radiomics")


@pytest.fixture(scope="module", autouse=True)
def _pyradiomics():
    if find_spec("radiomics") is None:
        (pytest.fail if REQUIRED else pytest.skip)("parity: not run (PyRadiomics is not installed)")


def _blob(seed: int, shape=(24, 20, 9)):
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=shape), 1.2) > 0.05
    return 200 + 400 * ndimage.gaussian_filter(rng.normal(size=shape), 1), mask


def _cases():
    image, mask = _blob(0)
    yield "blob", image, mask, (1.4, 1.4, 8.0)
    yield "anisotropic", image, mask, (1.3, 0.7, 2.1)
    yield "negative", image - 700, mask, (1.4, 1.4, 8.0)
    yield "whole_numbers", np.round(image), mask, (1.0, 2.0, 3.0)
    scattered = np.random.default_rng(1).random(mask.shape) < 0.4
    yield "corner_to_corner", image, scattered, (1.3, 0.7, 2.1)
    yield "one_slice", image, mask & (np.arange(9) == 4), (1.4, 1.4, 8.0)
    yield "two_levels", np.where(image > 200, 100.0, 50.0), mask, (1.4, 1.4, 8.0)
    line = np.zeros_like(mask)
    line[3, 3:9, 3] = True
    yield "line", image, line, (1.4, 1.4, 8.0)
    yield "one_voxel", image, line & (np.arange(20) == 5)[:, None], (1.4, 1.4, 8.0)


def _spec(make_spec, discretisation, distance=1):
    return make_spec(
        "cine_sax_pyradiomics",
        normalisation={"method": "none", "within": "labelled"},
        discretisation=discretisation,
        glcm={"aggregation": AGGREGATIONS, "distance": distance},
        roi={"min_voxels": 1, "keep_largest": False},
    )


def _both(image, mask, spacing, spec):
    given = Image(image, np.diag([*spacing, 1.0]))
    native = extract_region(given, mask, spec)
    theirs = extract_region(given, mask, spec.model_copy(update={"engine": "pyradiomics"}))
    return native, theirs


def _assert_equal(native, theirs):
    assert len(theirs) == 14 + 10 + 15 + 2 + 23 * len(AGGREGATIONS)
    for tag, value in theirs.items():
        assert native[tag] == (None if value is None else pytest.approx(value, rel=1e-6, abs=1e-12)), tag


@pytest.mark.parametrize("discretisation", [FBN, FBS], ids=["fbn", "fbs"])
@pytest.mark.parametrize("case", list(_cases()), ids=lambda c: c[0])
def test_native_equals_pyradiomics(case, discretisation, make_spec):
    _assert_equal(*_both(*case[1:], _spec(make_spec, discretisation)))


def test_native_equals_pyradiomics_at_distance_two(make_spec):
    image, mask = _blob(2)
    _assert_equal(*_both(image, mask, (1.4, 1.4, 8.0), _spec(make_spec, FBN, distance=2)))


@pytest.mark.parametrize("discretisation", [FBN, FBS], ids=["fbn", "fbs"])
@pytest.mark.parametrize("grey", [75.0, 80.5, -3.0])
def test_native_equals_pyradiomics_on_one_grey_value(grey, discretisation, make_spec):
    image, mask = _blob(3)
    native, theirs = _both(np.full(image.shape, grey), mask, (1.4, 1.4, 8.0), _spec(make_spec, discretisation))
    _assert_equal(native, theirs)
    undefined = {tag for tag, value in theirs.items() if value is None}
    assert {next(f for f in FLAT if tag.startswith(f)) for tag in undefined} == FLAT


def test_shipped_specification_runs_under_both_engines(make_spec):
    image, mask = _blob(4)
    spec = make_spec("cine_sax_pyradiomics")
    native, theirs = _both(image, mask, (1.4, 1.4, 8.0), spec)
    assert len(theirs) == 14 + 10 + 15 + 2 + 23
    for tag, value in theirs.items():
        assert native[tag] == pytest.approx(value, rel=1e-6, abs=1e-12), tag


def test_native_equals_pyradiomics_on_real_regions(make_spec):
    folder = os.environ.get("RADIOCARD_ACDC")
    if not folder:
        pytest.skip("parity on ACDC: not run (RADIOCARD_ACDC is not set)")
    import nibabel as nib

    spec = _spec(make_spec, FBN)
    for mask_path in sorted(Path(folder).glob("patient*/*_gt.nii.gz"))[:6]:
        labels = nib.load(mask_path)
        image = nib.load(str(mask_path).replace("_gt", "")).get_fdata()
        for label in LABELS_ACDC.values():
            mask = np.asarray(labels.dataobj) == label
            _assert_equal(*_both(image, mask, tuple(map(float, labels.header.get_zooms()[:3])), spec))
