from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from radiocard.errors import CaseError
from radiocard.image import Case, Image
from radiocard.segmentation.grid import Square
from radiocard.segmentation.hearts import Heart, heart_of, map_to_image, resample_slices
from radiocard.specs import SCHEMAS, read_as
from radiocard.specs.classifier import ClassifierRecipe


@pytest.fixture
def recipe():
    return read_as(ClassifierRecipe, "densenet_cine", "models")


def test_the_shipped_recipe_is_read_by_its_schema(recipe):
    assert SCHEMAS["radiocard/image-classifier/1"] is ClassifierRecipe
    assert recipe.grid.size_px % 2 ** (len(recipe.blocks) + 1) == 0


def test_slices_are_those_of_a_straight_line(recipe):
    ramp = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32)
    out = resample_slices(ramp, 4)
    assert out.shape == (4, 3, 2)
    np.testing.assert_allclose(out[:, 0, 0], [0, 3, 6, 9], atol=1e-6)
    assert resample_slices(ramp[:1], 4).tolist() == np.zeros((4, 3, 2)).tolist()


def test_a_heart_has_the_slices_of_both_phases_and_needs_no_mask(hearts, recipe):
    case = hearts[0].case
    heart = heart_of(replace(case, masks={}), recipe, margin_px=4)
    side = recipe.grid.size_px + 8
    assert heart.channels.shape == (2 * recipe.slices, side, side)
    assert heart.channels.dtype == np.float32
    same = heart_of(case, recipe, margin_px=4)
    assert np.array_equal(heart.channels, same.channels)
    assert not np.allclose(heart.channels[: recipe.slices], heart.channels[recipe.slices :], atol=0.5)


def test_a_missing_phase_is_refused(hearts, recipe):
    case = hearts[0].case
    lame = Case("a", {("cine", "ed"): case.images["cine", "ed"]}, {}, {})
    with pytest.raises(CaseError, match="no cine at es"):
        heart_of(lame, recipe)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2)])
def test_a_map_comes_back_to_where_it_was_found(axes):
    """A blob of the image, seen on the square and brought back, lies where it was, in any storage order."""
    blob = np.zeros((40, 48, 6), np.float32)
    blob[10:18, 30:38, 2:5] = 1
    plain = Image(blob, np.diag([1.25, 1.25, 8.0, 1.0]))
    square = Square((19.5, 23.5), 2.5, 24)
    rows, columns = square.coordinates(plain)
    at = np.meshgrid(rows, columns, np.linspace(0, 5, 11), indexing="ij")
    found = np.moveaxis(map_coordinates(blob, at, order=1, mode="constant"), 2, 0)
    turned = Image(np.ascontiguousarray(blob.transpose(axes)), plain.affine[:, [*axes, 3]])
    back = map_to_image(found, Heart(found, square, turned))
    assert back.shape == turned.array.shape
    where = [np.average(np.arange(n), weights=back.sum(axis=tuple({0, 1, 2} - {a}))) for a, n in enumerate(back.shape)]
    expected = np.array([13.5, 33.5, 3.0])[list(axes)]
    np.testing.assert_allclose(where, expected, atol=0.3)
    np.testing.assert_allclose(back.sum(), blob.sum(), rtol=0.15)


def test_a_map_is_zero_beyond_its_square():
    image = Image(np.zeros((40, 40, 2), np.float32), np.diag([1.0, 1.0, 8.0, 1.0]))
    ones = np.ones((2, 10, 10), np.float32)
    back = map_to_image(ones, Heart(ones, Square((19.5, 19.5), 1, 10), image))
    assert back[20, 20, 0] == 1
    assert back[2, 20, 0] == 0
    assert back[20, 38, 1] == 0
    assert back.sum() == 2 * 10 * 10
