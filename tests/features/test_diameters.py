import numpy as np
import pytest
from scipy.spatial import ConvexHull

from radiocard.features.diameters import measure_diameters

SPACING = (1.3, 0.7, 2.1)


def mesh_vertices(mask):
    """All mesh vertices in voxels, straight from the definition."""
    padded, points = np.pad(mask, 1).astype(int), []
    for axis in range(3):
        found = np.argwhere(np.diff(padded, axis=axis) != 0).astype(float) - 1
        found[:, axis] += 0.5
        points.append(found)
    return np.concatenate(points)


def brute_force(mask, spacing):
    vertices = mesh_vertices(mask)
    distance = np.linalg.norm((vertices[:, None] - vertices[None]) * spacing, axis=2)
    in_plane = [distance[vertices[:, None, axis] == vertices[None, :, axis]].max() for axis in range(3)]
    return distance.max(), in_plane


@pytest.mark.parametrize("seed", range(60))
def test_diameters_are_those_of_all_pairs_of_vertices(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 10, 3)) < rng.choice([0.05, 0.3, 0.9])
    mask[tuple(rng.integers(0, mask.shape))] = True
    spacing = rng.uniform(0.4, 4, 3)
    largest, in_plane = brute_force(mask, spacing)
    found = measure_diameters(mask, tuple(spacing))
    assert found.largest == pytest.approx(largest, rel=1e-12)
    assert found.in_plane == pytest.approx(in_plane, rel=1e-12)


@pytest.mark.parametrize("density", [0.1, 0.6, 1.0])
def test_hull_points_span_the_hull_of_all_vertices(density):
    mask = np.random.default_rng(1).random((9, 8, 5)) < density
    found, full = ConvexHull(measure_diameters(mask, SPACING).hull), ConvexHull(mesh_vertices(mask) * SPACING)
    assert (found.volume, found.area) == pytest.approx((full.volume, full.area), rel=1e-12)


def test_ball_keeps_few_points():
    ball = (np.square(np.indices((41, 41, 41)) - 20).sum(axis=0)) <= 20.2**2
    found = measure_diameters(ball, (1.0, 1.0, 1.0))
    assert found.largest == pytest.approx(41, abs=0.5)
    assert found.in_plane == pytest.approx([41, 41, 41], abs=0.5)
    assert len(found.hull) < 0.1 * len(mesh_vertices(ball))


def test_planes_between_voxels_count():
    """Two voxels in different slices share the plane between the slices."""
    mask = np.zeros((1, 4, 2), bool)
    mask[0, 0, 0] = mask[0, 3, 1] = True
    found = measure_diameters(mask, (1.0, 1.0, 1.0))
    assert found.in_plane[2] == 3  # each slice alone is 1 wide


def test_many_small_parts_are_one_region():
    mask = np.zeros((30, 2, 2), bool)
    mask[0, 0, 0] = mask[-1, 1, 1] = True
    assert measure_diameters(mask, (2.0, 1.0, 1.0)).largest == pytest.approx(np.sqrt(60**2 + 1 + 1))


@pytest.mark.parametrize("seed", range(8))
def test_pyradiomics_measures_the_same(seed, make_region, run_pyradiomics):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(2, 14, 3)) < rng.choice([0.1, 0.7])
    mask[0, 0, 0] = mask[-1, -1, -1] = True
    spacing = tuple(rng.uniform(0.3, 9, 3))
    theirs = run_pyradiomics("shape", "RadiomicsShape", make_region(mask, spacing))
    found = measure_diameters(mask, spacing)
    assert found.largest == pytest.approx(theirs["Maximum3DDiameter"], rel=1e-12)
    planes = [theirs[f"Maximum2DDiameter{name}"] for name in ("Row", "Column", "Slice")]
    assert found.in_plane == pytest.approx(planes, rel=1e-12)
