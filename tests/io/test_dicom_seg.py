import builtins
import os

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from radiocard.errors import GeometryError, MaskError, MissingExtraError, ReadError, UsageError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, LabelMap
from radiocard.io.convert import LPS_TO_RAS
from radiocard.io.dicom_seg import CONCEPTS, Algorithm, write_seg

if os.environ.get("RADIOCARD_REQUIRE") == "all":
    import highdicom as hd
else:
    hd = pytest.importorskip("highdicom")

SHAPE = (16, 12, 5)
STEP = 8.0
ORIGIN = np.array([-20.0, 15.0, 40.0])
DIRECTIONS = np.linalg.qr(np.array([[0.9, 0.3, -0.2], [-0.2, 0.8, 0.5], [0.3, -0.4, 0.8]]))[0]
DIRECTIONS[:, 2] = np.cross(DIRECTIONS[:, 0], DIRECTIONS[:, 1])
STUDY = {"StudyInstanceUID": "1.2.840.1", "FrameOfReferenceUID": "1.2.840.2", "SeriesNumber": 7}
NETWORK = Algorithm("network", "3f2a")


def series_affine():
    """RAS+ affine of the series; pixels are 1.25 along i and 1.5 mm along j."""
    affine = np.eye(4)
    affine[:3, :3] = DIRECTIONS * [1.25, 1.5, STEP]
    affine[:3, 3] = ORIGIN
    return LPS_TO_RAS @ affine


def labels_array():
    out = np.zeros(SHAPE, np.uint8)
    out[2:5, 3:9, 1:3] = 1
    out[5:13, 2:10, 1:4] = 2
    out[7:11, 4:8, 1:4] = 3
    return out


def mask(array=None, affine=None, labels=LABELS_ACDC):
    array = labels_array() if array is None else array
    return LabelMap(array, series_affine() if affine is None else affine, labels=labels)


def write_series(dicom, folder, **tags):
    values = np.arange(np.prod(SHAPE), dtype="u2").reshape(SHAPE)
    return dicom.series(folder, values, origin=ORIGIN, directions=DIRECTIONS, step=STEP, **{**STUDY, **tags})


@pytest.fixture
def series(dicom, tmp_path):
    return write_series(dicom, tmp_path / "series")


def read_volume(path):
    """Labels on the grid of the file, by highdicom; and its RAS+ affine."""
    seg = hd.seg.segread(path)
    volume = seg.get_volume(combine_segments=True, dtype=np.uint8)
    return seg, volume


