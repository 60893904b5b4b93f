import numpy as np
import pytest

from radiocard.errors import CaseRefusedError, GeometryError, ReadError
from radiocard.image import Image
from radiocard.io.cohort import read_cohort
from radiocard.io.dicom_image import read_cine, read_series
from radiocard.io.nifti import write_image
from radiocard.io.unsegmented import load_images, read_unsegmented

ROLE = {"case": "C1", "field": "cine_ed.image"}
AFFINE = np.array([[1.2, 0.3, -2.0, -40.0], [0.4, -1.1, 5.0, 12.0], [0.2, 0.5, 6.0, -70.0], [0, 0, 0, 1.0]])
AFFINE[:3, :3] = np.linalg.qr(AFFINE[:3, :3])[0] * [1.25, 1.5, 8.0]
if np.linalg.det(AFFINE[:3, :3]) < 0:
    AFFINE[:3, 0] *= -1  # slices follow the cross product of the other axes
FRAMES = [np.random.default_rng(n).integers(0, 900, (7, 6, 4)) for n in range(5)]


@pytest.fixture
def series(dicom, tmp_path):
    return dicom.cine(tmp_path / "series", FRAMES, AFFINE)


def test_a_cine_comes_frame_by_frame_on_its_grid(series):
    images = read_cine(series, **ROLE)
    assert len(images) == len(FRAMES)
    for image, frame in zip(images, FRAMES, strict=True):
        np.testing.assert_array_equal(image.array, frame)
        assert image.array.dtype.kind == "i"
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)
    np.testing.assert_array_equal(read_series(series, frame=3, **ROLE).array, FRAMES[3])


def test_frames_follow_the_trigger_time_not_the_name(dicom, tmp_path):
    folder = dicom.cine(tmp_path / "series", FRAMES, AFFINE, reverse=True)
    for image, frame in zip(read_cine(folder, **ROLE), FRAMES[::-1], strict=True):
        np.testing.assert_array_equal(image.array, frame)


def test_grey_values_that_are_no_whole_numbers_stay(dicom, tmp_path):
    folder = dicom.cine(tmp_path / "series", FRAMES, AFFINE, RescaleSlope=0.5, RescaleIntercept=0)
    np.testing.assert_array_equal(read_series(folder, frame=0, **ROLE).array, FRAMES[0] / 2)


def test_an_enhanced_cine_is_one_file(dicom, tmp_path):
    times, pixels, positions, groups = (60.0, 0.0, 30.0), [], [], []
    for t, time in enumerate(times):
        for k in range(3):
            pixels.append(FRAMES[t][:, :, k].T)
            positions.append((0.0, 0.0, 8.0 * k))
            groups.append({"CardiacSynchronizationSequence": dicom.item(NominalCardiacTriggerDelayTime=time)})
    file = tmp_path / "cine.dcm"
    dicom.enhanced(np.stack(pixels).astype("u2"), positions, frames=groups).save_as(file)
    for image, t in zip(read_cine(file, **ROLE), np.argsort(times), strict=True):
        np.testing.assert_array_equal(image.array, FRAMES[t][:, :, :3])


def test_what_is_not_one_frame_is_refused(series):
    with pytest.raises(ReadError, match="more than one image"):
        read_series(series, **ROLE)
    with pytest.raises(GeometryError, match="Frame 5 was asked for; the series holds frames 0 to 4") as caught:
        read_series(series, frame=5, **ROLE)
    assert caught.value.code == "E_NDIM"
    (series / "002-001.dcm").unlink()
    with pytest.raises(ReadError, match="positions hold 4 to 5 images") as caught:
        read_cine(series, **ROLE)
    assert caught.value.code == "E_SERIES"


def test_a_manifest_names_the_folder_of_a_series(series, dicom, tmp_path):
    labels = np.zeros(FRAMES[0].shape, np.uint8)
    labels[2:4, 2:4] = 3
    write_image(tmp_path / "mask.nii.gz", Image(labels, AFFINE))
    dicom.cine(tmp_path / "es", FRAMES[2:3], AFFINE)
    rows = "p1,ed,series,0,mask.nii.gz,acdc\np1,es,es,,mask.nii.gz,acdc\n"
    (tmp_path / "manifest.csv").write_text(f"patient_id,phase,image,frame,mask,labels\n{rows}")
    case = read_cohort(tmp_path / "manifest.csv").cases[0].load()
    np.testing.assert_array_equal(case.images["cine", "ed"].array, FRAMES[0])
    np.testing.assert_array_equal(case.images["cine", "es"].array, FRAMES[2])
    assert case.masks["cine", "ed"].mask("lv_cavity").sum() == labels.astype(bool).sum()


def test_a_row_without_phase_is_a_whole_cine(series, tmp_path):
    (tmp_path / "list.csv").write_text("patient_id,image\np1,series\np2,none\n")
    good, gone = read_unsegmented(tmp_path / "list.csv").cases
    assert list(load_images(good)) == ["0", "1", "2", "3", "4"]
    with pytest.raises(CaseRefusedError, match="image of cine does not exist"):
        load_images(gone)
