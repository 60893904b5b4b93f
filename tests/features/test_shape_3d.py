from itertools import permutations, product

import numpy as np
import pytest
from scipy.special import elliprg

from radiocard.features.shape_3d import axis_variances, shape_features, voxel_moments

SPACING = (1.3, 0.7, 2.1)


@pytest.fixture(name="shape")
def _shape(make_region):
    def shape(mask, spacing=SPACING, raw=None, convention="ibsi", **region):
        return shape_features(make_region(mask, spacing, raw=raw, **region), convention=convention)

    return shape


def ball(radius, spacing=(1.0, 1.0, 1.0), semi=(1.0, 1.0, 1.0)):
    half = [int(radius * s / d) + 1 for s, d in zip(semi, spacing, strict=True)]
    axes = [np.arange(-h, h + 1) * d / s for h, d, s in zip(half, spacing, semi, strict=True)]
    mask = sum(a**2 for a in np.meshgrid(*axes, indexing="ij")) <= radius**2
    keep = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {n}))) for n in range(3)]
    return mask[np.ix_(*keep)]


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_ball(convention, shape):
    out = shape(ball(20.3), (1, 1, 1), convention=convention)
    assert len(out) == (25 if convention == "ibsi" else 28)
    assert out["morph_volume"] == pytest.approx(4 / 3 * np.pi * 20.3**3, rel=0.005)
    assert out["morph_diam"] == pytest.approx(40.6, abs=1)
    for axis in ("maj", "min", "least"):  # variance of a solid ball: r^2 / 5
        assert out[f"morph_pca_{axis}_axis"] == pytest.approx(4 * 20.3 / np.sqrt(5), rel=0.01)
    assert out["morph_pca_elongation"] == pytest.approx(1, abs=1e-6)
    assert out["morph_vol_dens_aabb"] == pytest.approx(np.pi / 6 * (40.6 / 41) ** 3, rel=0.005)
    assert out["morph_vol_dens_conv_hull"] == pytest.approx(1, abs=0.04)  # the steps lie below the hull
    assert out["morph_vol_dens_aee"] == pytest.approx(np.sqrt(5) ** 3 / 8, rel=0.02)
    assert out["morph_com"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_box_fills_its_convex_hull(convention, shape):
    out = shape(np.ones((5, 4, 3), bool), convention=convention)
    assert out["morph_vol_dens_conv_hull"] == pytest.approx(1)
    assert out["morph_area_dens_conv_hull"] == pytest.approx(1)


def test_ellipsoid_on_a_thick_grid(shape):
    mask = ball(1, (1.0, 1.0, 2.0), (30.0, 20.0, 15.0))
    out = shape(mask, (1.0, 1.0, 2.0))
    assert out["morph_pca_maj_axis"] == pytest.approx(4 * 30 / np.sqrt(5), rel=0.01)
    assert out["morph_pca_elongation"] == pytest.approx(20 / 30, rel=0.01)
    assert out["morph_pca_flatness"] == pytest.approx(15 / 30, rel=0.01)


def test_roundness_measures_agree_with_each_other(shape):
    out = shape(np.random.default_rng(0).random((7, 6, 5)) < 0.7)
    s = out["morph_sphericity"]
    assert out["morph_comp_1"] == pytest.approx(np.sqrt(s**3) / (6 * np.pi))
    assert out["morph_comp_2"] == pytest.approx(s**3)
    assert out["morph_sph_dispr"] == pytest.approx(1 / s)
    assert out["morph_asphericity"] == pytest.approx(1 / s - 1)
    assert out["morph_av"] == pytest.approx(out["morph_area_mesh"] / out["morph_volume"])


def test_diameter_is_the_largest_distance_of_all_vertices(shape):
    mask = np.random.default_rng(1).random((6, 5, 4)) < 0.3
    offsets = 0.5 * np.concatenate([np.eye(3), -np.eye(3)])
    vertices = (np.argwhere(mask)[:, None] + offsets).reshape(-1, 3) * SPACING
    brute = np.linalg.norm(vertices[:, None] - vertices[None], axis=2).max()
    assert shape(mask)["morph_diam"] == pytest.approx(brute, rel=1e-12)


def test_same_values_in_all_48_storage_orders(shape):
    rng = np.random.default_rng(2)
    mask, raw = rng.random((6, 5, 4)) < 0.6, rng.random((6, 5, 4))
    reference = shape(mask, raw=raw)
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turn = tuple(slice(None, None, s) for s in signs)
        moved = shape(mask.transpose(order)[turn], tuple(SPACING[n] for n in order), raw.transpose(order)[turn])
        assert moved == pytest.approx(reference, rel=1e-9)


def test_centre_of_mass_moves_to_the_bright_side(shape):
    mask, raw = np.ones((2, 1, 1), bool), np.array([[[3.0]], [[1.0]]])
    # centre at 0.65 mm, weighted centre at a quarter of the way
    assert shape(mask, raw=raw)["morph_com"] == pytest.approx(1.3 / 4)
    assert shape(mask, raw=np.array([[[1.0]], [[-1.0]]]))["morph_com"] is None


def test_integrated_intensity_is_volume_times_mean(shape):
    mask = np.ones((3, 2, 2), bool)
    out = shape(mask, raw=np.full(mask.shape, 2.5))
    assert out["morph_integ_int"] == pytest.approx(2.5 * out["morph_volume"])


def test_covariance_follows_the_convention(shape):
    mask = np.ones((5, 1, 1), bool)
    ibsi, theirs = (shape(mask, (1, 1, 1), convention=c)["morph_pca_maj_axis"] for c in ("ibsi", "pyradiomics"))
    assert (ibsi, theirs) == pytest.approx((4 * np.sqrt(10 / 4), 4 * np.sqrt(2)))


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_one_voxel_and_one_slice_leave_undefined_what_divides_by_nothing(convention, shape):
    axes = {"morph_pca_elongation", "morph_pca_flatness"}
    ellipsoid = {"morph_vol_dens_aee", "morph_area_dens_aee"}
    spatial = {"morph_moran_i", "morph_geary_c"}  # all grey values are equal
    one = shape(np.ones((1, 1, 1), bool), convention=convention)
    assert {tag for tag, value in one.items() if value is None} == axes | ellipsoid | spatial
    flat = shape(np.ones((4, 3, 1), bool), convention=convention)
    assert {tag for tag, value in flat.items() if value is None} == {"morph_vol_dens_aee"} | spatial
    assert flat["morph_pca_flatness"] == 0


def test_ellipsoid_area_is_exact_for_a_ball(shape):
    out = shape(ball(15.0), (1, 1, 1))
    variance = axis_variances(voxel_moments(ball(15.0), ddof=1)[2])
    semi = 2 * np.sqrt(variance)
    exact = 4 * np.pi * elliprg(*(semi[a] ** 2 * semi[b] ** 2 for a, b in ((0, 1), (0, 2), (1, 2))))
    assert out["morph_area_mesh"] / out["morph_area_dens_aee"] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("ddof", [0, 1])
def test_moments_are_those_of_the_voxel_positions(ddof):
    mask = np.random.default_rng(3).random((9, 5, 7)) < 0.4
    size, centre, covariance = voxel_moments(mask[:, ::-1], ddof=ddof)
    points = np.argwhere(mask[:, ::-1])
    assert size == len(points)
    np.testing.assert_allclose(centre, points.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(covariance, np.cov(points.T, ddof=ddof), rtol=1e-12, atol=1e-12)


def test_grey_values_are_those_of_the_intensity_mask(shape):
    rng = np.random.default_rng(4)
    mask, raw = rng.random((6, 5, 4)) < 0.8, rng.random((6, 5, 4))
    part, values = mask & (raw > 0.3), raw - 0.5
    out = shape(mask, raw=raw, values=values, intensity_mask=part)
    same = shape(mask, raw=raw, values=values)
    grey = {"morph_com", "morph_integ_int", "morph_moran_i", "morph_geary_c"}
    assert {tag for tag in out if out[tag] != same[tag]} == grey
    weighted = np.average(np.argwhere(part) * SPACING, axis=0, weights=raw[part])
    centre = (np.argwhere(mask) * SPACING).mean(axis=0)
    assert out["morph_com"] == pytest.approx(np.linalg.norm(weighted - centre))
    assert out["morph_integ_int"] == pytest.approx(out["morph_volume"] * values[part].mean())


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_what_is_wanted_has_the_same_value_and_the_rest_is_not_computed(convention, make_region, monkeypatch):
    rng = np.random.default_rng(5)
    region = make_region(rng.random((6, 5, 4)) < 0.6, raw=rng.random((6, 5, 4)))
    full = shape_features(region, convention=convention)
    for tag in full:
        part = shape_features(region, convention=convention, wanted=frozenset({tag}))
        assert part.items() <= full.items()
        assert tag in part

    def refuse(name):
        raise AssertionError(name)

    monkeypatch.setattr("radiocard.features.shape_3d.import_module", refuse)
    monkeypatch.setattr("radiocard.features.spatial.import_module", refuse)
    part = shape_features(region, convention=convention, wanted=frozenset({"morph_volume", "morph_diam"}))
    slow = {"morph_com", "morph_integ_int", "morph_moran_i", "morph_geary_c"}
    assert full.keys() - part.keys() == slow | {"morph_vol_dens_conv_hull", "morph_area_dens_conv_hull"}
    assert "morph_diam" not in shape_features(region, convention=convention, wanted=frozenset({"morph_volume"}))


@pytest.mark.parametrize("seed", range(8))
def test_pyradiomics_measures_the_same(seed, shape, make_region, run_pyradiomics):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(2, 14, 3)) < rng.choice([0.3, 0.8])
    mask[0, 0, 0] = mask[-1, -1, -1] = mask[0, -1, 0] = True
    spacing = tuple(rng.uniform(0.3, 9, 3))
    theirs = run_pyradiomics("shape", "RadiomicsShape", make_region(mask, spacing))
    names = {
        "volume": "MeshVolume",
        "vol_approx": "VoxelVolume",
        "area_mesh": "SurfaceArea",
        "av": "SurfaceVolumeRatio",
        "sphericity": "Sphericity",
        "comp_1": "Compactness1",
        "comp_2": "Compactness2",
        "sph_dispr": "SphericalDisproportion",
        "diam": "Maximum3DDiameter",
        "diam_slice": "Maximum2DDiameterSlice",
        "diam_column": "Maximum2DDiameterColumn",
        "diam_row": "Maximum2DDiameterRow",
        "pca_maj_axis": "MajorAxisLength",
        "pca_min_axis": "MinorAxisLength",
        "pca_least_axis": "LeastAxisLength",
        "pca_elongation": "Elongation",
        "pca_flatness": "Flatness",
    }
    found = shape(mask, spacing, convention="pyradiomics")
    expected = {f"morph_{tag}": theirs.pop(name) for tag, name in names.items()}
    assert not theirs
    assert {tag: found[tag] for tag in expected} == pytest.approx(expected, rel=1e-9)
