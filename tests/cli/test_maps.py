"""radiocard map fit, ecv, align, measure as a person runs them: output, files, exit code."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace
from unittest.mock import patch

import nibabel
import numpy as np
import pytest

from radiocard.cli import main
from radiocard.io.map_files import write_map
from radiocard.io.nifti import write_image
from radiocard.simulate.maps import simulate_map_patient

LABELS = "lv_cavity=3;lv_myocardium=2;rv_cavity=1"
TIMES_MS = [100.0, 180.0, 1000.0, 1080.0, 1900.0, 1980.0, 2800.0, 3700.0]
T1_MS = 1200.0


def run(*args):
    """Run the command line in this process, with its own streams and exit code."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["radiocard", "map", *map(str, args)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Maps of one simulated patient, the post-contrast one also moved, and a raw series."""
    folder = tmp_path_factory.mktemp("maps")
    case = simulate_map_patient("t1-amyloid", "AMYL", 0, seed=77).case
    for name in ("t1_native", "t1_post", "ecv"):
        write_map(case.images[name, ""], folder / f"{name}.nii.gz")
    mask, post = case.masks["t1_native", ""], case.images["t1_post", ""]
    write_image(folder / "mask.nii.gz", mask)
    moved = np.roll(post.array, (4, -3), axis=(0, 1)).astype("f4")
    nibabel.save(nibabel.Nifti1Image(moved, post.affine), folder / "moved.nii.gz")
    noise = np.random.default_rng(0).normal(400, 30, post.array.shape).astype("f4")
    nibabel.save(nibabel.Nifti1Image(noise, post.affine), folder / "noise.nii.gz")
    times = np.array(TIMES_MS)
    series = np.abs(500 * (1 - 1.9 * np.exp(-times * 0.9 / T1_MS))) * np.ones((5, 4, 1, 1))
    nibabel.save(nibabel.Nifti1Image(series, np.diag([1.5, 1.5, 8.0, 1.0])), folder / "molli.nii.gz")
    return folder


@pytest.fixture
def masked(folder):
    return ("--mask", folder / "mask.nii.gz", "--labels", LABELS)


@pytest.mark.parametrize("command", ["fit", "ecv", "align", "measure"])
def test_help_begins_with_an_example(command):
    told = run(command, "--help")
    assert told.returncode == 0
    assert f"radiocard map {command} " in told.stdout.split("Options:")[0]


def test_without_a_command_the_four_are_listed():
    told = run("--help").stdout
    assert all(f"  {name} " in told for name in ("fit", "ecv", "align", "measure"))


