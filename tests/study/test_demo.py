import numpy as np
import pytest

import radiocard
from radiocard.errors import UsageError
from radiocard.specs import shipped_folder
from radiocard.study import demo as demo_module
from radiocard.study.demo import demo


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo_module, "PER_CLASS", 7)


@pytest.mark.slow
def test_the_demo_ends_with_reports_computed_from_the_seed(small, tmp_path):
    found = demo(tmp_path / "d", seed=3)
    assert found.cohort_report.is_file()
    assert {"sure", "uncertain"} <= set(found.patient_reports)
    assert all(path.stat().st_size > 50_000 for path in found.patient_reports.values())
    assert any("best possible on this simulation" in line for line in found.lines)
    again = demo(tmp_path / "d", seed=3)
    other = demo(tmp_path / "e", seed=4)
    twins = [f.cohort_report.with_suffix(".json").read_text() for f in (found, again, other)]
    assert twins[0] == twins[1]
    assert twins[0] != twins[2]


@pytest.mark.slow
def test_permuted_diagnoses_give_chance(monkeypatch, tmp_path):
    found = demo(tmp_path / "d", seed=5, permute_classes=True)
    model = radiocard.load_model(tmp_path / "d" / "heart.model")
    for name in ("selected", "rf", "logistic"):
        accuracy = model.evaluation["scores"][name]["metrics"]["accuracy"]
        assert accuracy["low"] <= 0.2 <= accuracy["high"], name
    assert any("should be chance" in line for line in found.lines)


@pytest.mark.slow
def test_the_demo_of_a_map_task_answers_that_task(small, monkeypatch, tmp_path):
    text = (shipped_folder("models") / "demo.yaml").read_text()
    (tmp_path / "short.yaml").write_text(
        text.replace("repeats: 2", "repeats: 1").replace("outer_folds: 5", "outer_folds: 3")
    )
    monkeypatch.setattr(demo_module, "PLAN", str(tmp_path / "short.yaml"))
    found = demo(tmp_path / "d", task="t1-amyloid", seed=3)
    assert {"sure", "uncertain"} <= set(found.patient_reports)
    page = found.patient_reports["sure"].read_text()
    assert "Native T1 map, short axis" in page
    assert 'class="map-bar"' in page
    assert "radiocard demo --task t1-amyloid --seed 3" in found.cohort_report.read_text()
    model = radiocard.load_model(tmp_path / "d" / "heart.model")
    assert model.classes == ("AMYL", "HCM", "NOR")
    assert model.evaluation["task"]["name"] == "t1-amyloid"


def test_a_task_that_nothing_simulates_is_refused_before_any_work(tmp_path):
    own = tmp_path / "own.yaml"
    text = (shipped_folder("models") / "tasks" / "t1-dcm.yaml").read_text()
    own.write_text(text.replace("name: t1-dcm", "name: own"))
    with pytest.raises(UsageError, match="own"):
        demo(tmp_path / "d", task=str(own))
    assert not (tmp_path / "d").exists()


def test_the_demo_does_not_delete_what_it_did_not_make(tmp_path):
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "precious.txt").write_text("x")
    (tmp_path / "cohort" / "manifest.csv").write_text("patient_id\n")
    with pytest.raises(UsageError, match="was not made by a demo"):
        demo(tmp_path)
    assert (tmp_path / "cohort" / "precious.txt").read_text() == "x"


def test_patients_are_picked_by_their_out_of_fold_answers():
    class Result:
        y = np.array([0, 1, 0, 1])
        ids = ("a", "b", "c", "d")
        probabilities = {  # noqa: RUF012
            "selected": np.array([[[0.9, 0.1], [0.7, 0.3], [0.55, 0.45], [0.2, 0.8]]])
        }

    assert demo_module.pick_patients(Result()) == {"sure": "a", "uncertain": "c", "wrong": "b"}
