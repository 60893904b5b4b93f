import os
from importlib.util import find_spec

import numpy as np
import pytest

from radiocard.errors import SpecError
from radiocard.image import Image
from radiocard.preprocessing.filters.lbp import pyradiomics_lbp_2d
from radiocard.specs.filters import PyradiomicsLbp2D

RNG = np.random.default_rng(0)
SHAPE = (19, 15, 3)
FULL = tuple(slice(0, n) for n in SHAPE)
IMAGES = {
    "noise": RNG.normal(300, 80, SHAPE),
    "few": RNG.integers(0, 3, SHAPE).astype(float),
    "signed": RNG.integers(-5, 5, SHAPE).astype(float),
    "flat": np.full(SHAPE, 7.3),
}
METHODS = ["default", "ror", "uniform", "var"]


def lbp(array, method, radius=1.0, samples=8, box=FULL):
    settings = PyradiomicsLbp2D(kind="lbp_2d", radius=radius, samples=samples, method=method)
    return pyradiomics_lbp_2d(array, box, settings)


@pytest.mark.filterwarnings("ignore:Applying `local_binary_pattern`:UserWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", IMAGES)
def test_codes_are_those_of_pyradiomics(name, method, pyradiomics, to_itk, from_itk):
    if find_spec("skimage") is None:
        required = os.environ.get("RADIOCARD_REQUIRE") == "all"
        (pytest.fail if required else pytest.skip)("parity: not run (scikit-image is not installed)")
    image = to_itk(Image(IMAGES[name], np.eye(4)))
    for radius, samples in ((1.0, 9), (1.0, 8), (2.0, 12), (1.5, 7)):
        options = {"lbp2DRadius": radius, "lbp2DSamples": samples, "lbp2DMethod": method}
        ((theirs, _, _),) = pyradiomics.getLBP2DImage(image, image, force2D=True, force2Ddimension=0, **options)
        expected = np.nan_to_num(from_itk(theirs))  # a variance of 0 is NaN there
        np.testing.assert_array_equal(lbp(IMAGES[name], method, radius, samples), expected)


def test_codes_by_hand():
    array = np.array([[5.0, 9, 1], [4, 6, 7], [2, 3, 8]])[:, :, None]  # rows are i, columns j
    middle = (slice(1, 2), slice(1, 2), slice(0, 1))
    # four neighbours: i + 1, j - 1, i - 1, j + 1
    bits = [3 >= 6, 4 >= 6, 9 >= 6, 7 >= 6]
    code = sum(bit << n for n, bit in enumerate(bits))
    assert lbp(array, "default", samples=4, box=middle).item() == code == 0b1100
    assert lbp(array, "ror", samples=4, box=middle).item() == 0b0011
    assert lbp(array, "uniform", samples=4, box=middle).item() == 2
    assert lbp(array, "var", samples=4, box=middle).item() == pytest.approx(np.var([3, 4, 9, 7]))


def test_many_changes_are_not_uniform():
    array = np.zeros((3, 3, 1))
    array[[0, 2], 1] = 1.0
    array[1, 1] = 0.5
    assert lbp(array, "uniform", samples=4, box=(slice(1, 2), slice(1, 2), slice(0, 1))).item() == 5


@pytest.mark.parametrize("method", ["ror", "uniform", "var"])
def test_turning_the_image_turns_the_codes(method):
    array = RNG.integers(0, 900, (12, 12, 2)).astype(float)
    inner = (slice(2, 10), slice(2, 10), slice(0, 2))
    found = lbp(np.rot90(array), method, samples=4, box=inner)
    np.testing.assert_allclose(found, np.rot90(lbp(array, method, samples=4, box=inner)))


@pytest.mark.parametrize("method", METHODS)
def test_a_box_is_a_part_of_the_whole(method):
    box = (slice(3, 12), slice(0, 7), slice(1, 3))
    full = lbp(IMAGES["noise"], method, 2.0, 12)
    np.testing.assert_array_equal(lbp(IMAGES["noise"], method, 2.0, 12, box), full[box])


def test_too_many_digits_are_refused():
    with pytest.raises(SpecError, match="30 samples are given for local binary patterns, expected at most 24"):
        lbp(IMAGES["noise"], "ror", samples=30)
    assert lbp(IMAGES["noise"], "uniform", samples=30).max() <= 31
