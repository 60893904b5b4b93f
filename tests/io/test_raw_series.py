import json

import numpy as np
import pytest

from radiocard.errors import CaseError, ReadError, UsageError
from radiocard.io.raw_series import read_series

TIMES = [350.0, 120.0, 200.0]
VOLUMES = np.random.default_rng(0).integers(0, 1000, (5, 4, 2, 3), dtype=np.uint16)  # i, j, k, time
BY_TIME = [1, 2, 0]


def refused(path, code, match, *, error=CaseError, kind="inversion", **more):
    with pytest.raises(error, match=match) as caught:
        read_series(path, kind=kind, case="C0042", **more)
    assert caught.value.code == code
    assert caught.value.issue.case == "C0042"
    assert str(path) not in str(caught.value)
    return caught.value


@pytest.fixture
def molli(tmp_path, dicom):
    """Write one file per slice and time; ``change(k, n)`` gives attributes of single images."""

    def write(change=lambda k, n: {}, tag="InversionTime"):
        for k in range(2):
            for n, ms in enumerate(TIMES):
                tags = {tag: ms, "ImagePositionPatient": [0.0, 0.0, 8.0 * k], "InstanceNumber": 3 * k + n + 1}
                pixels = np.ascontiguousarray(VOLUMES[:, :, k, n].T)
                tags |= change(k, n)
                if not tags.pop("skip", False):
                    dicom.dataset(pixels, **tags).save_as(tmp_path / f"{9 - n}{k}.dcm")  # names run against time
        return tmp_path

    return write


@pytest.mark.parametrize(("kind", "tag"), [("inversion", "InversionTime"), ("echo", "EchoTime")])
def test_images_are_grouped_by_slice_and_sorted_by_time(molli, kind, tag):
    series = read_series(molli(tag=tag), kind=kind)
    np.testing.assert_array_equal(series.images, VOLUMES[..., BY_TIME])
    np.testing.assert_array_equal(series.times_ms, [120, 200, 350])
    np.testing.assert_array_equal(series.affine, np.diag([-1.25, -1.5, 8.0, 1.0]))
    assert (series.kind, series.times_source, series.oriented) == (kind, "from DICOM", True)
    assert (series.field_strength_t, series.vendor) == (3.0, "Siemens")


def test_one_slice_is_read_alone_at_its_place(molli):
    series = read_series(molli(), kind="inversion", k=1)
    np.testing.assert_array_equal(series.images, VOLUMES[:, :, 1:, BY_TIME])
    np.testing.assert_array_equal(series.affine[:3, 3], [0, 0, 8])


def test_slices_with_their_own_times_are_read_one_by_one(molli):
    folder = molli(lambda k, n: {"InversionTime": TIMES[n] + 40 * k})
    error = refused(folder, "E_SERIES", "times of the slices differ by up to 40 ms", error=ReadError)
    assert "give k" in error.issue.hint
    np.testing.assert_array_equal(read_series(folder, kind="inversion", k=1).times_ms, [160, 240, 390])


def test_repeated_times_are_refused_with_a_hint(molli):
    folder = molli(lambda k, n: {"InversionTime": 300.0})
    error = refused(folder, "E_SERIES", "are 300, 300, 300 ms, expected two or more")
    assert "Give times_ms" in error.issue.hint


@pytest.mark.parametrize("stated", [None, -1.0])
def test_missing_times_are_refused_with_a_hint(molli, stated):
    folder = molli(lambda k, n: {"InversionTime": stated} if n else {})
    error = refused(folder, "E_SERIES", "2 of 3 images of a slice state no")
    assert "Give times_ms" in error.issue.hint


@pytest.mark.parametrize("kind", ["saturation", "t2prep"])
def test_times_that_dicom_cannot_state_must_be_given(molli, kind):
    error = refused(molli(), "E_SERIES", f"does not state the times of kind '{kind}'", kind=kind)
    assert "Give times_ms" in error.issue.hint
    series = read_series(molli(), kind=kind, times_ms=[np.inf, 0, 55])
    np.testing.assert_array_equal(series.images, VOLUMES[..., [1, 2, 0]])
    np.testing.assert_array_equal(series.times_ms, [0, 55, np.inf])
    assert series.times_source == "declared"


def test_given_times_need_one_image_each_and_a_known_order(molli):
    refused(molli(), "E_SERIES", "Each slice has 3 images, but 2 times were given", times_ms=[1, 2])
    folder = molli(lambda k, n: {"InstanceNumber": 1})
    refused(folder, "E_SERIES", "have the same instance number", times_ms=[1, 2, 3])


def test_a_missing_image_is_refused(molli):
    refused(molli(lambda k, n: {"skip": (k, n) == (1, 2)}), "E_SERIES", "slices have 2 to 3 images")


def test_phase_images_beside_magnitudes_are_left_out(molli, dicom, tmp_path):
    molli()
    for n, ms in enumerate(TIMES):
        for k in range(2):
            place = {"ImagePositionPatient": [0.0, 0.0, 8.0 * k], "InversionTime": ms}
            image = dicom.dataset(np.zeros((4, 5), np.uint16), ImageType=["ORIGINAL", "PRIMARY", "P"], **place)
            image.save_as(tmp_path / f"phase{n}{k}.dcm")
    np.testing.assert_array_equal(read_series(tmp_path, kind="inversion").images, VOLUMES[..., BY_TIME])


