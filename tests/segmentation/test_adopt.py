import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from radiocard.cohort.row import case_row
from radiocard.errors import NothingUsableError
from radiocard.image import LABELS_MNMS, Image
from radiocard.io.case_ref import FilePair
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.io.dicom_image import read_series
from radiocard.io.nifti import read_label_map, write_image
from radiocard.io.unsegmented import read_unsegmented
from radiocard.segmentation.adapters import nnunet_masks, stated_masks
from radiocard.segmentation.adopt import adopt_masks
from radiocard.specs import read_spec
from radiocard.study.patient_parts import mask_check


@pytest.fixture
def cohort(tmp_path, hearts):
    return read_cohort(write_manifest_cohort([h.case for h in hearts[:3]], tmp_path / "cohort"))


@pytest.fixture
def predictions(tmp_path, hearts):
    """The masks of three patients as nnU-Net would write them, in another order."""
    folder = tmp_path / "nnunet"
    folder.mkdir()
    labels = {"background": 0, "lv_cavity": 1, "lv_myocardium": 2, "rv_cavity": 3}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    turned = np.array([0, 3, 2, 1], np.uint8)
    for heart in hearts[:3]:
        for (_, phase), mask in heart.case.masks.items():
            name = f"{heart.case.patient_id}_cine_{phase}.nii.gz"
            write_image(folder / name, Image(turned[mask.array], mask.affine))
    return folder


@pytest.mark.parametrize("against", [True, False])
def test_masks_of_a_dicom_series_are_adopted_whichever_way_their_slices_run(dicom, level_cases, tmp_path, against):
    case = level_cases[0]
    for phase in ("ed", "es"):
        image, mask = case.images["cine", phase], case.masks["cine", phase]
        dicom.cine(tmp_path / phase, [image.array], image.affine)
        grid = read_series(tmp_path / phase, case="p1", field="image").affine  # slices follow the normal
        along = replace(mask, array=mask.array[..., ::-1], affine=grid)
        write_image(tmp_path / f"p1_{phase}.nii.gz", mask if against else along)
    (tmp_path / "list.csv").write_text("patient_id,phase,image\np1,ed,ed\np1,es,es\n")
    source = stated_masks(tmp_path, labels="acdc", pattern="{patient}_{phase}.nii.gz")
    found = adopt_masks(read_unsegmented(tmp_path / "list.csv").cases, source, tmp_path / "adopted")
    assert (found.n_patients, found.issues) == (1, ())
    loaded = read_cohort(found.manifest).cases[0].load()
    for found, drawn in ((loaded.images, case.images), (loaded.masks, case.masks)):
        np.testing.assert_array_equal(found["cine", "es"].array, drawn["cine", "es"].array[..., ::-1])


def test_the_program_that_drew_the_masks_is_named(cohort, predictions, tmp_path):
    adopt_masks(cohort.cases, nnunet_masks(predictions), tmp_path / "adopted")
    case = read_cohort(tmp_path / "adopted").cases[0].load()
    assert case.clinical["mask_network"] == "nnU-Net"
    (text,) = mask_check(case.clinical)
    assert text == "Masks drawn by the network nnU-Net and not judged by a quality estimate"


def test_extraction_runs_on_the_adopted_masks(cohort, predictions, tmp_path, hearts):
    found = adopt_masks(cohort.cases, nnunet_masks(predictions), tmp_path / "adopted")
    assert (found.n_patients, found.issues) == (3, ())
    spec = read_spec("cine_sax")
    again = read_cohort(found.manifest)
    for heart, before, after in zip(hearts, cohort.cases, again.cases, strict=False):
        a, b = (case_row(ref, spec, texture=False) for ref in (before, after))
        assert b.values == a.values | {"mask_network": "nnU-Net"}
        assert b.values["lvedv_ml"] == pytest.approx(heart.truth["lvedv_ml"], rel=0.12)
        assert b.values["diagnosis"] == heart.case.clinical["diagnosis"]


