import errno
import json
import locale
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiocard.errors import CohortError, Issue, OutputError, UsageError
from radiocard.io.store import (
    output_lock,
    read_table,
    write_bytes,
    write_issues,
    write_json,
    write_table,
    write_text,
)


def table(**columns):
    ids = columns.pop("ids", ["007", "NA", "1e5"])
    return pd.DataFrame(columns, index=pd.Index(ids, name="patient_id", dtype=object))


FULL = {
    "diagnosis": ["DCM", None, "=1+1"],
    "sex": ["F", "M", None],
    "lvef_pct": [0.1 + 0.2, float("nan"), 1e-300],
    "n": [1, 2, 3],
    "simulated": [True, False, True],
    "empty": [float("nan")] * 3,
    "nothing": [None] * 3,
}


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_round_trip(tmp_path, name):
    written = table(**FULL)
    written.attrs["radiocard"] = {"spec_hash": "abc", "spec": {"bins": 32, "x": [1, 2.5, None]}}
    write_table(written, tmp_path / name)
    back = read_table(tmp_path / name)
    assert back.index.tolist() == ["007", "NA", "1e5"]
    assert back.index.name == "patient_id"
    assert back.columns.tolist() == list(FULL)
    assert back.attrs["radiocard"] == written.attrs["radiocard"]
    for column in ("lvef_pct", "n", "simulated", "empty"):
        np.testing.assert_array_equal(back[column].to_numpy(), written[column].to_numpy())
        assert back[column].dtype == written[column].dtype
    for column in ("diagnosis", "sex", "nothing"):
        assert [None if pd.isna(v) else v for v in back[column]] == FULL[column]
    assert written.attrs["radiocard"]["spec_hash"] == "abc"


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_same_table_same_bytes(tmp_path, name):
    for folder in ("a", "b"):
        write_table(table(**FULL), tmp_path / folder / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(st.floats(allow_infinity=True, allow_nan=True), min_size=3, max_size=3),
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=3, max_size=3
    ),
    ids=st.lists(st.text("=+-@\t'aé0", min_size=1, max_size=6), min_size=3, max_size=3, unique=True),
)
def test_csv_gives_back_every_number_text_and_id(tmp_path, numbers, texts, ids):
    written = table(x=numbers, label=texts, ids=ids)
    write_table(written, tmp_path / "t.csv")
    back = read_table(tmp_path / "t.csv")
    np.testing.assert_array_equal(back["x"].to_numpy(), written["x"].to_numpy())
    assert back["label"].tolist() == texts
    assert back.index.tolist() == ids


