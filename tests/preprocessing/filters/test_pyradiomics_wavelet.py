import numpy as np
import pytest

from radiocard.errors import SpecError
from radiocard.image import Image
from radiocard.preprocessing.filters.pyradiomics_wavelet import pyradiomics_wavelet
from radiocard.specs.filters import PyradiomicsWavelet

RNG = np.random.default_rng(0)
SHAPES = [(20, 18, 8), (21, 17, 9)]
CASES = [
    ("coif1", 0, 1, "3d"),
    ("coif1", 1, 2, "3d"),
    ("db3", 0, 2, "2d"),
    ("haar", 0, 2, "3d"),
    ("bior1.3", 2, 1, "3d"),
]


def settings(name="coif1", start=0, level=1, dimension="3d"):
    return PyradiomicsWavelet(
        kind="pyradiomics_wavelet", wavelet=name, start_level=start, level=level, dimension=dimension
    )


def boxes(shape):
    yield tuple(slice(0, n) for n in shape)
    yield slice(5, 15), slice(7, 12), slice(2, 6)
    yield slice(0, 3), slice(shape[1] - 2, shape[1]), slice(0, 2)


@pytest.mark.parametrize("shape", SHAPES, ids=["even", "odd"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_subbands_and_names_are_those_of_pyradiomics(case, shape, pyradiomics, to_itk, from_itk):
    name, start, level, dimension = case
    array = RNG.normal(300, 80, shape)
    image = to_itk(Image(array, np.eye(4)))
    flat = {"force2D": True, "force2Ddimension": 0} if dimension == "2d" else {}
    theirs = pyradiomics.getWaveletImage(image, image, wavelet=name, start_level=start, level=level, **flat)
    expected = {title: from_itk(one) for one, title, _ in theirs}
    asked = settings(*case)
    assert asked.names == tuple(expected)
    for box in boxes(shape):
        for title, found in zip(asked.names, pyradiomics_wavelet(array, box, asked), strict=True):
            scale = np.abs(expected[title]).max()
            np.testing.assert_allclose(found, expected[title][box], rtol=0, atol=1e-13 * scale, err_msg=title)


@pytest.mark.parametrize("shape", SHAPES, ids=["even", "odd"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_box_is_bit_by_bit_a_part_of_the_whole(case, shape):
    array = RNG.normal(300, 80, shape)
    asked = settings(*case)
    full = list(pyradiomics_wavelet(array, next(boxes(shape)), asked))
    for box in boxes(shape):
        for one, part in zip(full, pyradiomics_wavelet(array, box, asked), strict=True):
            np.testing.assert_array_equal(part, one[box])


def test_energy_is_that_of_the_image():
    """An orthonormal wavelet without decimation gives every axis twice the energy."""
    array = RNG.normal(size=(8, 8, 8))
    bands = list(pyradiomics_wavelet(array, (slice(0, 8),) * 3, settings()))
    assert sum((band**2).sum() for band in bands) == pytest.approx(8 * (array**2).sum())


def test_letters_are_in_the_order_of_the_axes():
    steps = np.tile((np.arange(8) % 2)[:, None, None], (1, 8, 8))  # changes along i only
    bands = dict(
        zip(settings("haar").names, pyradiomics_wavelet(steps, (slice(0, 8),) * 3, settings("haar")), strict=True)
    )
    assert {name for name, band in bands.items() if np.abs(band).max() > 1e-9} == {"wavelet-HLL", "wavelet-LLL"}


def test_unknown_wavelet_is_refused():
    with pytest.raises(SpecError, match="There is no discrete wavelet 'coif99'"):
        next(pyradiomics_wavelet(np.zeros((8, 8, 8)), (slice(0, 8),) * 3, settings("coif99")))
