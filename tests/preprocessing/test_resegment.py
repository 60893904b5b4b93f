import numpy as np
import pytest

from radiocard.errors import GeometryError, MaskError
from radiocard.image import Image
from radiocard.preprocessing.resegment import bounds, resegment
from radiocard.specs import Resegmentation

VALUES = np.array([0.0, 1, 2, 3, 4, 5, 5, 9, 100]).reshape(3, 3, 1)
MASK = VALUES < 50


def settings(limits, unit="absolute", outliers=None):
    return Resegmentation(range=limits, unit=unit, outliers_sd=outliers, shape=False)


def kept(asked, values=VALUES, mask=MASK):
    return values[resegment(values, mask, settings=asked)].tolist()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (settings((2, 5)), [2, 3, 4, 5, 5]),
        (settings((None, 1)), [0, 1]),
        (settings((5, None)), [5, 5, 9]),
        (settings((5 / 9, None), "relative"), [5, 5, 9]),
        (settings((1 / 9, 3 / 9), "relative"), [1, 2, 3]),
        (settings(None), [0, 1, 2, 3, 4, 5, 5, 9]),
    ],
)
def test_both_bounds_belong_to_the_range(asked, expected):
    assert kept(asked) == expected


def test_sigma_is_the_standard_deviation_of_all_voxels():
    inside = VALUES[MASK]
    at = (9 - inside.mean()) / inside.std()
    for unit, asked in (
        ("range", lambda n: settings((None, n), "sigma")),
        ("outliers", lambda n: settings(None, outliers=n)),
    ):
        assert 9 in kept(asked(at + 1e-9)), unit
        assert 9 not in kept(asked(at - 1e-9)), unit


def test_outliers_are_judged_on_the_region_as_given():
    """After the range alone 9 would lie within 2 standard deviations of the rest, and 5 beyond 1.4."""
    inside = VALUES[MASK]
    within = inside[np.abs(inside - inside.mean()) <= 1.4 * inside.std()]
    assert kept(settings((1, 5), outliers=1.4)) == [x for x in within if 1 <= x <= 5] == [1, 2, 3, 4, 5, 5]
    in_range = np.array([1.0, 2, 3, 4, 5, 5])
    assert 1.0 not in in_range[np.abs(in_range - in_range.mean()) <= 1.4 * in_range.std()]


def test_voxels_outside_the_region_do_not_count():
    out = resegment(VALUES, MASK, settings=settings((0, 1000)))
    np.testing.assert_array_equal(out, MASK)
    assert 100 not in VALUES[out]


def test_range_without_a_voxel_is_refused():
    with pytest.raises(MaskError, match="E_EMPTY_ROI: Re-segmentation leaves none of 8 voxels, .* from 0 to 9"):
        kept(settings((20, 30)))


def test_empty_region_is_refused():
    with pytest.raises(MaskError, match="E_EMPTY_ROI: The region has no voxel"):
        kept(settings((0, 1)), mask=np.zeros_like(MASK))


def test_mask_of_another_shape_is_refused():
    with pytest.raises(GeometryError, match=r"have shape \(3, 3, 1\) and the mask \(2, 2, 2\), expected the same"):
        resegment(VALUES, np.ones((2, 2, 2), bool), settings=settings((0, 1)))


@pytest.mark.parametrize("dtype", [float, np.int16])
@pytest.mark.parametrize(
    ("limits", "unit"),
    [
        ((30, 60), "absolute"),
        ((30, None), "absolute"),
        ((0.3, 0.6), "relative"),
        ((-1, 1), "sigma"),
        ((0, None), "sigma"),
    ],
)
def test_voxels_are_those_of_pyradiomics(limits, unit, dtype, pyradiomics, to_itk, from_itk):
    rng = np.random.default_rng(0)
    image = Image(rng.integers(0, 100, (8, 7, 6)).astype(dtype), np.eye(4))
    mask = rng.random((8, 7, 6)) < 0.6
    theirs = pyradiomics.resegmentMask(
        to_itk(image),
        to_itk(Image(mask.astype(np.uint8), np.eye(4))),
        resegmentRange=[x for x in limits if x is not None],
        resegmentMode=unit,
        label=1,
    )
    ours = resegment(image.array, mask, settings=settings(limits, unit))
    np.testing.assert_array_equal(ours, from_itk(theirs).astype(bool))


def test_bounds_are_those_of_an_absolute_range():
    assert bounds(settings((-500, 400))) == (-500, 400)
    assert bounds(settings((None, 400))) == (None, 400)
    assert bounds(settings((-3, 3), "sigma")) == bounds(settings(None)) == bounds(None) == (None, None)
