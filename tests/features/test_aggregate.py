import numpy as np
import pytest

from radiocard.features.aggregate import Counts, lengths, matrices, mean_values
from radiocard.features.levels import prepare_block

NAN = float("nan")


def test_lengths_by_norm():
    offsets = ((1, -1, 0), (0, 0, 1))
    spacing = (3.0, 4.0, 8.0)
    expected = {"none": [1, 1], "manhattan": [7, 8], "euclidean": [5, 8], "infinity": [4, 8]}
    for norm, values in expected.items():
        assert lengths(offsets, norm=norm, spacing=spacing) == pytest.approx(values)


CELLS = np.arange(1, 25, dtype=np.int32).reshape(2, 3, 2, 2)  # two directions, three slices
WEIGHTS = np.array([1.0, 0.5])
FLAT = {
    "2d_avg": CELLS.reshape(6, 2, 2),
    "2d_comb": CELLS[0] + 0.5 * CELLS[1],
    "2_5d_avg": CELLS.sum(axis=1),
    "2_5d_comb": (CELLS[0] + 0.5 * CELLS[1]).sum(axis=0)[None],
}


def batches(names, counts):
    block = prepare_block(np.ones((2, 1, 3), dtype=int), reach=1)
    found = matrices(lambda *_: counts, block, np.array([1, 2]), aggregations=names, weights=WEIGHTS, cells=4)
    return dict(found)


def test_each_aggregation_sums_what_it_should():
    found = batches(tuple(FLAT), Counts(CELLS))
    assert found.keys() == FLAT.keys()
    for name, expected in FLAT.items():
        assert np.array_equal(found[name], expected), name


def test_in_space_there_are_no_slices():
    counts = Counts(CELLS[:, :1])
    found = batches(("3d_avg", "3d_comb"), counts)
    assert np.array_equal(found["3d_avg"], CELLS[:, 0])
    assert np.array_equal(found["3d_comb"], CELLS[:1, 0] + 0.5 * CELLS[1:, 0])


def test_a_direction_left_out_counts_where_slices_are_pooled_and_another_slice_has_it():
    kept = np.array([[True, False, True], [False, False, False]])
    found = batches(tuple(FLAT), Counts(CELLS, kept))
    assert np.array_equal(found["2d_avg"], np.where(kept[..., None, None], CELLS, 0).reshape(6, 2, 2))
    assert np.array_equal(found["2_5d_avg"], [CELLS[0].sum(axis=0), np.zeros((2, 2))])
    assert np.array_equal(found["2_5d_comb"], [CELLS[0].sum(axis=0)])


def test_means_leave_out_empty_matrices_and_undefined_values():
    parts = [np.array([[1.0, 2.0, NAN], [NAN, NAN, NAN]]), np.array([[3.0, NAN, NAN]])]
    assert mean_values(parts, ("a", "b", "c"), fills={}) == {"a": 2, "b": 2, "c": None}


def test_a_fill_counts_only_beside_defined_values():
    parts = [np.array([[1.0, 2.0, NAN], [NAN, NAN, NAN], [3.0, NAN, NAN]])]
    fills = {"b": 1.0, "c": 1.0}
    assert mean_values(parts, ("a", "b", "c"), fills=fills) == {"a": 2, "b": 1.5, "c": None}


def test_no_matrix_defines_nothing():
    assert mean_values([np.empty((0, 2))], ("a", "b"), fills={"a": 1.0}) == {"a": None, "b": None}
