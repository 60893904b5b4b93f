import numpy as np
import pytest

from radiocard.features.spatial import spatial_autocorrelation

SPACING = (1.3, 0.7, 2.1)


def brute_force(values, mask, spacing):
    """Both measures from their definitions, over all pairs of voxels."""
    x, points = values[mask], np.argwhere(mask) * spacing
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    weights, deviation = 1 / distance, x - x.mean()
    squares = np.sum(deviation**2)
    moran = len(x) / weights.sum() * np.sum(weights * np.outer(deviation, deviation)) / squares
    differences = np.sum(weights * np.subtract.outer(x, x) ** 2)
    return moran, (len(x) - 1) / (2 * weights.sum()) * differences / squares


@pytest.mark.parametrize("shape", [(5, 1, 1), (4, 6, 1), (7, 5, 3)])
@pytest.mark.parametrize("offset", [0.0, -1e4])
def test_values_are_those_of_all_pairs(shape, offset):
    rng = np.random.default_rng(0)
    mask, values = rng.random(shape) < 0.7, offset + rng.normal(size=shape)
    found = spatial_autocorrelation(values, mask, SPACING)
    assert found == pytest.approx(brute_force(values, mask, SPACING), rel=1e-9)


def test_checkerboard_repels_and_a_slope_attracts():
    index = np.indices((6, 6, 6)).sum(axis=0)
    mask = np.ones(index.shape, bool)
    board, slope = (spatial_autocorrelation(v, mask, (1.0, 1.0, 1.0)) for v in (index % 2, index))
    assert board[0] < 0 < slope[0]
    assert slope[1] < 1 < board[1]
    assert board == pytest.approx(brute_force(index % 2, mask, (1.0, 1.0, 1.0)), rel=1e-9)


def test_grey_values_outside_the_mask_do_not_matter():
    rng = np.random.default_rng(1)
    mask, values = rng.random((5, 5, 5)) < 0.5, rng.normal(size=(5, 5, 5))
    reference = spatial_autocorrelation(values, mask, SPACING)
    assert spatial_autocorrelation(np.where(mask, values, np.nan), mask, SPACING) == reference


def test_one_grey_value_has_neither():
    assert spatial_autocorrelation(np.full((3, 2, 2), 7.1), np.ones((3, 2, 2), bool), SPACING) == (None, None)
    assert spatial_autocorrelation(np.ones((1, 1, 1)), np.ones((1, 1, 1), bool), SPACING) == (None, None)


def test_digital_phantom_has_the_consensus_values(digital_phantom):
    region = digital_phantom
    moran, geary = spatial_autocorrelation(region.values, region.intensity_mask, region.spacing)
    assert moran == pytest.approx(0.0397, abs=0.0003)
    assert geary == pytest.approx(0.974, abs=0.006)
