import gzip
import itertools
import os
import tracemalloc
import zlib

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiocard.errors import CaseError, GeometryError, MaskError, OutputError, ReadError, UsageError
from radiocard.image import LABELS_ACDC, Image, LabelMap
from radiocard.io import nifti_guard
from radiocard.io.nifti import read_image, read_label_map, write_image

ROLE = {"case": "C0042", "field": "cine_ed.image"}


def refused(path, code, match, *, kind=CaseError, **more):
    with pytest.raises(kind, match=match) as caught:
        read_image(path, **ROLE, **more)
    assert caught.value.code == code
    assert caught.value.issue.case == "C0042"
    assert caught.value.issue.field == "cine_ed.image"
    assert str(path.parent) not in str(caught.value)
    return caught.value


def outcome(path):
    try:
        return None, read_image(path, **ROLE)
    except CaseError as error:
        return error.code, None


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "f4", "f8"])
def test_every_number_type_order_and_version_reads_exactly(nifti, put, version, order, name, dtype):
    array = nifti.array.astype(dtype)
    image = read_image(put(nifti.build(array, version=version, order=order), name), **ROLE)
    np.testing.assert_array_equal(image.array, array)
    assert image.array.dtype == np.dtype(dtype)
    assert image.array.dtype.isnative
    assert image.spacing_mm == (1.5, 1.25, 8.0)
    assert image.oriented


def test_same_values_as_nibabel_with_scaling(nifti, put):
    path = put(nifti.build(slope=2.5, inter=-3.0))
    image = read_image(path, **ROLE)
    np.testing.assert_array_equal(image.array, nib.load(path).get_fdata())
    np.testing.assert_array_equal(image.affine, nib.load(path).affine)
    assert image.array[1, 0, 0] == 12 * 2.5 - 3


@pytest.mark.parametrize("slope", [0.0, float("nan"), 1.0])
def test_slope_of_zero_nan_or_one_scales_nothing(nifti, put, slope):
    image = read_image(put(nifti.build(slope=slope)), **ROLE)
    assert image.array.dtype == np.int16


def test_infinite_slope_is_refused(nifti, put):
    refused(put(nifti.build(slope=float("inf"))), "E_READ", "scales grey values by inf", kind=ReadError)


def test_nibabel_reads_our_hand_made_file_alike(nifti, put):
    for version, name in itertools.product([1, 2], ["a.nii", "a.nii.gz"]):
        path = put(nifti.build(version=version), name)
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), read_image(path, **ROLE).array)


# --- truncated, damaged, too big


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
@pytest.mark.parametrize("keep", [0, 3, 200, 347, 352, 353, 400, 471])
def test_truncated_content_is_refused(nifti, put, name, keep):
    data = nifti.build()
    assert len(data) == 472
    refused(put(data[:keep], name), "E_TRUNCATED", "ends|holds 0 bytes|holds 3 bytes|cannot hold", kind=ReadError)


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 30])
def test_truncated_gz_stream_is_refused(nifti, put, cut):
    path = put(nifti.build(), "x.nii.gz")
    path.write_bytes(path.read_bytes()[:-cut])
    refused(path, "E_TRUNCATED", "ends before its end-of-stream mark")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1), bit=st.integers(0, 7), cut=st.booleans())
def test_a_flipped_bit_or_a_cut_in_a_gz_never_changes_voxels(nifti, tmp_path, where, bit, cut):
    packed = bytearray(gzip.compress(nifti.build(np.random.default_rng(1).integers(0, 99, (9, 8, 7)).astype("i2"))))
    good = bytes(packed)
    at = min(int(where * len(packed)), len(packed) - 1)
    packed = packed[:at] if cut else packed
    if not cut:
        packed[at] ^= 1 << bit
    path = tmp_path / "x.nii.gz"
    path.write_bytes(bytes(packed))
    code, image = outcome(path)
    if image is None:
        assert code in {"E_GZIP", "E_TRUNCATED", "E_READ"}
    else:
        path.write_bytes(good)
        np.testing.assert_array_equal(image.array, read_image(path, **ROLE).array)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.integers(0, 351), st.integers(0, 255), max_size=4), version=st.sampled_from([1, 2]))