def test_fit_writes_three_files_and_says_how_many_pixels_to_trust(folder, tmp_path):
    times = ",".join(map(str, TIMES_MS))
    told = run("fit", folder / "molli.nii.gz", "--method", "molli", "--times-ms", times, "-o", tmp_path / "t1.nii.gz")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("100.0 % of the fitted pixels are trusted.\n")
    assert told.stdout.count("Written: ") == 3
    np.testing.assert_allclose(nibabel.load(tmp_path / "t1.nii.gz").get_fdata(), T1_MS, rtol=1e-3)
    as_json = run(
        "fit", folder / "molli.nii.gz", "--method", "molli", "--times-ms", times, "-o", tmp_path / "u.nii", "--json"
    )
    facts = json.loads(as_json.stdout)
    assert facts["trusted_pct"] == 100.0
    assert facts["times_ms"] == TIMES_MS
    assert [name.rsplit("/", 1)[-1] for name in facts["files"]] == ["u.nii", "u_residual.nii", "u_reasons.nii"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--method", "moli", "--times-ms", "1,2"), 2, "There is no method 'moli', expected one of molli, sasha-2"),
        (("--method", "molli", "--times-ms", "100;180"), 2, "expected numbers separated by commas"),
        (("--method", "molli"), 4, "does not state the times of its images"),
        (("--method", "molli", "--times-ms", "100,200"), 4, "8 images"),
    ],
)
def test_fit_refuses_in_words(arguments, code, said, folder, tmp_path):
    told = run("fit", folder / "molli.nii.gz", *arguments, "-o", tmp_path / "t1.nii.gz")
    assert told.returncode == code, told.stderr
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["fit", "ecv", "align"])
def test_a_bad_output_name_is_found_before_any_work(command, folder, tmp_path, masked):
    given = {
        "fit": ("fit", folder / "molli.nii.gz", "--method", "molli", "--times-ms", ",".join(map(str, TIMES_MS))),
        "ecv": ("ecv", folder / "t1_native.nii.gz", folder / "t1_post.nii.gz", *masked, "--haematocrit-pct", 42),
        "align": ("align", folder / "t1_post.nii.gz", folder / "moved.nii.gz", "--contrast", "same"),
    }
    told = run(*given[command], "-o", tmp_path / "map.txt")
    assert told.returncode == 2
    assert "does not end in .nii.gz or .nii" in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_ecv_states_the_blood_it_used(folder, tmp_path, masked):
    told = run(
        "ecv", folder / "t1_native.nii.gz", folder / "t1_post.nii.gz", *masked,
        "--haematocrit-pct", 38.9, "--no-align", "-o", tmp_path / "e.nii.gz",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Blood: native T1 ")
    made, known = (nibabel.load(p).get_fdata() for p in (tmp_path / "e.nii.gz", folder / "ecv.nii.gz"))
    wall = nibabel.load(folder / "mask.nii.gz").get_fdata() == 2
    assert np.nanmedian(made[wall]) == pytest.approx(np.median(known[wall]), abs=1.5)  # blood is measured, not known


def test_ecv_that_cannot_be_aligned_writes_nothing(folder, tmp_path, masked):
    told = run(
        "ecv", folder / "t1_native.nii.gz", folder / "noise.nii.gz", *masked,
        "--haematocrit-pct", 40, "-o", tmp_path / "e.nii.gz",
    )  # fmt: skip
    assert told.returncode == 4
    assert "could not be aligned" in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_haematocrit_as_fraction_is_refused_in_the_unit_it_was_asked_in(folder, tmp_path, masked):
    told = run(
        "ecv", folder / "t1_native.nii.gz", folder / "t1_post.nii.gz", *masked,
        "--haematocrit-pct", 0.42, "-o", tmp_path / "e.nii.gz",
    )  # fmt: skip
    assert told.returncode == 2
    assert "Haematocrit is 0.42 %, expected 10 to 75 %." in told.stderr


def test_align_writes_the_moved_image_or_exits_with_3(folder, tmp_path, masked):
    out = tmp_path / "a.nii.gz"
    told = run("align", folder / "t1_post.nii.gz", folder / "moved.nii.gz", *masked, "--contrast", "same", "-o", out)
    assert told.returncode == 0, told.stderr
    assert told.stdout == f"Written: {out}\n"
    heart = nibabel.load(folder / "mask.nii.gz").get_fdata() > 0
    error = nibabel.load(out).get_fdata() - nibabel.load(folder / "t1_post.nii.gz").get_fdata()
    assert np.abs(error[heart]).mean() < 5.0
    lost = run("align", folder / "t1_native.nii.gz", folder / "noise.nii.gz", *masked, "-o", tmp_path / "b.nii.gz")
    assert lost.returncode == 3
    assert lost.stdout.startswith("not aligned  ")
    assert not (tmp_path / "b.nii.gz").exists()
    as_json = run(
        "align", folder / "t1_native.nii.gz", folder / "noise.nii.gz", *masked, "-o", tmp_path / "b.nii.gz", "--json"
    )
    assert as_json.returncode == 3
    facts = json.loads(as_json.stdout)
    assert facts["succeeded"] is False
    assert facts["reasons"]


def test_measure_prints_the_map_and_its_segments(folder, masked):
    told = run("measure", folder / "t1_native.nii.gz", "--sequence", "t1_native", *masked)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].startswith("Native T1 of the myocardium")
    assert lines[0].endswith(" ms")
    header = next(i for i, line in enumerate(lines) if line.startswith("Segment"))
    assert [line.split()[0] for line in lines[header + 1 :]] == [str(n) for n in range(1, 17)]
    as_json = json.loads(
        run("measure", folder / "t1_native.nii.gz", "--sequence", "t1_native", *masked, "--json").stdout
    )
    values = {row["column"]: row["value"] for row in as_json["values"]}
    assert lines[0].split()[-2] == f"{values['t1_native_ms']:.1f}"
    assert as_json["issues"] == []


def test_measure_of_t2_star(folder, tmp_path, masked):
    """A sequence that no shipped specification measures."""
    native = nibabel.load(folder / "t1_native.nii.gz")
    path = tmp_path / "star.nii.gz"
    nibabel.save(nibabel.Nifti1Image((native.get_fdata() / 40).astype("f4"), native.affine), path)
    told = run("measure", path, "--sequence", "t2_star", *masked)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("T2* of the myocardium")
    assert "Native T1" not in told.stdout


def test_measure_tells_every_warning_in_full(folder, tmp_path, masked):
    """A tenth of the wall without a fit."""
    native, wall = nibabel.load(folder / "t1_native.nii.gz"), nibabel.load(folder / "mask.nii.gz").get_fdata() == 2
    array = native.get_fdata()
    array[wall & (np.random.default_rng(0).random(wall.shape) < 0.1)] = 0.0
    nibabel.save(nibabel.Nifti1Image(array.astype("f4"), native.affine), tmp_path / "holes.nii.gz")
    told = run("measure", tmp_path / "holes.nii.gz", "--sequence", "t1_native", *masked)
    assert told.returncode == 0
    assert "  warn  W_UNFITTED: " in told.stdout
    assert "are zero; they are left out." in told.stdout


def test_measure_refuses_seconds_and_labels_that_nobody_stated(folder, tmp_path, masked):
    native = nibabel.load(folder / "t1_native.nii.gz")
    path = tmp_path / "s.nii.gz"
    nibabel.save(nibabel.Nifti1Image((native.get_fdata() / 1000).astype("f4"), native.affine), path)
    told = run("measure", path, "--sequence", "t1_native", *masked)
    assert told.returncode == 4
    assert "E_UNITS" in told.stderr
    assert "it looks like seconds" in told.stderr
    assert "[t1_native.image]" in told.stderr
    stated = run("measure", path, "--sequence", "t1_native", *masked, "--unit", "s")
    assert stated.returncode == 0, stated.stderr
    known = run("measure", folder / "t1_native.nii.gz", "--sequence", "t1_native", *masked)
    assert stated.stdout == known.stdout
    told = run("measure", path, "--sequence", "t3", *masked)
    assert told.returncode == 2
    assert "is not one of a map: t1_native, t1_post, t2, t2_star, ecv" in told.stderr
