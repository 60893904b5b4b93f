import subprocess
import sys

import pytest
from typer.testing import CliRunner

from radiocard.cli import app
from radiocard.io.cohort import write_manifest_cohort

run = CliRunner()
ABSENT = """
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in "torch monai onnxruntime safetensors highdicom".split():
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def cohort(level_cases, tmp_path):
    return write_manifest_cohort(level_cases, tmp_path / "cohort")


@pytest.fixture
def network(level_ensemble, monkeypatch):
    monkeypatch.setattr("radiocard.segmentation.backend.open_ensemble", lambda *_, **__: level_ensemble)
    return "network"


def test_predict_says_what_to_do_next(cohort, network, tmp_path):
    out = run.invoke(
        app, ["segment", "predict", str(cohort), "--network", network, "-o", str(tmp_path / "o"), "--fast"]
    )
    assert out.exit_code == 0, out.output
    lines = out.stdout.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["accept"] * 3
    assert lines[-1].startswith("Next: radiocard extract")
    again = run.invoke(app, ["extract", str(tmp_path / "o" / "manifest.csv"), "-o", str(tmp_path / "t.parquet")])
    assert again.exit_code == 0, again.output


def test_a_case_that_cannot_be_segmented_shows_in_the_exit_code(cohort, network, tmp_path):
    next(iter((tmp_path / "cohort" / "images").iterdir())).write_bytes(b"")
    out = run.invoke(
        app, ["segment", "predict", str(cohort), "--network", network, "-o", str(tmp_path / "o"), "--fast"]
    )
    assert out.exit_code == 3
    assert "refused" in out.output


def test_evaluate_prints_agreement(cohort, network, tmp_path):
    out = run.invoke(
        app, ["segment", "evaluate", str(cohort), "--network", network, "-o", str(tmp_path / "o"), "--fast"]
    )
    assert out.exit_code == 0, out.output
    assert "ed/lv_cavity" in out.stdout
    assert "lvef_pct" in out.stdout
    assert (tmp_path / "o" / "agreement.csv").is_file()


def test_masks_of_another_program_are_adopted(cohort, tmp_path):
    masks = tmp_path / "cohort" / "masks"
    pattern = "{patient}_cine_{phase}.nii.gz"
    args = ["segment", "adopt", str(cohort), str(masks), "--by", "stated", "--pattern", pattern]
    out = run.invoke(app, [*args, "--labels", "acdc", "-o", str(tmp_path / "o")])
    assert out.exit_code == 0, out.output
    assert "3 of 3 patients" in out.stdout
    next(iter(masks.iterdir())).unlink()
    out = run.invoke(app, [*args, "--labels", "acdc", "-o", str(tmp_path / "p")])
    assert out.exit_code == 3
    assert "2 of 3 patients" in out.stdout
    out = run.invoke(app, [*args, "-o", str(tmp_path / "q")])
    assert "--labels goes with --by stated" in str(out.exception)


def test_without_the_extra_training_says_what_to_install(cohort, tmp_path):
    code = f"{ABSENT}from radiocard.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "segment", "train", str(cohort), "-o", str(tmp_path / "n")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'radiocard[cnn]'" in done.stderr


def test_the_room_needs_no_torch():
    imports = (
        "import radiocard.segmentation, radiocard.segmentation.backend, radiocard.segmentation.predict\n"
        "import radiocard.study.segment, radiocard.study.segment_predict, radiocard.study.segment_evaluate\n"
        "import radiocard.study.segment_quality, radiocard.cli.segment"
    )
    subprocess.run([sys.executable, "-c", ABSENT + imports], check=True)


def test_a_folder_that_holds_no_network_is_refused(cohort, tmp_path):
    out = run.invoke(app, ["segment", "predict", str(cohort), "--network", str(tmp_path), "-o", str(tmp_path / "o")])
    assert "holds no card.json" in str(out.exception)