def test_any_header_gives_an_image_or_a_code(nifti, tmp_path, changes, version):
    data = bytearray(nifti.build(version=version))
    for at, value in changes.items():
        data[at] = value
    (tmp_path / "x.nii").write_bytes(data)
    code, image = outcome(tmp_path / "x.nii")
    assert (image is None) == (code is not None)
    if image is not None:
        assert np.isfinite(image.affine).all()
        assert abs(np.linalg.det(image.affine)) > 0


def test_a_flipped_bit_that_nibabel_misses_is_refused(nifti, put):
    packed = bytearray(gzip.compress(nifti.build()))
    packed[-5] ^= 1  # inside the checksum, which a reader that stops at the last voxel never sees
    path = put(b"", "x.nii")
    path.write_bytes(packed)
    refused(path, "E_GZIP", "damaged")


def test_trailing_garbage_after_gz_is_refused_and_zero_padding_is_not(nifti, put):
    path = put(nifti.build(), "x.nii.gz")
    packed = path.read_bytes()
    path.write_bytes(packed + b"\0" * 64)
    np.testing.assert_array_equal(read_image(path, **ROLE).array, nifti.array)
    path.write_bytes(packed + b"garbage")
    refused(path, "E_GZIP", "damaged")


@pytest.mark.parametrize("damage", ["none", "bit", "cut", "garbage"])
def test_gz_reads_in_the_same_way_without_isal(nifti, put, monkeypatch, damage):
    packed = bytearray(gzip.compress(nifti.build()))
    if damage == "bit":
        packed[-5] ^= 1
    packed = packed[:-9] if damage == "cut" else packed + b"garbage" * (damage == "garbage")
    path = put(b"", "x.nii")
    path.write_bytes(packed)
    found = []
    for used in (nifti_guard.inflater, zlib):
        monkeypatch.setattr(nifti_guard, "inflater", used)
        code, image = outcome(path)
        found.append((code, None if image is None else image.array.tolist()))
    assert found[0] == found[1]
    assert found[0][0] == {"none": None, "bit": "E_GZIP", "cut": "E_TRUNCATED", "garbage": "E_GZIP"}[damage]


def test_gz_of_several_members_reads(nifti, put):
    data = nifti.build()
    path = put(b"", "x.nii.gz")
    path.write_bytes(gzip.compress(data[:300]) + gzip.compress(data[300:]))
    np.testing.assert_array_equal(read_image(path, **ROLE).array, nifti.array)


@pytest.mark.parametrize(
    ("version", "shape"), [(1, (30000, 30000, 30000)), (2, (30000, 30000, 30000)), (2, (2**40,) * 3)]
)
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_declared_giant_is_refused_before_allocation(nifti, put, version, shape, name):
    path = put(nifti.build(dim=[3, *shape, 1, 1, 1, 1], version=version), name)
    tracemalloc.start()
    refused(path, "E_TOO_BIG", "the cap is 1073741824 bytes", kind=ReadError)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_declared_within_cap_but_impossible_for_the_file_allocates_nothing(nifti, put):
    for name in ("x.nii", "x.nii.gz"):
        path = put(nifti.build(dim=[3, 800, 800, 500, 1, 1, 1, 1]), name)
        tracemalloc.start()
        refused(path, "E_TRUNCATED", "cannot hold more than")
        assert tracemalloc.get_traced_memory()[1] < 20e6
        tracemalloc.stop()


def test_gz_bomb_behind_a_small_image_is_refused_in_little_memory(nifti, put):
    path = put(nifti.build() + b"\0" * 60_000_000, "x.nii.gz")
    tracemalloc.start()
    refused(path, "E_TOO_BIG", "unpacks to more than 30000000 bytes", max_bytes=30_000_000)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_plain_file_above_the_cap_is_refused(nifti, put):
    refused(put(nifti.build()), "E_TOO_BIG", "cap is 400 bytes", max_bytes=400)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_slice_more_than_declared_is_refused(nifti, put, name):
    path = put(nifti.build(dim=[3, 5, 4, 2, 1, 1, 1, 1]), name)
    refused(path, "E_READ", "holds 40 bytes more than the 432", kind=ReadError)


def test_some_padding_at_the_end_is_accepted(nifti, put):
    np.testing.assert_array_equal(read_image(put(nifti.build() + b"\0" * 3), **ROLE).array, nifti.array)


# --- not what it should be


