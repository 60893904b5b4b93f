import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from radiocard.cli import app
from radiocard.io.store import write_table

PLAN = """schema: radiocard/evaluation/1
name: small
outer_folds: 3
repeats: 1
inner_folds: 2
n_bootstrap: 100
calibration_bins: 5
random_state: 0
"""


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    ids = pd.Index([f"p{i:02d}" for i in rng.permutation(30)], name="patient_id")
    rows = pd.DataFrame(rng.normal(size=(30, 7)), index=ids).add_prefix("c")
    rows["label"] = ["a", "b"] * 15
    (tmp_path / "plan.yaml").write_text(PLAN)
    return rows


def run(table, folder, *more):
    write_table(table, folder / "t.csv")
    (folder / "t.csv.meta.json").unlink()  # as another program would leave it
    command = ["check-leakage", str(folder / "t.csv"), "--target", "label", "--models", "logistic"]
    plan = ["--plan", str(folder / "plan.yaml"), "--permutations", "2"]
    return CliRunner().invoke(app, [*command, *plan, *more])


def test_a_clean_table_exits_0_and_writes_the_audit(table, tmp_path):
    told = run(table, tmp_path, "-o", str(tmp_path / "audit.json"))
    assert told.exit_code == 0, told.output
    assert "Nothing has to be fixed." in told.output
    assert json.loads((tmp_path / "audit.json").read_text())["schema"] == "radiocard/leakage/1"


def test_something_to_fix_exits_3(table, tmp_path):
    table["code"] = np.where(table["label"] == "a", 1.0, 2.0)
    told = run(table, tmp_path, "--json")
    assert told.exit_code == 3
    data = json.loads(told.stdout)
    assert data["must_fix"] is True
    assert data["findings"][0]["columns"] == ["code"]
