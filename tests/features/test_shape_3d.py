from itertools import permutations, product

import numpy as np
import pytest
from scipy.special import elliprg

from radiocard.features.shape_3d import axis_variances, shape_features

SPACING = (1.3, 0.7, 2.1)


def shape(mask, spacing=SPACING, raw=None, convention="ibsi"):
    raw = np.ones(mask.shape) if raw is None else raw
    return shape_features(mask, spacing, raw=raw, normalised=raw, convention=convention)


def ball(radius, spacing=(1.0, 1.0, 1.0), semi=(1.0, 1.0, 1.0)):
    half = [int(radius * s / d) + 1 for s, d in zip(semi, spacing, strict=True)]
    axes = [np.arange(-h, h + 1) * d / s for h, d, s in zip(half, spacing, semi, strict=True)]
    mask = sum(a**2 for a in np.meshgrid(*axes, indexing="ij")) <= radius**2
    keep = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {n}))) for n in range(3)]
    return mask[np.ix_(*keep)]


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_ball(convention):
    out = shape(ball(20.3), (1, 1, 1), convention=convention)
    assert len(out) == 23
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
def test_box_fills_its_convex_hull(convention):
    out = shape(np.ones((5, 4, 3), bool), convention=convention)
    assert out["morph_vol_dens_conv_hull"] == pytest.approx(1)
    assert out["morph_area_dens_conv_hull"] == pytest.approx(1)


def test_ellipsoid_on_a_thick_grid():
    mask = ball(1, (1.0, 1.0, 2.0), (30.0, 20.0, 15.0))
    out = shape(mask, (1.0, 1.0, 2.0))
    assert out["morph_pca_maj_axis"] == pytest.approx(4 * 30 / np.sqrt(5), rel=0.01)
    assert out["morph_pca_elongation"] == pytest.approx(20 / 30, rel=0.01)
    assert out["morph_pca_flatness"] == pytest.approx(15 / 30, rel=0.01)


def test_roundness_measures_agree_with_each_other():
    out = shape(np.random.default_rng(0).random((7, 6, 5)) < 0.7)
    s = out["morph_sphericity"]
    assert out["morph_comp_1"] == pytest.approx(np.sqrt(s**3) / (6 * np.pi))
    assert out["morph_comp_2"] == pytest.approx(s**3)
    assert out["morph_sph_dispr"] == pytest.approx(1 / s)
    assert out["morph_asphericity"] == pytest.approx(1 / s - 1)
    assert out["morph_av"] == pytest.approx(out["morph_area_mesh"] / out["morph_volume"])


def test_diameter_is_the_largest_distance_of_all_vertices():
    mask = np.random.default_rng(1).random((6, 5, 4)) < 0.3
    offsets = 0.5 * np.concatenate([np.eye(3), -np.eye(3)])
    vertices = (np.argwhere(mask)[:, None] + offsets).reshape(-1, 3) * SPACING
    brute = np.linalg.norm(vertices[:, None] - vertices[None], axis=2).max()
    assert shape(mask)["morph_diam"] == pytest.approx(brute, rel=1e-12)


def test_same_values_in_all_48_storage_orders():
    rng = np.random.default_rng(2)
    mask, raw = rng.random((6, 5, 4)) < 0.6, rng.random((6, 5, 4))
    reference = shape(mask, raw=raw)
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turn = tuple(slice(None, None, s) for s in signs)
        moved = shape(mask.transpose(order)[turn], tuple(SPACING[n] for n in order), raw.transpose(order)[turn])
        assert moved == pytest.approx(reference, rel=1e-9)


def test_centre_of_mass_moves_to_the_bright_side():
    mask, raw = np.ones((2, 1, 1), bool), np.array([[[3.0]], [[1.0]]])
    # centre at 0.65 mm, weighted centre at a quarter of the way
    assert shape(mask, raw=raw)["morph_com"] == pytest.approx(1.3 / 4)
    assert shape(mask, raw=np.array([[[1.0]], [[-1.0]]]))["morph_com"] is None


def test_integrated_intensity_is_volume_times_mean():
    mask = np.ones((3, 2, 2), bool)
    out = shape(mask, raw=np.full(mask.shape, 2.5))
    assert out["morph_integ_int"] == pytest.approx(2.5 * out["morph_volume"])


def test_covariance_follows_the_convention():
    mask = np.ones((5, 1, 1), bool)
    ibsi, theirs = (shape(mask, (1, 1, 1), convention=c)["morph_pca_maj_axis"] for c in ("ibsi", "pyradiomics"))
    assert (ibsi, theirs) == pytest.approx((4 * np.sqrt(10 / 4), 4 * np.sqrt(2)))


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_one_voxel_and_one_slice_leave_undefined_what_divides_by_nothing(convention):
    axes = {"morph_pca_elongation", "morph_pca_flatness"}
    ellipsoid = {"morph_vol_dens_aee", "morph_area_dens_aee"}
    one = shape(np.ones((1, 1, 1), bool), convention=convention)
    assert {tag for tag, value in one.items() if value is None} == axes | ellipsoid
    flat = shape(np.ones((4, 3, 1), bool), convention=convention)
    assert {tag for tag, value in flat.items() if value is None} == {"morph_vol_dens_aee"}
    assert flat["morph_pca_flatness"] == 0


def test_ellipsoid_area_is_exact_for_a_ball():
    out = shape(ball(15.0), (1, 1, 1))
    variance = axis_variances(np.argwhere(ball(15.0)) * 1.0, ddof=1)
    semi = 2 * np.sqrt(variance)
    exact = 4 * np.pi * elliprg(*(semi[a] ** 2 * semi[b] ** 2 for a, b in ((0, 1), (0, 2), (1, 2))))
    assert out["morph_area_mesh"] / out["morph_area_dens_aee"] == pytest.approx(exact, rel=1e-6)
