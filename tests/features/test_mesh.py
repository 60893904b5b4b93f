from itertools import permutations, product

import numpy as np
import pytest

from radiocard.features.mesh import cell_triangles, measure_surface, pad

BOTH = ("ibsi", "pyradiomics")
SPACING = (1.3, 0.7, 2.1)
SCATTERED = np.random.default_rng(0).random((6, 5, 4)) < 0.5


@pytest.mark.parametrize("convention", BOTH)
def test_one_voxel_is_an_octahedron(convention):
    surface = measure_surface(np.ones((1, 1, 1), bool), (1, 1, 1), convention=convention)
    assert surface == pytest.approx((np.sqrt(3), 1 / 6))


@pytest.mark.parametrize("convention", BOTH)
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 1), (4, 3, 1), (6, 5, 4)])
def test_box_is_a_box_with_bevelled_edges(shape, convention):
    """Per cell: all, half, 1/8 and 1/48 inside; faces, bevels of the edges, corner triangles."""
    n = [np.array(shape) - 1, np.array(SPACING)]
    (a, b, c), (x, y, z) = n
    cells = a * b * c + (a * b + b * c + a * c) + (a + b + c) / 2 + 1 / 6
    assert measure_surface(np.ones(shape, bool), SPACING, convention=convention).volume == pytest.approx(
        cells * x * y * z
    )
    area = 2 * (a * b * x * y + b * c * y * z + a * c * x * z)
    area += 2 * (a * x * np.hypot(y, z) + b * y * np.hypot(x, z) + c * z * np.hypot(x, y))
    area += np.sqrt((x * y) ** 2 + (y * z) ** 2 + (x * z) ** 2)
    assert measure_surface(np.ones(shape, bool), SPACING, convention=convention).area == pytest.approx(area)


@pytest.mark.parametrize("convention", BOTH)
def test_volume_of_a_sphere_converges(convention):
    for radius, tolerance in ((6.2, 0.02), (20.3, 0.002)):
        grid = np.indices((43, 43, 43)) - 21
        sphere = (grid**2).sum(axis=0) <= radius**2
        found = measure_surface(sphere, (1, 1, 1), convention=convention).volume
        assert found == pytest.approx(4 / 3 * np.pi * radius**3, rel=tolerance)


def test_ibsi_mesh_is_the_same_in_all_48_storage_orders():
    reference = measure_surface(SCATTERED, SPACING, convention="ibsi")
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        moved = SCATTERED.transpose(order)[tuple(slice(None, None, s) for s in signs)]
        spacing = tuple(SPACING[n] for n in order)
        assert measure_surface(moved, spacing, convention="ibsi") == pytest.approx(reference, rel=1e-12)


def test_ibsi_mesh_is_closed():
    """The volume of a closed mesh does not depend on the origin."""
    reference = measure_surface(SCATTERED, SPACING, convention="ibsi")
    moved = np.pad(SCATTERED, ((9, 0), (4, 2), (0, 7)))
    assert measure_surface(moved, SPACING, convention="ibsi") == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("convention", BOTH)
def test_area_and_volume_are_those_of_all_triangles(convention):
    """One triangle at a time, from the list of each cell."""
    mask, spacing = SCATTERED, SPACING
    if convention == "pyradiomics":  # the lists are in storage order k, j, i
        mask, spacing = mask.transpose(2, 1, 0), spacing[::-1]
    padded, area, volume = np.pad(mask, 1).astype(int), 0.0, 0.0
    vertices, weights = cell_triangles(convention)
    for cell in np.ndindex(*(n - 1 for n in padded.shape)):
        cube = padded[tuple(slice(c, c + 2) for c in cell)]
        number = int(cube.ravel() @ 2 ** np.arange(8))
        a, b, c = np.moveaxis((vertices[number] + cell) * spacing, 1, 0)
        area += weights[number] @ np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        volume += weights[number] @ np.sum(a * np.cross(b, c), axis=1) / 6
    assert measure_surface(SCATTERED, SPACING, convention=convention) == pytest.approx((area, volume), rel=1e-12)


def test_every_cell_and_its_complement_differ_in_direction_only():
    vertices, weights = cell_triangles("pyradiomics")
    assert vertices.shape[0] == weights.shape[0] == 256
    normals = np.cross(vertices[:, :, 1] - vertices[:, :, 0], vertices[:, :, 2] - vertices[:, :, 0]).sum(axis=1)
    np.testing.assert_allclose(normals, -normals[::-1], atol=1e-12)


def test_pad_puts_one_layer_around():
    padded = pad(np.ones((2, 1, 3), bool))
    assert padded.shape == (4, 3, 5)
    assert padded.sum() == padded[1:-1, 1:-1, 1:-1].sum() == 6
    assert padded.dtype == np.uint8


@pytest.mark.parametrize("seed", range(6))
def test_pyradiomics_measures_the_same(seed, make_region, run_pyradiomics):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(2, 14, 3)) < rng.choice([0.3, 0.8])
    mask[0, 0, 0] = mask[-1, -1, -1] = True
    spacing = tuple(rng.uniform(0.3, 9, 3))
    theirs = run_pyradiomics("shape", "RadiomicsShape", make_region(mask, spacing))
    found = measure_surface(mask, spacing, convention="pyradiomics")
    assert found == pytest.approx((theirs["SurfaceArea"], theirs["MeshVolume"]), rel=1e-10)