def test_the_masks_are_written_in_one_order(cohort, predictions, tmp_path, hearts):
    adopt_masks(cohort.cases, nnunet_masks(predictions), tmp_path / "adopted")
    path = tmp_path / "adopted" / "masks" / f"{hearts[0].case.patient_id}_cine_ed.nii.gz"
    mask = hearts[0].case.masks["cine", "ed"]
    np.testing.assert_array_equal(read_label_map(path, mask.labels, case="a", field="mask").array, mask.array)


def test_images_within_the_folder_are_named_relatively(cohort, predictions, tmp_path):
    found = adopt_masks(cohort.cases, nnunet_masks(predictions), tmp_path)
    text = found.manifest.read_text()
    assert "cohort/images/" in text
    assert str(tmp_path) not in text


def test_the_cohorts_own_masks_need_not_exist(cohort, predictions, tmp_path):
    shutil.rmtree(tmp_path / "cohort" / "masks")
    cases = read_cohort(tmp_path / "cohort").cases
    assert all(ref.issues for ref in cases)
    assert adopt_masks(cases, nnunet_masks(predictions), tmp_path / "adopted").n_patients == 3


def test_a_frame_of_a_four_dimensional_file(cohort, predictions, tmp_path):
    import nibabel as nib

    ref = cohort.cases[0]
    files = {}
    for key, pair in ref.files.items():
        image = nib.load(pair.image)
        path = tmp_path / f"4d_{pair.image.name}"
        nib.Nifti1Image(np.stack([np.zeros(image.shape), image.get_fdata()], axis=-1), image.affine).to_filename(path)
        files[key] = FilePair(path, None, 1)
    source = stated_masks(predictions, labels="mnms", pattern="{patient}_cine_{phase}.nii.gz")
    found = adopt_masks([replace(ref, files=files)], source, tmp_path / "adopted")
    (again,) = read_cohort(found.manifest).cases
    assert {pair.frame for pair in again.files.values()} == {1}
    case = again.load()
    np.testing.assert_array_equal(case.images["cine", "ed"].array, ref.load().images["cine", "ed"].array)


def test_a_bad_patient_is_left_out_and_said(cohort, predictions, tmp_path):
    bad, gone = cohort.cases[0].patient_id, cohort.cases[1].patient_id
    mask = read_label_map(predictions / f"{bad}_cine_es.nii.gz", LABELS_MNMS, case="a", field="m")
    write_image(predictions / f"{bad}_cine_es.nii.gz", Image(np.where(mask.array == 3, 0, mask.array), mask.affine))
    (predictions / f"{gone}_cine_ed.nii.gz").unlink()
    found = adopt_masks(cohort.cases, nnunet_masks(predictions), tmp_path / "adopted")
    assert found.n_patients == 1
    assert [(i.case, i.code, i.field) for i in found.issues] == [
        (bad, "E_EMPTY_ROI", "rv_cavity"),
        (gone, "E_MISSING", "cine_ed.mask"),
    ]


def test_a_whole_cine_is_not_a_phase(cohort, predictions, tmp_path):
    ref = cohort.cases[0]
    whole = replace(ref, files={("cine", ""): next(iter(ref.files.values()))})
    found = adopt_masks([whole, cohort.cases[1]], nnunet_masks(predictions), tmp_path / "adopted")
    assert [(i.code, i.message) for i in found.issues] == [("E_PHASE", "The row names a whole cine.")]
    assert found.n_patients == 1


def test_without_any_usable_mask_it_ends(cohort, predictions, tmp_path):
    source = stated_masks(predictions, labels="acdc", pattern="{patient}_cine_{phase}.nii.gz")
    with pytest.raises(NothingUsableError, match="No patient has masks that can be used: E_LABEL_ANATOMY"):
        adopt_masks(cohort.cases, source, tmp_path / "adopted")
    assert not (tmp_path / "adopted" / "manifest.csv").exists()
