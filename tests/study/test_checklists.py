"""Checklists of a run: what it knows is answered, what a person must state is open."""

from dataclasses import replace

import pytest

import radiocard
from radiocard.errors import SpecError
from radiocard.report.html import render_cohort
from radiocard.specs import parse_as, read_as, read_spec
from radiocard.specs.checklists import ChecklistSpec
from radiocard.study import ibsi_reporting
from radiocard.study.checklist_facts import NotApplicable
from radiocard.study.checklists import CHECKLISTS, fill, reporting
from radiocard.study.evaluate import from_nested
from radiocard.study.train import cross_validate, learning_data, rule_of

PERSONAL = {
    "clear": "4 5 8 10 11 12 14 20 50 51 53 54 57 58",
    "metrics": "2 3 5 6 7 8 9 10 14 26 27 28 30",
    "tripod_ai": "3a 3b 3c 5a 5b 6a 6b 6c 8a 8b 8c 9c 10 17 18a 18b 18c 18d 18e 19 22 25 26 27b 27c",
}


@pytest.fixture(scope="session")
def run(model, _table, small_plan):
    """Patients, out-of-fold answers and evidence of the small cohort."""
    data = learning_data(_table, target="diagnosis", columns=model.columns)
    return data, *cross_validate(data, [m.recipe for m in model.models], small_plan, rule=rule_of(model))


@pytest.fixture(scope="session")
def simulated(run, model):
    """Section of the report of this run."""
    data, result, evidence = run
    return from_nested(model, data, result, evidence).report


@pytest.fixture(scope="session")
def real(run, model):
    """The section on the same patients, were they not simulated."""
    data, result, evidence = run
    table = data.table.assign(simulated=False)
    table.attrs = dict(data.table.attrs)
    predictions = {name: result.predictions(name) for name in result.models}
    return reporting(model, replace(data, table=table), evidence, predictions, external=False)


@pytest.fixture(scope="session")
def rows(real):
    return {c.key: items(c) for c in real.checklists}


def items(checklist):
    return {row.number: row for group in checklist.groups for row in group.rows}


def spec_of(**facts):
    item = {"number": "1", "topic": "t", "write": "w."} | facts
    data = {"schema": "radiocard/checklist/1", "name": "x", "title": "X", "citation": "c", "doi": "d", "n_items": 1}
    return parse_as(ChecklistSpec, data | {"sections": [{"title": "s", "items": [item]}]}, "x")


def row_of(facts, **item):
    return fill(spec_of(**item), facts).groups[0].rows[0]


def test_an_item_is_answered_only_by_all_its_facts():
    facts = {"a": "One.", "b": "Two.", "gone": None, "out": NotApplicable("No."), "out_too": NotApplicable("No.")}
    assert row_of(facts, answered_by=["a", "b"]).model_dump()["answer"] == "One. Two."
    assert row_of(facts, answered_by=["a", "b"]).status == "answered"
    partly = row_of(facts, answered_by=["a", "gone"])
    assert (partly.status, partly.answer, partly.write) == ("open", "One.", "w.")
    assert row_of(facts, partly_by=["a"]).status == "open"
    assert (row_of(facts).status, row_of(facts).answer) == ("open", None)
    excluded = row_of(facts, answered_by=["out", "out_too"])
    assert (excluded.status, excluded.answer, excluded.write) == ("not applicable", "No.", None)
    assert row_of(facts, answered_by=["a", "out"]).answer == "One. No."


def test_conditions_are_not_counted():
    spec = spec_of()
    extra = spec.sections[0].items[0].model_copy(update={"number": "C1", "condition": True, "answered_by": ("a",)})
    section = spec.sections[0].model_copy(update={"items": (*spec.sections[0].items, extra)})
    found = fill(spec.model_copy(update={"sections": (section,)}), {"a": "One."})
    assert (found.n_items, found.n_answered, found.n_open) == (1, 0, 1)


def test_a_fact_that_no_run_states_aborts():
    with pytest.raises(SpecError, match="x: no run states nothing_known"):
        fill(spec_of(answered_by=["nothing_known"]), {"a": "One."})


def test_counts_add_up_and_follow_the_rows(real):
    assert [(c.title, c.n_items) for c in real.checklists] == [("CLEAR", 58), ("METRICS", 30), ("TRIPOD+AI", 52)]
    for checklist in real.checklists:
        status = [r.status for g in checklist.groups for r in g.rows if not r.condition]
        assert checklist.n_answered == status.count("answered")
        assert checklist.n_answered + checklist.n_open + checklist.n_not_applicable == checklist.n_items


@pytest.mark.parametrize("key", CHECKLISTS)
def test_what_a_person_must_state_stays_open(rows, key):
    assert {n: rows[key][n].status for n in PERSONAL[key].split()} == dict.fromkeys(PERSONAL[key].split(), "open")
    assert all(r.write for r in rows[key].values() if r.status == "open")
    assert all(r.answer and r.write is None for r in rows[key].values() if r.status != "open")


def test_what_the_run_knows_is_said(rows, model):
    said = rows["clear"]
    assert "30 patients, 30 of them independent: DCM 6, HCM 6, MINF 6, NOR 6, RV 6." in said["15"].answer
    assert "3-fold cross-validation" in said["15"].answer
    assert said["26"].status == "answered"
    assert said["29"].answer.startswith("No column has undefined values")
    assert "standard deviation 1 over the training part in logistic; no scaling in rf" in said["32"].answer
    assert "C 0.1 / 1.0 / 10.0, number of features 6 / 10" in said["35"].answer
    assert "seed 0" in said["35"].answer
    assert "patients drawn again within each class" in said["40"].answer
    assert model.model_id[:12] in said["57"].answer
    assert "3 sites" in rows["metrics"]["4"].answer


