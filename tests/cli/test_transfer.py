"""The command that measures transfer."""

import json

from typer.testing import CliRunner

from radiocard.cli import app
from radiocard.io.store import write_table
from radiocard.study import transfer as study


def test_calls_the_study_once_and_writes(tmp_path, monkeypatch):
    import pandas as pd

    table = pd.DataFrame({"site": ["A", "B"], "diagnosis": ["NOR", "DCM"]}, index=["a", "b"])
    write_table(table, tmp_path / "table.csv")
    seen = {}
    result = study.TransferResult("Recipe", (), (), {}, {}, ("A note.",))

    def fake(rows, **settings):
        seen.update(settings, n=len(rows))
        return result

    monkeypatch.setattr(study, "transfer", fake)
    run = CliRunner().invoke(
        app, ["transfer", str(tmp_path / "table.csv"), "-o", str(tmp_path / "out"), "--recipe", "rf"]
    )
    assert run.exit_code == 0, run.output
    assert seen["n"] == 2
    assert seen["recipe"] == "rf"
    assert "A note." in run.output
    assert json.loads((tmp_path / "out" / "transfer.json").read_text())["notes"] == ["A note."]
    run = CliRunner().invoke(app, ["transfer", str(tmp_path / "table.csv"), "--json"])
    assert json.loads(run.stdout[run.stdout.index("{") :])["recipe"] == "Recipe"
