import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import CohortError, ModelError, SpecError, UsageError
from radiocard.study.monitor import monitor, write_monitoring


def as_new(table):
    """The same measurements under other identifiers and images."""
    fresh = table.copy()
    fresh.index = [f"new-{i}" for i in range(len(fresh))]
    fresh["image_sha256"] = [hashlib.sha256(str(i).encode()).hexdigest() for i in fresh.index]
    fresh.attrs = dict(table.attrs)
    return fresh


def test_patients_like_those_of_training_are_green(model, table):
    found = monitor(model, as_new(table))
    assert (found.drift.light, found.moved) == ("green", False)
    assert found.drift.n_incoming == len(table)
    assert all(c.outside.value in {0.0, None} for c in found.drift.columns)


def test_a_measurement_in_another_unit_is_red(model, table):
    fresh = as_new(table)
    fresh["lvedv_ml"] = fresh["lvedv_ml"] / 1000
    found = monitor(model, fresh)
    assert (found.drift.columns[0].column, found.drift.light) == ("lvedv_ml", "red")
    assert found.lines()[0].startswith("Overall: red.")
    assert any(line.split()[:2] == ["red", "lvedv_ml"] for line in found.lines())


def test_no_diagnosis_is_needed(model, table):
    assert not monitor(model, as_new(table).drop(columns="diagnosis")).moved


def test_training_patients_and_copies_are_left_out(model, table):

    fresh = as_new(table)
    copy = fresh.iloc[:2].rename(index=lambda i: f"copy-{i}")
    both = pd.concat([fresh, copy, table.iloc[:3]])
    both.attrs = dict(table.attrs)
    found = monitor(model, both)
    assert found.left_out == {"patients of training": 3, "patients who share an image": 2}
    assert found.drift.n_incoming == len(fresh)


def test_too_few_new_patients_are_refused(model, table):
    few = as_new(table).iloc[:5]
    few.attrs = dict(table.attrs)
    with pytest.raises(UsageError, match="30 training and 5 incoming patients"):
        monitor(model, few)


def test_a_table_of_training_patients_only_is_refused_and_says_so(model, table):
    with pytest.raises(CohortError, match="holds 30 patients, all of them from the training of this model: nobody new"):
        monitor(model, table)
    nobody = table.iloc[:0]
    nobody.attrs = dict(table.attrs)
    with pytest.raises(CohortError, match="holds no patient: nobody new"):
        monitor(model, nobody)


def test_a_table_of_another_specification_is_refused(model, table):
    fresh = as_new(table)
    made = dict(fresh.attrs["radiocard"])
    made["spec"] = dict(made["spec"]) | {"sequence": "other"}
    fresh.attrs["radiocard"] = made
    with pytest.raises(SpecError, match="other settings"):
        monitor(model, fresh)


def test_real_patients_are_refused_to_a_simulated_model(model, table):
    fresh = as_new(table)
    fresh["simulated"] = False
    with pytest.raises(ModelError, match="refuses real ones"):
        monitor(model, fresh)


def test_missing_columns_are_refused(model, table):
    fresh = as_new(table)
    with pytest.raises(CohortError, match="lacks image_sha256"):
        monitor(model, fresh.drop(columns="image_sha256"))
    with pytest.raises(ModelError, match="lacks 1 of"):
        monitor(model, fresh.drop(columns="lvef_pct"))


def test_it_is_written_as_json(model, table, tmp_path):
    found = monitor(model, as_new(table))
    write_monitoring(found, tmp_path / "monitor.json")
    data = json.loads((tmp_path / "monitor.json").read_text())
    assert data["schema"] == "radiocard/monitor/1"
    assert {c["column"] for c in data["columns"]} == set(model.columns)
    used = {c["column"] for c in data["columns"] if c["used_by_model"]}
    assert used == set(model.answering.final_columns)


def test_an_undefined_measurement_shows(model, table):
    fresh = as_new(table)
    fresh["lvm_g"] = np.nan
    assert monitor(model, fresh).drift.columns[0].column == "lvm_g"
