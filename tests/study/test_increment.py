import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from radiocard.errors import CohortError
from radiocard.evaluation.increment import PRIMARY
from radiocard.evaluation.likelihood import likelihood_ratio_test
from radiocard.image import Image
from radiocard.io.cohort import write_manifest_cohort
from radiocard.io.store import read_table, write_table
from radiocard.simulate.cohort import simulate_patient
from radiocard.specs import read_spec
from radiocard.study.increment import _planned, increment, single_index
from radiocard.study.increment_result import page, write_increment
from radiocard.study.texture_control import CONTROLS, control_case

PER_CLASS = 12


@pytest.fixture(scope="module")
def spec():
    """Little texture of one region."""
    return read_spec("cine_sax").model_copy(update={"regions": ("lv_myocardium",), "families": ("histogram", "glcm")})


def planted(case, *, coarse):
    """Sort the grey values of the wall along the rows or scatter them: histogram and mask stay the same."""
    images = {}
    for key, image in case.images.items():
        inside = case.masks[key].mask("lv_myocardium")
        values = np.sort(image.array[inside])
        array = image.array.copy()
        array[inside] = values if coarse else np.random.default_rng(0).permutation(values)
        images[key] = Image(array, image.affine)
    return replace(case, images=images)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Healthy hearts; half of them have a wall whose grey values run smoothly."""
    cases = []
    for i in range(2 * PER_CLASS):
        case = planted(simulate_patient("NOR", i, seed=5).case, coarse=i % 2 == 0)
        cases.append(replace(case, clinical={**case.clinical, "diagnosis": "smooth" if i % 2 == 0 else "rough"}))
    return write_manifest_cohort(cases, tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def result(cohort, spec, small_plan):
    return increment(cohort, spec=spec, plan=small_plan)


def test_planted_texture_is_found_and_the_controls_do_not_find_it(result):
    assert result.step("texture").gains[PRIMARY].low > 0
    assert all(result.step(c).gains[PRIMARY].low <= 0 for c in CONTROLS)
    assert all(result.over_controls[c][PRIMARY].low > 0 for c in CONTROLS)
    assert "Texture adds to the step before" in result.sentence
    assert "the pattern of grey values counts" in result.sentence
    assert result.step("texture").net_benefit[0.5].low > 0


def test_steps_follow_each_other_and_the_rule_is_left_out_where_it_knows_no_class(result):
    assert [s.name for s in result.steps] == ["single", "physiology", "texture", *CONTROLS]
    assert [s.against for s in result.steps] == [None, "single", *["physiology"] * 3]
    texture, physiology = result.step("texture").n_columns, result.step("physiology").n_columns
    assert texture - physiology == len(result.volume_correlation) > 0
    assert result.n_patients == 2 * PER_CLASS


def test_shape_of_regions_is_not_texture(cohort, spec, small_plan):
    shape = spec.model_copy(update={"families": ("shape_2d",)})
    with pytest.raises(CohortError, match="gives no texture beyond the pool"):
        increment(cohort, spec=shape, plan=small_plan, controls=False)


def test_a_single_index_is_one_column():
    assert single_index().select.k == (1,)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_the_same_every_time_and_keeps_the_masks(control, spec):
    case = simulate_patient("HCM", 0, seed=1).case
    one, two = (control_case(case, control, spec=spec) for _ in range(2))
    for key in case.images:
        inside = case.masks[key].array > 0
        np.testing.assert_array_equal(one.images[key].array, two.images[key].array)
        np.testing.assert_array_equal(one.masks[key].array, case.masks[key].array)
        assert not np.array_equal(one.images[key].array[inside], case.images[key].array[inside])
        np.testing.assert_array_equal(one.images[key].array[~inside], case.images[key].array[~inside])
    other = control_case(replace(case, patient_id="another"), control, spec=spec)
    assert not np.array_equal(other.images["cine", "ed"].array, one.images["cine", "ed"].array)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 5))
    y = np.where(x[:, 0] + rng.normal(size=60) > 0, "a", "b")
    table = pd.DataFrame(x, columns=list("pqrst"))
    return SimpleNamespace(table=table, y=y, groups=np.arange(60))


def test_a_planned_test_is_given_where_it_is_valid(data):
    found = _planned(data, ["q"], ["p"])
    expected = likelihood_ratio_test(data.table, data.y, data.groups, base=["q"], added=["p"])
    assert found.found == expected
    assert f"chi-squared {expected.statistic:.2f}, 1 degrees of freedom" in found.sentence
    assert found.sentence.startswith("Likelihood-ratio test of p added to q, named beforehand")


def test_a_planned_test_that_is_not_valid_says_why(data):
    found = _planned(data, list("qrst"), ["p"])
    assert found.found is None
    assert "not given. The larger model has 5 columns and the smallest class" in found.sentence


def test_without_named_columns_the_result_says_why_there_is_no_test(result):
    assert result.planned is None
    assert "not given. The steps above are penalised" in page(result)
    assert result.to_dict()["likelihood_ratio"]["found"] is None


def test_files_and_command(result, cohort, tmp_path, monkeypatch):
    from radiocard.cli import app
    from radiocard.study import increment as study

    paths = write_increment(result, tmp_path)
    assert [p.name for p in paths] == ["increment.md", "increment.json", "volume_correlation.csv"]
    assert result.sentence in paths[0].read_text(encoding="utf-8")
    assert json.loads(paths[1].read_text(encoding="utf-8"))["steps"][0]["name"] == "single"
    asked = {}
    monkeypatch.setattr(study, "increment", lambda found, **options: asked.update(options) or result)
    told = CliRunner().invoke(
        app, ["increment", str(cohort), "-o", str(tmp_path / "out"), "--no-controls", "--test-added", "a, b"]
    )
    assert told.exit_code == 0, told.output
    assert result.sentence in told.output
    assert (asked["test_base"], asked["test_added"]) == ([], ["a", "b"])
    assert (asked["controls"], asked["models"], asked["task"]) == (False, ["logistic"], "cine")
    assert (tmp_path / "out" / "increment.md").is_file()


def test_the_table_that_was_measured_can_be_kept(result, tmp_path):
    write_table(result.table, tmp_path / "t.parquet")
    assert len(read_table(tmp_path / "t.parquet")) == 2 * PER_CLASS
