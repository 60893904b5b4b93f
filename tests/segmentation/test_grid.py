import numpy as np
import pytest

from radiocard.errors import GeometryError, IntensityError
from radiocard.image import LABELS_ACDC, Image, LabelMap
from radiocard.segmentation.grid import (
    Square,
    heart_centre,
    image_to_square,
    mask_centre,
    mask_to_square,
    square_at,
    square_to_image,
)
from radiocard.specs.segmentation import NetworkGrid

GRID = NetworkGrid(spacing_mm=1.5, size_px=64, percentiles=(0.0, 100.0))
AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


def disc(shape, centre, radius):
    i, j = np.ogrid[: shape[0], : shape[1]]
    return np.repeat((np.hypot(i - centre[0], j - centre[1]) <= radius)[:, :, None], shape[2], axis=2)


def test_the_heart_is_where_the_frames_differ():
    rng = np.random.default_rng(0)
    still = rng.normal(100, 5, (120, 100, 6))
    ed, es = (np.where(disc(still.shape, (70, 44), r), 300, still) for r in (16, 9))
    found = heart_centre([Image(ed, AFFINE), Image(es, AFFINE)])
    assert np.hypot(found[0] - 70, found[1] - 44) < 2


def test_one_frame_or_no_motion_gives_the_middle():
    image = Image(np.random.default_rng(0).normal(size=(41, 61, 3)), AFFINE)
    assert heart_centre([image]) == (20.0, 30.0)
    assert heart_centre([image, image]) == (20.0, 30.0)


def test_frames_of_different_shapes_are_refused():
    with pytest.raises(GeometryError, match=r"\[\(4, 4, 2\), \(4, 5, 2\)\], expected one shape"):
        heart_centre([Image(np.zeros((4, 4, 2)), AFFINE), Image(np.zeros((4, 5, 2)), AFFINE)])


def test_the_square_samples_a_linear_image_exactly():
    i, j = np.ogrid[:100, :90]
    image = Image(np.repeat((2.0 * i + 3.0 * j)[:, :, None], 2, axis=2), np.diag([1.2, 1.4, 9.0, 1.0]))
    square = Square((50.25, 45.5), 1.5, 32)
    rows, columns = square.coordinates(image)
    truth = 2 * rows[:, None] + 3 * columns[None, :]
    grid = GRID.model_copy(update={"size_px": 32})
    found = image_to_square(image, square, grid)
    assert found.shape == (2, 32, 32)
    np.testing.assert_allclose(found[0], (truth - truth.mean()) / truth.std(), atol=1e-5)
    assert np.ptp(rows) * 1.2 == pytest.approx(31 * 1.5)


def test_outliers_do_not_set_the_scale():
    values = np.random.default_rng(1).normal(0, 1, (64, 64, 4))
    spoiled = values.copy()
    spoiled[5, 5, 0] = 1e6
    grid = NetworkGrid(spacing_mm=1.5, size_px=64, percentiles=(1.0, 99.0))
    square = square_at((31.5, 31.5), grid)
    clean, other = (image_to_square(Image(v, AFFINE), square, grid) for v in (values, spoiled))
    assert np.abs(clean - other)[0].mean() < 0.01
    assert np.abs(other).max() < 4


def test_the_margin_does_not_change_what_the_network_sees():
    image = Image(np.random.default_rng(2).normal(size=(90, 90, 2)), AFFINE)
    inner = image_to_square(image, square_at((44.5, 44.5), GRID), GRID)
    wide = image_to_square(image, square_at((44.5, 44.5), GRID, margin_px=8), GRID)
    np.testing.assert_allclose(wide[:, 8:-8, 8:-8], inner, atol=1e-6)


def test_a_flat_image_gives_zeros():
    assert not image_to_square(Image(np.full((64, 64, 1), 7.0), AFFINE), square_at((31.5, 31.5), GRID), GRID).any()


def test_values_that_are_not_finite_are_refused():
    values = np.zeros((64, 64, 1))
    values[0, 0], values[1, 1] = np.nan, np.inf
    with pytest.raises(IntensityError, match="2 voxels are NaN or infinite"):
        image_to_square(Image(values, AFFINE), square_at((31.5, 31.5), GRID), GRID)


def test_a_mask_goes_to_the_square_and_back():
    shape = (80, 70, 3)
    codes = np.where(disc(shape, (40, 35), 18), 2, 0)
    codes[disc(shape, (40, 35), 12)] = 3
    codes[disc(shape, (40, 62), 6)] = 1
    mask = LabelMap(codes, np.diag([1.25, 1.6, 8.0, 1.0]), labels=LABELS_ACDC)
    square = square_at((40.0, 35.0), NetworkGrid(spacing_mm=1.0, size_px=128, percentiles=(0, 100)))
    classes = mask_to_square(mask, square)
    back = square_to_image(np.eye(4, dtype=np.float32)[classes].transpose(0, 3, 1, 2), square, mask)
    np.testing.assert_allclose(back.sum(axis=0), 1, atol=1e-5)
    for code in (1, 2, 3):
        a, b = back.argmax(axis=0) == code, codes == code
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.97


def test_label_numbers_of_the_mask_do_not_matter():
    codes = np.zeros((64, 64, 1), int)
    codes[20:30, 20:30], codes[30:40, 20:30] = 1, 2
    other = LabelMap(
        np.select([codes == 1, codes == 2], [7, 5]), AFFINE, labels={"rv_cavity": 7, "lv_myocardium": 5, "lv_cavity": 9}
    )
    square = square_at((31.5, 31.5), GRID)
    assert np.array_equal(
        mask_to_square(LabelMap(codes, AFFINE, labels=LABELS_ACDC), square), mask_to_square(other, square)
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("flip", [(), (0,), (0, 1, 2)])
def test_storage_order_changes_nothing(order, flip):
    rng = np.random.default_rng(3)
    image = Image(rng.normal(size=(70, 60, 4)), AFFINE)
    array, affine = image.array, image.affine.copy()
    for axis in flip:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
        array = np.flip(array, axis)
    stored = Image(array.transpose(order), affine[:, [*order, 3]])
    square = square_at(heart_centre([image]), GRID)
    assert heart_centre([stored]) == heart_centre([image])
    stack = image_to_square(image, square, GRID)
    np.testing.assert_array_equal(image_to_square(stored, square, GRID), stack)
    shares = rng.random((4, 4, 64, 64)).astype(np.float32)
    there, here = square_to_image(shares, square, stored), square_to_image(shares, square, image)
    for axis in flip:
        here = np.flip(here, axis + 1)
    np.testing.assert_array_equal(there, here.transpose(0, *(axis + 1 for axis in order)))


def test_beyond_the_square_is_background():
    image = Image(np.zeros((200, 180, 1)), AFFINE)
    full = np.zeros((1, 4, 64, 64), np.float32)
    full[:, 3] = 1
    found = square_to_image(full, square_at((100.0, 90.0), GRID), image)
    inside = found[3] > 0.5
    assert inside.sum() == 63 * 63
    assert (found[0][~inside] == 1).all()


def test_the_middle_of_a_mask():
    mask = np.zeros((9, 9, 2))
    mask[2:5, 6, 1] = 1
    assert mask_centre(mask) == (3.0, 6.0)
    assert mask_centre(mask * 0) is None
