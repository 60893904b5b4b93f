import numpy as np
import pytest

from radiocard.errors import GeometryError, IntensityError
from radiocard.image import LABELS_ACDC
from radiocard.segmentation.probabilities import CLASSES, Probabilities

SPACING = np.diag([1.5, 1.5, 8.0, 1.0])


def uniform(n=2, shape=(3, 3, 2)):
    return np.full((n, 4, *shape), 0.25, dtype=np.float32)


def test_a_class_number_is_the_label_number_of_the_region():
    assert {name: CLASSES.index(name) for name in CLASSES[1:]} == dict(LABELS_ACDC)


def test_the_mean_is_over_members():
    members = uniform()
    members[0] = np.array([1, 0, 0, 0], np.float32)[:, None, None, None]
    found = Probabilities(members, SPACING)
    assert found.n_members == 2
    assert found.mean.dtype == np.float32
    np.testing.assert_allclose(found.mean[:, 0, 0, 0], [0.625, 0.125, 0.125, 0.125])
    assert found.voxel_volume_ml == pytest.approx(0.018)


@pytest.mark.parametrize("shape", [(4, 3, 3, 2), (1, 3, 3, 3, 2), (0, 4, 3, 3, 2)])
def test_another_shape_is_refused(shape):
    with pytest.raises(GeometryError, match=r"expected \(n_members, 4, ni, nj, nk\)"):
        Probabilities(np.zeros(shape, np.float32), SPACING)


@pytest.mark.parametrize("shape", [(2, 1, 2, 8, 8), (1, 4, 2, 8, 8), (4, 2, 8, 8)])
def test_views_of_another_shape_are_refused(shape):
    with pytest.raises(GeometryError, match=r"Views have shape .* expected \(2, at least 2, n_slices, size, size\)"):
        Probabilities(uniform(), SPACING, np.zeros(shape, np.uint8))


def test_another_affine_is_refused():
    with pytest.raises(GeometryError, match=r"Affine has shape \(3, 3\)"):
        Probabilities(uniform(), np.eye(3))


@pytest.mark.parametrize("value", [np.nan, -0.1, 3.0])
def test_logits_are_refused(value):
    members = uniform()
    members[0, 0, 0, 0, 0] = value
    with pytest.raises(IntensityError, match="sum to 1 within"):
        Probabilities(members, SPACING)
