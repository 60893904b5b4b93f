from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from radiocard.errors import UsageError
from radiocard.image import LABELS_ACDC
from radiocard.simulate.map_images import MAP_SITES
from radiocard.simulate.maps import simulate_map_cohort, simulate_map_patient

PLUS = ndimage.generate_binary_structure(2, 1)[:, :, None]


@pytest.fixture(scope="module")
def cohort():
    return simulate_map_cohort(task="t1-amyloid", per_class=4, seed=11)


@pytest.fixture(scope="module")
def myocarditis():
    return simulate_map_cohort(task="myocarditis", per_class=2, seed=11)


def core(case, sequence="t1_native"):
    """Return the myocardium without the voxels at its border."""
    return ndimage.binary_erosion(case.masks[sequence, ""].mask("lv_myocardium"), PLUS)


def test_what_a_cohort_holds(cohort, myocarditis):
    assert Counter(s.case.clinical["diagnosis"] for s in cohort) == {"NOR": 4, "HCM": 4, "AMYL": 4}
    assert [s.case.patient_id for s in cohort] == [f"map-{n:03d}" for n in range(1, 13)]
    assert {tuple(s.case.images) for s in cohort} == {(("t1_native", ""), ("t1_post", ""), ("ecv", ""))}
    assert {len(s.case.images) for s in myocarditis} == {4}
    assert {s.case.clinical["field_strength_t"] for s in cohort} == {3.0}
    assert {s.case.clinical["field_strength_t"] for s in myocarditis} == {1.5}
    for s in cohort:
        c = s.case.clinical
        assert s.case.simulated
        assert c["sex"] in {"F", "M"}
        assert 18 <= c["age_y"] <= 88
        assert 28 <= c["haematocrit_pct"] <= 54
        assert c["vendor"] == next(site.vendor for site in MAP_SITES if site.name == c["site"])


def test_maps_and_masks_share_a_grid_of_three_slices(cohort):
    for s in cohort:
        for key, image in s.case.images.items():
            mask = s.case.masks[key]
            assert image.array.shape == mask.array.shape
            assert image.array.shape[2] == 3
            np.testing.assert_array_equal(image.affine, mask.affine)
            assert dict(mask.labels) == dict(LABELS_ACDC)
            assert np.isfinite(image.array).all()
            assert 1.29 < image.spacing_mm[0] < 1.51
            assert image.spacing_mm[2] > 8.0  # a gap between slices of 8 mm
        for region in LABELS_ACDC:
            assert mask.mask(region).any(axis=(0, 1)).all()


def test_native_t1_and_ecv_in_the_middle_of_the_wall_agree_with_the_truth(cohort):
    t1, ecv, post = [], [], []
    for s in cohort:
        inner = core(s.case)
        t1.append(s.case.images["t1_native", ""].array[inner].mean() - s.truth["t1_native_ms"])
        post.append(s.case.images["t1_post", ""].array[inner].mean() - s.truth["t1_post_ms"])
        ecv.append(s.case.images["ecv", ""].array[inner].mean() - s.truth["ecv_pct"])
    assert np.abs(t1).max() < 20
    assert abs(np.mean(t1)) < 8
    assert np.abs(post).max() < 20
    assert np.abs(ecv).max() < 1.5


def test_t2_agrees_with_the_truth(myocarditis):
    for s in myocarditis:
        mask = s.case.masks["t2", ""]
        away = ~ndimage.binary_dilation(mask.mask("lv_cavity") | mask.mask("rv_cavity"), PLUS, iterations=2)
        values = s.case.images["t2", ""].array[core(s.case, "t2") & away]
        assert values.mean() == pytest.approx(s.truth["t2_ms"], abs=2.5)


def test_ecv_map_follows_the_formula(cohort):
    # Arheden et al., Radiology 211 (1999) 698
    for s in cohort[:3]:
        native, post = (s.case.images[k, ""].array.astype(float) for k in ("t1_native", "t1_post"))
        wall = s.case.masks["ecv", ""].mask("lv_myocardium")
        blood = 1 / s.truth["t1_post_blood_ms"] - 1 / s.truth["t1_native_blood_ms"]
        hct = s.case.clinical["haematocrit_pct"] / 100
        expected = 100 * (1 - hct) * (1 / post[wall] - 1 / native[wall]) / blood
        found = s.case.images["ecv", ""].array[wall]
        np.testing.assert_allclose(found, expected, atol=0.35)  # T1 is stored in whole ms


def test_blood_is_the_brightest_and_fat_the_darkest(cohort):
    for s in cohort:
        native, mask = s.case.images["t1_native", ""].array, s.case.masks["t1_native", ""]
        cavity = ndimage.binary_erosion(mask.mask("lv_cavity"), PLUS, iterations=3)
        assert native[cavity].mean() == pytest.approx(s.truth["t1_native_blood_ms"], rel=0.01)
        assert native[cavity].mean() > s.truth["t1_native_ms"] + 50
        assert s.truth["t1_post_ms"] < s.truth["t1_native_ms"]


