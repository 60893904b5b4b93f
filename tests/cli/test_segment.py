import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from radiocard.cli import app
from radiocard.io.cohort import write_manifest_cohort
from radiocard.io.nifti import write_image
from radiocard.segmentation.backend import demo_network
from radiocard.specs import read_network

run = CliRunner()
ABSENT = """
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in "torch monai onnxruntime safetensors highdicom".split():
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


def command(*args):
    """Run a command where no extra is installed."""
    code = f"{ABSENT}from radiocard.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)


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


def test_adopt_knows_how_programs_name_their_files(cohort, level_cases, tmp_path):
    bundle = tmp_path / "bundle"
    for case in level_cases:
        for (_, phase), mask in case.masks.items():
            numbers = np.zeros(4, np.uint8)
            for number, region in enumerate(("lv_cavity", "lv_myocardium", "rv_cavity"), start=1):
                numbers[mask.labels[region]] = number
            name = f"{case.patient_id}_cine_{phase}"
            write_image(bundle / name / f"{name}_trans.nii.gz", replace(mask, array=numbers[mask.array], labels={}))
    args = ["segment", "adopt", str(cohort), str(bundle), "-o", str(tmp_path / "o")]
    out = run.invoke(app, [*args, "--by", "monai"])
    assert out.exit_code == 0, out.output
    assert "3 of 3 patients" in out.stdout
    out = run.invoke(app, [*args, "--by", "nnunet", "--pattern", "{image}.nii.gz"])
    assert "--pattern does not go with --by nnunet" in str(out.exception)


def test_what_refused_every_case_is_told(cohort, tmp_path):
    for image in (tmp_path / "cohort" / "images").iterdir():
        image.write_bytes(b"")
    done = command(
        "segment", "adopt", str(cohort), str(tmp_path / "cohort"), "--by", "monai", "-o", str(tmp_path / "o")
    )
    assert done.returncode == 4
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert sum(line.startswith("  refused  E_") for line in lines) == 6
    assert lines[-1].startswith("error  E_NOTHING_USABLE")


def test_a_network_is_trained_exported_and_described(cohort, tmp_path):
    pytest.importorskip("torch", reason="not run: needs the extra cnn")
    pytest.importorskip("onnxruntime", reason="not run: needs the extra onnx")
    recipe = read_network("dynunet_cpu")
    grid = recipe.grid.model_copy(update={"size_px": 32, "spacing_mm": 5.0})
    training = recipe.training.model_copy(update={"epochs": 1, "batch_size": 4, "validation": 0.5})
    small = {"channels": (4, 6, 8), "deep_supervision": 1, "grid": grid, "training": training}
    text = recipe.model_copy(update=small).model_dump_json(by_alias=True)
    (tmp_path / "small.yaml").write_text(text)
    network = tmp_path / "network"
    args = ["segment", "train", str(cohort), "-o", str(network), "--recipe", str(tmp_path / "small.yaml")]
    out = run.invoke(app, [*args, "--folds", "3", "--fold", "2"])
    assert out.exit_code == 0, out.output
    assert "still to be trained: fold-1, fold-3" in out.stdout
    out = run.invoke(app, [*args, "--folds", "3"])
    assert out.exit_code == 0, out.output
    assert "fold-3: best epoch" in out.stdout
    out = run.invoke(app, ["segment", "export", str(network)])
    assert out.exit_code == 0, out.output
    assert "fold-1.onnx, fold-2.onnx, fold-3.onnx" in out.stdout
    out = run.invoke(app, ["info", str(network), "--json"])
    found = json.loads(out.stdout)
    assert (found["kind"], found["members"], found["onnx"]) == ("network", ["fold-1", "fold-2", "fold-3"], "yes")
    assert found["trained_on"] == "3 simulated patients"
    out = run.invoke(app, ["segment", "quality", str(cohort), "--network", str(network)])
    assert "Expected 10 poor masks, and 5 patients with either" in str(out.exception)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["classify", "COHORT", "--against", "MODEL", "-o", "OUT"], "radiocard[cnn]"),
        (["pretrain", "COHORT", "-o", "OUT"], "radiocard[cnn]"),
        (["export", "NETWORK"], "radiocard[cnn]"),
        (["predict", "COHORT", "--network", "NETWORK", "-o", "OUT"], "radiocard[onnx]"),
        (["evaluate", "COHORT", "--network", "NETWORK", "-o", "OUT"], "radiocard[onnx]"),
        (["quality", "COHORT", "--network", "NETWORK"], "radiocard[onnx]"),
    ],
)
def test_without_the_extras_each_command_says_what_to_install(cohort, tmp_path, args, words):
    shutil.copytree(demo_network(), tmp_path / "network")
    places = {"COHORT": cohort, "OUT": tmp_path / "o", "NETWORK": tmp_path / "network", "MODEL": tmp_path / "m.model"}
    done = command("segment", *(str(places.get(arg, arg)) for arg in args))
    assert done.returncode == 2, done.stderr
    assert f"pip install '{words}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_training_says_what_to_install(cohort, tmp_path):
    done = command("segment", "train", str(cohort), "-o", str(tmp_path / "n"))
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
