"""Each command as a person runs it: a process, its output, its exit code."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

COMMANDS = (
    *("demo", "validate", "extract", "check-leakage", "lock", "train", "evaluate", "predict", "compare", "transfer"),
    *("increment", "stability", "monitor", "explain", "report", "info"),
)


def run(*args, **options):
    command = [sys.executable, "-m", "radiocard.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, **options)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, simulated_folder, _table, model, newcomer):
    import radiocard

    folder = tmp_path_factory.mktemp("work")
    radiocard.write_table(_table, folder / "table.parquet")
    radiocard.save_model(model, folder / "heart.model")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples(command):
    told = run(command, "--help")
    assert told.returncode == 0
    body = told.stdout.split("Options:")[0]
    assert f"radiocard {command}" in body


def test_help_lists_every_command_and_the_exit_codes():
    told = run("--help").stdout
    assert all(f"  {c} " in told for c in COMMANDS)
    assert "130" in told
    assert run("nonsense").returncode == 2


def test_validate_counts_warns_and_exits_0(simulated_folder):
    told = run("validate", simulated_folder)
    assert told.returncode == 0, told.stderr
    assert "30 of 30 cases are usable, 0 refused." in told.stdout
    assert "manifest layout" in told.stderr
    assert "Checking: 30 of 30" in told.stderr


def test_a_refused_case_gives_exit_3_and_its_reason(simulated_folder, tmp_path):
    shutil.copytree(simulated_folder.parent, tmp_path / "c")
    manifest = tmp_path / "c" / simulated_folder.name
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(lines[:5]) + "\n")
    image = sorted((tmp_path / "c" / "images").glob("*.nii.gz"))[0]
    image.write_bytes(image.read_bytes()[:2000])
    told = run("validate", manifest)
    assert told.returncode == 3
    assert "1 of 2 cases are usable, 1 refused." in told.stdout
    assert "E_TRUNCATED" in told.stdout
    assert str(tmp_path) not in told.stdout
    as_json = run("validate", manifest, "--json")
    assert as_json.returncode == 3
    assert json.loads(as_json.stdout)["n_usable"] == 1
    out = run("extract", manifest, "-o", tmp_path / "t.csv")
    assert out.returncode == 3
    codes = [json.loads(line)["code"] for line in (tmp_path / "t.issues.jsonl").read_text().splitlines()]
    assert "E_TRUNCATED" in codes


def test_nothing_usable_gives_exit_4(simulated_folder, tmp_path):
    shutil.copytree(simulated_folder.parent, tmp_path / "c")
    for image in (tmp_path / "c" / "images").glob("*"):
        image.write_bytes(b"x")
    cohort = tmp_path / "c" / simulated_folder.name
    told = run("validate", cohort)
    assert told.returncode == 4
    assert "0 of 30 cases are usable, 30 refused." in told.stdout
    assert "E_TRUNCATED" in told.stdout
    told = run("extract", cohort, "-o", tmp_path / "t.csv")
    assert told.returncode == 4
    assert "E_NOTHING_USABLE" in told.stderr
    assert "E_TRUNCATED" in (tmp_path / "t.issues.jsonl").read_text()
    assert not (tmp_path / "t.csv").exists()


def test_usage_errors_give_exit_2_with_a_hint(simulated_folder, tmp_path):
    told = run("extract", simulated_folder, "-o", tmp_path / "t.parquet", "--spec", "cine_sx")
    assert told.returncode == 2
    assert "Did you mean 'cine_sax'?" in told.stderr
    assert "Traceback" not in told.stderr
    told = run("extract", tmp_path / "nowhere", "-o", tmp_path / "t.parquet")
    assert told.returncode == 2
    assert "There is no cohort 'nowhere'" in told.stderr


def test_a_pickle_is_not_a_model(workplace, newcomer, tmp_path):
    import pickle

    fake = tmp_path / "evil.model"
    fake.write_bytes(pickle.dumps({"a": 1}))
    told = run("predict", fake, newcomer)
    assert told.returncode == 4
    assert "E_MODEL_UNSAFE" in told.stderr


def test_a_bad_output_name_is_found_before_any_work(workplace, simulated_folder, newcomer):
    for args in (
        ("extract", simulated_folder, "-o", "t.xlsx"),
        ("predict", workplace / "heart.model", newcomer, "-o", "p.txt"),
        ("report", workplace / "heart.model", newcomer, "--patient", "new-1", "-o", "r.doc"),
    ):
        told = run(*args)
        assert told.returncode == 2
        assert "does not end in" in told.stderr
        assert "Extracting" not in told.stderr


def test_no_output_carries_the_path_it_was_made_from(workplace, newcomer, tmp_path):
    folder = tmp_path / "Smith_John"
    shutil.copytree(newcomer.parent, folder)
    shutil.copy(workplace / "heart.model", folder / "Smith_John.model")
    told = run(
        "report", folder / "Smith_John.model", folder / newcomer.name, "--patient", "new-1", "-o", folder / "r.html"
    )
    assert told.returncode == 0, told.stderr
    assert "Input checks: " in told.stdout
    for name in ("r.html", "r.json"):
        assert b"Smith" not in (folder / name).read_bytes()


def test_the_installed_script_turns_errors_into_messages(tmp_path):
    from importlib.metadata import entry_points

    (script,) = [e for e in entry_points(group="console_scripts") if e.name == "radiocard"]
    assert script.value == "radiocard.cli:main"
    assert callable(script.load())


def test_output_that_cannot_be_written_gives_exit_5(workplace):
    told = run("train", workplace / "table.parquet", "-o", "/proc/nope/heart.model", "--models", "logistic")
    assert told.returncode == 5
    assert "Traceback" not in told.stderr


def test_the_road_train_evaluate_predict_explain_report(workplace, small_plan, newcomer):
    table, model = workplace / "table.parquet", workplace / "cli.model"
    plan = workplace / "small.yaml"
    plan.write_text("".join(f"{key}: {value}\n" for key, value in small_plan.model_dump(by_alias=True).items()))
    told = run("train", table, "-o", model, "--models", "logistic", "--plan", plan)
    assert told.returncode == 0, told.stderr
    assert "Out-of-fold accuracy" in told.stdout
    assert "95 % interval" in told.stdout
    told = run("evaluate", model, table, "-o", workplace / "e", "--resume", workplace / "folds")
    assert told.returncode == 0, told.stderr
    assert "run again in nested folds" in told.stdout
    assert re.search(r"Evaluating: 6 of 6 \(0:\d\d:\d\d\)", told.stderr)
    assert (workplace / "e" / "cohort_report.html").is_file()
    told = run("predict", model, newcomer, "-o", workplace / "p.json")
    assert told.returncode == 0, told.stderr
    assert "new-1" in told.stdout
    assert json.loads((workplace / "p.json").read_text())["schema"] == "radiocard/predictions/1"
    told = run("explain", model, newcomer, "--patient", "new-1")
    assert told.returncode == 0, told.stderr
    assert "attern most like" in told.stdout
    assert "  For" in told.stdout
    told = run("report", model, newcomer, "--patient", "new-1", "-o", workplace / "r.html")
    assert told.returncode == 0, told.stderr
    assert (workplace / "r.json").is_file()
    told = run("report", model, newcomer, "--patient", "new-2", "-o", workplace / "r.html")
    assert told.returncode == 2
    assert "Did you mean 'new-1'?" in told.stderr


def test_an_evaluation_goes_on_from_kept_folds(workplace):
    table, model, kept = workplace / "table.parquet", workplace / "heart.model", workplace / "kept"
    told = run("evaluate", model, table, "-o", workplace / "whole", "--resume", kept)
    assert told.returncode == 0, told.stderr
    first, second = sorted(kept.glob("*.fold"))[:2]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-9])
    told = run("evaluate", model, table, "-o", workplace / "again", "--resume", kept)
    assert told.returncode == 0, told.stderr
    assert "kept by an earlier run" in told.stderr
    assert re.search(r"^warning: A kept fold of '\w+' \(\w+\.fold\) is damaged and is made again\.$", told.stderr, re.M)
    for name in ("out_of_fold.json", "scores.json"):
        assert (workplace / "again" / name).read_bytes() == (workplace / "whole" / name).read_bytes()


def test_info_says_what_is_installed_and_what_files_hold(workplace, simulated_folder):
    assert "cine_sax" in run("info").stdout
    facts = json.loads(run("info", workplace / "heart.model", "--json").stdout)
    assert facts["kind"] == "model"
    assert facts["n_patients"] == 30
    assert json.loads(run("info", workplace / "table.parquet", "--json").stdout)["patients"] == 30
    assert json.loads(run("info", simulated_folder.parent, "--json").stdout)["cases"] == 30


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_gives_exit_130(simulated_folder, tmp_path):
    command = [sys.executable, "-m", "radiocard.cli", "extract", str(simulated_folder), "-o", str(tmp_path / "t.csv")]

    def heed():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it, and so do its children

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        for line in process.stderr:
            if "layout" in line:  # said before the first case is read
                process.send_signal(signal.SIGINT)
                break
        process.stderr.read()
        # caught inside the compiler, the signal ends the process without a word
        assert process.wait(30) in {130, -signal.SIGINT}
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a second process")
def test_a_second_writer_is_told_who_holds_the_output(simulated_folder, tmp_path):
    from radiocard.io.store import output_lock

    with output_lock(tmp_path / "t.csv"):
        told = run("extract", simulated_folder, "-o", tmp_path / "t.csv")
    assert told.returncode == 2
    assert "E_LOCKED" in told.stderr
    assert str(os.getpid()) in told.stderr
