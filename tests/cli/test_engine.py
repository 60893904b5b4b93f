"""Commands on the feature engine, as a person runs them."""

import json
import subprocess
import sys

import pytest

from radiocard.cli.console import compile_first

COMMANDS = ("features", "ibsi-check", "warm")


def run(*args):
    command = [sys.executable, "-m", "radiocard.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples(command):
    told = run(command, "--help")
    assert told.returncode == 0
    assert f"radiocard {command}" in told.stdout.split("Options:")[0]
    assert f"  {command} " in run("--help").stdout


def test_features_lists_them_with_code_and_unit():
    told = run("features", "--family", "ngtdm")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "ngtdm (5)"
    assert lines[1].split()[:3] == ["ngt_coarseness", "QCDE", "Coarseness"]
    assert len(lines) == 6
    entries = json.loads(run("features", "--json").stdout)
    assert {"glcm", "gldzm", "shape_2d"} <= {entry["family"] for entry in entries}
    told = run("features", "--family", "glc")
    assert told.returncode == 2
    assert "Did you mean 'glcm'?" in told.stderr
    told = run("features", "--markdown", "--json")
    assert told.returncode == 2
    assert "--markdown and --json are two forms of one list, expected one of them" in told.stderr


@pytest.mark.parametrize(
    ("found", "told", "compiles"),
    [
        ("ready", "", False),
        ("missing", "Compiling the feature engine: once, some ten seconds.\n", True),
        ("not kept", "No folder for machine code can be written: each process compiles anew", False),
    ],
)
def test_a_run_compiles_first_and_says_so(found, told, compiles, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr("radiocard.study.warm.state", lambda: found)
    monkeypatch.setattr("radiocard.study.warm.warm", lambda: calls.append(found))
    compile_first()
    assert capsys.readouterr().err.startswith(told)
    assert bool(calls) == compiles


def test_ibsi_check_writes_the_table_and_the_values(tmp_path, ibsi_folder):
    table, values = tmp_path / "t.md", tmp_path / "v.json"
    told = run("ibsi-check", ibsi_folder, "-o", table, "--json", values)
    assert told.returncode == 3, told.stderr
    assert "Nothing to compare with: no reference values." in told.stderr
    assert "digital phantom 483 values, not compared" in told.stdout
    assert table.read_text(encoding="utf-8").startswith("# Agreement with the IBSI-1 reference values")
    assert {row["config"] for row in json.loads(values.read_text())} == {"digital phantom"}
    told = run("ibsi-check", ibsi_folder, "--json", "-")
    assert json.loads(told.stdout)[0].keys() == {"config", "tag", "value"}
    told = run("ibsi-check", tmp_path)
    assert told.returncode == 2
    assert "holds no IBSI phantom" in told.stderr
    assert run("ibsi-check", ibsi_folder, "-o", tmp_path / "t.txt").returncode == 2


def test_ibsi_check_fails_where_a_consensus_value_is_not_met(ibsi_folder):
    sheets = ibsi_folder / "reference_values"
    sheets.mkdir()
    header = "dataset,family,feature,consensus,reference value,tolerance,your result,difference,check,tag"
    (sheets / "digital_phantom.csv").write_text(f"{header}\nd,Statistics,Mean,6-9,3.15,0,,,,stat_mean\n")
    told = run("ibsi-check", ibsi_folder)
    assert told.returncode == 3
    assert "outside: stat_mean is 2.148" in told.stdout
    assert "Nothing to compare with" not in told.stderr


def test_warm_says_how_much_and_where():
    told = run("warm")
    assert told.returncode == 0, told.stderr
    assert "kernels ready after" in told.stdout
    assert "Kept in: " in told.stdout
    assert json.loads(run("warm", "--json").stdout)["lost"] == []
