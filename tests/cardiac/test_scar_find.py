"""Where scar is found: rings and simulated hearts of which the truth is known."""

import numpy as np
import pytest

from radiocard.cardiac.scar_find import find_scar
from radiocard.errors import GeometryError, IntensityError, MaskError
from radiocard.image import Image, LabelMap
from radiocard.simulate.lge import simulate_lge
from radiocard.simulate.scars import ScarParameters
from radiocard.specs.lge import ScarSettings

ROW, COLUMN = np.indices((61, 61)) - 30
RADIUS = np.repeat(np.hypot(ROW, COLUMN)[..., None], 2, axis=2)
ANGLE = np.repeat(np.rad2deg(np.arctan2(COLUMN, ROW))[..., None], 2, axis=2)
WALL = (RADIUS >= 12) & (RADIUS < 24)
AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])
MASK = LabelMap((RADIUS < 12) * 1 + WALL * 2, AFFINE, labels={"lv_cavity": 1, "lv_myocardium": 2})
CHECKERS = 10.0 + 2.0 * ((ROW + COLUMN) % 2)[..., None] * np.ones(2)  # remote myocardium: mean 11, SD 1
SCAR = WALL & (np.abs(ANGLE) < 35)
METHODS = ("n_sd", "fwhm", "otsu", "gmm")


def settings(method, **changed):
    chosen = {
        "n_sd": 5.0,
        "grey_zone_n_sd": 2.0,
        "edge_pixels": 1,
        "remote_width_deg": 60.0,
        "scope": "stack",
        "include_no_reflow": True,
        "entropy": {"method": "fbn", "bins": 64, "max_bins": 256},
    }
    return ScarSettings(method=method, **(chosen | changed))


def picture(values):
    return Image(np.asarray(values), AFFINE)


@pytest.mark.parametrize("scope", ["stack", "slice"])
@pytest.mark.parametrize("method", METHODS)
def test_planted_scar_is_found_exactly(method, scope):
    found = find_scar(picture(np.where(SCAR, 100.0 + CHECKERS, CHECKERS)), MASK, settings(method, scope=scope))
    np.testing.assert_array_equal(found.array, SCAR)
    np.testing.assert_array_equal(found.core, SCAR)
    assert not found.grey_zone.any()
    assert not found.no_reflow.any()
    assert len(found.thresholds) == (1 if scope == "stack" else 2)


@pytest.mark.parametrize("method", METHODS)
def test_normal_myocardium_holds_no_scar_and_no_grey_zone(method):
    noise = np.random.default_rng(2).normal(0, 3, WALL.shape)
    found = find_scar(picture(100.0 + noise), MASK, settings(method, n_sd=6.0))
    assert not (found.array | found.core | found.grey_zone).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_scale_per_slice_needs_a_threshold_per_slice(method):
    values = np.where(SCAR, 100.0 + CHECKERS, CHECKERS) * np.array([1.0, 40.0])
    apart = find_scar(picture(values), MASK, settings(method, scope="slice"))
    together = find_scar(picture(values), MASK, settings(method))
    np.testing.assert_array_equal(apart.array, SCAR)
    assert (together.array != SCAR).any()
    assert apart.thresholds[1] == pytest.approx(40 * apart.thresholds[0], rel=1e-6)


def test_thresholds_are_those_of_the_stated_remote_region():
    values = np.where(SCAR, 100.0 + CHECKERS, CHECKERS)
    remote = WALL & (np.abs(ANGLE) > 150)
    inside = values[remote]
    found = find_scar(picture(values), MASK, settings("n_sd", n_sd=3.0), remote=remote)
    assert found.thresholds[0] == pytest.approx(inside.mean() + 3 * inside.std())
    np.testing.assert_array_equal(found.remote, remote)


def test_the_grey_zone_lies_between_remote_and_half_of_the_maximum():
    border = WALL & (np.abs(ANGLE) >= 35) & (np.abs(ANGLE) < 45)
    values = np.where(SCAR, 100.0, np.where(border, 40.0, CHECKERS))
    found = find_scar(picture(values), MASK, settings("n_sd"))
    np.testing.assert_array_equal(found.core, SCAR)
    np.testing.assert_array_equal(found.grey_zone, border)
    np.testing.assert_array_equal(found.array, SCAR | border)
    assert find_scar(picture(values), MASK, settings("fwhm")).thresholds == (50.0,)


