"""Maps to a row: near the truth of the phantom, all columns there, borders and unfitted pixels left out."""

from dataclasses import replace

import numpy as np
import pytest

import radiocard
from radiocard.cardiac.map_dictionary import map_columns
from radiocard.cohort.row import describe_case, measure_case, texture_case
from radiocard.cohort.run import run_cohort
from radiocard.cohort.table import feature_columns
from radiocard.features.extract import extract_region
from radiocard.image import Image
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.simulate.maps import simulate_map_patient
from radiocard.specs import read_spec

SPEC = read_spec("t1_map")
KEY = ("t1_native", "")
T1_MS = 30.0  # noise of the mean is below 1 ms; 5 % of blood, 600 ms above the wall, in a thin wall are 30 ms
ECV_PCT = 2.5  # the same 5 %, of blood whose ECV, 100 - haematocrit, is up to 40 points above the wall's
THICKNESS_MM = 0.75  # half a pixel
BLOOD_MS = 10.0  # noise 42 ms in more than 100 pixels: four standard errors are below 17, without the outer ones 10


def without(case, *sequences):
    kept = [key for key in case.images if key[0] not in sequences]
    return replace(case, images={k: case.images[k] for k in kept}, masks={k: case.masks[k] for k in kept})


def with_pixels(case, where, value, key=KEY):
    array = case.images[key].array.astype(float).copy()
    array[where] = value
    return replace(case, images={**case.images, key: Image(array, case.images[key].affine)})


def features(values):
    return {c: v for c, v in values.items() if c.startswith("lv_myocardium__")}


@pytest.mark.parametrize(
    ("column", "tolerance"),
    [
        ("t1_native_ms", T1_MS),
        ("ecv_pct", ECV_PCT),
        ("mwt_mean_map_mm", THICKNESS_MM),
        ("mwt_max_map_mm", THICKNESS_MM),
        ("t1_native_blood_ms", BLOOD_MS),
    ],
)
def test_measured_is_near_the_truth_of_every_patient(column, tolerance, map_table, map_patients):
    truth = {p.case.patient_id: p.truth[column] for p in map_patients}
    assert len(truth) == len(map_table) == 18
    for patient, value in truth.items():
        assert map_table.loc[patient, column] == pytest.approx(value, abs=tolerance), patient


def test_segments_lie_in_the_order_of_the_truth(map_table, map_patients):
    """Segments of one heart differ by tens of ms; with a turned or mirrored scheme they would not correlate."""
    names = [f"t1_native_aha_{n:02d}_ms" for n in range(1, 17)]
    thick = [f"wt_aha_{n:02d}_map_mm" for n in range(1, 17)]
    found = {p.case.patient_id: p.truth for p in map_patients if p.parameters["group"] == "HCM"}
    assert len(found) == 6
    for columns, least in ((names, 0.5), (thick, 0.9)):
        r = [
            np.corrcoef(map_table.loc[i, columns].astype(float), [t[c] for c in columns])[0, 1]
            for i, t in found.items()
        ]
        assert np.median(r) > least


def test_t2_is_near_the_truth():
    patient = simulate_map_patient("myocarditis", "MYOC", 0, seed=5)
    values, _ = describe_case(patient.case, read_spec("t2_map"), texture=False)
    assert values["t2_ms"] == pytest.approx(patient.truth["t2_ms"], abs=6.0)  # 5 % of blood, 120 ms above the wall
    assert values["t1_native_ms"] == pytest.approx(patient.truth["t1_native_ms"], abs=T1_MS)


def test_a_table_of_maps_holds_maps_and_no_cine(map_table):
    columns = feature_columns(map_table)
    texture = [c for c in columns if "__" in c]
    assert set(map_columns(SPEC.maps.sequences)) <= set(columns)
    assert set(columns) == {*map_columns(SPEC.maps.sequences), *texture}
    assert all(c.startswith("lv_myocardium__t1_native__original__") for c in texture)
    assert len(texture) > 100
    assert map_table[columns].notna().all(axis=None)
    assert map_table["orientation_proven"].all()


