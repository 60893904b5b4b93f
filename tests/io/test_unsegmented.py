import gzip

import nibabel as nib
import numpy as np
import pytest

from radiocard.errors import CaseRefusedError, CohortError
from radiocard.image import Image
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.io.nifti import count_frames, write_image
from radiocard.io.unsegmented import CINE, load_images, read_unsegmented

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


def write_frames(path, values):
    nib.save(nib.Nifti1Image(values.astype(np.int16), AFFINE), path)


def test_a_manifest_needs_no_masks(tmp_path):
    image = Image(np.arange(60, dtype=np.int16).reshape(5, 4, 3), AFFINE)
    for phase in ("ed", "es"):
        write_image(tmp_path / f"{phase}.nii.gz", image)
    rows = "".join(f"p1,{phase},{phase}.nii.gz,F,61\n" for phase in ("ed", "es"))
    (tmp_path / "manifest.csv").write_text(f"patient_id,phase,image,sex,age_y\n{rows}")
    (ref,) = read_unsegmented(tmp_path).cases
    assert ref.clinical == {"sex": "F", "age_y": 61.0}
    images = load_images(ref)
    assert list(images) == ["ed", "es"]
    np.testing.assert_array_equal(images["ed"].array, image.array)
    with pytest.raises(CaseRefusedError, match="not segmented: it names no mask"):
        ref.load()


def test_a_row_without_phase_is_a_whole_cine(tmp_path):
    values = np.random.default_rng(0).integers(0, 900, (5, 4, 3, 6))
    write_frames(tmp_path / "cine.nii.gz", values)
    (tmp_path / "list.csv").write_text("patient_id,image\np1,cine.nii.gz\n")
    (ref,) = read_unsegmented(tmp_path / "list.csv").cases
    assert list(ref.files) == [CINE]
    assert count_frames(tmp_path / "cine.nii.gz", case=None, field="cine.image") == 6
    images = load_images(ref)
    assert list(images) == ["0", "1", "2", "3", "4", "5"]
    for number, image in images.items():
        np.testing.assert_array_equal(image.array, values[..., int(number)])


def test_masks_of_a_cohort_that_has_some_are_not_looked_at(level_cases, tmp_path):
    manifest = write_manifest_cohort(level_cases, tmp_path)
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(b"spoiled")
    found = read_unsegmented(manifest)
    assert [set(load_images(ref)) for ref in found.cases] == [{"ed", "es"}] * 3


def test_an_acdc_folder_without_masks_is_a_cohort(tmp_path):
    folder = tmp_path / "patient001"
    folder.mkdir()
    (folder / "Info.cfg").write_text("ED: 1\nES: 9\nGroup: DCM\nHeight: 170.0\nWeight: 70.0\n")
    for frame in ("01", "09"):
        write_image(folder / f"patient001_frame{frame}.nii.gz", Image(np.ones((4, 4, 2), np.int16), AFFINE))
    (ref,) = read_unsegmented(tmp_path).cases
    assert set(load_images(ref)) == {"ed", "es"}
    assert any(issue.code == "E_MISSING" for issue in read_cohort(tmp_path).cases[0].issues)


def test_a_missing_or_damaged_image_refuses_its_case(tmp_path):
    (tmp_path / "a.csv").write_text("patient_id,image,phase\np1,none.nii.gz,ed\n")
    with pytest.raises(CaseRefusedError, match="image of cine_ed does not exist"):
        load_images(read_unsegmented(tmp_path / "a.csv").cases[0])
    write_frames(
        tmp_path / "cine.nii.gz", np.zeros((40, 40, 3, 6)) + np.random.default_rng(0).integers(0, 99, (40, 40, 3, 6))
    )
    data = (tmp_path / "cine.nii.gz").read_bytes()
    (tmp_path / "cine.nii.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "b.csv").write_text("patient_id,image\np1,cine.nii.gz\n")
    with pytest.raises(OSError, match="E_TRUNCATED"):
        load_images(read_unsegmented(tmp_path / "b.csv").cases[0])
    assert gzip.decompress(data)


def test_a_manifest_without_images_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("patient_id,mask\np1,a.nii.gz\n")
    with pytest.raises(CohortError, match="lacks the column 'image'"):
        read_unsegmented(tmp_path / "a.csv")
    with pytest.raises(CohortError, match="There is no cohort"):
        read_unsegmented(tmp_path / "nothing")


def test_a_phase_that_does_not_exist_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("patient_id,image,phase\np1,a.nii.gz,systole\n")
    with pytest.raises(CohortError, match="phase is 'systole', expected ed or es"):
        read_unsegmented(tmp_path / "a.csv")
