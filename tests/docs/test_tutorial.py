import re
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.mark.slow
def test_every_line_of_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 6
    scope: dict = {}
    for block in blocks:
        exec(compile(block, str(TUTORIAL), "exec"), scope)
    printed = capsys.readouterr().out
    assert "39 of 39 cases are usable" in printed
    assert (tmp_path / "report.html").stat().st_size < 10_000_000
    assert "Pattern most like" in printed