def on_mask_grid(volume, target):
    """Sample a volume at the voxel centres of a mask, outside it 0."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in target.array.shape], indexing="ij"), axis=-1)
    points = np.c_[grid.reshape(-1, 3), np.ones(grid.size // 3)]
    index = (np.linalg.inv(LPS_TO_RAS @ volume.affine) @ target.affine @ points.T)[:3]
    assert np.abs(index - np.rint(index)).max() < 1e-3
    i = np.rint(index).astype(int)
    inside = ((i >= 0) & (i < np.array(volume.shape)[:, None])).all(axis=0)
    out = np.zeros(i.shape[1], int)
    out[inside] = volume.array[tuple(i[:, inside])]
    return out.reshape(target.array.shape)


@pytest.mark.parametrize(
    ("labels", "axes", "flips"),
    [
        (LABELS_ACDC, (0, 1, 2), ()),
        (LABELS_MNMS, (0, 1, 2), (1,)),
        (LABELS_ACDC, (1, 0, 2), (0, 2)),
        (LABELS_MNMS, (2, 1, 0), (0, 1, 2)),
        (LABELS_ACDC, (1, 2, 0), (2,)),
    ],
)
def test_round_trip_in_every_storage_order(series, tmp_path, labels, axes, flips):
    numbers = np.array([0, labels["rv_cavity"], labels["lv_myocardium"], labels["lv_cavity"]], np.uint8)
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    for new, old in enumerate(axes):
        turn[old, new] = -1 if old in flips else 1
        turn[old, 3] = SHAPE[old] - 1 if old in flips else 0
    array = np.flip(numbers[labels_array()], flips).transpose(axes)
    stored = mask(array, series_affine() @ turn, labels)
    regions = write_seg(stored, series, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")
    assert regions == ("lv_cavity", "lv_myocardium", "rv_cavity")
    _, volume = read_volume(tmp_path / "seg.dcm")
    found = on_mask_grid(volume, stored)
    for number, region in enumerate(regions, start=1):
        np.testing.assert_array_equal(found == number, stored.array == labels[region])


def test_what_the_segments_say(series, tmp_path):
    write_seg(mask(), series, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert seg.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert seg.SegmentationType == "BINARY"
    for segment, (label, code, meaning) in zip(seg.SegmentSequence, CONCEPTS.values(), strict=True):
        assert segment.SegmentLabel == label
        concept = segment.SegmentedPropertyTypeCodeSequence[0]
        assert (concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning) == (code, "SCT", meaning)
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == "network"
        used = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (used.AlgorithmName, used.AlgorithmVersion) == ("network", "3f2a")


def test_the_codes_are_those_of_the_code_dictionary():
    from pydicom.sr.codedict import codes

    known = {"lv_cavity": "LeftVentricle", "lv_myocardium": "LeftVentricleMyocardium", "rv_cavity": "RightVentricle"}
    for region, name in known.items():
        assert getattr(codes.SCT, name).value == CONCEPTS[region][1]


def test_it_refers_to_the_source_and_carries_no_more_of_the_patient_than_that(series, tmp_path, dicom):
    write_seg(mask(), series, tmp_path / "seg.dcm", algorithm=NETWORK, case="secret-case")
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID) == ("1.2.840.1", "1.2.840.2")
    assert seg.SeriesInstanceUID != "1.2.3"
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3"
    used = {f.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            for f in seg.PerFrameFunctionalGroupsSequence}  # fmt: skip
    assert used == {"1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"}
    assert str(seg.PatientID) == dicom.identity["PatientID"]
    text = (tmp_path / "seg.dcm").read_bytes()
    for kept_out in ("InstitutionName", "SeriesDescription"):
        assert dicom.identity[kept_out].encode() not in text
    assert b"secret-case" not in text


def test_the_same_input_has_the_same_identifiers(series, tmp_path):
    for name in ("a.dcm", "b.dcm"):
        write_seg(mask(), series, tmp_path / name, algorithm=NETWORK, case="a")
    changed = labels_array()
    changed[0, 0, 2] = 1
    write_seg(mask(changed), series, tmp_path / "c.dcm", algorithm=NETWORK, case="a")
    a, b, c = (pydicom.dcmread(tmp_path / f"{n}.dcm").SOPInstanceUID for n in "abc")
    assert a == b
    assert a != c


def test_a_region_without_voxels_is_left_out(series, tmp_path):
    array = np.where(labels_array() == 1, 0, labels_array())
    regions = write_seg(mask(array), series, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")
    assert regions == ("lv_cavity", "lv_myocardium")
    assert len(pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence) == 2


def cine(dicom, folder, *, reverse=False, drop=None):
    """Three frames at each position; frames follow by trigger time, files by name."""
    values = np.zeros(SHAPE, "u2")
    for t in range(3):
        part = write_series(dicom, folder / f"part{t}", TriggerTime=100.0 * (2 - t if reverse else t))
        for n, file in enumerate(sorted(part.glob("*.dcm"))):
            one = pydicom.dcmread(file)
            one.SOPInstanceUID = f"1.2.3.{t}.{n}"
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            one.InstanceNumber = t + 1
            if (t, n) != drop:
                one.save_as(folder / f"{t}-{n}.dcm")
            file.unlink()
        part.rmdir()
    assert values.shape == SHAPE
    return folder


@pytest.mark.parametrize(("frame", "reverse", "source"), [(0, False, 0), (2, False, 2), (0, True, 2)])
def test_a_frame_of_a_cine(dicom, tmp_path, frame, reverse, source):
    folder = cine(dicom, tmp_path / "cine", reverse=reverse)
    write_seg(mask(), folder, tmp_path / "seg.dcm", algorithm=NETWORK, case="a", frame=frame)
    seg, volume = read_volume(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(on_mask_grid(volume, mask()) > 0, labels_array() > 0)
    used = {str(i.ReferencedSOPInstanceUID) for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert {uid.split(".")[3] for uid in used} == {str(source)}


def test_a_cine_needs_a_frame_that_exists(dicom, tmp_path):
    folder = cine(dicom, tmp_path / "cine")
    with pytest.raises(UsageError, match="holds 3 images at each position; state the frame"):
        write_seg(mask(), folder, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")
    with pytest.raises(UsageError, match="Frame is 3, expected 0 to 2"):
        write_seg(mask(), folder, tmp_path / "seg.dcm", algorithm=NETWORK, case="a", frame=3)
    assert not (tmp_path / "seg.dcm").exists()


def test_an_incomplete_cine_is_refused(dicom, tmp_path):
    folder = cine(dicom, tmp_path / "cine", drop=(1, 2))
    with pytest.raises(ReadError, match="positions hold 2 to 3 images"):
        write_seg(mask(), folder, tmp_path / "seg.dcm", algorithm=NETWORK, case="a", frame=0)


def scaled(factor):
    return series_affine() @ np.diag([factor, 1, 1, 1])


def moved(voxels):
    out = np.eye(4)
    out[2, 3] = voxels
    return series_affine() @ out


@pytest.mark.parametrize(
    ("array", "affine", "message"),
    [
        (None, scaled(1.01), "corners are 0.15 voxels apart"),
        (None, scaled(2.0), "corners are 15 voxels apart"),
        (None, moved(0.5), "corners are 0.5 voxels apart"),
        (None, moved(1.0), "corners are 1 voxels apart"),
        (
            labels_array()[:-1],
            None,
            r"The mask \(15 x 12 x 5\) is not on the grid of the series \(16 x 12 x 5\): sizes",
        ),
        (None, np.diag([1.0, 1.0, 8.0, 1.0]), "is not on the grid"),
    ],
)
def test_another_grid_is_refused(series, tmp_path, array, affine, message):
    with pytest.raises(GeometryError, match=message):
        write_seg(mask(array, affine), series, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")
    assert not (tmp_path / "seg.dcm").exists()


def test_an_empty_mask_is_refused(series, tmp_path):
    with pytest.raises(MaskError, match="holds none of the regions"):
        write_seg(mask(np.zeros(SHAPE, int)), series, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")


def test_a_series_without_its_study_is_refused(dicom, tmp_path):
    folder = write_series(dicom, tmp_path / "series", FrameOfReferenceUID="", StudyInstanceUID="")
    with pytest.raises(ReadError, match="lack StudyInstanceUID, FrameOfReferenceUID, which"):
        write_seg(mask(), folder, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")


def test_enhanced_images_are_refused(dicom, tmp_path):
    pixels = np.zeros((2, 12, 16), "u2")
    image = dicom.enhanced(pixels, [(0, 0, 0), (0, 0, 8)], **STUDY)
    image.save_as(tmp_path / "enhanced.dcm")
    with pytest.raises(ReadError, match="holds 2 images in 1 files"):
        write_seg(mask(), tmp_path / "enhanced.dcm", tmp_path / "seg.dcm", algorithm=NETWORK, case="a")


def test_what_highdicom_cannot_use_is_refused_without_its_words(dicom, tmp_path):
    folder = write_series(dicom, tmp_path / "series")
    for n, file in enumerate(sorted(folder.glob("*.dcm"))):
        one = pydicom.dcmread(file)
        one.StudyInstanceUID = generate_uid(entropy_srcs=[str(n)])
        one.save_as(file)
    with pytest.raises(ReadError, match="the parser stopped with ValueError"):
        write_seg(mask(), folder, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")


def test_without_highdicom_the_extra_is_named(monkeypatch, series, tmp_path):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "highdicom":
            raise ImportError("No module named 'highdicom'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"needs highdicom.*radiocard\[dicom\]"):
        write_seg(mask(), series, tmp_path / "seg.dcm", algorithm=NETWORK, case="a")
