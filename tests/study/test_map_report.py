"""From maps to a model to a report: task, pictures, bull's eyes, reasons, rule, the site's own normals."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.path import Path as Polygon
from ruamel.yaml import YAML

import radiocard
from radiocard.cohort.row import describe_case, measure_case
from radiocard.errors import CohortError, SpecError
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.report.schema import PatientReport
from radiocard.specs import read_spec, read_task
from radiocard.study.info import about_path
from radiocard.study.patient import write_report
from radiocard.study.patient_measures import bulls_eyes, local_comparisons, map_measures
from radiocard.study.pictures import MAP_WINDOWS

LEVELS = ["basal", "mid", "apical"]


@pytest.fixture(scope="module")
def page(map_model, map_newcomer):
    return radiocard.report_patient(map_model, map_newcomer, "new-1", command="radiocard report")


@pytest.fixture(scope="module")
def without_ecv(tmp_path_factory, map_newcomer):
    """The same patient, native T1 alone."""
    case = read_cohort(map_newcomer).cases[0].load()
    key = ("t1_native", "")
    alone = replace(case, patient_id="new-2", images={key: case.images[key]}, masks={key: case.masks[key]})
    return write_manifest_cohort([alone], tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def ecv_model(_map_table, small_plan):
    return radiocard.train(_map_table, task="ecv-amyloid", models=["logistic"], plan=small_plan)


# --- training


def test_a_model_knows_its_task(map_model, tmp_path):
    assert map_model.pool == read_task("t1-amyloid").pool == "t1"
    assert map_model.classes == ("AMYL", "HCM", "NOR")
    radiocard.save_model(map_model, tmp_path / "m.model")
    assert about_path(tmp_path / "m.model")["task"] == "t1-amyloid"
    again = radiocard.load_model(tmp_path / "m.model")
    assert again.evaluation["task"]["study"] == read_task("t1-amyloid").study


def test_a_model_of_planted_differences_beats_chance(map_model):
    """The groups differ by two to five standard deviations in native T1 or thickness; a third is chance."""
    assert map_model.evaluation["scores"]["selected"]["metrics"]["accuracy"]["value"] > 0.6


def test_a_task_about_another_sequence_is_refused_and_fitting_ones_are_named(map_table, table, small_plan):
    with pytest.raises(CohortError, match="made from t1_native, the task 't2-myocarditis' is about t2") as caught:
        radiocard.train(map_table, task="t2-myocarditis", models=["logistic"], plan=small_plan)
    assert "t1-amyloid" in str(caught.value)
    with pytest.raises(CohortError, match="made from t1_native, the task 'cine' is about cine"):
        radiocard.train(map_table, models=["logistic"], plan=small_plan)
    with pytest.raises(CohortError, match="made from cine, .*'--spec t1_map'"):
        radiocard.train(table, task="t1-amyloid", models=["logistic"], plan=small_plan)


def test_a_pool_of_maps_that_nobody_has_is_refused(map_table, small_plan):
    ecv = [c for c in map_table if c.startswith("ecv_")]
    map_table[ecv] = np.nan
    with pytest.raises(CohortError, match="No patient has a ecv map, which the pool 't1_ecv' needs"):
        radiocard.train(map_table, task="ecv-amyloid", models=["logistic"], plan=small_plan)
    one = map_table.index[0]
    map_table.loc[one, ecv] = 30.0
    assert radiocard.train(map_table, task="ecv-amyloid", models=["logistic"], plan=small_plan).pool == "t1_ecv"


def test_the_rule_of_the_task_stands_beside_the_models(map_model, map_table):
    result = radiocard.evaluate(map_model, map_table)
    titles = " ".join(result.summary["lines"])
    assert "Published native T1 and wall thickness cut-offs (no training)" in titles


# --- a map that is missing


def test_a_missing_map_is_flagged_and_not_a_crash(ecv_model, without_ecv):
    (row,) = radiocard.predict(ecv_model, without_ecv).rows
    assert "W_MODEL_INPUT" in row.flags
    assert sum(row.probabilities.values()) == pytest.approx(1)
    page = radiocard.report_patient(ecv_model, without_ecv, "new-2")
    assert page.answer.light.level != "reliable"
    assert any("undefined and were replaced" in c for c in page.answer.light.causes)
    assert {s.bar.title for s in page.images.slices} == {"Native T1"}
    assert [e.title for e in page.bulls_eyes] == ["Native T1", "Wall thickness on the map"]
    assert not any(r.column.startswith("ecv") for r in page.measures.rows)


def test_a_model_of_t1_does_not_miss_the_ecv(map_model, map_newcomer, without_ecv):
    alone, whole = (radiocard.predict(map_model, cohort).rows[0] for cohort in (without_ecv, map_newcomer))
    assert alone.flags == whole.flags == ()
    assert alone.probabilities == pytest.approx(whole.probabilities)


# --- the report


def test_every_map_is_shown_at_three_levels_with_its_colours(page):
    titles = {"t1_native": "Native T1", "ecv": "ECV"}
    assert [(s.bar.title, s.level) for s in page.images.slices] == [
        (t, level) for t in titles.values() for level in LEVELS
    ]
    for picture in page.images.slices:
        sequence = next(s for s, title in titles.items() if title == picture.bar.title)
        assert (picture.bar.low, picture.bar.high) == MAP_WINDOWS[sequence]
        assert picture.bar.unit == ("%" if sequence == "ecv" else "ms")
        assert picture.phase is None
        assert picture.letters
        assert set(picture.contours) == {"lv_endo", "lv_epi", "rv"}


def test_colours_mean_the_same_in_every_report(page, map_newcomer):
    """The colour of the wall, looked up in the colour map, gives back its native T1."""
    import matplotlib

    picture = next(s for s in page.images.slices if s.level == "mid" and s.bar.title == "Native T1")
    shown = imread(io.BytesIO(base64.b64decode(picture.png_base64)))[..., :3]
    table = matplotlib.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]
    nearest = np.abs(shown[:, :, None, :] - table).sum(axis=-1).argmin(axis=-1)
    values = picture.bar.low + nearest / 255 * (picture.bar.high - picture.bar.low)
    y, x = np.mgrid[: picture.height_px, : picture.width_px] + 0.5
    within = {
        name: Polygon(picture.contours[name][0])
        .contains_points(np.column_stack([x.ravel(), y.ravel()]))
        .reshape(x.shape)
        for name in ("lv_endo", "lv_epi")
    }
    case = read_cohort(map_newcomer).cases[0].load()
    wall = case.masks["t1_native", ""].mask("lv_myocardium")[..., picture.slice_number - 1]
    truth = case.images["t1_native", ""].array[..., picture.slice_number - 1][wall]
    shown_wall = within["lv_epi"] & ~within["lv_endo"]
    assert shown_wall.sum() == wall.sum()
    assert values[shown_wall].mean() == pytest.approx(np.clip(truth, *MAP_WINDOWS["t1_native"]).mean(), abs=5.0)


def test_bulls_eyes_of_maps_and_thickness(page):
    assert [(e.title, e.unit) for e in page.bulls_eyes] == [
        ("Native T1", "ms"),
        ("ECV", "%"),
        ("Wall thickness on the map", "mm"),
    ]
    assert all(e.proven and all(v is not None for v in e.values) for e in page.bulls_eyes)


def test_bulls_eyes_hold_the_segments_of_the_table(map_patients):
    case, spec = map_patients[0].case, read_spec("t1_map")
    heart = measure_case(case, spec)
    values, _ = describe_case(case, spec, texture=False, heart=heart)
    eyes = bulls_eyes(values, heart)
    for eye, pattern in zip(
        eyes, ("t1_native_aha_{:02d}_ms", "ecv_aha_{:02d}_pct", "wt_aha_{:02d}_map_mm"), strict=True
    ):
        assert eye.values == [values[pattern.format(n)] for n in range(1, 17)]


def test_words_rule_and_limits_are_those_of_the_task(page):
    task = read_task("t1-amyloid")
    assert page.study == task.study
    assert page.rule.title == "Published native T1 and wall thickness cut-offs (no training)"
    texts = [c.text for r in page.rule.classes for g in r.groups for c in g.criteria]
    assert "Native T1 of the myocardium: at least 1341 ms" in texts
    assert set(task.limits) <= set(page.record.model.limits)
    assert 1 <= len(page.answer.reasons_for) <= 3
    assert page.answer.prediction in {"AMYL", "HCM", "NOR"}
    assert "can only name cardiac amyloidosis, hypertrophic cardiomyopathy and normal" in page.answer.not_known


def test_checks_are_those_of_maps(page):
    passed = {c.code for c in page.checks if c.passed}
    assert {"grid", "anatomy", "units", "fitted", "blood", "orientation"} <= passed
    assert not {"phases", "stroke volume", "physiology"} & {c.code for c in page.checks}


def test_names_have_no_capital_in_the_middle(page):
    words = [r.name for r in page.measures.rows] + [r.name for r in page.answer.reasons_for]
    assert len(words) > 10
    assert [w for w in words if re.search(r" (Native|Post)", w)] == []


def test_measures_have_units_and_no_reference_of_others(page):
    rows = {r.column: r for r in page.measures.rows}
    assert rows["t1_native_ms"].unit == "ms"
    assert rows["ecv_pct"].unit == "%"
    assert rows["mwt_max_map_mm"].unit == "mm"
    assert all(r.reference_low is None and r.z is None for r in rows.values())
    assert page.measures.reference is None
    assert "this site's own normals were not given" in page.measures.note
    assert "The inner 15 % and the outer 15 % of the wall are left out." in page.measures.note


def test_page_and_twin(page, tmp_path):
    paths = write_report(page, tmp_path / "r.html")
    assert PatientReport.model_validate_json(paths[1].read_text()) == page
    html = paths[0].read_text()
    assert html.count('class="map-bar"') == 2
    assert html.index(">Native T1</h3>") < html.index(">ECV</h3>")
    assert "Colours of ECV from 0 to 80 %" in html
    assert "short-axis slice of the Native T1 map" in html or "short-axis slice of the native T1 map" in html
    assert "End-diastole" not in html


# --- the site's own normals


def normals(folder, field_strength_t=3.0, site="B", sd=40.0):
    entries = [
        {"sequence": "t1_native", "column": "t1_native_ms", "unit": "ms", "mean": 1250.0, "sd": sd, "n": 30},
        {"sequence": "t1_native", "column": "t1_native_septal_ms", "unit": "ms", "mean": 1260.0, "sd": sd, "n": 30},
        {"sequence": "ecv", "column": "ecv_pct", "unit": "pct", "mean": 25.0, "sd": 2.5, "n": 20},
    ]
    data = {"schema": "radiocard/map-reference/1", "site": site}
    data["entries"] = [e | {"field_strength_t": field_strength_t} for e in entries]
    path = folder / "normals.yaml"
    with path.open("w") as stream:
        YAML().dump(data, stream)
    return path


def section(case, path):
    spec = read_spec("t1_map")
    settings = spec.maps.model_copy(update={"reference": str(path)})
    heart = measure_case(case, spec)
    values, _ = describe_case(case, spec, texture=False, heart=heart)
    compared = local_comparisons(values, heart, settings, case.clinical)
    return values, map_measures(values, heart, compared, settings)


@pytest.fixture(scope="module")
def case(map_newcomer):
    found = read_cohort(map_newcomer).cases[0].load()
    return replace(found, clinical={**found.clinical, "site": "B", "field_strength_t": 3.0})


def test_own_normals_give_z_and_range(case, tmp_path):
    values, shown = section(case, normals(tmp_path))
    rows = {r.column: r for r in shown.rows}
    t1 = rows["t1_native_ms"]
    assert t1.z == pytest.approx((values["t1_native_ms"] - 1250.0) / 40.0)
    assert (t1.reference_low, t1.reference_high) == pytest.approx((1250 - 1.96 * 40, 1250 + 1.96 * 40), abs=0.01)
    assert t1.position == "above"  # amyloid: several standard deviations
    assert rows["ecv_pct"].z == pytest.approx((values["ecv_pct"] - 25.0) / 2.5)
    assert rows["t1_native_sd_ms"].z is None
    assert "Native T1 is compared with 30 normals of site B (3 T)." in shown.reference
    assert "ECV is compared with 20 normals of site B (3 T)." in shown.reference


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"field_strength_t": 1.5}, "site B has no normals at 3 T (it has 1.5 T)"),
        ({"site": "A"}, "the normals are of site A and this case is of site B"),
    ],
)
def test_normals_of_elsewhere_are_not_used_and_the_page_says_why(changes, why, case, tmp_path):
    _, shown = section(case, normals(tmp_path, **changes))
    assert all(r.z is None and r.reference_low is None for r in shown.rows)
    assert shown.reference is None
    assert f"Native T1 is not compared with normal values: {why}." in shown.note
    assert "ECV is not compared" in shown.note


def test_a_case_without_field_strength_is_not_compared(case, tmp_path):
    clinical = {k: v for k, v in case.clinical.items() if k != "field_strength_t"}
    _, shown = section(replace(case, clinical=clinical), normals(tmp_path))
    assert "the case states no field strength" in shown.note


def test_a_file_of_normals_that_is_gone_is_named(case, tmp_path):
    with pytest.raises(SpecError, match=r"gone\.yaml"):
        section(case, tmp_path / "gone.yaml")
