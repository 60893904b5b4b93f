"""Masses, shares and patterns against closed forms and against the truth of simulated hearts."""

import numpy as np
import pytest

from radiocard.cardiac.scar import lge_entropy_bit, measure_lge, measure_scar_mask
from radiocard.errors import GeometryError, IntensityError, MaskError
from radiocard.image import Image, LabelMap
from radiocard.simulate.lge import simulate_lge
from radiocard.simulate.scars import ScarParameters
from radiocard.specs import Discretisation
from radiocard.specs.lge import ScarSettings

BINS = Discretisation(method="fbn", bins=64, max_bins=256)
SEGMENTS = [f"{n:02d}" for n in range(1, 17)]


def chosen(method):
    return ScarSettings(
        method=method,
        n_sd=5.0,
        grey_zone_n_sd=2.0,
        edge_pixels=1,
        remote_width_deg=60.0,
        scope="slice",
        include_no_reflow=True,
        entropy=BINS,
    )


def half(mask):
    """Scar of the first rows of the wall, and how many voxels it has."""
    wall = mask.mask("lv_myocardium")
    scar = wall & (np.indices(wall.shape)[0] < wall.shape[0] / 2)
    return scar, int(scar.sum()), int(wall.sum())


def test_mass_is_volume_times_density(made, settings):
    mask = made.paint(made.Heart(), made.Grid(spacing=(1.2, 1.7, 8.0)))
    scar, n, total = half(mask)
    values = measure_scar_mask(scar, mask, settings, no_reflow=np.zeros_like(scar)).values
    voxel_g = 1.2 * 1.7 * 8.0 / 1000 * settings.myocardial_density_g_ml
    assert values["scar_mass_g"] == pytest.approx(n * voxel_g)
    assert values["lvm_lge_g"] == pytest.approx(total * voxel_g)
    assert values["scar_pct"] == pytest.approx(100 * n / total)
    assert values["no_reflow_mass_g"] == values["no_reflow_pct"] == 0.0
    assert values["scar_core_pct"] is values["grey_zone_mass_g"] is values["lge_entropy_bit"] is None


def test_segment_shares_add_up_to_the_scar(made, settings):
    mask = made.paint(made.Heart(), made.Grid(rotation_deg=30))
    scar, n, _ = half(mask)
    measured = measure_scar_mask(scar, mask, settings)
    sizes = np.array([(measured.segments.array == int(s)).sum() for s in SEGMENTS])
    shares = np.array([measured.values[f"scar_aha_{s}_pct"] for s in SEGMENTS])
    assert sizes @ shares / 100 == pytest.approx(n)
    assert measured.proof is not None


def test_drawn_no_reflow_counts_as_scar(made, settings):
    mask = made.paint(made.Heart(), made.Grid())
    scar, n, total = half(mask)
    dark = scar & (np.indices(scar.shape)[1] < 30)
    found = measure_scar_mask(scar & ~dark, mask, settings, no_reflow=dark)
    assert found.values["scar_pct"] == pytest.approx(100 * n / total)
    assert found.values["no_reflow_pct"] == pytest.approx(100 * dark.sum() / total)


def test_without_a_right_ventricle_there_are_no_segments(made, settings):
    mask = made.paint(made.Heart(), made.Grid())
    lv = LabelMap(np.where(mask.array == 1, 0, mask.array), mask.affine, labels={"lv_myocardium": 2, "lv_cavity": 3})
    scar = half(mask)[0]
    alone, whole = (measure_scar_mask(scar, m, settings) for m in (lv, mask))
    assert alone.segments is None
    assert not alone.proof.proven
    assert {alone.values[f"{q}_aha_{s}_pct"] for s in SEGMENTS for q in ("scar", "transmurality")} == {None}
    assert alone.values["transmurality_over_50_n"] is None
    assert alone.values["scar_pct"] == whole.values["scar_pct"]
    assert alone.values["scar_inner_third_pct"] == pytest.approx(whole.values["scar_inner_third_pct"], abs=0.5)


def test_entropy_of_two_equal_halves_is_one_bit(made):
    mask = made.paint(made.Heart(), made.Grid())
    wall = mask.mask("lv_myocardium")
    values = np.full(wall.shape, 999.0)
    values[wall] = np.arange(wall.sum()) % 4
    image = Image(values, mask.affine)
    assert lge_entropy_bit(image, mask, BINS) == pytest.approx(2.0, abs=1e-4)
    assert lge_entropy_bit(Image(np.ones(wall.shape), mask.affine), mask, BINS) == 0.0


