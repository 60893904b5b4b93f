import numpy as np
import pytest

from radiocard.errors import IntensityError
from radiocard.image import Image
from radiocard.preprocessing.filters.pyradiomics_point import pyradiomics_gradient, pyradiomics_point
from radiocard.specs.filters import PyradiomicsGradient, PyradiomicsPoint

RNG = np.random.default_rng(0)
SHAPE = (9, 8, 7)
SPACING = (1.37, 1.5, 8.0)
IMAGES = {
    "positive": RNG.normal(300, 20, SHAPE),
    "mixed": RNG.normal(0, 80, SHAPE),
    "int16": RNG.integers(-100, 900, SHAPE).astype(np.int16),
    "small": RNG.uniform(-0.5, 0.5, SHAPE),
}
BOXES = [tuple(slice(0, n) for n in SHAPE), (slice(2, 6), slice(0, 3), slice(5, 7))]
METHODS = {
    "square": "getSquareImage",
    "squareroot": "getSquareRootImage",
    "logarithm": "getLogarithmImage",
    "exponential": "getExponentialImage",
}


def point(array, kind, box=BOXES[0]):
    return pyradiomics_point(array, box, PyradiomicsPoint(kind=kind))


def gradient(array, box=BOXES[0], use_spacing=True):
    return pyradiomics_gradient(array, SPACING, box, PyradiomicsGradient(kind="gradient", use_spacing=use_spacing))


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("name", IMAGES)
def test_voxel_wise_filters_are_those_of_pyradiomics(name, kind, pyradiomics, to_itk, from_itk):
    image = to_itk(Image(IMAGES[name], np.eye(4)))
    ((theirs, title, _),) = getattr(pyradiomics, METHODS[kind])(image, image)
    assert PyradiomicsPoint(kind=kind).names == (title,)
    for box in BOXES:
        np.testing.assert_array_equal(point(IMAGES[name], kind, box), from_itk(theirs)[box])


@pytest.mark.parametrize("kind", METHODS)
def test_largest_magnitude_is_kept(kind):
    array = np.array([[[0.0, 50.0, 400.0]]])
    box = (slice(0, 1), slice(0, 1), slice(0, 3))
    expected = {
        "square": [0, 50**2 / 400, 400],
        "squareroot": [0, np.sqrt(400 * 50), 400],
        "logarithm": [0, 400 * np.log(51) / np.log(401), 400],
        "exponential": [1, 400 ** (50 / 400), 400],
    }
    np.testing.assert_allclose(point(array, kind, box)[0, 0], expected[kind])


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_an_image_without_magnitude_is_refused(bad):
    with pytest.raises(
        IntensityError, match="E_NONFINITE: The largest magnitude of the image is .* to scale square by"
    ):
        point(np.full(SHAPE, bad), "square")


@pytest.mark.parametrize("use_spacing", [True, False])
@pytest.mark.parametrize("name", IMAGES)
def test_gradient_is_that_of_pyradiomics_bit_by_bit(name, use_spacing, pyradiomics, to_itk, from_itk):
    image = to_itk(Image(IMAGES[name], np.diag([*SPACING, 1])))
    ((theirs, _, _),) = pyradiomics.getGradientImage(image, image, gradientUseSpacing=use_spacing)
    for box in BOXES:
        found = gradient(IMAGES[name], box, use_spacing)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, from_itk(theirs)[box])


def test_gradient_of_a_slope_is_its_steepness():
    x, y, z = np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij")
    found = gradient(3 * x - 4 * y + 12 * z)
    np.testing.assert_allclose(found[1:-1, 1:-1, 1:-1], 13, rtol=1e-6)
    assert found[0, 4, 4] == pytest.approx(np.hypot(1.5, np.hypot(4, 12)))  # the edge is continued flat