def test_missing_folder_and_text_are_refused(tmp_path, put):
    refused(tmp_path / "no.nii", "E_MISSING", "does not exist", kind=ReadError)
    refused(tmp_path / ("n" * 400), "E_READ", "cannot be read|does not exist", kind=ReadError)
    folder = tmp_path / "folder.nii"
    folder.mkdir()
    refused(folder, "E_READ", "not a regular file", kind=ReadError)
    refused(put(b"PK\x03\x04" + b"\0" * 400), "E_READ", "not a NIfTI file", kind=ReadError)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"magic": b"ni1\0"}, "hdr/.img pair"),
        ({"magic": b"\0\0\0\0"}, "its magic is"),
        ({"dim": [0, 5, 4, 3, 1, 1, 1, 1]}, "declares 0 dimensions"),
        ({"dim": [3, 5, -4, 3, 1, 1, 1, 1]}, "axis of length -4"),
        ({"code": 1536}, "data type 1536"),
        ({"vox_offset": 100}, "voxels at byte 100"),
        ({"vox_offset": float("nan")}, "voxels at byte nan"),
    ],
)
def test_impossible_headers_are_refused(nifti, put, fields, match):
    refused(put(nifti.build(**fields)), "E_READ", match, kind=ReadError)


def test_offset_of_zero_means_after_the_header(nifti, put):
    np.testing.assert_array_equal(read_image(put(nifti.build(vox_offset=0)), **ROLE).array, nifti.array)


def test_extension_before_the_voxels_is_skipped(nifti, put):
    data = nifti.build(vox_offset=1024)
    path = put(data[:352] + b"x" * 672 + data[352:])
    np.testing.assert_array_equal(read_image(path, **ROLE).array, nifti.array)


def test_fifo_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")
    refused(tmp_path / "pipe.nii", "E_READ", "not a regular file")


@pytest.mark.parametrize(("code", "word"), [(128, "RGB"), (2304, "RGBA"), (32, "complex"), (1792, "complex")])
def test_colour_and_complex_are_refused(nifti, put, code, word):
    refused(put(nifti.build(code=code)), "E_NDIM", word, kind=GeometryError)


@pytest.mark.parametrize("dim", [[2, 5, 12, 1, 1, 1, 1, 1], [5, 5, 4, 1, 1, 3, 1, 1]])
def test_two_dimensions_and_vectors_are_refused(nifti, put, dim):
    refused(put(nifti.build(dim=dim)), "E_NDIM", "expected three dimensions", kind=GeometryError)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_frames_are_chosen_never_assumed(nifti, put, name):
    array = np.arange(5 * 4 * 3 * 6, dtype="i2").reshape(5, 4, 3, 6)
    path = put(nifti.build(array), name)
    refused(path, "E_NDIM", "6 frames, expected one", kind=GeometryError)
    for frame in range(6):
        np.testing.assert_array_equal(read_image(path, frame=frame, **ROLE).array, array[..., frame])
    refused(path, "E_NDIM", "Frame 6 was asked for; the file holds frames 0 to 5", frame=6)
    refused(path, "E_NDIM", "Frame -1", frame=-1)


def test_four_dimensions_with_one_frame_are_three(nifti, put):
    path = put(nifti.build(dim=[4, 5, 4, 3, 1, 1, 1, 1]))
    np.testing.assert_array_equal(read_image(path, **ROLE).array, nifti.array)
    refused(path, "E_NDIM", "Frame 4", frame=4)


def test_one_mask_answers_for_any_frame_and_a_stack_of_masks_for_its_own(nifti, put):
    masks = np.arange(3 * 3 * 3 * 2).reshape(3, 3, 3, 2).astype("u1") % 4
    one = read_label_map(put(nifti.build(masks[..., 0]), "a.nii"), LABELS_ACDC, frame=9, **ROLE)
    np.testing.assert_array_equal(one.array, masks[..., 0])
    two = read_label_map(put(nifti.build(masks), "b.nii.gz"), LABELS_ACDC, frame=1, **ROLE)
    np.testing.assert_array_equal(two.array, masks[..., 1])


# --- affine and orientation


