import csv

import numpy as np
import pytest
from scipy import ndimage

from radiocard.errors import GeometryError, MaskError, SpecError
from radiocard.image import Image
from radiocard.preprocessing.resample import resample, resample_image, resample_mask
from radiocard.preprocessing.resegment import resegment
from radiocard.specs import Resampling, Resegmentation

RNG = np.random.default_rng(0)
SHAPE = (13, 10, 6)
SPACING = (1.4, 1.1, 7.0)
ARRAY = RNG.normal(300, 80, SHAPE)
OBLIQUE = np.array([[0.6, -0.8, 0, 10], [0.8, 0.6, 0, -4], [0, 0, 1, 3], [0, 0, 0, 1.0]]) @ np.diag([*SPACING, 1])
ORDERS = {"nearest": 0, "linear": 1, "bspline": 3}


def settings(spacing, interpolation="linear", mask="linear", **more):
    return Resampling(
        spacing_mm=spacing, interpolation=interpolation, mask_interpolation=mask, round_grey=False, **more
    )


def world(image, index):
    return image.affine[:3, :3] @ np.asarray(index, dtype=float) + image.affine[:3, 3]


@pytest.mark.parametrize("interpolation", ORDERS)
@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (0.9, 1.2, 0.0), (3.0, 0.5, 11.0)])
def test_values_are_those_of_scipy_at_the_same_places(spacing, interpolation):
    image = Image(ARRAY, OBLIQUE)
    found = resample_image(image, settings=settings(spacing, interpolation))
    grid = np.stack(np.meshgrid(*map(np.arange, found.array.shape), indexing="ij"))
    to_old = np.linalg.inv(image.affine) @ found.affine
    at = np.tensordot(to_old[:3, :3], grid, axes=1) + to_old[:3, 3, None, None, None]
    at = np.clip(at, 0, np.array(SHAPE)[:, None, None, None] - 1)
    expected = ndimage.map_coordinates(ARRAY, at, order=ORDERS[interpolation], mode="mirror")
    np.testing.assert_allclose(found.array, expected, rtol=1e-9)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (0.9, 1.7, 0.0)])
def test_new_grid_shares_its_centre_and_covers_the_old_one(spacing):
    image = Image(ARRAY, OBLIQUE)
    found = resample_image(image, settings=settings(spacing))
    wanted = [new or old for new, old in zip(spacing, SPACING, strict=True)]
    np.testing.assert_allclose(found.spacing_mm, wanted)
    assert found.array.shape == tuple(
        int(np.ceil(n * old / new)) for n, old, new in zip(SHAPE, SPACING, wanted, strict=True)
    )
    centres = [(np.array(one.array.shape) - 1) / 2 for one in (image, found)]
    np.testing.assert_allclose(world(found, centres[1]), world(image, centres[0]), atol=1e-9)


def test_grid_size_is_blind_to_single_precision_spacing():
    image = Image(np.zeros((2, 2, 60)), np.diag([1, 1, 3 * (1 + 1e-7), 1]))
    assert resample_image(image, settings=settings((0, 0, 2.0))).array.shape == (2, 2, 90)


@pytest.mark.parametrize("interpolation", ["linear", "bspline"])
def test_straight_lines_are_kept(interpolation):
    i, j, k = np.meshgrid(*map(np.arange, (30, 20, 12)), indexing="ij")
    image = Image(2.0 * i - 3.0 * j + 0.5 * k, np.eye(4))
    found = resample_image(image, settings=settings((0.7, 0.7, 0.7), interpolation))
    at = [np.arange(n) * 0.7 + found.affine[a, 3] for a, n in enumerate(found.array.shape)]
    x, y, z = np.meshgrid(*at, indexing="ij")
    inner = (slice(12, -12), slice(12, -12), slice(7, -7))  # a spline bends near the ends
    tolerance = 1e-9 if interpolation == "linear" else 2e-3
    np.testing.assert_allclose(found.array[inner], (2 * x - 3 * y + 0.5 * z)[inner], atol=tolerance)


def test_constant_stays_constant():
    for interpolation in ORDERS:
        image = Image(np.full((4, 1, 2), 7.0), np.eye(4))
        found = resample_image(image, settings=settings((0.3, 0.4, 0.5), interpolation))
        np.testing.assert_allclose(found.array, 7.0, rtol=1e-12)


def test_grey_values_are_rounded_if_asked_for():
    asked = settings((2.0, 2.0, 2.0)).model_copy(update={"round_grey": True})
    plain = resample_image(Image(ARRAY, OBLIQUE), settings=settings((2.0, 2.0, 2.0)))
    np.testing.assert_array_equal(resample_image(Image(ARRAY, OBLIQUE), settings=asked).array, np.rint(plain.array))


def test_same_spacing_changes_nothing():
    found, mask = resample(Image(ARRAY, OBLIQUE), ARRAY > 300, settings=settings(SPACING), convention="ibsi")
    np.testing.assert_array_equal(found.array, ARRAY)
    np.testing.assert_array_equal(mask, ARRAY > 300)
    np.testing.assert_allclose(found.affine, OBLIQUE)


