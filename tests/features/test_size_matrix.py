import numpy as np
import pytest

from radiocard.features.size_matrix import size_features


def test_hand_computed():
    # two of level 1 and size 1, one of level 1 and size 3, one of level 2 and size 1
    counts = np.array([[[2.0, 1.0], [1.0, 0.0]]])
    (row,) = size_features(counts, np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.array([8.0]))
    expected = [
        (3 + 1 / 9) / 4,  # small
        (3 + 9) / 4,  # large
        (3 + 1 / 4) / 4,  # low
        (3 + 4) / 4,  # high
        (2 + 1 / 9 + 1 / 4) / 4,
        (2 + 1 / 9 + 4) / 4,
        (2 + 9 + 1 / 4) / 4,
        (2 + 9 + 4) / 4,
        (9 + 1) / 4,  # non-uniformity of grey levels
        (9 + 1) / 16,
        (9 + 1) / 4,  # of sizes
        (9 + 1) / 16,
        4 / 8,
        0.75 * 0.25,  # variance of a two-valued variable
        4 * 0.75 * 0.25,
        1.5,
        (4 + 1 + 1) / 16,
    ]
    assert row == pytest.approx(expected)


def test_features_equal_those_of_the_items_counted(slow_size_features):
    rng = np.random.default_rng(0)
    grey, sizes = np.array([1.0, 4.0, 5.0]), np.array([1.0, 2.0, 7.0, 9.0])
    counts = rng.integers(0, 4, (5, 3, 4)).astype(float)
    counts[2] = 0
    found = size_features(counts, grey, sizes, np.arange(10.0, 15.0))
    assert np.isnan(found[2]).all()
    for m in (0, 1, 3, 4):
        items = [(grey[r], sizes[s], counts[m, r, s]) for r in range(3) for s in range(4)]
        assert found[m] == pytest.approx(slow_size_features(items, voxels=10 + m))


def test_one_item_has_no_spread():
    (row,) = size_features(np.ones((1, 1, 1)), np.array([3.0]), np.array([5.0]), np.array([5.0]))
    assert row.tolist() == pytest.approx(
        [1 / 25, 25, 1 / 9, 9, 1 / 225, 9 / 25, 25 / 9, 225, 1, 1, 1, 1, 1 / 5, 0, 0, 0, 1]
    )
    assert str(row[15]) == "0.0"