def rotation(angle=0.4):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    ("affine", "match"),
    [
        (np.diag([1.5, np.nan, 8, 1]), "NaN"),
        (np.diag([1.5, np.inf, 8, 1]), "NaN or infinite"),
        (np.diag([1.5, 0, 8, 1]), "voxel size is 1.5 x 0 x 8 mm"),
        (np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.5, 0, 8, 0], [0, 0, 0, 1.0]]), "sheared"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 8, 0], [0, 0, 0, 1.0]]), "singular"),
    ],
)
def test_bad_affines_are_refused_though_nibabel_accepts_them(nifti, put, affine, match):
    path = put(nifti.build(affine=affine, pixdim=[1, 1, 1, 8, 1, 1, 1, 1]))
    nib.load(path).get_fdata()
    refused(path, "E_AFFINE", match, kind=GeometryError)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan")])
def test_bad_voxel_size_without_orientation_is_refused(nifti, put, size):
    refused(put(nifti.build(srow=False, pixdim=[1, 1.5, size, 8, 1, 1, 1, 1])), "E_AFFINE", "voxel size is")


def test_two_voxel_sizes_in_one_header_are_refused(nifti, put):
    refused(
        put(nifti.build(pixdim=[1, 1, 1, 1, 1, 1, 1, 1])), "E_AFFINE", r"1 x 1 x 1 mm \(pixdim\) and 1.5 x 1.25 x 8"
    )


def test_lengths_in_metre_are_refused(nifti, put):
    refused(put(nifti.build(units=1)), "E_AFFINE", "metre, expected mm")


def test_quaternion_that_is_no_rotation_is_refused(nifti, put):
    refused(put(nifti.build(srow=False, qform_code=1, quatern=[1, 1, 1])), "E_AFFINE", "not a rotation")
    refused(put(nifti.build(srow=False, qform_code=1, quatern=[float("nan"), 0, 0])), "E_AFFINE", "NaN|not a rotation")


@pytest.mark.parametrize(
    ("quatern", "offset"), [([0, 0, np.sin(0.2)], [0, 0, 0]), ([0, 0, 1], [0, 0, 0]), ([0, 0, 0], [5, 0, 0])]
)
def test_qform_and_sform_that_disagree_are_refused(nifti, put, quatern, offset):
    path = put(nifti.build(qform_code=1, quatern=quatern, qoffset=offset))
    refused(path, "E_ORIENTATION", r"sform and qform\) disagree by up to \d", kind=GeometryError)


def test_qform_and_sform_that_agree_pass(nifti, put):
    affine = rotation() @ np.diag([1.5, 1.25, 8, 1])
    path = put(nifti.build(affine=affine, qform_code=1, quatern=[0, 0, np.sin(0.2)]))
    np.testing.assert_allclose(read_image(path, **ROLE).affine, affine, atol=1e-6)


def test_qform_alone_is_used(nifti, put):
    path = put(nifti.build(srow=False, qform_code=1, quatern=[0, 0, np.sin(0.2)], qoffset=[7, 8, 9]))
    expected = rotation() @ np.diag([1.5, 1.25, 8, 1])
    expected[:3, 3] = 7, 8, 9
    image = read_image(path, **ROLE)
    np.testing.assert_allclose(image.affine, expected, atol=1e-6)
    assert image.oriented


def test_no_orientation_code_is_said(nifti, put):
    image = read_image(put(nifti.build(srow=False)), **ROLE)
    assert not image.oriented
    assert image.spacing_mm == (1.5, 1.25, 8.0)


@pytest.mark.parametrize("flips", list(itertools.product([1, -1], repeat=3)))
@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_48_storage_orders_keep_every_voxel_in_place(nifti, put, axes, flips):
    """Each grey value encodes its voxel in the first storage order, so its place in the world is known."""
    base = rotation() @ np.diag([1.5, 1.25, 8, 1])
    base[:3, 3] = 10, -20, 30
    turn = np.eye(4)
    stored = nifti.array.transpose(axes)
    turn[:3, :3] = np.eye(3)[:, axes]
    for axis, flip in enumerate(flips):
        if flip < 0:
            stored = np.flip(stored, axis)
            reverse = np.eye(4)
            reverse[axis, axis], reverse[axis, 3] = -1, stored.shape[axis] - 1
            turn = turn @ reverse
    image = read_image(put(nifti.build(np.ascontiguousarray(stored), affine=base @ turn)), **ROLE)
    mask = read_label_map(put(nifti.build(np.ascontiguousarray(stored), affine=base @ turn)), {"x": 1}, **ROLE)
    assert np.argmax(image.spacing_mm) == 2
    assert image.spacing_mm[2] == pytest.approx(8)
    for ijk in np.ndindex(image.array.shape):
        original = np.unravel_index(int(image.array[ijk]), nifti.shape)
        np.testing.assert_allclose(image.affine @ [*ijk, 1], base @ [*original, 1], atol=1e-5)
    np.testing.assert_array_equal(mask.array, image.array)
    np.testing.assert_array_equal(mask.affine, image.affine)