@pytest.mark.parametrize(("letter", "word"), [("P", "phase"), ("R", "real"), ("I", "imaginary")])
def test_a_series_without_magnitudes_is_refused(molli, letter, word):
    folder = molli(lambda k, n: {"ImageType": ["ORIGINAL", "PRIMARY", letter]})
    refused(folder, "E_SERIES", f"holds {word} images only")


@pytest.mark.parametrize("kind", ["inversion", "echo"])
def test_enhanced_images_state_times_per_frame(tmp_path, dicom, kind):
    unused = 1.7976931348623157e308  # as some scanners fill the list
    groups = [
        {"MRModifierSequence": dicom.item(InversionTimes=[ms, unused])}
        if kind == "inversion"
        else {"MREchoSequence": dicom.item(EffectiveEchoTime=ms)}
        for ms in TIMES
    ]
    pixels = np.ascontiguousarray(VOLUMES[:, :, 0].transpose(2, 1, 0))
    dicom.enhanced(pixels, [(0, 0, 0)] * 3, frames=groups).save_as(tmp_path / "e.dcm")
    series = read_series(tmp_path / "e.dcm", kind=kind)
    np.testing.assert_array_equal(series.images, VOLUMES[:, :, :1, BY_TIME])
    np.testing.assert_array_equal(series.times_ms, [120, 200, 350])


def test_a_nifti_series_is_sorted_by_the_given_times(nifti, put):
    series = read_series(put(nifti.build(VOLUMES), "s.nii.gz"), kind="inversion", times_ms=TIMES)
    np.testing.assert_array_equal(series.images, VOLUMES[..., BY_TIME])
    np.testing.assert_array_equal(series.times_ms, [120, 200, 350])
    assert series.times_source == "declared"
    alone = read_series(put(nifti.build(VOLUMES)), kind="inversion", times_ms=TIMES, k=1)
    np.testing.assert_array_equal(alone.images, VOLUMES[:, :, 1:, BY_TIME])
    np.testing.assert_array_equal(alone.affine[:3, 3], [0, 0, 8])


@pytest.mark.parametrize(("kind", "key"), [("inversion", "InversionTime"), ("echo", "EchoTime")])
def test_a_sidecar_states_seconds(nifti, put, kind, key):
    path = put(nifti.build(VOLUMES))
    sidecar = put(json.dumps({key: [0.35, 0.12, 0.2], "PatientName": "Mustermann"}).encode(), "s.json")
    series = read_series(path, kind=kind, sidecar=sidecar)
    np.testing.assert_allclose(series.times_ms, [120, 200, 350], rtol=1e-12)
    assert series.times_source == "from sidecar"


@pytest.mark.parametrize(
    ("text", "code", "match"),
    [
        ('{"InversionTime": [350, 120, 200]}', "E_SERIES", "up to 350 s, expected at most 60 s"),
        ('{"InversionTime": 0.35}', "E_SERIES", "no list of numbers 'InversionTime'"),
        ('{"InversionTime": ["0.1", true]}', "E_SERIES", "no list of numbers 'InversionTime'"),
        ('{"InversionTime": [0.1, NaN]}', "E_SERIES", "no list of numbers 'InversionTime'"),
        ('{"EchoTime": [0.1, 0.2]}', "E_SERIES", "no list of numbers 'InversionTime'"),
        ('{"InversionTime": [0.1, 0.2]}', "E_SERIES", "holds 3 images of its slices, but 2 times"),
        ("[" * 100000, "E_READ", "not JSON"),
        ("\xff", "E_READ", "not JSON"),
        (" " * 2**21, "E_TOO_BIG", "more than 1048576 bytes"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_refused(nifti, put, text, code, match):
    sidecar = put(text.encode("latin-1"), "s.json")
    refused(put(nifti.build(VOLUMES)), code, match, sidecar=sidecar)


def test_a_missing_sidecar_is_refused(nifti, put, tmp_path):
    refused(put(nifti.build(VOLUMES)), "E_MISSING", "sidecar does not exist", sidecar=tmp_path / "x.json")


def test_a_nifti_series_without_times_is_refused_with_a_hint(nifti, put):
    error = refused(put(nifti.build(VOLUMES)), "E_SERIES", "does not state the times")
    assert "Give times_ms" in error.issue.hint


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"kind": "diffusion"}, "Kind 'diffusion' is not one of"),
        ({"times_ms": [1, 2], "sidecar": "s.json"}, "both given"),
        ({"times_ms": [1.0]}, "expected .n,. with 2 to 256"),
        ({"times_ms": [[1, 2]]}, "have shape .1, 2."),
        ({"times_ms": [1, -2, 3]}, "are 1, -2, 3 ms, expected finite numbers from 0"),
        ({"times_ms": [1, np.inf, 3]}, "expected finite numbers from 0"),
        ({"times_ms": TIMES, "k": 2}, "holds slices 0 to 1"),
        ({"kind": "t2prep", "sidecar": "s.json"}, "BIDS has no list of times"),
    ],
)
def test_wrong_calls_are_refused(nifti, put, more, match):
    refused(put(nifti.build(VOLUMES)), "E_USAGE", match, error=UsageError, **more)


def test_a_sidecar_beside_dicom_and_a_slice_that_is_not_there_are_refused(molli):
    refused(molli(), "E_USAGE", "A sidecar is for NIfTI", sidecar="s.json", error=UsageError)
    refused(molli(), "E_USAGE", "holds slices 0 to 1", k=2, error=UsageError)
