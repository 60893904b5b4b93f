import numpy as np
import pytest
from scipy.integrate import quad

from radiocard.simulate.classes import CLASSES
from radiocard.simulate.cohort import simulate_patient
from radiocard.simulate.grid import ANGLE_STEPS, Grid, label_slices
from radiocard.simulate.heart import HeartParameters, end_diastole, end_systole, part_of_systole, profile
from radiocard.simulate.truth import heart_truth, segment_thickness

PLAIN = HeartParameters(
    lvedv_ml=140.0,
    lvef=0.6,
    rvef=0.55,
    sv_ratio=1.0,
    myocardium_ml=100.0,
    septal_excess=0.1,
    deficit=0.1,
    thinning=0.05,
    territory="LAD",
    territory_shift_deg=0.0,
    territory_scale=1.0,
    septal_centre_deg=165.0,
    length_mm=84.0,
    apex_mm=5.0,
    descent=0.27,
)


def changed(**values):
    return HeartParameters(**{**vars(PLAIN), **values})


@pytest.mark.parametrize(
    "p",
    [
        PLAIN,
        changed(septal_excess=1.5, myocardium_ml=220.0, lvef=0.72),
        changed(lvedv_ml=320.0, lvef=0.15, deficit=0.4),
        changed(deficit=0.95, thinning=0.6, lvef=0.3, territory="RCA"),
        changed(rvef=0.2, sv_ratio=1.3),
    ],
)
def test_volumes_and_mass_are_those_asked_for(p):
    ed = end_diastole(p)
    es = end_systole(p, ed)
    assert ed.lv_ml() == pytest.approx(p.lvedv_ml, rel=1e-9)
    assert es.lv_ml() == pytest.approx(p.lvedv_ml * (1 - p.lvef), rel=1e-9)
    assert ed.myocardium_ml() == pytest.approx(p.myocardium_ml, rel=1e-9)
    assert es.myocardium_ml() == pytest.approx(p.myocardium_ml, rel=1e-9)
    assert ed.rv_ml() - es.rv_ml() == pytest.approx(p.sv_ratio * p.lvedv_ml * p.lvef, rel=1e-9)
    assert (es.rv_ml() / ed.rv_ml()) == pytest.approx(1 - p.rvef, rel=1e-9)
    assert (es.epi_mm > es.endo_mm).all()
    assert (ed.epi_mm > ed.endo_mm).all()


def test_the_cavity_is_the_closed_form_ellipsoid():
    ed = end_diastole(PLAIN)
    unit = quad(lambda s: float(profile(s)) ** 2, 0, 1)[0]
    radius = np.sqrt(PLAIN.lvedv_ml * 1000 / (np.pi * PLAIN.length_mm * unit))
    widest = ed.rings(np.array([0.25 * PLAIN.length_mm]))[0]
    np.testing.assert_allclose(widest, radius, rtol=2e-4)


@pytest.mark.parametrize(
    "p", [PLAIN, changed(deficit=0.9, thinning=0.5, lvef=0.35, territory="LCX", septal_excess=0.8)]
)
def test_fine_voxels_converge_to_the_truth(p):
    ed = end_diastole(p)
    for shape in (ed, end_systole(p, ed)):
        levels = np.arange(-2.5, 95.0, 1.0)
        grid = Grid(230, 0.7, levels, 13.0, np.array([-12.0, 2.0]), np.zeros((levels.size, 2)))
        labels = label_slices(shape, grid, grid.window(120.0))
        ml = 0.7 * 0.7 * 1.0 / 1000
        assert (labels == 3).sum() * ml == pytest.approx(shape.lv_ml(), rel=0.012)
        assert (labels == 2).sum() * ml == pytest.approx(shape.myocardium_ml(), rel=0.012)
        assert (labels == 1).sum() * ml == pytest.approx(shape.rv_ml(), rel=0.012)


