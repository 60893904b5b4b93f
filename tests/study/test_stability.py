from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from radiocard.cardiac.function import volume_ml
from radiocard.errors import CohortError, NothingUsableError
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.simulate.cohort import simulate_frames, simulate_patient
from radiocard.specs import read_spec
from radiocard.study.predict import spec_of
from radiocard.study.stability import (
    AS_DRAWN,
    perturbed_cases,
    perturbed_predictions,
    stability,
    write_stability,
)

SPEC = read_spec("cine_sax").model_copy(update={"regions": ("lv_myocardium",), "families": ("intensity",)})
NAMES = [f"contours_{way}_{mm}mm" for mm in ("0.5", "1") for way in ("out", "in", "thicker", "thinner")]


@pytest.fixture(scope="module")
def case():
    return simulate_patient("NOR", 0, seed=4).case


@pytest.fixture(scope="module")
def variants(case):
    return dict(perturbed_cases(case, SPEC))


@pytest.fixture(scope="module")
def few(simulated_folder):
    found = read_cohort(simulated_folder)
    return replace(found, cases=found.cases[:5])


@pytest.fixture(scope="module")
def result(few):
    return stability(few, spec=SPEC)


def test_every_perturbation_is_made_and_the_case_itself_stays(case, variants):
    before = case.masks["cine", "ed"].array.copy()
    assert list(variants) == [
        *NAMES,
        "base_dropped",
        *(["base_added"] if "base_added" in variants else []),
        "noise",
        "grid",
    ]
    np.testing.assert_array_equal(case.masks["cine", "ed"].array, before)


def volume(variants, name, region="lv_cavity"):
    return volume_ml(variants[name].masks["cine", "ed"], region)


def test_volumes_move_as_those_of_readers_do(case, variants):
    drawn = volume_ml(case.masks["cine", "ed"], "lv_cavity")
    half, whole = (volume(variants, f"contours_out_{mm}mm") - drawn for mm in ("0.5", "1"))
    assert 2 < half < whole < 28
    assert whole == pytest.approx(2 * half, rel=0.2)
    assert drawn - volume(variants, "contours_in_0.5mm") == pytest.approx(half, rel=0.2)
    assert 5 < drawn - volume(variants, "base_dropped") < 40


def test_contours_that_move_apart_change_the_mass_and_together_hardly(case, variants):
    wall = volume_ml(case.masks["cine", "ed"], "lv_myocardium")
    apart = volume(variants, "contours_thicker_1mm", "lv_myocardium") - wall
    together = volume(variants, "contours_out_1mm", "lv_myocardium") - wall
    assert apart > 4 * abs(together)
    assert apart / wall < 0.45


def test_noise_changes_grey_values_only_and_the_grid_both(case, variants):
    key = ("cine", "ed")
    assert variants["noise"].masks[key] is case.masks[key]
    assert not np.array_equal(variants["noise"].images[key].array, case.images[key].array)
    assert not np.array_equal(variants["grid"].masks[key].affine, case.masks[key].affine)


def test_coefficients_of_every_measurement_by_kind(result):
    table = result.table
    assert result.n_patients == 5
    assert "bsa_m2" not in table.index
    assert table.loc["lvedv_ml", "icc_a_1"] > 0.75
    assert table.loc["lvedv_ml", "icc_a_1_noise"] == 1.0
    assert table.loc["lvedv_ml", "icc_a_1_contours_0.5mm"] > table.loc["lvedv_ml", "icc_a_1_contours_1mm"]
    mean = "lv_myocardium__cine_ed__original__stat_mean"
    assert table.loc[mean, "icc_a_1_noise"] > 0.9
    assert result.shares[0].family == "all"
    assert any(note.startswith("Frame: not available.") for note in result.notes)
    assert "and grid change" in result.sentence


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Five patients, and the same one frame away; the last one is missing there."""
    folder = tmp_path_factory.mktemp("frames")
    both = [simulate_frames("NOR", i, seed=4) for i in range(5)]
    drawn = write_manifest_cohort((patient.case for patient, _ in both), folder / "drawn")
    return drawn, write_manifest_cohort((beside for _, beside in both[:4]), folder / "beside"), both


def test_neighbouring_frames_are_measured_as_they_were_drawn(frames):
    drawn, beside, both = frames
    found = stability(drawn, spec=SPEC, beside=beside)
    apart = [
        volume_ml(b.masks["cine", "ed"], "lv_cavity") - volume_ml(p.case.masks["cine", "ed"], "lv_cavity")
        for p, b in both[:4]
    ]
    assert found.changes.loc["frame", "lvedv_ml_mean"] == pytest.approx(sum(apart) / 5)
    assert found.changes.loc["frame", "lvef_pct_mean"] < 0
    assert found.table.loc["lvedv_ml", "icc_a_1_frame"] > 0.95
    assert found.notes == ("frame: not possible in 1 of 5 patients, who count as unchanged.",)
    assert "noise, grid and frame change" in found.sentence


def test_frames_of_other_patients_are_refused(few, frames):
    with pytest.raises(CohortError, match="cohort of neighbouring frames has none of the patients"):
        stability(few, spec=SPEC, beside=replace(few, cases=()))


def test_too_few_patients_are_refused_and_identical_images_count_once(few):
    twins = (few.cases[0], replace(few.cases[0], patient_id="twin"))
    with pytest.raises(NothingUsableError, match=r"1 independent patients could be measured, expected at least 5"):
        stability(replace(few, cases=twins), spec=SPEC)


def test_predictions_of_a_patient_as_drawn_and_perturbed(model, newcomer):
    import radiocard

    case = read_cohort(newcomer).cases[0].load()
    told = perturbed_predictions(model, case, spec_of(model))
    assert next(iter(told)) == AS_DRAWN
    assert set(NAMES) < set(told)
    assert all(sum(p.values()) == pytest.approx(1) for p in told.values())
    row = radiocard.predict(model, newcomer).rows[0]
    assert told[AS_DRAWN] == pytest.approx(dict(row.probabilities))
    assert len({p["DCM"] for p in told.values()}) > 1


def test_file_and_command(result, simulated_folder, tmp_path, monkeypatch):
    from radiocard.cli import app
    from radiocard.study import stability as study

    write_stability(result, tmp_path / "s.csv")
    head, first, *rest = (tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("column,family,icc_1_1,icc_1_1_low,icc_1_1_high,icc_a_1,")
    assert len(rest) + 1 == len(result.table)
    assert first.split(",")[0] == result.table.index[0]
    monkeypatch.setattr(study, "stability", lambda found, **options: result)
    told = CliRunner().invoke(app, ["stability", str(simulated_folder), "-o", str(tmp_path / "c.csv")])
    assert told.exit_code == 0, told.output
    assert result.sentence in told.output
    assert "LV volumes" in told.output
    assert (tmp_path / "c.csv").is_file()
    refused = CliRunner().invoke(app, ["stability", str(simulated_folder), "-o", str(tmp_path / "c.txt")])
    assert "does not end in .csv" in str(refused.exception)
