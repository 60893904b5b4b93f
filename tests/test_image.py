import pickle
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from radiocard.errors import GeometryError, MaskError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, Case, Image, LabelMap, stored_like


def test_spacing_and_voxel_volume_of_a_rotated_grid():
    angle = np.deg2rad(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.25, 1.5, 8])
    image = Image(np.zeros((2, 3, 4)), affine)
    assert image.spacing_mm == pytest.approx((1.25, 1.5, 8))
    assert image.voxel_volume_ml == pytest.approx(1.25 * 1.5 * 8 / 1000)


def test_digest_depends_on_voxels_and_shape_alone():
    a = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    first = Image(a, np.eye(4)).digest()
    assert first == Image(a.astype(np.int32), np.diag([2, 2, 2, 1.0])).digest()
    assert first != Image(a.reshape(3, 2, 4), np.eye(4)).digest()
    assert first != Image(a + 1, np.eye(4)).digest()


@pytest.mark.parametrize(("shape", "code"), [((2, 2), "E_NDIM"), ((2, 2, 2, 2), "E_NDIM")])
def test_only_three_dimensions(shape, code):
    with pytest.raises(GeometryError, match="expected 3") as caught:
        Image(np.zeros(shape), np.eye(4))
    assert caught.value.code == code


def test_affine_shape():
    with pytest.raises(GeometryError, match=r"expected \(4, 4\)"):
        Image(np.zeros((1, 1, 1)), np.eye(3))


def test_an_absent_label_lists_the_labels_found():
    labels = LabelMap(np.array([[[0, 1, 2]]]), np.eye(4), labels=LABELS_ACDC)
    assert labels.mask("rv_cavity").sum() == 1
    with pytest.raises(MaskError, match=r"Label 3 \(lv_cavity\) is not present; labels found: 0, 1, 2"):
        labels.mask("lv_cavity")
    with pytest.raises(MaskError, match="'lv_scar' is not in this label map"):
        labels.mask("lv_scar")


@pytest.mark.parametrize("labels", [LABELS_ACDC, LABELS_MNMS])
def test_a_case_can_be_sent_to_another_process(labels):
    mask = LabelMap(np.array([[[0, 1, 2]]]), np.eye(4), labels=labels)
    case = Case("a", {("cine", "ed"): Image(np.zeros((1, 1, 3)), np.eye(4))}, {("cine", "ed"): mask})
    copy = pickle.loads(pickle.dumps(case)).masks["cine", "ed"]
    assert copy.labels == dict(labels)
    assert np.array_equal(copy.array, mask.array)


def test_a_label_map_has_three_dimensions_as_well():
    with pytest.raises(GeometryError, match="expected 3"):
        LabelMap(np.zeros((2, 2)), np.eye(4), labels=LABELS_ACDC)


OBLIQUE = np.array([[1.1, -0.4, 2.0, 5.0], [0.5, 1.3, -1.0, -7.0], [-0.2, 0.3, 7.5, 11.0], [0, 0, 0, 1.0]])


def stored(array, affine, axes, signs):
    """The same grid in another storage order, by nibabel."""
    orientation = np.column_stack([np.argsort(axes), np.array(signs)[np.argsort(axes)]])
    other = nib.Nifti1Image(array, affine).as_reoriented(orientation)
    return np.asarray(other.dataobj), other.affine


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_a_mask_in_any_storage_order_is_brought_to_that_of_its_image(axes):
    labels = np.random.default_rng(0).integers(0, 4, (3, 4, 5)).astype(np.int16)
    image = Image(labels * 7, OBLIQUE)
    for signs in product((1, -1), repeat=3):
        array, affine = stored(labels, OBLIQUE, axes, signs)
        found = stored_like(LabelMap(array, affine, labels=LABELS_ACDC), image)
        np.testing.assert_array_equal(found.array, labels)
        np.testing.assert_allclose(found.affine, OBLIQUE, atol=1e-12)
        assert found.labels == LABELS_ACDC


def test_a_mask_keeps_its_order_where_no_other_is_proven():
    image = Image(np.zeros((3, 4, 5)), OBLIQUE)
    array, affine = stored(np.zeros((3, 4, 5), np.int16), OBLIQUE, (0, 1, 2), (1, 1, -1))
    for mask in (
        LabelMap(image.array, OBLIQUE),
        LabelMap(array, affine, oriented=False),
        LabelMap(array, np.diag([3.0, 3.0, 3.0, 1.0])),
        LabelMap(array, OBLIQUE @ np.diag([2.0, 1.0, 1.0, 1.0])),
        LabelMap(array, affine + np.array([[0, 0, 0, 2.0]] * 3 + [[0, 0, 0, 0]])),
        LabelMap(array[:2], affine),
    ):
        assert stored_like(mask, image) is mask
    turned = LabelMap(array, affine)
    assert stored_like(turned, Image(image.array, OBLIQUE, oriented=False)) is turned
