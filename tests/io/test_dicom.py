import io
import os
import struct
import time
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from radiocard.errors import CaseError, GeometryError, RadiocardError, ReadError
from radiocard.io.convert import LPS_TO_RAS
from radiocard.io.dicom import read_frames, stack_slices
from radiocard.io.nifti_header import Where

WHERE = Where("C0042", "t1_native.image")
PIXELS = np.arange(20 * 12, dtype=np.uint16).reshape(20, 12)
BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture(autouse=True)
def _quiet(recwarn, capfd, caplog):
    """No reading may warn, print or log: such words quote what a file holds."""
    yield
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")
    assert not caplog.get_records("call")


def read(path, **more):
    return stack_slices(read_frames(Path(path), WHERE, **more), WHERE)


def refused(path, code, match, *, kind=CaseError, **more):
    with pytest.raises(kind, match=match) as caught:
        read(path, **more)
    assert caught.value.code == code
    assert caught.value.issue.case == "C0042"
    assert str(Path(path).parent) not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.fixture
def one(tmp_path, dicom):
    """Write one image with changed attributes, return its path."""

    def write(pixels=PIXELS, **tags):
        path = tmp_path / "one.dcm"
        dicom.dataset(pixels, **tags).save_as(path)
        return path

    return write


def turned(seed=3):
    """Return a rotation, its columns the directions of i, j and k."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * [1, 1, np.sign(np.linalg.det(q))]


# ------------------------------------------------------------------------------------------------ values and geometry


@pytest.mark.parametrize("seed", range(4))
def test_geometry_and_values_are_those_of_simpleitk(tmp_path, dicom, seed):
    rng = np.random.default_rng(seed)
    volume = rng.integers(0, 4000, (7, 6, 3), dtype=np.uint16)
    folder = dicom.series(
        tmp_path / "s",
        volume,
        origin=rng.normal(scale=80, size=3),
        directions=turned(seed),
        order=rng.permutation(3),
        RescaleSlope=0.5,
        RescaleIntercept=-10.0,
    )
    array, affine = read(folder)
    np.testing.assert_array_equal(array, volume * 0.5 - 10)

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()
    np.testing.assert_array_equal(array, sitk.GetArrayFromImage(theirs).T)
    expected = np.eye(4)
    expected[:3, :3] = np.reshape(theirs.GetDirection(), (3, 3)) * theirs.GetSpacing()
    expected[:3, 3] = theirs.GetOrigin()
    np.testing.assert_allclose(affine, LPS_TO_RAS @ expected, atol=1e-6)


def test_rows_run_along_j_and_columns_along_i_with_their_own_spacing(one):
    array, affine = read(one())
    assert array.shape == (12, 20, 1)
    assert array[3, 0, 0] == 3
    assert array[0, 1, 0] == 12
    np.testing.assert_array_equal(affine, np.diag([-1.25, -1.5, 8.0, 1.0]))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_every_integer_type_is_read(one, dtype):
    pixels = np.array([[1, 2, 3], [4, 5, np.iinfo(dtype).min]], dtype)
    np.testing.assert_array_equal(read(one(pixels))[0][:, :, 0].T, pixels)


def test_enhanced_frames_are_sorted_by_place_and_rescaled_each_by_its_own(tmp_path, dicom):
    pixels = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    scale = [{"PixelValueTransformationSequence": dicom.item(RescaleSlope=s, RescaleIntercept=0.0)} for s in (1, 2, 4)]
    positions = [(0, 0, 20), (0, 0, 0), (0, 0, 10)]
    dicom.enhanced(pixels, positions, frames=scale).save_as(tmp_path / "e.dcm")
    array, affine = read(tmp_path / "e.dcm")
    np.testing.assert_array_equal(array, np.stack([(PIXELS + 1) * 2, (PIXELS + 2) * 4, PIXELS], axis=-1).swapaxes(0, 1))
    np.testing.assert_array_equal(affine, np.diag([-1.25, -1.5, 10.0, 1.0]))


def test_run_length_encoding_gives_the_same_voxels(one, tmp_path):
    plain = read(one())[0]
    packed = pydicom.dcmread(one())
    packed.compress(RLELossless, generate_instance_uid=False)
    packed.save_as(tmp_path / "rle.dcm")
    np.testing.assert_array_equal(read(tmp_path / "rle.dcm")[0], plain)


def test_hidden_files_and_a_dicomdir_are_passed_over(tmp_path, dicom):
    folder = dicom.series(tmp_path / "s", np.zeros((4, 5, 2), np.uint16))
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "DICOMDIR").write_bytes(b"x")
    assert read(folder)[0].shape == (4, 5, 2)


# ---------------------------------------------------------------------------------------- series that are not complete


def test_a_missing_slice_is_refused(tmp_path, dicom):
    folder = dicom.series(tmp_path / "s", np.zeros((4, 5, 5), np.uint16))
    (folder / "002.dcm").unlink()
    refused(folder, "E_SERIES", r"between 4 slices run from 8\.00 to 16\.00 mm, expected equal", kind=ReadError)


def test_two_images_at_one_place_are_refused(tmp_path, dicom):
    folder = dicom.series(tmp_path / "s", np.zeros((4, 5, 3), np.uint16))
    (folder / "copy.dcm").write_bytes((folder / "001.dcm").read_bytes())
    refused(folder, "E_SERIES", "1 of 3 slice positions hold more than one image")


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ({"SeriesInstanceUID": "1.2.9"}, "images of 2 series"),
        ({"PixelSpacing": [1.5, 1.5]}, "differ in pixel spacing"),
        ({"ImageOrientationPatient": [0.0, 1, 0, 0, 0, 1]}, "turned against each other: directions differ by 1.0000"),
        ({"Rows": 6, "Columns": 4, "PixelData": bytes(48)}, "have 4 x 5 and 4 x 6 pixels, expected one size"),
        ({"MagneticFieldStrength": 1.5}, "differ in unit, vendor or field strength"),
        ({"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "ms"}, "differ in unit, vendor or field"),
        ({"Manufacturer": "GE MEDICAL SYSTEMS"}, "differ in unit, vendor or field"),
    ],
)
def test_a_mixed_folder_is_refused(tmp_path, dicom, tags, match):
    folder = dicom.series(tmp_path / "s", np.zeros((4, 5, 2), np.uint16))
    tags = {"ImagePositionPatient": [0.0, 0, 16], **tags}
    dicom.dataset(np.zeros((5, 4), np.uint16), **tags).save_as(folder / "009.dcm")
    refused(folder, "E_SERIES", match, kind=ReadError)


def test_slices_shifted_in_their_plane_are_refused(tmp_path, dicom):
    directions = np.eye(3) + 0.1 * np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    folder = dicom.series(tmp_path / "s", np.zeros((4, 5, 3), np.uint16), directions=directions)
    error = refused(folder, "E_AFFINE", r"by up to 2\.26 mm in their plane", kind=GeometryError)
    assert "Resample" in error.issue.hint


def test_an_empty_folder_and_one_with_subfolders_are_refused(tmp_path, dicom):
    (tmp_path / "a").mkdir()
    refused(tmp_path / "a", "E_MISSING", "holds no files")
    dicom.series(tmp_path / "b" / "c", np.zeros((4, 5, 2), np.uint16))
    refused(tmp_path / "b", "E_SERIES", "holds subfolders")


def test_a_folder_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("radiocard.io.dicom.MAX_FILES", 2)
    for n in range(3):
        (tmp_path / str(n)).touch()
    refused(tmp_path, "E_TOO_BIG", "holds 3 files; the cap is 2")


def test_the_cap_counts_all_files_of_a_folder(tmp_path, dicom):
    folder = dicom.series(tmp_path / "s", np.zeros((16, 16, 4), np.uint16))
    assert read(folder, max_bytes=4 * 16 * 16 * 8 + 2048)[0].shape == (16, 16, 4)
    refused(folder, "E_TOO_BIG", "the cap is", max_bytes=3 * 16 * 16 * 8)


def test_a_strange_file_in_a_folder_is_refused_by_its_number_not_its_name(tmp_path, dicom):
    folder = dicom.series(tmp_path / "s", np.zeros((4, 5, 2), np.uint16))
    (folder / "Mustermann.txt").write_bytes(b"notes")
    error = refused(folder, "E_DICOM", "not a DICOM file")
    assert error.issue.field == "t1_native.image, file 3 of 3 by name"


# ---------------------------------------------------------------------------------------- what one file may not declare


@pytest.mark.parametrize(
    ("tags", "code", "match"),
    [
        ({"drop": ["PixelData"]}, "E_DICOM", "holds no image"),
        ({"drop": ["Rows"]}, "E_DICOM", "holds no image"),
        ({"Rows": 0}, "E_DICOM", "declares 1 x 0 x 12 pixels"),
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 2**30}, "E_TOO_BIG", "1073741824 x 65535 x 65535 pixels"),
        ({"Rows": 21}, "E_TRUNCATED", "declares 504 bytes of pixels and holds 480"),
        ({"Rows": 19}, "E_DICOM", "holds 480 bytes of pixels, but declares 456"),
        ({"BitsAllocated": 12}, "E_DICOM", "12 bits per pixel, expected 8 or 16 or 32"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "E_NDIM", "in colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "E_NDIM", "in colour"),
        ({"BitsStored": 7, "HighBit": 6}, "E_DICOM", "from 0 to 239; 7 bits hold 0 to 127"),
        ({"BitsStored": 12}, "E_DICOM", "declares 12 of 16 bits with another highest bit"),
        ({"RescaleSlope": 0.0, "RescaleIntercept": 0.0}, "E_DICOM", "scales grey values by 0 plus 0"),
        ({"NumberOfFrames": 2, "Rows": 10}, "E_DICOM", "holds 2 frames and describes 0 of them"),
        ({"drop": ["ImagePositionPatient"]}, "E_AFFINE", "does not state its position"),
        ({"drop": ["ImageOrientationPatient"]}, "E_AFFINE", "does not state its position"),
        ({"drop": ["PixelSpacing"]}, "E_AFFINE", "does not state its position"),
        ({"PixelSpacing": [0.0, 1.0]}, "E_AFFINE", "pixel spacing is 0 x 1 mm"),
        ({"ImageOrientationPatient": [1.0, 0, 0, 1, 0, 0]}, "E_AFFINE", "not two perpendicular unit vectors"),
        ({"drop": ["SliceThickness"]}, "E_AFFINE", "states no thickness"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(one, tags, code, match):
    refused(one(**tags), code, match)


def test_grey_values_mapped_through_a_table_are_refused(one, dicom):
    table = dicom.item(LUTDescriptor=[2, 0, 16], ModalityLUTType="US", LUTData=b"\0\0\1\0")
    refused(one(ModalityLUTSequence=[table]), "E_DICOM", "through a table")


@pytest.mark.parametrize(
    ("syntax", "match"),
    [
        (JPEG2000Lossless, r"'JPEG 2000 Image Compression \(Lossless Only\)', which is not read"),
        (DeflatedExplicitVRLittleEndian, "'Deflated Explicit VR Little Endian', which is not read"),
        ("1.2.840.99999.7", "'1.2.840.99999.7', which is not read"),
    ],
)
def test_other_encodings_are_refused_by_name(one, syntax, match):
    path = one()
    before, element, after = path.read_bytes().partition(SYNTAX)
    path.write_bytes(before + encoded_as(element, syntax) + after)
    assert "uncompressed" in refused(path, "E_DICOM", match).issue.hint


SYNTAX = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"


def encoded_as(element, syntax):
    """Put another transfer syntax into the element that states it."""
    value = str(syntax).encode() + b"\0" * (len(syntax) % 2)
    return element[:6] + struct.pack("<H", len(value)) + value


def test_a_deflated_bomb_is_not_unpacked(one, tmp_path):
    before, element, _ = one().read_bytes().partition(SYNTAX)
    squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = squeeze.compress(bytes(50_000_000)) + squeeze.flush()
    path = tmp_path / "bomb.dcm"
    path.write_bytes(before + encoded_as(element, DeflatedExplicitVRLittleEndian) + bomb)
    tracemalloc.start()
    try:
        refused(path, "E_DICOM", "Deflated")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_huge_declaration_takes_no_memory(one):
    path = one(Rows=8000, Columns=8000)
    tracemalloc.start()
    try:
        refused(path, "E_TRUNCATED", "declares 128000000 bytes")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_run_length_stream_longer_than_its_image_is_refused(one, tmp_path):
    packed = pydicom.dcmread(one())
    packed.compress(RLELossless, generate_instance_uid=False)
    packed.PixelData = pydicom.encaps.encapsulate([bytes(100_000)])
    packed.save_as(tmp_path / "rle.dcm")
    refused(tmp_path / "rle.dcm", "E_DICOM", "but declares 480")


def test_deeply_nested_sequences_are_refused(tmp_path, one):
    data = one().read_bytes()
    endless = 0xFFFFFFFF
    nested = struct.pack("<HH2sHIHHI", 0x0040, 0x9096, b"SQ", 0, endless, 0xFFFE, 0xE000, endless)
    at = data.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    path = tmp_path / "deep.dcm"
    path.write_bytes(data[:at] + nested * 20000 + data[at:])
    refused(path, "E_DICOM", "parser stopped with RecursionError")


def test_a_missing_file_and_a_pipe_are_refused(tmp_path):
    refused(tmp_path / "x.dcm", "E_MISSING", "does not exist")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "E_READ", "not a regular file")


def test_a_file_above_the_cap_is_refused_unread(one):
    refused(one(), "E_TOO_BIG", "the cap is 100", max_bytes=100)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything: not run")
def test_a_file_that_may_not_be_read_is_refused(one):
    path = one()
    path.chmod(0)
    refused(path, "E_READ", "Permission denied")


# -------------------------------------------------------------------------------------------------- hostile and damaged


def outcome(path):
    start, code, words = time.perf_counter(), "read", ""
    try:
        array, affine = read(path)
    except RadiocardError as error:
        code, words = error.code, repr(error) + str(error)
    assert time.perf_counter() - start < 2
    assert "Mustermann" not in words
    assert code != "read" or (np.isfinite(affine).all() and array.ndim == 3)
    return code


def test_every_file_that_pydicom_is_tested_with_is_read_or_refused():
    files = sorted(p for p in BUNDLED.rglob("*") if p.is_file() and p.suffix != ".py")
    assert len(files) > 100
    outcomes = {p.name: outcome(p) for p in files}
    for name in ("MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "CT_small.dcm"):
        assert outcomes[name] == "read", name
    assert outcomes["MR_truncated.dcm"] == "E_TRUNCATED"
    assert outcomes["SC_rgb_rle.dcm"] == "E_NDIM"
    assert outcomes["waveform_ecg.dcm"] == outcomes["badVR.dcm"] == outcomes["no_meta.dcm"] == "E_DICOM"


@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "CT_small.dcm"])
def test_bundled_images_are_those_of_simpleitk(name):
    array, _ = read(BUNDLED / name)
    np.testing.assert_array_equal(array, sitk.GetArrayFromImage(sitk.ReadImage(str(BUNDLED / name))).T)


def mutated(data, rng):
    """Change 1 to 8 bytes of the header or of anywhere, cut, or repeat a piece."""
    out, kind = bytearray(data), rng.integers(6)
    if kind == 0:
        return bytes(out[: rng.integers(len(out))])
    if kind == 1:
        a, b = sorted(rng.integers(132, len(out), 2))
        return bytes(out[:b] + out[a:])
    end = len(out) if kind == 2 else min(len(out), 1200)
    for at in rng.integers(128, end, rng.integers(1, 9)):
        out[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
    return bytes(out)


@pytest.mark.parametrize("form", ["plain", "enhanced", "rle"])
def test_mutated_files_are_read_or_refused(tmp_path, dicom, form):
    pixels = np.stack([PIXELS, PIXELS + 1])
    made = dicom.enhanced(pixels, [(0, 0, 0), (0, 0, 8)]) if form == "enhanced" else dicom.dataset(PIXELS)
    if form == "rle":
        made.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    made.save_as(buffer)
    rng, outcomes = np.random.default_rng(7), Counter()
    for _ in range(300):
        path = tmp_path / "m.dcm"
        path.write_bytes(mutated(buffer.getvalue(), rng))
        outcomes[outcome(path)] += 1
    assert outcomes["read"] > 10
    assert sum(outcomes.values()) - outcomes["read"] > 100


def test_nothing_that_names_a_person_is_kept(one, dicom):
    (frame,) = read_frames(one(), WHERE)
    for value in dicom.identity.values():
        assert value not in repr(frame)


# -------------------------------------------------------------------------------------------------------- real scanners


@pytest.mark.skipif("RADIOCARD_DICOM" not in os.environ, reason="RADIOCARD_DICOM names no folder: not run")
def test_real_localizers_are_read_alone_and_refused_together():
    folders = sorted({p.parent for p in Path(os.environ["RADIOCARD_DICOM"]).rglob("*.dcm")})
    assert folders
    for folder in folders:
        refused(folder, "E_SERIES", "turned against each other")
        for path in sorted(folder.iterdir()):
            array, affine = read(path)
            theirs = sitk.ReadImage(str(path))
            np.testing.assert_array_equal(array, sitk.GetArrayFromImage(theirs).T)
            expected = np.reshape(theirs.GetDirection(), (3, 3)) * theirs.GetSpacing()
            np.testing.assert_allclose(affine[:3, :2], (LPS_TO_RAS[:3, :3] @ expected)[:, :2], atol=1e-5)
            np.testing.assert_allclose(affine[:3, 3], LPS_TO_RAS[:3, :3] @ theirs.GetOrigin(), atol=1e-4)
