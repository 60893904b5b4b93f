"""Train, evaluate and predict on the small simulated cohort."""

import json

import numpy as np
import pytest

import radiocard
from radiocard.errors import CohortError, LeakError, ModelError, SpecError, UsageError
from radiocard.study.evaluate import EXTERNAL, NESTED, write_evaluation
from radiocard.study.predict import OUT_OF_FOLD, SIMULATED_MODEL, write_predictions
from radiocard.study.train import summarise


def test_the_model_file_gives_the_same_answers_back(model, table, tmp_path):
    radiocard.save_model(model, tmp_path / "m.model")
    again = radiocard.load_model(tmp_path / "m.model")
    assert again.model_id == model.model_id
    before, after = (m.predict(table).probabilities.to_numpy() for m in (model, again))
    assert np.abs(before - after).max() < 1e-12
    assert summarise(again) == summarise(model)


def test_training_refuses_small_classes_and_unknown_targets(table, small_plan):
    few = table[(table["diagnosis"] != "DCM") | (table.groupby("diagnosis").cumcount() < 2)]
    few.attrs = table.attrs
    with pytest.raises(CohortError, match="fewer patients than the 3 folds.*DCM 2"):
        radiocard.train(few, models=["logistic"], plan=small_plan)
    with pytest.raises(CohortError, match="no column 'disease'"):
        radiocard.train(table, target="disease", plan=small_plan)
    with pytest.raises(UsageError, match="no pool 'textures'.*Did you mean 'texture'"):
        radiocard.train(table, pool="textures", plan=small_plan)
    with pytest.raises(CohortError, match="No patient has a value"):
        radiocard.train(table.assign(empty=None), target="empty", plan=small_plan)


def test_training_patients_are_evaluated_in_nested_folds_again(model, table, tmp_path):
    evaluation = radiocard.evaluate(model, table)
    assert evaluation.kind == NESTED
    assert "nested folds" in evaluation.summary["kind_text"]
    again = np.asarray(evaluation.result.probabilities["selected"])
    assert np.array_equal(again, model.out_of_fold["selected"])
    paths = write_evaluation(evaluation, tmp_path / "e")
    assert [p.name for p in paths] == ["cohort_report.html", "cohort_report.json", "scores.json", "out_of_fold.json"]
    twin = json.loads(paths[1].read_text())
    assert twin["simulated"] is True
    assert twin["performance"]["resampling"]["kind"] == NESTED


def test_other_patients_test_the_frozen_model(model, newcomer, small_plan):
    others = radiocard.extract(newcomer)
    evaluation = radiocard.evaluate(model, others)
    assert evaluation.kind == EXTERNAL
    assert "frozen model" in evaluation.summary["kind_text"]
    assert evaluation.result is None
    frozen = model.predict(others).answers[0]
    assert evaluation.scores["selected"].metrics["accuracy"].value == float(frozen == "DCM")


def test_some_training_patients_beside_others_abort(model, table):
    mixed = table.rename(index={table.index[0]: "stranger"})
    mixed.attrs = table.attrs
    mixed.loc["stranger", "image_sha256"] = "0-0"
    with pytest.raises(LeakError, match="29 of 30 patients of the table were used in training"):
        radiocard.evaluate(model, mixed)


def test_another_name_does_not_hide_a_training_image(model, table):
    renamed = table.rename(index={table.index[0]: "stranger"})
    renamed.attrs = table.attrs
    assert radiocard.evaluate(model, renamed).kind == NESTED


def test_a_table_of_another_specification_aborts_naming_the_setting(model, table):
    made = table.attrs["radiocard"]
    spec = made["spec"] | {"discretisation": made["spec"]["discretisation"] | {"bins": 64}}
    table.attrs["radiocard"] = made | {"spec": spec, "spec_hash": "x"}
    with pytest.raises(SpecError, match=r"discretisation\.bins: 32 != 64"):
        radiocard.evaluate(model, table)


def test_a_table_that_lacks_columns_aborts_naming_them(model, table):
    short = table.drop(columns="lvef_pct")
    short.attrs = table.attrs
    with pytest.raises(CohortError, match="lacks 1 columns that the model needs: lvef_pct"):
        radiocard.evaluate(model, short)
    table.attrs = {}
    with pytest.raises(CohortError, match="does not say which specification made it"):
        radiocard.evaluate(model, table)


def test_training_patients_are_predicted_out_of_fold(model, simulated_folder):
    told = radiocard.predict(model, simulated_folder)
    assert all(OUT_OF_FOLD in row.flags for row in told.rows)
    expected = model.out_of_fold["selected"].mean(axis=0)
    got = np.array([[row.probabilities[c] for c in model.classes] for row in told.rows])
    assert np.allclose(got, expected)


def test_predictions_have_the_published_form(model, newcomer, tmp_path):
    told = radiocard.predict(model, newcomer)
    write_predictions(told, tmp_path / "p.json")
    data = json.loads((tmp_path / "p.json").read_text())
    assert set(data) == {"schema", "spec_hash", "model_id", "classes", "predictions"}
    assert data["classes"] == ["DCM", "HCM", "MINF", "NOR", "RV"]
    (row,) = data["predictions"]
    assert set(row) == {"patient_id", "prediction", "probabilities", "flags"}
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert OUT_OF_FOLD not in row["flags"]
    write_predictions(told, tmp_path / "p.csv")
    header, line = (tmp_path / "p.csv").read_text().splitlines()
    assert header == "patient_id,prediction,prob_DCM,prob_HCM,prob_MINF,prob_NOR,prob_RV"
    assert line.startswith(f"{row['patient_id']},{row['prediction']},")
    with pytest.raises(UsageError, match=r"does not end in \.json or \.csv"):
        write_predictions(told, tmp_path / "p.txt")


def test_a_model_of_simulated_patients_refuses_real_ones(model, newcomer, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    text = newcomer.read_text().replace("true", "false")
    for name in ("images", "masks"):
        (real / name).symlink_to(newcomer.parent / name)
    manifest = real / "manifest.csv"
    manifest.write_text(text)
    with pytest.raises(ModelError, match="trained on simulated patients and refuses real ones"):
        radiocard.predict(model, manifest)
    with pytest.raises(ModelError, match="refuses real ones"):
        radiocard.report_patient(model, manifest, radiocard.read_cohort(manifest).cases[0].patient_id)
    forced = radiocard.predict(model, manifest, allow_simulated_model=True)
    assert SIMULATED_MODEL in forced.rows[0].flags
    page = radiocard.report_patient(model, manifest, forced.rows[0].patient_id, allow_simulated_model=True)
    assert page.override.startswith("A model trained on simulated patients")
    assert page.answer.light.level == "not reliable"