def test_what_the_case_lacks_is_null_and_not_absent(map_patients):
    case = map_patients[0].case
    whole, _ = describe_case(case, SPEC, texture=False)
    part, issues = describe_case(without(case, "ecv", "t1_post"), SPEC, texture=False)
    assert set(part) == set(whole)
    ecv = [c for c in whole if c.startswith("ecv_")]
    assert len(ecv) == 6 + 4 * 16
    assert all(part[c] is None for c in ecv)
    assert {c: v for c, v in part.items() if c not in ecv} == {c: v for c, v in whole.items() if c not in ecv}
    assert issues == []


def test_a_cohort_without_any_ecv_has_the_columns_too(map_patients, tmp_path):
    path = write_manifest_cohort([without(p.case, "ecv", "t1_post") for p in map_patients[:2]], tmp_path)
    table, _ = run_cohort(read_cohort(path), SPEC, texture=False)
    assert table["ecv_pct"].isna().all()
    assert table["t1_native_ms"].notna().all()


# --- where texture is described


def border(case):
    heart = measure_case(case, SPEC)
    return case.masks[KEY].mask("lv_myocardium") & ~heart.regions["t1_native"].kept


def test_extreme_values_on_the_border_change_nothing(map_patients):
    case = map_patients[0].case
    outer = border(case)
    assert outer.sum() > 300
    before, _ = describe_case(case, SPEC)
    after, _ = describe_case(with_pixels(case, outer, 2900.0), SPEC)
    for column, value in before.items():
        if column.startswith(("lv_myocardium__", "t1_native")) and column != "t1_native_blood_ms":
            assert after[column] == value, column
    inner = case.masks[KEY].mask("lv_myocardium") & ~outer
    moved, _ = describe_case(with_pixels(case, np.argwhere(inner)[0].tolist(), 2900.0), SPEC)
    assert features(moved) != features(before)  # one pixel within the wall does count


def test_border_is_15_percent_on_each_side(map_patients):
    """Of a wall of even thickness 70 % of the depth is kept, so about 70 % of its pixels."""
    for patient in map_patients[:3]:
        wall = patient.case.masks[KEY].mask("lv_myocardium")
        assert 0.2 < border(patient.case).sum() / wall.sum() < 0.5


def test_pixels_without_a_fit_are_left_out_of_texture_and_means(map_patients):
    case = map_patients[0].case
    heart = measure_case(case, SPEC)
    kept = heart.regions["t1_native"].kept
    rng = np.random.default_rng(0)
    holes = kept & (rng.random(kept.shape) < 0.03)
    punched = with_pixels(case, holes, 0.0)
    values, _ = describe_case(punched, SPEC)
    pixels = case.images[KEY].array[kept & ~holes].astype(float)
    stem = "lv_myocardium__t1_native__original__stat_"
    for tag, expected in (("mean", pixels.mean()), ("min", pixels.min()), ("max", pixels.max()), ("var", pixels.var())):
        assert values[stem + tag] == pytest.approx(expected)
    assert values["t1_native_ms"] == pytest.approx(pixels.mean())
    assert values["t1_native_sd_ms"] == pytest.approx(pixels.std())
    alone = extract_region(punched.images[KEY], kept & ~holes, SPEC)
    assert values[stem.replace("stat_", "cm_joint_entr_2d_avg_fbs25")] == pytest.approx(
        alone["cm_joint_entr_2d_avg_fbs25"]
    )


def test_texture_leaves_the_given_case_as_it_was(map_patients):
    case = map_patients[0].case
    before = case.masks[KEY].array.copy()
    smaller = texture_case(case, SPEC, measure_case(case, SPEC))
    np.testing.assert_array_equal(case.masks[KEY].array, before)
    assert smaller.masks[KEY].mask("lv_myocardium").sum() < case.masks[KEY].mask("lv_myocardium").sum()
    np.testing.assert_array_equal(smaller.masks[KEY].mask("lv_cavity"), case.masks[KEY].mask("lv_cavity"))


def test_a_cine_case_is_described_where_its_masks_are(simulated_folder):
    case = radiocard.read_cohort(simulated_folder).cases[0].load()
    spec = read_spec("cine_sax")
    assert texture_case(case, spec, measure_case(case, spec)) is case