@pytest.mark.parametrize("slice_mm", [8.0, 10.0])
def test_slice_summation_is_unbiased_over_the_position_of_the_stack(slice_mm):
    ed = end_diastole(PLAIN)
    shape = end_systole(PLAIN, ed)
    sums = []
    for start in np.linspace(0, slice_mm, 41)[:-1]:
        endo, epi = shape.rings(start - 2 * slice_mm + slice_mm * np.arange(16))
        area = np.pi * np.array([(endo**2).mean(axis=1), (epi**2 - endo**2).mean(axis=1)])
        sums.append(area.sum(axis=1) * slice_mm / 1000)
    np.testing.assert_allclose(np.mean(sums, axis=0), [shape.lv_ml(), shape.myocardium_ml()], rtol=0.004)
    assert (np.std(sums, axis=0) / np.mean(sums, axis=0)).max() < 0.06


def test_an_akinetic_territory_does_not_thicken_and_the_rest_does():
    p = changed(deficit=0.95, thinning=0.5, lvef=0.35, territory="RCA")
    ed = end_diastole(p)
    truth = heart_truth(ed, end_systole(p, ed), 1.9)
    assert truth["thickening_aha_10_pct"] < 12
    assert truth["thickening_aha_12_pct"] > 25
    assert truth["wt_aha_10_ed_mm"] < 0.7 * truth["wt_aha_12_ed_mm"]


def test_the_territory_follows_the_coronary_artery():
    # Cerqueira 2002: LAD 1, 2, 7, 8, 13, 14; RCA 3, 4, 9, 10, 15; LCX 5, 6, 11, 12, 16
    segments = {"LAD": {7, 8, 13, 14}, "RCA": {3, 4, 9, 10}, "LCX": {5, 6, 11, 12}}
    plain = segment_thickness(end_diastole(changed(thinning=1e-6, septal_excess=1e-6)))
    for name, expected in segments.items():
        thin = segment_thickness(end_diastole(changed(thinning=0.6, septal_excess=1e-6, territory=name)))
        lowest = set((np.argsort(thin / plain)[:4] + 1).tolist())
        assert lowest == expected, name


def test_septal_excess_thickens_the_septum():
    thickness = segment_thickness(end_diastole(changed(septal_excess=1.2, myocardium_ml=180.0)))
    assert set((np.argsort(thickness)[-4:] + 1).tolist()) == {2, 3, 8, 9}


def test_right_ventricle_ends_at_its_insertions():
    ed = end_diastole(PLAIN)
    levels = np.array([20.0, 40.0])
    grid = Grid(160, 1.0, levels, 0.0, np.zeros(2), np.zeros((2, 2)))
    window = grid.window(75.0)
    labels = label_slices(ed, grid, window).transpose(2, 0, 1)[window.where]
    degrees = window.angle[labels == 1] * 360.0 / ANGLE_STEPS
    assert degrees.min() == pytest.approx(120.0, abs=3.0)
    assert degrees.max() == pytest.approx(240.0, abs=3.0)


def test_truth_of_every_group_is_within_physiology():
    for group in CLASSES:
        truth = simulate_patient(group, 1, seed=2).truth
        assert truth["lvm_g"] == pytest.approx(truth["lvm_es_g"], rel=0.03)
        assert truth["lvesv_ml"] < truth["lvedv_ml"]
        assert truth["rvesv_ml"] < truth["rvedv_ml"]
        assert truth["lvef_pct"] == pytest.approx(100 * (1 - truth["lvesv_ml"] / truth["lvedv_ml"]))
        assert truth["mwt_max_mm"] == max(truth[f"wt_aha_{n:02d}_ed_mm"] for n in range(1, 17))
        assert all(np.isfinite(v) for v in truth.values())


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_part_of_systole_has_ejected_its_share_and_keeps_the_wall(share):
    p = changed(deficit=0.3)
    ed = end_diastole(p)
    part = part_of_systole(p, ed, share)
    assert part.lv_ml() == pytest.approx(p.lvedv_ml * (1 - share * p.lvef), rel=1e-6)
    assert part.rv_ml() == pytest.approx(ed.rv_ml() * (1 - share * p.rvef), rel=1e-6)
    assert part.myocardium_ml() == pytest.approx(p.myocardium_ml, rel=1e-6)
