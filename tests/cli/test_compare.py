import json
import subprocess
import sys

import numpy as np
import pytest


def run(*args):
    command = [sys.executable, "-m", "radiocard.cli", "compare", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    ids = [f"p{i}" for i in range(30)]
    for name, pull in (("ours", 1.5), ("deep", 0.5)):
        p = 1 / (1 + np.exp(-(rng.normal(size=30) + pull * np.where(np.arange(30) % 2, 1, -1))))
        rows = [f"{i},{1 - v!r},{v!r}" for i, v in zip(ids, p.tolist(), strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["patient_id,prob_no,prob_yes", *rows]) + "\n")
    truth = [f"{i},{'yes' if k % 2 else 'no'}" for k, i in enumerate(ids)]
    (tmp_path / "truth.csv").write_text("\n".join(["patient_id,diagnosis", *truth]) + "\n")
    return tmp_path / "ours.csv", tmp_path / "deep.csv", "--truth", tmp_path / "truth.csv"


def test_a_table_on_the_terminal_and_files_in_a_folder(files, tmp_path):
    told = run(*files, "--margin", "0.1", "-o", tmp_path / "out")
    assert told.returncode == 0, told.stderr
    assert "30 independent patients, 2 classes; * reference" in told.stdout
    assert "AUC of yes against rest, DeLong" in told.stdout
    assert "at a margin of 0.1 in accuracy" in told.stdout
    assert {p.name for p in (tmp_path / "out").glob("comparison.*")} >= {
        "comparison.md",
        "comparison.json",
        "comparison.csv",
    }


def test_json_and_nothing_else(files):
    told = run(*files, "--reference", "deep", "--json")
    assert json.loads(told.stdout)["reference"] == "deep"


def test_refusals_have_exit_code_2(files):
    told = run(*files, "--reference", "theirs")
    assert told.returncode == 2
    assert "There is no model 'theirs'" in told.stderr
