from itertools import permutations, product

import numpy as np
import pytest

from radiocard.errors import GeometryError
from radiocard.image import Image, LabelMap
from radiocard.preprocessing.axes import canonical_axes, to_canonical

ARRAY = np.random.default_rng(0).normal(size=(5, 4, 3))
ROOT = np.sqrt(0.5)


def turn(axis, degree):
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degree)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def image(directions, spacing, array=ARRAY):
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions) * np.array(spacing)
    affine[:3, 3] = (-31.5, 12.25, 7.0)
    return Image(array, affine)


def stored(given, order, flips):
    """The same physical image in another storage order."""
    affine = given.affine.copy()
    affine[:3, :3] = given.affine[:3, order]
    array = given.array.transpose(order)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
            array = np.flip(array, axis)
    return Image(np.ascontiguousarray(array), affine)


GEOMETRIES = {
    "axial": (np.eye(3), (1.0, 1.0, 1.0)),
    "axial_anisotropic": (np.eye(3), (1.4, 1.2, 1.9)),
    "thick_short_axis": (turn((1, 2, 3), 50), (1.5, 1.5, 8.0)),
    "oblique": (turn((3, -1, 2), 33), (0.9, 1.1, 1.2)),
    "sagittal_thick": (np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]), (1.0, 1.0, 6.0)),
    "tie_in_plane": (np.array([[ROOT, -ROOT, 0], [ROOT, ROOT, 0], [0, 0, 1]]), (1.0, 1.0, 5.0)),
    "tie_of_slices": (np.array([[ROOT, 0, ROOT], [0, 1, 0], [-ROOT, 0, ROOT]]), (1.0, 1.0, 1.0)),
    "tie_of_all": (np.array([[2, 2, 1], [-2, 1, 2], [1, -2, 2]]) / 3, (1.0, 1.0, 1.0)),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_all_storage_orders_give_one_array(name):
    given = image(*GEOMETRIES[name])
    mask = given.array > 0
    expected, (expected_mask,) = to_canonical(given, mask)
    for order, flips in product(permutations(range(3)), product((False, True), repeat=3)):
        other = stored(given, order, flips)
        found, (found_mask,) = to_canonical(other, other.array > 0)
        np.testing.assert_array_equal(found.array, expected.array)
        np.testing.assert_array_equal(found_mask, expected_mask)
        np.testing.assert_allclose(found.affine, expected.affine, atol=1e-9)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_voxel_stays_where_it_is(name):
    other = stored(image(*GEOMETRIES[name]), (2, 0, 1), (True, False, True))
    found, _ = to_canonical(other)

    def at_value(one, value):
        return one.affine[:3, :3] @ np.argwhere(one.array == value)[0] + one.affine[:3, 3]

    for value in other.array.ravel()[::7]:
        np.testing.assert_allclose(at_value(found, value), at_value(other, value), atol=1e-9)


def test_axial_image_runs_right_anterior_superior():
    found, _ = to_canonical(stored(image(np.eye(3), (1.0, 1.0, 1.0)), (2, 1, 0), (True, True, False)))
    np.testing.assert_allclose(found.affine[:3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(found.array, ARRAY)


@pytest.mark.parametrize("ratio", [1.4, 1.6])
def test_an_axis_is_thick_beyond_one_and_a_half(ratio):
    axes, _ = canonical_axes(image(np.eye(3), (1.0, ratio, 1.0)))
    assert axes[2] == (1 if ratio > 1.5 else 2)


def test_a_single_slice_is_the_slice_axis():
    axes, _ = canonical_axes(image(np.eye(3), (1.0, 1.0, 1.0), np.zeros((6, 1, 6))))
    assert axes[2] == 1


def test_short_axis_slices_are_never_reordered_by_angle():
    for degree in range(0, 360, 15):
        axes, _ = canonical_axes(image(turn((2, 1, 0), degree), (1.5, 1.5, 8.0)))
        assert axes[2] == 2


def test_canonical_image_is_returned_as_it_is():
    given = image(np.eye(3), (1.0, 1.0, 8.0))
    mask = ARRAY > 0
    found, (found_mask,) = to_canonical(given, mask)
    assert found is given
    assert found_mask is mask


def test_label_map_keeps_its_labels():
    given = LabelMap(np.ones((3, 4, 5), dtype=int), np.diag([-1.0, 1, 1, 1]), labels={"lv_cavity": 1})
    found, _ = to_canonical(given)
    assert isinstance(found, LabelMap)
    assert found.labels == {"lv_cavity": 1}


def test_array_on_another_grid_is_refused():
    with pytest.raises(GeometryError, match=r"An array has shape \(2, 2, 2\), expected that of the image, \(5, 4, 3\)"):
        to_canonical(image(np.eye(3), (1.0, 1.0, 1.0)), np.zeros((2, 2, 2)))


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_unusable_affine_is_refused(bad):
    with pytest.raises(GeometryError, match="E_AFFINE: The affine gives voxel spacings of .* expected three positive"):
        canonical_axes(Image(ARRAY, np.diag([1.0, bad, 1.0, 1.0])))