@pytest.mark.parametrize("trigger", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_text_that_a_spreadsheet_would_run_is_neutralised_and_numbers_are_not(tmp_path, trigger):
    write_table(table(label=[f"{trigger}cmd", "x", "y"], value=[-1.5, 2.0, 3.0]), tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_bytes().decode()
    assert f"'{trigger}cmd" in text
    assert ",-1.5\n" in text


def test_column_names_are_neutralised_too(tmp_path):
    write_table(table(**{"=x": [1.0, 2.0, 3.0]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().startswith("patient_id,'=x\n")
    assert read_table(tmp_path / "t.csv").columns.tolist() == ["=x"]


def test_parquet_keeps_text_as_it_is(tmp_path):
    write_table(table(label=["=1", "'x", ""]), tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet")["label"].to_pylist() == ["=1", "'x", ""]
    assert read_table(tmp_path / "t.parquet")["label"].tolist() == ["=1", "'x", ""]


def test_csv_of_somebody_else(tmp_path):
    (tmp_path / "t.csv").write_bytes("\ufeffpatient_id;a;b;c;d\r\n007;1.5;x;TRUE;01\r\nNA;NA;;false;2\r\n".encode())
    back = read_table(tmp_path / "t.csv")
    assert back.index.tolist() == ["007", "NA"]
    np.testing.assert_array_equal(back["a"], [1.5, np.nan])
    assert back["b"].tolist() == ["x", None]
    assert back["c"].tolist() == [True, False]
    assert back.attrs == {}


def test_decimal_comma_in_a_table_aborts_with_the_fix(tmp_path):
    (tmp_path / "t.csv").write_text("patient_id;a\n1;0.5\n2;1,84\n")
    with pytest.raises(CohortError, match="line 3: a is '1,84', expected a number.*Write '1.84'") as caught:
        read_table(tmp_path / "t.csv")
    assert caught.value.code == "E_TABLE"


def test_text_in_a_stated_number_column_aborts(tmp_path):
    write_table(table(x=[1.0, 2.0, 3.0]), tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("patient_id,x\n1,oops\n")
    with pytest.raises(CohortError, match="line 2: x is 'oops', expected a number"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "content", "code", "match"),
    [
        ("t.csv", b"a,b\n1,2\n", "E_TABLE", "has no column 'patient_id'"),
        ("t.csv", b"patient_id,b\n1,2\n1,3\n", "E_DUPLICATE_ID", "'1' occurs more than once"),
        ("t.csv", b"patient_id,b\n,2\n", "E_TABLE", "a row has no patient_id"),
        ("t.csv", b"patient_id,b\n1,2,3\n", "E_TABLE", "line 2 has 3 cells"),
        ("t.csv", b"", "E_TABLE", "is empty"),
        ("t.parquet", b"not parquet", "E_TABLE", "cannot be read as Parquet"),
        ("t.parquet", b"", "E_TABLE", "cannot be read as Parquet"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, name, content, code, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CohortError, match=match) as caught:
        read_table(tmp_path / name)
    assert caught.value.code == code


def test_damaged_parquet_and_meta_abort(tmp_path):
    write_table(table(x=[1.0, 2.0, 3.0]), tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(CohortError, match="cannot be read as Parquet"):
        read_table(tmp_path / "t.parquet")
    write_table(table(x=[1.0, 2.0, 3.0]), tmp_path / "t.csv")
    (tmp_path / "t.csv.meta.json").write_text("{")
    with pytest.raises(CohortError, match=r"t.csv.meta.json is not readable"):
        read_table(tmp_path / "t.csv")


def test_other_endings_missing_files_and_mixed_columns(tmp_path):
    with pytest.raises(UsageError, match="does not end in .parquet or .csv"):
        write_table(table(x=[1, 2, 3]), tmp_path / "t.xlsx")
    with pytest.raises(UsageError, match="does not end in"):
        read_table(tmp_path / "t.pkl")
    with pytest.raises(CohortError, match=r"There is no table 'no.csv'"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(UsageError, match="The table cannot be written"):
        write_table(table(x=[1, "a", 2.5]), tmp_path / "t.parquet")


def test_numbers_do_not_depend_on_the_locale(tmp_path):
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
    except locale.Error:
        pytest.skip("not run: no German locale here")
    try:
        write_table(pd.DataFrame({"x": [1234.5]}, index=["1"]), tmp_path / "t.csv")
        assert read_table(tmp_path / "t.csv")["x"].tolist() == [1234.5]
    finally:
        locale.setlocale(locale.LC_ALL, before)
    assert (tmp_path / "t.csv").read_text() == "patient_id,x\n1,1234.5\n"


# --- text, JSON, issues


def test_json_holds_no_nan_and_no_numpy(tmp_path):
    write_json(
        {"a": float("nan"), "b": [np.float64(1.5), np.inf], "c": np.arange(2), "d": "é", 1: (None,)},
        tmp_path / "x.json",
    )
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": None, "b": [1.5, None], "c": [0, 1], "d": "é", "1": [None]}
    assert "é" in text


def test_issues_are_json_lines(tmp_path):
    issues = [Issue("E_READ", "bad\nfile", "1", "x"), Issue("W_PHASE", "small")]
    write_issues(issues, tmp_path / "i.jsonl")
    lines = (tmp_path / "i.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [issue.to_dict() for issue in issues]
    assert json.loads(lines[0])["severity"] == "refuse"


# --- faults


def test_missing_folders_are_made_and_no_temporary_name_stays(tmp_path):
    write_text("x", tmp_path / "a" / "b" / "c.txt")
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["c.txt"]


def test_new_files_have_ordinary_permissions(tmp_path):
    write_text("x", tmp_path / "ours")
    (tmp_path / "theirs").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_a_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "outside").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    write_text("new", tmp_path / "link")
    assert (tmp_path / "outside").read_text() == "kept"
    assert (tmp_path / "link").read_text() == "new"


def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    target = tmp_path / "t.csv"
    write_table(table(x=[1.0, 2.0, 3.0]), target)
    beside = tmp_path / "t.csv.meta.json"
    before = target.read_bytes(), beside.read_bytes()
    left = iter([None])  # room for the table, none for what stands beside it

    def full(_):
        if next(left, "full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="'t.csv.meta.json' cannot be written: No space left on device") as caught:
        write_table(table(other=["a", "b", "c"]), target)
    assert caught.value.exit_code == 5
    assert caught.value.code == "E_WRITE"
    assert (target.read_bytes(), beside.read_bytes()) == before
    assert not list(tmp_path.glob(".radiocard*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_device_is_an_output_error(tmp_path, monkeypatch):
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", **_: real(Path("/dev/full"), "wb") if mode == "xb" else real(self, mode)
    )
    with pytest.raises(OutputError, match="No space left"):
        write_bytes(b"x" * 100, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_an_output_error(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="'a' cannot be written"):
        write_text("x", tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


HOLD = (
    "import sys\nfrom radiocard.io.atomic import output_lock\n"
    "with output_lock(sys.argv[1]):\n print('held', flush=True)\n sys.stdin.read()\n"
)


def test_the_second_writer_is_told_who_holds_the_output(tmp_path):
    target = tmp_path / "t.parquet"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        held = f"'t.parquet' is being written by another process .process {holder.pid}."
        with pytest.raises(OutputError, match=held) as caught, output_lock(target):
            pass
        assert caught.value.code == "E_LOCKED"
        holder.kill()
        holder.wait()
    with output_lock(target):  # a killed holder holds nothing
        pass
    with output_lock(target):
        pass


def test_a_lock_where_nothing_can_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="No lock can be made"), output_lock(tmp_path / "file" / "x"):
        pass


def test_an_error_inside_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), output_lock(tmp_path / "x"):
        raise ZeroDivisionError
    with output_lock(tmp_path / "x"):
        pass