def test_the_cavity_partial_volume_raises_t1_at_the_border(cohort):
    for s in cohort:
        mask = s.case.masks["t1_native", ""]
        wall = mask.mask("lv_myocardium")
        border = wall & ndimage.binary_dilation(mask.mask("lv_cavity"), PLUS)
        native = s.case.images["t1_native", ""].array
        assert native[border].mean() > native[core(s.case) & ~border].mean()


def test_truth_of_segments_averages_to_the_whole(cohort):
    for s in cohort:
        segments = [s.truth[f"t1_native_aha_{n:02d}_ms"] for n in range(1, 17)]
        assert min(segments) < s.truth["t1_native_ms"] < max(segments)
        assert s.truth["t1_native_ms"] == pytest.approx(s.parameters["t1_ms"] + s.parameters["t1_offset_ms"])
        thickness = [s.truth[f"wt_aha_{n:02d}_map_mm"] for n in range(1, 17)]
        assert s.truth["mwt_max_map_mm"] == max(thickness)
        assert 3 < min(thickness) < max(thickness) < 40
        assert not any(name.startswith("t2_") for name in s.truth)


def test_planted_structure_shows_in_the_truth():
    def mean(group, *columns):
        found = [simulate_map_patient("t1-amyloid", group, n, seed=2).truth for n in range(5)]
        return [np.mean([t[column] for t in found]) for column in columns]

    columns = [f"t1_native_{part}_ms" for part in ("gradient_aha_01", "aha_08", "aha_12")]
    amyloid, hypertrophic, normal = (mean(group, *columns) for group in ("AMYL", "HCM", "NOR"))
    assert amyloid[0] > normal[0] + 20  # subendocardial
    assert hypertrophic[1] > hypertrophic[2] + 10  # septum over lateral wall
    assert abs(normal[1] - normal[2]) < 15


def test_orientation_is_that_of_a_heart(cohort):
    for s in cohort:
        mask = s.case.masks["t1_native", ""]
        lv, rv = mask.mask("lv_cavity"), mask.mask("rv_cavity")
        to_rv = mask.affine[:3, :3] @ (np.argwhere(rv).mean(axis=0) - np.argwhere(lv).mean(axis=0))
        axis = mask.affine[:3, 2]  # from base to apex: left, anterior, inferior (RAS+)
        assert to_rv[0] > 0
        assert axis[0] < 0 < axis[1]
        assert axis[2] < 0


def test_a_patient_does_not_depend_on_the_size_of_the_cohort(cohort):
    small = simulate_map_cohort(task="t1-amyloid", per_class=1, seed=11)
    for a, b in zip(small, cohort, strict=False):
        assert a.truth == b.truth
        assert a.case.clinical == b.case.clinical
        assert a.case.images["t1_native", ""].digest() == b.case.images["t1_native", ""].digest()
        assert a.case.images["ecv", ""].digest() == b.case.images["ecv", ""].digest()
    other = simulate_map_cohort(task="t1-amyloid", per_class=1, seed=12)
    assert {s.truth["t1_native_ms"] for s in other}.isdisjoint(s.truth["t1_native_ms"] for s in small)


def test_permuted_classes_shuffle_the_diagnosis_and_nothing_else(cohort):
    shuffled = simulate_map_cohort(task="t1-amyloid", per_class=2, seed=11, permute_classes=True)
    plain = cohort[:6]
    old, new = ([s.case.clinical["diagnosis"] for s in c] for c in (plain, shuffled))
    assert Counter(old) == Counter(new)
    assert old != new
    assert [s.parameters["group"] for s in shuffled] == old
    for a, b in zip(plain, shuffled, strict=True):
        assert {**a.case.clinical, "diagnosis": ""} == {**b.case.clinical, "diagnosis": ""}
        assert a.case.images["t1_post", ""].digest() == b.case.images["t1_post", ""].digest()


def test_nuisances_do_not_depend_on_the_group():
    for index in range(3):
        found = [simulate_map_patient("t1-amyloid", g, index, seed=8) for g in ("NOR", "HCM", "AMYL")]
        assert len({tuple((k, v) for k, v in s.case.clinical.items() if k != "diagnosis") for s in found}) == 1
        for name in ("septal_centre_deg", "apex_mm", "t1_offset_ms"):
            assert len({s.parameters[name] for s in found}) == 1
        assert len({s.truth["t1_native_blood_ms"] for s in found}) == 1


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [({"task": "fabry"}, "Task is 'fabry'"), ({"per_class": 0}, "per_class is 0"), ({"seed": -1}, "seed is -1")],
)
def test_refuses_impossible_cohorts(kwargs, text):
    with pytest.raises(UsageError, match=text):
        simulate_map_cohort(**{"task": "dcm", "per_class": 1, "seed": 0, **kwargs})


def test_refuses_a_group_of_another_task():
    with pytest.raises(UsageError, match="Group is 'AMYL', expected one of NOR, DCM"):
        simulate_map_patient("dcm", "AMYL", 0, seed=0)