def test_entropy_of_values_that_are_not_finite_is_refused(made):
    mask = made.paint(made.Heart(), made.Grid())
    with pytest.raises(IntensityError, match="voxels are NaN or infinite"):
        lge_entropy_bit(Image(np.full(mask.array.shape, np.nan), mask.affine), mask, BINS)


def test_scar_outside_the_wall_is_refused(made, settings):
    mask = made.paint(made.Heart(), made.Grid())
    with pytest.raises(MaskError, match="voxels of 'lv_scar' lie outside lv_myocardium, expected none") as error:
        measure_scar_mask(mask.mask("lv_cavity"), mask, settings)
    assert error.value.code == "E_LABEL_ANATOMY"
    with pytest.raises(MaskError, match="voxels of 'no_reflow' lie outside"):
        measure_scar_mask(half(mask)[0], mask, settings, no_reflow=mask.mask("lv_cavity"))


def test_scar_of_another_shape_is_refused(made, settings):
    mask = made.paint(made.Heart(), made.Grid())
    with pytest.raises(GeometryError, match=r"Region 'lv_scar' has shape \(2, 2, 2\)"):
        measure_scar_mask(np.ones((2, 2, 2), dtype=bool), mask, settings)


SCARS = {
    "subendocardial": ScarParameters("subendocardial", width_deg=100.0, transmurality=0.5),
    "mid_wall": ScarParameters("mid_wall", width_deg=100.0, transmurality=0.4),
    "subepicardial": ScarParameters("subepicardial", width_deg=100.0, transmurality=0.4),
}


@pytest.fixture(scope="module")
def simulated():
    return {name: simulate_lge(scar, seed=11, slice_mm=5.0) for name, scar in SCARS.items()}


@pytest.mark.parametrize("pattern", SCARS)
def test_a_drawn_scar_is_as_heavy_and_as_deep_as_it_was_made(simulated, settings, pattern):
    case = simulated[pattern]
    values = measure_scar_mask(case.scar, case.mask, settings, no_reflow=case.no_reflow).values
    assert values["lvm_lge_g"] == pytest.approx(case.truth["lvm_lge_g"], rel=0.04)
    assert values["scar_mass_g"] == pytest.approx(case.truth["scar_mass_g"], rel=0.08)
    errors = [values[c] - case.truth[c] for c in (f"transmurality_aha_{s}_pct" for s in SEGMENTS)]
    assert abs(np.mean(errors)) < 1.5
    assert max(map(abs, errors)) < 12.0  # slices straddle the borders between basal, mid and apical segments


@pytest.mark.parametrize("pattern", SCARS)
def test_patterns_of_found_scar_are_told_apart(simulated, settings, pattern):
    case = simulated[pattern]
    values = measure_lge(case.image, case.mask, chosen("otsu"), settings).values
    ischaemic = values["scar_ischaemic_pattern_pct"]
    assert ischaemic > 90 if pattern == "subendocardial" else ischaemic < 20
    assert values["scar_mass_g"] == pytest.approx(case.truth["scar_mass_g"], rel=0.35)
    assert 0 < values["lge_entropy_bit"] <= 6


def test_image_and_mask_give_the_same_columns(simulated, settings):
    case = simulated["mid_wall"]
    from_image = measure_lge(case.image, case.mask, chosen("fwhm"), settings).values
    assert set(from_image) == set(measure_scar_mask(case.scar, case.mask, settings).values)
    assert all(from_image[f"{part}_mass_g"] is not None for part in ("scar", "no_reflow", "scar_core", "grey_zone"))


def test_normal_myocardium_gets_zeros_and_no_pattern(settings):
    normal = simulate_lge(ScarParameters("none"), seed=5)
    values = measure_lge(normal.image, normal.mask, chosen("otsu"), settings).values
    assert values["scar_pct"] == values["scar_mass_g"] == values["scar_core_pct"] == values["grey_zone_pct"] == 0.0
    assert values["scar_ischaemic_pattern_pct"] is None
    assert values["transmurality_over_50_n"] == 0.0
