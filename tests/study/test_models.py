"""Train, evaluate and predict on the small simulated cohort."""

import json

import numpy as np
import pytest

import radiocard
from radiocard.errors import CohortError, LeakError, ModelError, SpecError, UsageError
from radiocard.study.evaluate import EXTERNAL, NESTED, write_evaluation
from radiocard.study.predict import OUT_OF_FOLD, SIMULATED_MODEL, predict_table, write_predictions
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


def with_column(table, column, values):
    changed = table.assign(**{column: values})
    changed.attrs = table.attrs
    return changed


def test_the_same_identifier_with_other_images_is_not_the_same_patient(model, table, newcomer):
    other = radiocard.extract(newcomer).rename(index={"new-1": table.index[0]})
    row = predict_table(model, other, []).rows[0]
    frozen = model.predict(other[list(model.columns)]).probabilities.iloc[0]
    assert row.probabilities == pytest.approx(frozen.to_dict())
    assert OUT_OF_FOLD not in row.flags
    assert "W_KNOWN_IDENTIFIER" in row.flags
    other.attrs = table.attrs
    with pytest.raises(LeakError, match="1 of 1 patients of the table were used in training.*0 of them with the same"):
        radiocard.evaluate(model, other)


def test_an_image_in_common_with_a_training_patient_is_a_leak(model, table):
    ed = table["image_sha256"].iloc[0].split("-")[0]
    assert model.holds_patient("stranger", f"{ed}-new")
    both = with_column(table, "image_sha256", [f"{ed}-new", *(f"y{i}-x{i}" for i in range(len(table) - 1))])
    both.index = [f"s{i}" for i in range(len(both))]
    with pytest.raises(LeakError, match="1 of 30 patients"):
        radiocard.evaluate(model, both)


def test_patients_without_a_diagnosis_are_left_out_of_training_and_evaluation(table, small_plan):
    some = with_column(table, "diagnosis", [None, *table["diagnosis"].iloc[1:]])
    trained = radiocard.train(some, models=["logistic"], plan=small_plan)
    assert len(trained.labels) == 29
    assert radiocard.evaluate(trained, some).kind == NESTED


def test_columns_of_the_user_are_never_learned_from(table, small_plan):
    leaky = with_column(table, "lv_known", (table["diagnosis"] == "DCM").astype(float))
    trained = radiocard.train(leaky, models=["logistic"], pool="all", plan=small_plan)
    assert "lv_known" not in trained.columns
    assert "diagnosis" not in trained.columns


def test_a_table_without_its_own_columns_is_not_a_crash(table, small_plan):
    short = table.drop(columns=["sex", "image_sha256"])
    short.attrs = table.attrs
    with pytest.raises(CohortError, match="The table lacks 2 columns: sex, image_sha256"):
        radiocard.train(short, plan=small_plan)


def test_whole_number_labels_stay_as_written(table, small_plan):
    events = with_column(table, "event", [float(i % 2) for i in range(len(table))])
    assert radiocard.train(events, target="event", models=["logistic"], plan=small_plan).classes == ("0", "1")


def test_the_majority_class_is_a_baseline_never_the_answer(table, small_plan):
    trained = radiocard.train(table, models=["majority", "logistic"], plan=small_plan)
    assert trained.answers == "logistic"
    assert [m.name for m in trained.models] == ["logistic"]
