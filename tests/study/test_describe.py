"""What describes a cohort without a model, from tables and files."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from radiocard.cli import app
from radiocard.errors import ReadError, UsageError
from radiocard.evaluation.odds import odds_ratios
from radiocard.io.store import write_table
from radiocard.study.describe import describe_odds, describe_phenotypes, rank_models


def test_odds_of_a_table_are_those_of_its_columns(table):
    found = describe_odds(table, ["age_y"], reference="NOR")
    expected = odds_ratios(
        table[["age_y"]].astype(float), table["diagnosis"].astype(str), np.arange(len(table)), reference="NOR"
    )
    assert found.to_dict() == expected.to_dict()


def test_phenotypes_do_not_see_the_diagnosis(table):
    one = describe_phenotypes(table)
    shuffled = table.copy()
    shuffled.attrs = dict(table.attrs)
    shuffled["diagnosis"] = table["diagnosis"].to_numpy()[::-1]
    assert one.to_dict() == describe_phenotypes(shuffled).to_dict()
    assert [t.k for t in one.tried] == [2, 3]


def test_models_are_ranked_by_a_file(tmp_path):
    (tmp_path / "s.csv").write_text("site,rf,svm,tree\nA,0.9,0.5,0.4\nB,0.8,0.6,0.5\nC,0.9,0.7,0.1\n")
    assert rank_models(tmp_path / "s.csv", rows="sites").mean_ranks.tolist() == [1, 2, 3]
    assert rank_models(tmp_path / "s.csv", rows="sites", higher_is_better=False).mean_ranks.tolist() == [3, 2, 1]
    with pytest.raises(UsageError, match="There is no table 'x.csv'"):
        rank_models(tmp_path / "x.csv", rows="sites")
    (tmp_path / "t.csv").write_text("site,rf,svm,tree\nA,good,0.5,0.4\n")
    with pytest.raises(ReadError, match="The scores cannot be read: ValueError"):
        rank_models(tmp_path / "t.csv", rows="sites")


def test_commands_write_json(table, tmp_path):
    write_table(table, tmp_path / "t.parquet")
    (tmp_path / "s.csv").write_text("site,rf,svm,tree\nA,0.9,0.5,0.4\nB,0.8,0.6,0.5\nC,0.9,0.7,0.1\n")
    runs = {
        "odds": [str(tmp_path / "t.parquet"), "--columns", "age_y", "--reference", "NOR"],
        "phenotypes": [str(tmp_path / "t.parquet")],
        "rank": [str(tmp_path / "s.csv"), "--rows", "sites"],
    }
    for name, arguments in runs.items():
        out = tmp_path / f"{name}.json"
        told = CliRunner().invoke(app, [name, *arguments, "-o", str(out)])
        assert told.exit_code == 0, (name, told.output, told.exception)
        assert "In full:" in told.output
        assert json.loads(out.read_text())["schema"].startswith("radiocard/")


def test_an_audit_is_written_and_told(tmp_path, monkeypatch):
    from radiocard.study import audit as study

    class Found:
        sentences = ("Order repeats.",)

        def to_dict(self):
            return {"schema": "radiocard/explanation-audit/1", "sentences": ["Order repeats."]}

    monkeypatch.setattr(study, "audit_explanations", lambda model: Found())
    monkeypatch.setattr("radiocard.models.persist.load_model", lambda path: None)
    (tmp_path / "m").write_bytes(b"")
    told = CliRunner().invoke(app, ["audit", str(tmp_path / "m"), "-o", str(tmp_path / "a.json")])
    assert told.exit_code == 0, (told.output, told.exception)
    assert "Order repeats." in told.output
    assert json.loads((tmp_path / "a.json").read_text())["sentences"] == ["Order repeats."]
