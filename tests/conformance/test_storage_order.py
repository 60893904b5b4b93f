"""``convention: ibsi``: one physical image gives the same features however it is stored."""

from itertools import permutations, product
from typing import get_args

import numpy as np
import pytest
from scipy import ndimage

from radiocard.features.extract import extract_region
from radiocard.image import Image
from radiocard.specs import Family

EVERYTHING = {
    "families": get_args(Family),
    "texture": {
        "aggregation": ["2d_avg", "2_5d_comb", "3d_avg", "3d_comb"],
        "distances": [1],
        "weighting": "euclidean",
        "coarseness": 1,
    },
    "ivh": {"method": "fbn", "bins": 100},
    "resegmentation": {"range": [-1.8, None], "unit": "absolute", "outliers_sd": 3, "shape": False},
    "filters": [
        {"kind": "original"},
        {"kind": "laplacian_of_gaussian", "dimension": "3d", "sigma_mm": 3, "truncate": 4, "boundary": "mirror"},
        {
            "kind": "separable_wavelet",
            "wavelet": "db2",
            "level": 1,
            "subbands": ["LH"],
            "decimated": False,
            "rotation_invariant": False,
            "pooling": "max",
            "boundary": "mirror",
        },
    ],
}
RESAMPLED = {
    "spacing_mm": [2, 2, 0],
    "interpolation": "bspline",
    "mask_interpolation": "linear",
    "round_grey": False,
}
ORDERS = [(axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)]


def _rotation(degrees):
    a, b, c = np.radians(degrees)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


def _study(spacing, degrees=(0, 0, 0)):
    rng = np.random.default_rng(8)
    shape = (21, 18, 7)
    values = 100 + 60 * ndimage.gaussian_filter(rng.normal(size=shape), 1)
    mask = ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0
    affine = np.eye(4)
    affine[:3, :3] = _rotation(degrees) * np.asarray(spacing)
    affine[:3, 3] = (-40.5, 33.25, 12)
    return Image(values, affine), mask


def _stored(image, mask, axes, flips):
    array, region, affine = image.array, mask, image.affine.copy()
    for axis, flip in enumerate(flips):
        if flip:
            array, region = np.flip(array, axis), np.flip(region, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
    turned = affine.copy()
    turned[:3, :3] = affine[:3, list(axes)]
    return Image(np.ascontiguousarray(array.transpose(axes)), turned), np.ascontiguousarray(region.transpose(axes))


@pytest.mark.parametrize("oblique", [(0, 0, 0), (34, -41, 17)], ids=["axial", "oblique"])
@pytest.mark.parametrize("spacing", [(1.4, 1.4, 8.0), (1.25, 1.5, 1.4)], ids=["thick", "nearly_isotropic"])
def test_all_48_storage_orders_give_the_same_features(spacing, oblique, make_spec):
    spec = make_spec("cine_sax", **EVERYTHING)
    image, mask = _study(spacing, oblique)
    expected = extract_region(image, mask, spec)
    assert sum(value is None for value in expected.values()) < len(expected) / 10
    for axes, flips in ORDERS:
        assert extract_region(*_stored(image, mask, axes, flips), spec) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_storage_order_does_not_move_the_resampled_grid(make_spec):
    spec = make_spec("cine_sax", **EVERYTHING | {"resampling": RESAMPLED})
    image, mask = _study((1.4, 1.4, 8.0), (34, -41, 17))
    expected = extract_region(image, mask, spec)
    for axes, flips in ORDERS[::5]:
        assert extract_region(*_stored(image, mask, axes, flips), spec) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_another_place_in_the_world_gives_the_same_features(make_spec):
    spec = make_spec("cine_sax", **EVERYTHING)
    image, mask = _study((1.4, 1.4, 8.0))
    affine = image.affine.copy()
    affine[:3, 3] += (1000, -250.5, 77)
    moved = extract_region(Image(image.array, affine), mask, spec)
    assert moved == pytest.approx(extract_region(image, mask, spec), rel=1e-9, abs=1e-12)


def test_pyradiomics_convention_follows_storage_order(make_spec):
    spec = make_spec(
        "cine_sax_pyradiomics",
        families=["glrlm"],
        texture=EVERYTHING["texture"] | {"aggregation": ["2_5d_avg"], "weighting": "none", "coarseness": 0},
    )
    image, mask = _study((1.4, 1.4, 8.0))
    turned = extract_region(*_stored(image, mask, (2, 1, 0), (False,) * 3), spec)
    assert turned != pytest.approx(extract_region(image, mask, spec), rel=1e-3)