def test_half_of_a_voxel_is_enough_for_the_mask():
    mask = np.zeros((4, 1, 1), dtype=bool)
    mask[1] = True
    # new centres lie at 0.5 and 2.5: one half of the first new voxel belongs to the region
    assert resample_mask(mask, (1, 1, 1), settings=settings((2.0, 0, 0))).ravel().tolist() == [True, False]
    assert resample_mask(mask, (1, 1, 1), settings=settings((2.1, 0, 0))).ravel().tolist() == [False, False]


def test_mask_volume_is_kept():
    i, j, k = np.meshgrid(*map(np.arange, (60, 60, 20)), indexing="ij")
    ball = (i - 29.5) ** 2 + (j - 29.5) ** 2 + (3 * (k - 9.5)) ** 2 < 25**2
    new = resample_mask(ball, (1, 1, 3), settings=settings((2.0, 2.0, 2.0)))
    assert new.sum() * 8 == pytest.approx(ball.sum() * 3, rel=0.02)


def test_region_that_falls_between_new_voxels_is_refused():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0, 0, 0] = True
    with pytest.raises(MaskError, match=r"E_EMPTY_ROI: The region of 1 voxels of 1.4 x 1.1 x 7 mm has none left at 8"):
        resample(Image(ARRAY, OBLIQUE), mask, settings=settings((8.0, 8.0, 8.0)), convention="ibsi")


def test_empty_region_is_refused():
    with pytest.raises(MaskError, match="E_EMPTY_ROI: The region has no voxel"):
        resample(Image(ARRAY, OBLIQUE), ARRAY > 1e9, settings=settings((2.0, 2.0, 2.0)), convention="ibsi")


def test_mask_on_another_grid_is_refused():
    with pytest.raises(GeometryError, match=r"shape of the mask is \(2, 2, 2\), expected that of the image"):
        resample(Image(ARRAY, OBLIQUE), np.ones((2, 2, 2), bool), settings=settings((2.0, 2.0, 2.0)), convention="ibsi")


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_grid_beyond_the_cap_is_refused(convention):
    with pytest.raises(GeometryError, match="The new grid would have .* voxels .* expected at most 134217728"):
        resample(
            Image(ARRAY, OBLIQUE),
            ARRAY > 300,
            settings=settings((0.01, 0.01, 0.01), mask="nearest"),
            convention=convention,
        )


def test_pyradiomics_knows_no_linear_mask():
    with pytest.raises(SpecError, match="PyRadiomics resamples masks by nearest neighbour only, not linear"):
        resample(Image(ARRAY, OBLIQUE), ARRAY > 300, settings=settings((2.0, 2.0, 2.0)), convention="pyradiomics")


CONFIGURATIONS = {
    "A": (None, "linear", (-500, 400), None),
    "B": ((2, 2, 0), "linear", (-500, 400), None),
    "C": ((2, 2, 2), "linear", (-1000, 400), None),
    "D": ((2, 2, 2), "linear", None, 3),
    "E": ((2, 2, 2), "bspline", (-1000, 400), 3),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_ibsi_configuration(name, ct_phantom):
    image, mask, folder = ct_phantom
    spacing, interpolation, limits, outliers = CONFIGURATIONS[name]
    if spacing:
        asked = settings(spacing, interpolation).model_copy(update={"round_grey": True})
        image, mask = resample(image, mask, settings=asked, convention="ibsi")
    kept = resegment(
        image.array, mask, settings=Resegmentation(range=limits, unit="absolute", outliers_sd=outliers, shape=False)
    )
    found = _diagnostics(image, mask, kept)
    with (folder / "reference_values" / f"config_{name}.csv").open(encoding="utf-8-sig") as file:
        rows = [row for row in csv.DictReader(file) if row["tag"] in found]
    assert len(rows) == 37
    for row in rows:
        decimals = len(row["reference value"].partition(".")[2])
        tolerance = max(float(row["tolerance"]), 0.5 * 10**-decimals) * (1 + 1e-9)
        assert found[row["tag"]] == pytest.approx(float(row["reference value"]), rel=0, abs=tolerance), row["tag"]


def _diagnostics(image, mask, kept):
    out = {f"{what}_int_interp_img": getattr(image.array, what)() for what in ("mean", "min", "max")}
    for axis, name in enumerate("xyz"):
        out[f"img_dim_{name}_interp_img"] = image.array.shape[axis]
        out[f"vox_dim_{name}_interp_img"] = image.spacing_mm[axis]
    for stage, morphological, intensity in (("interp", mask, mask), ("reseg", mask, kept)):
        for prefix, one in (("int_mask", intensity), ("morph_mask", morphological)):
            out[f"{prefix}_vox_count_{stage}_roi"] = int(one.sum())
            for axis, name in enumerate("xyz"):
                hits = np.flatnonzero(one.any(axis=tuple({0, 1, 2} - {axis})))
                out[f"{prefix}_bb_dim_{name}_{stage}_roi"] = hits[-1] - hits[0] + 1
        for axis, name in enumerate("xyz"):
            out[f"int_mask_dim_{name}_{stage}_roi"] = intensity.shape[axis]
        inside = image.array[intensity]
        out |= {f"int_mask_{what}_int_{stage}_roi": getattr(inside, what)() for what in ("mean", "min", "max")}
    return out