def test_without_a_thick_axis_the_storage_order_stays(nifti, put):
    image = read_image(put(nifti.build(affine=np.diag([2.0, 1.5, 1.5, 1]))), **ROLE)
    assert image.array.shape == nifti.shape


# --- masks


@pytest.mark.parametrize(("high", "dtype"), [(3, np.uint8), (255, np.uint8), (256, np.uint16)])
def test_labels_take_the_smallest_type(nifti, put, high, dtype):
    array = np.array([0, 1, high], "f4").reshape(1, 1, 3)
    mask = read_label_map(put(nifti.build(array)), {"x": 1}, **ROLE)
    assert mask.array.dtype == dtype
    assert mask.labels == {"x": 1}


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([0, 1, 1.5], r"1 mask voxels are not whole numbers \(for example 1.5\)"),
        ([0, 1, np.nan], "not whole numbers"),
        ([0, 1, -1], "values from -1 to 1"),
        ([0, 1, 1e6], "values from 0 to 1e\\+06"),
        ([0, 255, 255], "only 0 and 255"),
    ],
)
def test_masks_that_are_no_labels_are_refused(nifti, put, values, match):
    array = np.array(values, "f4").reshape(1, 1, 3)
    with pytest.raises(MaskError, match=match) as caught:
        read_label_map(put(nifti.build(array)), LABELS_ACDC, case="C1", field="cine_ed.mask")
    assert caught.value.code == "E_LABELS"


def test_255_is_a_label_where_it_is_stated(nifti, put):
    array = np.array([0, 255, 255], "u1").reshape(1, 1, 3)
    assert read_label_map(put(nifti.build(array)), {"lv_cavity": 255}, **ROLE).mask("lv_cavity").sum() == 2


# --- writing


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_written_images_read_back(tmp_path, name, dtype):
    affine = rotation() @ np.diag([1.5, 1.25, 8, 1])
    affine[:3, 3] = 1, 2, 3
    array = np.arange(60).reshape(5, 4, 3).astype(dtype)
    write_image(tmp_path / name, Image(array, affine))
    back = read_image(tmp_path / name, **ROLE)
    np.testing.assert_array_equal(back.array, array)
    assert back.array.dtype == array.dtype
    np.testing.assert_allclose(back.affine, affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / name).dataobj), array)


def test_written_bytes_depend_on_the_image_alone(tmp_path):
    image = LabelMap(np.ones((4, 4, 4), bool), np.eye(4), True, {"x": 1})
    write_image(tmp_path / "a.nii.gz", image)
    write_image(tmp_path / "another_name.nii.gz", image)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "another_name.nii.gz").read_bytes()
    flags_and_time = (tmp_path / "a.nii.gz").read_bytes()[3:8]
    assert flags_and_time == b"\0" * 5  # neither name nor clock
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii.gz", "another_name.nii.gz"]


def test_an_image_without_orientation_stays_without(tmp_path):
    write_image(tmp_path / "a.nii", Image(np.zeros((4, 4, 4), "i2"), np.diag([1.0, 2, 3, 1]), oriented=False))
    back = read_image(tmp_path / "a.nii", **ROLE)
    assert not back.oriented
    assert back.spacing_mm == (1, 2, 3)


def test_writing_elsewhere_or_the_impossible_is_refused(tmp_path):
    image = Image(np.zeros((4, 4, 4), "i2"), np.eye(4))
    with pytest.raises(UsageError, match="does not end in .nii"):
        write_image(tmp_path / "a.mha", image)
    with pytest.raises(UsageError, match="cannot be written as NIfTI-1"):
        write_image(tmp_path / "a.nii", Image(np.zeros((40000, 1, 1), "i2"), np.eye(4)))
    with pytest.raises(UsageError, match="cannot be written as NIfTI-1"):
        write_image(tmp_path / "a.nii", Image(np.zeros((4, 4, 4), "f2"), np.eye(4)))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.nii", image)
