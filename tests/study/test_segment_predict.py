import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import radiocard
from radiocard.errors import NothingUsableError, UsageError
from radiocard.image import Image
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.io.unsegmented import read_unsegmented
from radiocard.models.identity import hash_image
from radiocard.study.segment_evaluate import evaluate_segmentation, mask_rows, write_evidence
from radiocard.study.segment_predict import segment, segment_images, write_segmentation


@pytest.fixture(scope="module")
def cohort(level_cases, tmp_path_factory):
    return write_manifest_cohort(level_cases, tmp_path_factory.mktemp("level"))


@pytest.fixture(scope="module")
def written(cohort, level_ensemble, tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmented")
    result = segment(read_unsegmented(cohort), level_ensemble, flips=False)
    return result, write_segmentation(result, folder)


def knowing(ensemble, which, image):
    """The ensemble, some of whose members learned from an image."""
    known = (hash_image(image.digest()),)
    members = [
        m.model_copy(update={"trained_on": known if n in which else ()}) for n, m in enumerate(ensemble.card.members)
    ]
    return replace(ensemble, card=ensemble.card.model_copy(update={"members": tuple(members)}))


def test_every_command_reads_what_was_drawn(cohort, written):
    _, manifest = written
    drawn, read = radiocard.extract(cohort), radiocard.extract(manifest)
    assert list(read.index) == list(drawn.index)
    for column in ("lvedv_ml", "lvesv_ml", "rvedv_ml", "lvm_g"):
        np.testing.assert_allclose(read[column], drawn[column], rtol=0.1)  # pixels of 1.5 mm
    assert list(read["diagnosis"]) == ["NOR", "DCM", "HCM"]
    assert set(read["mask_verdict"]) == {"accept"}
    assert read["mask_confidence"].between(0.9, 1).all()
    assert read["mask_network"].nunique() == 1


def test_the_record_holds_what_is_known_of_each_mask(written):
    result, manifest = written
    record = json.loads((manifest.parent / "segmentation.json").read_text())
    assert record["network_id"] == result.network_id
    assert record["labels"] == {"rv_cavity": 1, "lv_myocardium": 2, "lv_cavity": 3}
    case = record["cases"][0]
    assert case["n_networks"] == 2
    assert case["phases"]["ed"]["confidence"]["lv_cavity"]["member_dice"] == 1.0
    assert case["phases"]["ed"]["decision"]["by"] == "rule"
    assert str(manifest.parent) not in json.dumps(record)


def test_phases_are_found_in_a_whole_cine(level_cases, level_ensemble, tmp_path):
    case = level_cases[0]
    ed, es = (case.images["cine", phase] for phase in ("ed", "es"))
    frames = [ed, ed, es, es, es, ed, ed, ed]
    nib.save(
        nib.Nifti1Image(np.stack([f.array for f in frames], axis=3).astype(np.int16), ed.affine), tmp_path / "a.nii.gz"
    )
    (tmp_path / "manifest.csv").write_text("patient_id,image\np1,a.nii.gz\n")
    result = segment(read_unsegmented(tmp_path), level_ensemble, flips=False)
    found = result.cases[0].phases
    assert found["ed"].frame in {0, 1, 5, 6, 7}
    assert found["es"].frame in {2, 3, 4}
    manifest = write_segmentation(result, tmp_path / "out")
    loaded = read_cohort(manifest).cases[0].load()
    np.testing.assert_array_equal(loaded.images["cine", "es"].array, es.array)
    assert radiocard.extract(manifest)["lvesv_ml"].iloc[0] < radiocard.extract(manifest)["lvedv_ml"].iloc[0]


def test_a_network_of_simulated_hearts_says_so_to_a_real_one(level_cases, level_ensemble, tmp_path):
    assert level_ensemble.card.simulated
    real = [replace(case, simulated=number > 0) for number, case in enumerate(level_cases)]
    result = segment(read_unsegmented(write_manifest_cohort(real, tmp_path)), level_ensemble, flips=False)
    assert [[i.code for i in case.issues] for case in result.cases] == [["W_SIMULATED_MODEL"], [], []]
    evidence = evaluate_segmentation(read_cohort(tmp_path), level_ensemble, flips=False)
    assert [[i.code for i in case.issues] for case in evidence.masks.cases] == [["W_SIMULATED_MODEL"], [], []]


def test_who_learned_from_a_patient_does_not_answer(level_cases, level_ensemble):
    images = {phase: level_cases[0].images["cine", phase] for phase in ("ed", "es")}
    found = segment_images(images, knowing(level_ensemble, {0}, images["es"]), patient_id="a", flips=False)
    assert found.n_networks == 1
    assert found.issues == ()
    found = segment_images(images, knowing(level_ensemble, {0, 1}, images["es"]), patient_id="a", flips=False)
    assert found.n_networks == 2
    assert [issue.code for issue in found.issues] == ["W_NETWORK_SEEN"]


def test_a_mask_without_a_heart_is_left_to_a_person(level_ensemble):
    rng = np.random.default_rng(0)
    images = {p: Image(rng.normal(size=(100, 100, 3)), np.diag([1.5, 1.5, 8, 1.0])) for p in ("ed", "es")}
    found = segment_images(images, level_ensemble, patient_id="a", flips=False)
    assert found.verdict == "ask"


def test_images_that_are_neither_phases_nor_frames_are_refused(level_cases, level_ensemble):
    image = level_cases[0].images["cine", "ed"]
    for images in ({"ed": image, "0": image}, {}):
        with pytest.raises(UsageError, match="neither end-diastole and end-systole nor the frames"):
            segment_images(images, level_ensemble, patient_id="a")


def test_a_bad_case_does_not_stop_the_others(level_cases, level_ensemble, tmp_path):
    manifest = write_manifest_cohort(level_cases[:2], tmp_path)
    next(iter((tmp_path / "images").iterdir())).write_bytes(b"")
    result = segment(read_unsegmented(manifest), level_ensemble, flips=False)
    assert len(result.cases) == 1
    assert result.n_cases == 2
    assert [issue.severity for issue in result.issues] == ["refuse"]
    for path in (tmp_path / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(NothingUsableError, match="None of the 2 cases could be segmented"):
        segment(read_unsegmented(manifest), level_ensemble)


def test_masks_like_the_readers_agree_with_them(cohort, level_ensemble, tmp_path):
    evidence = evaluate_segmentation(cohort, level_ensemble, flips=False)
    assert evidence.summary.n_patients == evidence.n_independent == 3
    assert all(spread.mean.value > 0.95 for spread in evidence.summary.dice.values())
    assert abs(evidence.summary.measures["lvef_pct"].bias.value) < 2
    assert len(mask_rows(evidence)) == 3 * 2 * 3
    paths = write_evidence(evidence, tmp_path)
    assert all(path.is_file() for path in paths)
    written = json.loads(paths[1].read_text())
    assert written["dice"]["ed/lv_cavity"]["mean"]["value"] == pytest.approx(
        evidence.summary.dice["ed/lv_cavity"].mean.value
    )


def test_a_patient_whom_all_networks_know_is_never_scored(cohort, level_cases, level_ensemble):
    ensemble = knowing(level_ensemble, {0, 1}, level_cases[1].images["cine", "ed"])
    with pytest.raises(UsageError, match="no honest figure can be had"):
        evaluate_segmentation(cohort, ensemble)


def test_identical_images_are_one_patient_in_the_interval(level_cases, level_ensemble, tmp_path):
    twin = replace(level_cases[0], patient_id="twin")
    manifest = write_manifest_cohort([*level_cases, twin], tmp_path)
    evidence = evaluate_segmentation(manifest, level_ensemble, flips=False)
    assert evidence.summary.n_patients == 4
    assert evidence.n_independent == 3
