from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from radiocard.features.glcm import cooccurrence, directions, glcm_features, matrix_features

ALL = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")


def region(seed=0, shape=(7, 6, 4), n=5):
    rng = np.random.default_rng(seed)
    return rng.integers(1, n + 1, size=shape) * (rng.random(shape) < 0.8)


def features(levels, names=ALL, *, n=5, distance=1, convention="ibsi"):
    return glcm_features(levels, n_levels=n, aggregations=names, distance=distance, convention=convention)


def pairs_of(levels, offset, slices):
    """Pairs by plain loops: both orders of each two voxels of the region."""
    found = []
    for place in product(*map(range, levels.shape)):
        other = tuple(np.add(place, offset))
        if place[2] not in slices or min(other) < 0 or not np.all(np.less(other, levels.shape)):
            continue
        a, b = levels[place], levels[other]
        if a and b:
            found += [(a, b), (b, a)]
    return found


def slow_features(pairs):
    a, b = np.array(pairs, dtype=float).T
    _, counts = np.unique(np.array(pairs), axis=0, return_counts=True)
    return {
        "cm_joint_entr": stats.entropy(counts, base=2),
        "cm_joint_max": counts.max() / counts.sum(),
        "cm_contrast": np.mean((a - b) ** 2),
        "cm_corr": np.corrcoef(a, b)[0, 1],
        "cm_clust_shade": np.mean((a + b - 2 * a.mean()) ** 3),
        "cm_diff_entr": stats.entropy(np.unique(np.abs(a - b), return_counts=True)[1], base=2),
        "cm_sum_entr": stats.entropy(np.unique(a + b, return_counts=True)[1], base=2),
        "cm_inv_diff_norm": np.mean(1 / (1 + np.abs(a - b) / 5)),
        "cm_auto_corr": np.mean(a * b),
    }


@pytest.mark.parametrize("distance", [1, 2])
@pytest.mark.parametrize("name", ALL)
def test_every_aggregation_equals_plain_loops(name, distance):
    levels = region()
    flat = not name.startswith("3d")
    offsets = directions(distance, in_plane=flat)
    each, every = [[k] for k in range(4)], [range(4)]
    slices = each if name.startswith("2d") else every
    if name.endswith("avg"):
        groups = [pairs_of(levels, o, s) for o in offsets for s in slices]
    else:
        groups = [[pair for o in offsets for pair in pairs_of(levels, o, s)] for s in slices]
    rows = [slow_features(pairs) for pairs in groups if pairs]
    expected = {tag: np.mean([row[tag] for row in rows]) for tag in rows[0]}
    out = features(levels, [name], distance=distance)[name]
    assert {tag: out[tag] for tag in expected} == pytest.approx(expected)


@pytest.mark.parametrize(("distance", "in_plane", "n"), [(1, True, 4), (1, False, 13), (2, True, 8), (2, False, 49)])
def test_number_of_directions(distance, in_plane, n):
    found = directions(distance, in_plane=in_plane)
    assert len(found) == len({*found, *(tuple(-x for x in d) for d in found)}) / 2 == n


def test_distance_beyond_the_region_gives_no_pair():
    counts = cooccurrence(np.ones((2, 2, 1), dtype=int), 1, directions(3, in_plane=True), per_slice=True)
    assert counts.sum() == 0
    out = features(np.ones((2, 2, 1), dtype=int), distance=3)
    assert {value for values in out.values() for value in values.values()} == {None}


def test_uniform_matrix_is_independent():
    n = 8
    out = matrix_features(np.ones((1, n, n)), np.arange(1, n + 1), n_levels=n, convention="ibsi")
    expected = {
        "cm_joint_entr": 6,
        "cm_sum_avg": 9,
        "cm_energy": 1 / 64,
        "cm_joint_var": (n**2 - 1) / 12,
        "cm_corr": 0,
        "cm_info_corr1": 0,
        "cm_info_corr2": 0,
        "cm_clust_shade": 0,
    }
    assert {tag: out[tag][0] for tag in expected} == pytest.approx(expected, abs=1e-12)


def test_checkerboard():
    board = (np.indices((9, 9, 1)).sum(axis=0) % 2) + 1
    out = features(board, ["2d_avg"], n=2)["2d_avg"]
    # sideways all neighbours differ, along the diagonals none does
    expected = {"cm_contrast": 0.5, "cm_corr": 0, "cm_inv_diff": 0.75, "cm_inv_diff_norm": (2 / 3 + 1) / 2}
    assert {tag: out[tag] for tag in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_one_grey_level_has_no_correlation(convention):
    out = features(np.ones((4, 4, 2), dtype=int), n=1, convention=convention)
    for values in out.values():
        assert {tag for tag, value in values.items() if value is None} == {"cm_corr", "cm_info_corr1"}
        assert str(values["cm_joint_entr"]) == "0.0"
        assert values["cm_energy"] == values["cm_inv_diff"] == 1
        assert values["cm_info_corr2"] == 0


def test_a_flat_slice_counts_in_the_mean_as_the_convention_says():
    levels = np.ones((4, 4, 2), dtype=int)
    levels[:, :, 1] = region(3, (4, 4, 1))[:, :, 0]
    alone = features(levels[:, :, 1:], ["2d_comb"])["2d_comb"]
    ibsi = features(levels, ["2d_comb"])["2d_comb"]
    theirs = features(levels, ["2d_comb"], convention="pyradiomics")["2d_comb"]
    assert ibsi["cm_corr"] == pytest.approx(alone["cm_corr"])
    assert theirs["cm_corr"] == pytest.approx((alone["cm_corr"] + 1) / 2)
    assert theirs["cm_info_corr1"] == pytest.approx(alone["cm_info_corr1"] / 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sets(st.sampled_from([0, 1, 2])), st.permutations([0, 1]))
def test_flips_and_turns_in_the_plane_change_nothing(seed, flips, order):
    levels = region(seed, (5, 4, 3))
    moved = np.flip(levels, axis=tuple(flips)).transpose(*order, 2)
    a, b = features(levels), features(moved)
    for name in ALL:
        assert b[name] == pytest.approx(a[name], abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.permutations([0, 1, 2]))
def test_storage_order_does_not_change_features_in_space(seed, order):
    levels = region(seed, (5, 4, 3))
    a, b = (features(x, ["3d_avg", "3d_comb"]) for x in (levels, levels.transpose(order)))
    assert b["3d_avg"] == pytest.approx(a["3d_avg"], abs=1e-9)
    assert b["3d_comb"] == pytest.approx(a["3d_comb"], abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_padding_changes_nothing(seed, width):
    levels = region(seed, (5, 4, 3))
    a, b = features(levels), features(np.pad(levels, np.reshape(width, (3, 2))))
    for name in ALL:
        assert b[name] == pytest.approx(a[name], abs=1e-12)


def test_many_levels_are_done_in_parts():
    levels = np.random.default_rng(0).integers(1, 600, size=(30, 10, 4))
    out = features(levels, ["2d_avg"], n=599)["2d_avg"]
    one = [features(levels[:, :, k : k + 1], ["2d_avg"], n=599)["2d_avg"]["cm_joint_entr"] for k in range(4)]
    assert out["cm_joint_entr"] == pytest.approx(np.mean(one))
