import numpy as np
import pytest
from scipy import ndimage

from radiocard.errors import UsageError
from radiocard.image import LABELS_ACDC
from radiocard.simulate.lge import simulate_lge
from radiocard.simulate.scars import ScarParameters

INFARCT = ScarParameters("subendocardial", centre_deg=120.0, width_deg=90.0, transmurality=0.7)
GRAMS_PER_ML = 1.05


@pytest.fixture(scope="module")
def infarct():
    return simulate_lge(INFARCT, seed=3)


def test_layout(infarct):
    image, mask = infarct.image, infarct.mask
    assert image.array.shape == mask.array.shape == infarct.scar.shape
    assert image.spacing_mm == pytest.approx((1.4, 1.4, 8.0))
    assert dict(mask.labels) == dict(LABELS_ACDC)
    np.testing.assert_array_equal(image.affine, mask.affine)
    assert infarct.scar.any()
    assert not (infarct.scar & ~mask.mask("lv_myocardium")).any()
    assert not infarct.no_reflow.any()


def test_scar_voxels_converge_to_the_true_mass():
    fine = simulate_lge(INFARCT, seed=3, noise=0.0, pixel_mm=0.9, slice_mm=1.5)
    per_voxel = fine.image.voxel_volume_ml * GRAMS_PER_ML
    assert fine.scar.sum() * per_voxel == pytest.approx(fine.truth["scar_mass_g"], rel=0.015)
    assert fine.mask.mask("lv_myocardium").sum() * per_voxel == pytest.approx(fine.truth["lvm_lge_g"], rel=0.015)


def test_half_of_the_maximum_finds_the_scar_without_noise():
    thick = ScarParameters("subendocardial", width_deg=90.0, transmurality=1.0)
    found = simulate_lge(thick, seed=3, noise=0.0, slice_mm=2.0)
    wall = found.mask.mask("lv_myocardium")
    inner = ndimage.binary_erosion(wall | found.mask.mask("lv_cavity"), np.ones((3, 3, 1)))  # away from bright fat
    inner &= ~ndimage.binary_dilation(found.mask.mask("lv_cavity"), np.ones((3, 3, 1)))
    bright = found.image.array > 550
    agree = 2 * (bright & found.scar & inner).sum() / ((bright & inner).sum() + (found.scar & inner).sum())
    assert agree > 0.96


def test_signals_of_blood_muscle_scar_and_noise(infarct):
    values = infarct.image.array.astype(float)
    remote = infarct.mask.mask("lv_myocardium") & ~ndimage.binary_dilation(infarct.scar, iterations=3)
    remote &= ~ndimage.binary_dilation(infarct.mask.mask("lv_cavity"), np.ones((3, 3, 1)))
    remote &= ndimage.binary_erosion(remote | infarct.mask.mask("lv_cavity"), np.ones((3, 3, 1)))
    blood = ndimage.binary_erosion(infarct.mask.mask("lv_cavity"), np.ones((7, 7, 1)))
    assert np.median(values[remote]) < 200
    assert np.median(values[blood]) == pytest.approx(700, abs=25)
    assert np.percentile(values[infarct.scar], 90) == pytest.approx(1000, abs=60)


def test_noise_is_rician():
    noisy = simulate_lge(ScarParameters("none"), seed=3, noise=0.2).image.array.astype(float)
    corner = noisy[:20, -20:]
    # Rayleigh distribution where there is nothing (Gudbjartsson and Patz, MRM 34 (1995) 910)
    quiet = simulate_lge(ScarParameters("none"), seed=3, noise=0.0).image.array[:20, -20:]
    dark = quiet < 20
    assert dark.sum() > 400
    assert corner[dark].mean() / corner[dark].std() == pytest.approx(1.913, rel=0.05)
    assert corner[dark].mean() == pytest.approx(200 * np.sqrt(np.pi / 2), rel=0.03)


def test_where_the_scar_touches():
    plus = ndimage.generate_binary_structure(2, 1)[:, :, None]
    touches = {}
    for pattern in ("subendocardial", "mid_wall", "subepicardial"):
        found = simulate_lge(ScarParameters(pattern, transmurality=0.4), seed=4)
        cavity, heart = found.mask.mask("lv_cavity"), found.mask.mask("lv_cavity") | found.mask.mask("lv_myocardium")
        inside = (found.scar & ndimage.binary_dilation(cavity, plus)).sum()
        outside = (found.scar & ~ndimage.binary_erosion(heart, plus)).sum()
        touches[pattern] = (inside > 10, outside > 10)
    assert touches == {
        "subendocardial": (True, False),
        "mid_wall": (False, False),
        "subepicardial": (False, True),
    }


def test_no_reflow_is_dark_within_bright_scar():
    core = ScarParameters("subendocardial", width_deg=120.0, transmurality=1.0, no_reflow=0.7)
    found = simulate_lge(core, seed=3, pixel_mm=1.0)
    assert found.no_reflow.sum() > 50
    assert not (found.no_reflow & ~found.scar).any()
    values = found.image.array.astype(float)
    assert np.median(values[found.no_reflow]) < 0.5 * np.median(values[found.scar & ~found.no_reflow])


def test_seed_decides_the_heart_and_the_noise():
    a, b, c = (simulate_lge(INFARCT, seed=s) for s in (3, 3, 4))
    assert a.image.digest() == b.image.digest() != c.image.digest()
    assert a.truth == b.truth
    normal = simulate_lge(ScarParameters("none"), seed=3)
    assert normal.mask.digest() == a.mask.digest()
    assert not normal.scar.any()


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0, "noise": -0.1}, "noise is -0.1"),
        ({"seed": 0, "border_mm": -1.0}, "border_mm -1.0"),
        ({"seed": 0, "pixel_mm": 0.0}, "Spacing is 0.0 x 8.0 mm"),
    ],
)
def test_refuses_impossible_calls(kwargs, text):
    with pytest.raises(UsageError, match=text):
        simulate_lge(INFARCT, **kwargs)