@pytest.mark.parametrize("include", [True, False])
def test_no_reflow_counts_only_where_asked_for(include):
    dark = SCAR & (np.abs(ANGLE) < 12) & (RADIUS < 18)
    values = np.where(SCAR & ~dark, 100.0 + CHECKERS, CHECKERS)
    found = find_scar(picture(values), MASK, settings("n_sd", include_no_reflow=include))
    np.testing.assert_array_equal(found.array, SCAR if include else SCAR & ~dark)
    np.testing.assert_array_equal(found.no_reflow, dark & include)


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(GeometryError, match=r"Image has shape \(2, 2, 2\), expected that of the mask"):
        find_scar(picture(np.zeros((2, 2, 2))), MASK, settings("otsu"))


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(IntensityError, match="528 of 2704 voxels are NaN or infinite"):
        find_scar(picture(np.where(SCAR, np.nan, 1.0)), MASK, settings("otsu"))


def test_a_remote_region_of_another_shape_is_refused():
    with pytest.raises(GeometryError, match="Region 'remote' has shape"):
        find_scar(picture(CHECKERS), MASK, settings("n_sd"), remote=np.ones((2, 2, 2), dtype=bool))


def test_a_remote_region_beyond_the_myocardium_is_refused():
    with pytest.raises(MaskError, match=r"of 7442 voxels of 'remote' lie outside lv_myocardium") as error:
        find_scar(picture(CHECKERS), MASK, settings("n_sd"), remote=np.ones(WALL.shape, dtype=bool))
    assert error.value.code == "E_LABEL_ANATOMY"


def test_every_slice_with_its_own_threshold_needs_a_remote_region():
    remote = WALL & (np.abs(ANGLE) > 150)
    remote[:, :, 1] = False
    with pytest.raises(MaskError, match="remote region has 0 voxels, expected at least 10"):
        find_scar(picture(CHECKERS), MASK, settings("n_sd", scope="slice"), remote=remote)


def test_a_tip_too_small_for_a_remote_region_is_not_judged():
    labels = MASK.array.copy()
    labels[:, :, 1] = np.where(RADIUS[:, :, 1] < 2, 1, np.where(RADIUS[:, :, 1] < 4, 2, 0))
    tip = LabelMap(labels, AFFINE, labels=dict(MASK.labels))
    values = np.where(np.abs(ANGLE) < 35, 100.0 + CHECKERS, CHECKERS)
    found = find_scar(picture(values), tip, settings("n_sd", scope="slice"))
    assert found.not_judged == (1,)
    assert found.thresholds[1] is None
    np.testing.assert_array_equal(found.array[:, :, 0], SCAR[:, :, 0])
    assert not found.array[:, :, 1].any()
    together = find_scar(picture(values), tip, settings("n_sd"))
    assert together.not_judged == ()
    assert together.array[:, :, 1].any()


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def infarct():
    return simulate_lge(ScarParameters("subendocardial", width_deg=90.0, transmurality=0.6), seed=3)


@pytest.mark.parametrize(("method", "least"), [("n_sd", 0.75), ("fwhm", 0.9), ("otsu", 0.9), ("gmm", 0.65)])
def test_simulated_infarct_is_found(infarct, method, least):
    """Half-way between remote and scar is the true edge; n-SD and the mixture count the border in."""
    found = find_scar(infarct.image, infarct.mask, settings(method))
    assert dice(found.array, infarct.scar) > least
    assert not (found.core & ~found.array).any()


@pytest.mark.parametrize(
    ("method", "scope", "at_most"),
    [*((m, "slice", 0.005) for m in METHODS), ("otsu", "stack", 0.0), ("gmm", "stack", 0.0), ("n_sd", "stack", 0.03)],
)
def test_a_simulated_normal_heart_holds_next_to_no_scar(method, scope, at_most):
    """One threshold for the stack leaves n-SD the apex, where slices hold blood as well."""
    normal = simulate_lge(ScarParameters("none"), seed=4)
    found = find_scar(normal.image, normal.mask, settings(method, scope=scope))
    assert found.array.sum() <= at_most * normal.mask.mask("lv_myocardium").sum()
