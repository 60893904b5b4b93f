import hashlib
import json

import pytest
from typer.testing import CliRunner

from radiocard.cli import app
from radiocard.errors import UsageError
from radiocard.io.store import write_table
from radiocard.models.persist import save_model


@pytest.fixture
def files(model, table, tmp_path):
    save_model(model, tmp_path / "heart.model")
    table.index = [f"new-{i}" for i in range(len(table))]
    table["image_sha256"] = [hashlib.sha256(str(i).encode()).hexdigest() for i in table.index]
    return tmp_path


def run(folder, table, *more):
    write_table(table, folder / "t.parquet")
    return CliRunner().invoke(app, ["monitor", str(folder / "heart.model"), str(folder / "t.parquet"), *more])


def test_nothing_moved_exits_0_and_writes_the_file(files, table):
    told = run(files, table, "-o", str(files / "monitor.json"))
    assert told.exit_code == 0, told.output
    assert "Overall: green." in told.output
    assert json.loads((files / "monitor.json").read_text())["light"] == "green"


def test_something_moved_exits_3(files, table):
    table["lvef_pct"] = table["lvef_pct"] / 100
    told = run(files, table, "--json")
    assert told.exit_code == 3
    data = json.loads(told.stdout)
    assert (data["light"], data["columns"][0]["column"]) == ("red", "lvef_pct")


def test_the_output_must_be_json(files, table):
    told = run(files, table, "-o", "monitor.csv")
    assert isinstance(told.exception, UsageError)
