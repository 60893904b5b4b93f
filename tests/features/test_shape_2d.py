import numpy as np
import pytest

from radiocard.features.shape_2d import largest_slices, shape_features_2d

SPACING = (1.4, 0.9, 8.0)


@pytest.fixture(name="shape")
def _shape(make_region):
    return lambda mask, spacing=SPACING: shape_features_2d(make_region(mask, spacing))


def test_rectangle_has_bevelled_corners(shape):
    out = shape(np.ones((6, 4, 1), bool), SPACING)
    x, y = 1.4, 0.9
    assert len(out) == 10
    assert out["morph_2d_area_mesh"] == pytest.approx((5 * 3 + 5 + 3 + 0.5) * x * y)
    assert out["morph_2d_area_approx"] == pytest.approx(24 * x * y)
    assert out["morph_2d_perimeter"] == pytest.approx(2 * (5 * x + 3 * y) + 2 * np.hypot(x, y))
    assert out["morph_2d_pca_maj_axis"] == pytest.approx(4 * x * np.sqrt((36 - 1) / 12))
    assert out["morph_2d_pca_min_axis"] == pytest.approx(4 * y * np.sqrt((16 - 1) / 12))


def test_disc(shape):
    grid = np.indices((63, 63, 1))[:2] - 31
    out = shape((grid**2).sum(axis=0) <= 30.4**2, (1, 1, 8))
    assert out["morph_2d_area_mesh"] == pytest.approx(np.pi * 30.4**2, rel=0.005)
    assert out["morph_2d_diam"] == pytest.approx(60.8, abs=1)
    assert out["morph_2d_pca_elongation"] == pytest.approx(1)
    assert out["morph_2d_sphericity"] * out["morph_2d_circ_dispr"] == pytest.approx(1)


def test_voxels_that_touch_at_a_corner_stay_apart(shape):
    corner = np.array([[1, 0], [0, 1]], bool)[:, :, None]
    apart = np.array([[1, 0, 0], [0, 0, 1]], bool)[:, :, None]
    a, b = (shape(m, SPACING) for m in (corner, apart))
    assert a["morph_2d_area_mesh"] == pytest.approx(b["morph_2d_area_mesh"]) == pytest.approx(2 * 0.5 * 1.4 * 0.9)
    assert a["morph_2d_perimeter"] == pytest.approx(b["morph_2d_perimeter"])


def test_the_largest_slice_counts_and_equal_ones_are_averaged(shape):
    mask = np.zeros((6, 6, 4), bool)
    mask[:2, :2, 0] = True
    mask[:4, :3, 1] = True
    assert largest_slices(mask).tolist() == [1]
    alone = shape(mask[:, :, 1:2], SPACING)
    assert shape(mask, SPACING) == pytest.approx(alone)
    mask[:2, :6, 3] = True
    assert largest_slices(mask).tolist() == [1, 3]
    other = shape(mask[:, :, 3:], SPACING)
    both = shape(mask, SPACING)
    assert both == pytest.approx({tag: (alone[tag] + other[tag]) / 2 for tag in alone})
    assert shape(mask[:, :, ::-1], SPACING) == pytest.approx(both)


def test_flips_turns_and_padding_change_nothing(shape):
    mask = np.random.default_rng(0).random((9, 7, 3)) < 0.5
    reference = shape(mask, SPACING)
    assert shape(mask[::-1, :, ::-1], SPACING) == pytest.approx(reference)
    assert shape(mask.transpose(1, 0, 2), (0.9, 1.4, 8.0)) == pytest.approx(reference)
    assert shape(np.pad(mask, 3), SPACING) == pytest.approx(reference)


def test_one_voxel_has_no_axis_ratio(shape):
    out = shape(np.ones((1, 1, 1), bool), SPACING)
    assert {tag for tag, value in out.items() if value is None} == {"morph_2d_pca_elongation"}
    assert out["morph_2d_diam"] == pytest.approx(1.4)


@pytest.mark.parametrize("seed", range(6))
def test_pyradiomics_measures_the_same(seed, make_region, run_pyradiomics):
    rng = np.random.default_rng(seed)
    mask = rng.random((*rng.integers(3, 14, 2), 1)) < rng.choice([0.3, 0.8])
    mask[0, 0] = mask[-1, -1] = mask[0, -1] = True
    region = make_region(mask, tuple(rng.uniform(0.3, 9, 3)))
    theirs = run_pyradiomics("shape2D", "RadiomicsShape2D", region, force2D=True)
    names = {
        "area_mesh": "MeshSurface",
        "area_approx": "PixelSurface",
        "perimeter": "Perimeter",
        "pa": "PerimeterSurfaceRatio",
        "sphericity": "Sphericity",
        "circ_dispr": "SphericalDisproportion",
        "diam": "MaximumDiameter",
        "pca_maj_axis": "MajorAxisLength",
        "pca_min_axis": "MinorAxisLength",
        "pca_elongation": "Elongation",
    }
    expected = {f"morph_2d_{tag}": theirs.pop(name) for tag, name in names.items()}
    assert not theirs
    assert shape_features_2d(region) == pytest.approx(expected, rel=1e-9)
