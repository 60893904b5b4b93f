import numpy as np
import pytest
from scipy import ndimage

from radiocard.preprocessing.filters.window import convolve_valid, convolved, whole, window

RNG = np.random.default_rng(0)
SHAPE = (9, 7, 5)
ARRAY = RNG.normal(size=SHAPE)
FULL = tuple(slice(0, n) for n in SHAPE)
BOXES = [FULL, (slice(2, 6), slice(1, 3), slice(2, 4)), (slice(0, 2), slice(5, 7), slice(4, 5))]
NUMPY = {"mirror": "symmetric", "nearest": "edge", "zero": "constant", "periodic": "wrap"}
SCIPY = {"mirror": "reflect", "nearest": "nearest", "zero": "constant", "periodic": "wrap"}


@pytest.mark.parametrize("boundary", NUMPY)
@pytest.mark.parametrize("box", BOXES, ids=["whole", "inside", "corner"])
def test_window_is_a_part_of_the_padded_image(box, boundary):
    margins = [(3, 1), (0, 2), (4, 4)]
    padded = np.pad(ARRAY, margins, mode=NUMPY[boundary])
    at = tuple(slice(part.start, part.stop + sum(m)) for part, m in zip(box, margins, strict=True))
    np.testing.assert_array_equal(window(whole(ARRAY), SHAPE, box, margins, boundary), padded[at])


@pytest.mark.parametrize("boundary", NUMPY)
def test_margins_may_exceed_the_image(boundary):
    margins = [(21, 13), (0, 16), (11, 30)]
    padded = np.pad(ARRAY, margins, mode=NUMPY[boundary])
    np.testing.assert_array_equal(window(whole(ARRAY), SHAPE, FULL, margins, boundary), padded)


@pytest.mark.parametrize("boundary", SCIPY)
@pytest.mark.parametrize("size", [3, 4, 5])
def test_convolution_is_that_of_scipy(boundary, size):
    kernels = [RNG.normal(size=size) for _ in range(3)]
    expected = ARRAY
    for axis, kernel in enumerate(kernels):
        expected = ndimage.convolve1d(expected, kernel, axis=axis, mode=SCIPY[boundary])
    respond = whole(ARRAY)  # one stage per axis, so that each continues what the one before gives
    for axis, kernel in enumerate(kernels):
        # scipy centres an even kernel on the later of its two middle values
        one = [(kernel, size // 2) if a == axis else None for a in range(3)]
        respond = convolved(respond, SHAPE, one, boundary)
    for box in BOXES:
        np.testing.assert_allclose(respond(box), expected[box], atol=1e-12)


def test_only_what_is_needed_is_asked_for():
    asked = []

    def respond(box):
        asked.append(box)
        return ARRAY[box]

    convolved(respond, SHAPE, [(np.ones(3), 1), None, (np.ones(5), 2)], "mirror")(BOXES[1])
    assert asked == [(slice(1, 7), slice(1, 3), slice(0, 5))]


@pytest.mark.parametrize("axis", range(3))
def test_values_do_not_depend_on_the_size_of_the_block(axis):
    kernel = RNG.normal(size=4)
    out = convolve_valid(ARRAY, kernel, axis)
    part = tuple(slice(1, None) if a == axis else slice(1, 3) for a in range(3))
    np.testing.assert_array_equal(convolve_valid(np.ascontiguousarray(ARRAY[part]), kernel, axis), out[part])