def test_measurements_alone_need_no_image_processing(rows):
    assert [rows["clear"][n].status for n in ("21", "22", "23", "24")] == ["not applicable"] * 4
    assert "should not promise radiomics" in rows["clear"]["1"].answer


def test_a_network_and_an_update_are_excluded_by_the_design(rows):
    assert rows["metrics"]["17"].answer == "No end-to-end deep learning."
    assert rows["tripod_ai"]["12f"].status == "not applicable"


def test_there_is_no_score_and_no_weight(real):
    assert "no score" in real.note
    assert "weights of METRICS are not used" in real.checklists[1].note
    assert not {"weight", "score"} & set(real.checklists[1].model_dump())


def test_simulated_patients_have_no_ethics(simulated):
    found = items(simulated.checklists.checklists[0])
    assert found["8"].status == "not applicable"
    assert found["13"].answer == "Simulated by radiocard."


def test_a_frozen_model_on_others_is_external_only_where_sites_prove_it(model, newcomer):
    others = radiocard.extract(newcomer)
    assert items(radiocard.evaluate(model, others).report.checklists.checklists[1])["27"].status == "open"
    elsewhere = others.assign(site="Elsewhere")
    elsewhere.attrs = others.attrs
    row = items(radiocard.evaluate(model, elsewhere).report.checklists.checklists[1])["27"]
    assert row.status == "answered"
    assert row.answer == "Frozen model on patients of Elsewhere (1); it was trained on patients of A, B, C."
    unsure = replace(model, evaluation=dict(model.evaluation) | {"sites": {"A": 29}})
    assert items(radiocard.evaluate(unsure, elsewhere).report.checklists.checklists[1])["27"].status == "open"


def test_maps_say_what_was_left_out_of_the_wall(map_model, map_table):
    found = items(radiocard.evaluate(map_model, map_table).report.checklists.checklists[0])
    assert "inner 15 % and outer 15 % of the wall left out" in found["21"].answer


def test_the_page_shows_the_section(simulated):
    page = render_cohort(simulated)
    assert '<a href="#checklists">' in page
    assert page.count("<details>") == 3
    assert "<script" not in page
    assert len(page.encode()) < 10_000_000


def test_processing_follows_the_specification():
    spec = read_spec("cine_sax")
    groups = ibsi_reporting.processing_groups(spec, name="cine_sax", digest=spec.hash, made_with="0.1.0")
    said = {row.topic: row.setting for group in groups for row in group.rows}
    assert said["Interpolation of the image"] == "none; features on the grid of the image"
    assert said["Texture and histogram"] == "fixed bin number, 32 bins"
    assert said["Aggregation"] == "2D, averaged over slices and directions"
    assert said["Distance"] == "1 voxel (Chebyshev norm)"
    assert said["Filters"] == "original"
    assert said["Software"] == "radiocard 0.1.0, own engine, IBSI definitions"
    assert said["Specification"] == f"cine_sax, SHA-256 {spec.hash}"


def test_processing_names_grid_range_bins_and_filters():
    change = {
        "resampling": {
            "spacing_mm": [2, 2, 0],
            "interpolation": "bspline",
            "mask_interpolation": "linear",
            "round_grey": False,
        },
        "resegmentation": {"range": [0, None], "unit": "absolute", "outliers_sd": 3, "shape": False},
        "discretisation": {"method": "fbs", "width": 12.5, "max_bins": 1024},
        "filters": [
            {"kind": "original"},
            {"kind": "mean", "dimension": "2d", "support_voxel": 5, "boundary": "mirror"},
        ],
    }
    spec = parse_as(
        type(read_spec("cine_sax")), read_spec("cine_sax").settings() | {"name": "n", "description": "d"} | change, "n"
    )
    assert ibsi_reporting.resampling(spec) == "cubic B-spline to 2 mm x 2 mm x as acquired; grey values not rounded"
    assert ibsi_reporting.mask_resampling(spec) == "linear, at least half of the voxel covered"
    assert ibsi_reporting.resegmentation(spec) == (
        "grey values from 0 to no bound (absolute); within 3 standard deviations of the region's mean"
    )
    assert ibsi_reporting.discretisation(spec.discretisation) == "fixed bin size, width 12.5"
    assert ibsi_reporting.filters(spec).startswith("original; mean (dimension 2d, support voxel 5, boundary mirror")


def test_compliance_is_claimed_for_the_own_engine_only():
    spec = read_spec("cine_sax")
    assert "ibsi-check" in ibsi_reporting.compliance(spec)
    foreign = spec.model_copy(update={"engine": "pyradiomics"})
    assert "does not hold the version of PyRadiomics" in ibsi_reporting.software(foreign, made_with="0.1.0")
    pyradiomics = read_spec("cine_sax_pyradiomics")
    assert ibsi_reporting.compliance(pyradiomics.model_copy(update={"engine": "pyradiomics"})) is None
    assert (
        ibsi_reporting.compliance(pyradiomics.model_copy(update={"engine": "native"})) == ibsi_reporting.OWN_DEFINITIONS
    )


def test_every_checklist_reads():
    assert [read_as(ChecklistSpec, name, "models").name for name in CHECKLISTS] == list(CHECKLISTS)
