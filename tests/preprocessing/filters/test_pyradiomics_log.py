import numpy as np
import pytest

from radiocard.errors import GeometryError
from radiocard.image import Image
from radiocard.preprocessing.filters.pyradiomics_log import pyradiomics_log
from radiocard.specs.filters import PyradiomicsLog

RNG = np.random.default_rng(0)
SHAPE = (60, 51, 12)
ARRAY = RNG.normal(300, 80, SHAPE)
ARRAY[20:40, 10:30] += 300
FULL = tuple(slice(0, n) for n in SHAPE)
BOX = (slice(20, 44), slice(0, 23), slice(3, 9))
SPACINGS = [(1.5, 1.5, 8.0), (1.37, 0.97, 2.3), (1.0, 1.0, 1.0)]


def log(array, spacing, sigma, box):
    return next(pyradiomics_log(array, spacing, box, PyradiomicsLog(kind="pyradiomics_log", sigma_mm=(sigma,))))


@pytest.mark.parametrize("dtype", [float, np.int16])
@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_response_is_that_of_pyradiomics(sigma, spacing, dtype, pyradiomics, to_itk, from_itk):
    """To the last bit or two of single precision, in which ITK keeps every intermediate image."""
    image = Image(ARRAY.astype(dtype), np.diag([*spacing, 1]))
    mask = to_itk(Image(np.ones(SHAPE, dtype=np.uint8), image.affine))
    ((theirs, _, _),) = pyradiomics.getLoGImage(to_itk(image), mask, sigma=[sigma])
    expected = from_itk(theirs)
    unit = np.spacing(np.float32(np.abs(ARRAY).max()))
    for box in (FULL, BOX):
        found = log(image.array, spacing, sigma, box)
        assert found.dtype == expected.dtype == np.float32
        np.testing.assert_allclose(found, expected[box], rtol=0, atol=2 * unit)
        assert np.mean(found != expected[box]) < 0.1


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_a_box_is_a_part_of_the_whole(sigma, spacing):
    full = log(ARRAY, spacing, sigma, FULL)
    part = log(ARRAY, spacing, sigma, BOX)
    np.testing.assert_allclose(part, full[BOX], rtol=0, atol=np.spacing(np.float32(ARRAY.max())))


def test_several_scales_come_in_order():
    asked = PyradiomicsLog(kind="pyradiomics_log", sigma_mm=(3.0, 1.0))
    both = list(pyradiomics_log(ARRAY, (1.5, 1.5, 8.0), BOX, asked))
    for sigma, found in zip((3.0, 1.0), both, strict=True):
        np.testing.assert_array_equal(found, log(ARRAY, (1.5, 1.5, 8.0), sigma, BOX))


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_a_constant_gives_zero(spacing):
    np.testing.assert_allclose(log(np.full(SHAPE, 300.0), spacing, 2.0, BOX), 0, atol=1e-3)


def test_a_parabola_gives_its_curvature_times_sigma_squared():
    x, y, z = np.meshgrid(*[np.arange(n) - n // 2 for n in (61, 61, 61)], indexing="ij")
    found = log(1.0 * x**2 + 2 * y**2 - z**2, (1.0, 1.0, 1.0), 2.0, (slice(30, 31),) * 3)
    assert found[0, 0, 0] == pytest.approx(2.0**2 * (2 + 4 - 2), rel=2e-3)


@pytest.mark.parametrize(("n", "sigma", "least"), [(3, 1.0, 4), (5, 5.0, 6)])
def test_an_image_that_is_too_small_is_refused(n, sigma, least):
    array = np.zeros((20, 20, n))
    with pytest.raises(
        GeometryError, match=f"has {n} voxels along k, expected at least {least} for LoG of {sigma:g} mm"
    ):
        log(array, (1.0, 1.0, 1.0), sigma, (slice(0, 2),) * 3)


@pytest.mark.parametrize(("n", "sigma"), [(3, 1.0), (4, 3.0), (4, 3.5), (5, 4.0), (5, 5.0)])
def test_what_is_refused_is_what_pyradiomics_leaves_out(n, sigma, pyradiomics, to_itk):
    image = Image(RNG.normal(size=(20, 20, n)), np.eye(4))
    theirs = list(pyradiomics.getLoGImage(to_itk(image), to_itk(image), sigma=[sigma]))
    try:
        ours = [log(image.array, (1.0, 1.0, 1.0), sigma, (slice(0, 2),) * 3)]
    except GeometryError:
        ours = []
    assert len(ours) == len(theirs)
