from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiocard.features import aggregate
from radiocard.features.glcm import TAGS, glcm_features
from radiocard.features.levels import directions, prepare_block

ALL = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")
SINGLE_LEVEL = {"cm_corr", "cm_info_corr1", "cm_mcc"}


def region(seed=0, shape=(7, 6, 4), levels=(1, 2, 3, 4, 5)):
    rng = np.random.default_rng(seed)
    return rng.choice(levels, size=shape) * (rng.random(shape) < 0.8)


def features(levels, names=ALL, *, n=5, distances=(1,), convention="ibsi", weigh=None, mcc=True):
    block = prepare_block(levels, reach=max(distances))
    out = {}
    for in_plane in (True, False):
        chosen = [name for name in names if name.startswith("3d") != in_plane]
        if chosen:
            offsets = directions(distances, in_plane=in_plane)
            weights = np.array([1.0 if weigh is None else weigh(o) for o in offsets])
            out |= glcm_features(
                block,
                n_levels=n,
                offsets=offsets,
                weights=weights,
                aggregations=chosen,
                convention=convention,
                mcc=mcc,
            )
    return out


def pairs_of(levels, offset, slices, weight=1.0):
    """Pairs by plain loops: both orders of each two voxels of the region, with a weight."""
    found = []
    for place in product(*map(range, levels.shape)):
        other = tuple(np.add(place, offset))
        if place[2] not in slices or min(other) < 0 or not np.all(np.less(other, levels.shape)):
            continue
        a, b = levels[place], levels[other]
        if a and b:
            found += [(a, b, weight), (b, a, weight)]
    return found


def entropy(keys, p):
    found = {}
    for key, x in zip(keys, p, strict=True):
        found[key] = found.get(key, 0) + x
    return -sum(x * np.log2(x) for x in found.values())


def second_eigenvalue(a, b, p):
    """Of the matrix Q that PyRadiomics documents, by a general eigenproblem."""
    grey = np.unique(a)
    joint = np.zeros((grey.size, grey.size))
    np.add.at(joint, (np.searchsorted(grey, a), np.searchsorted(grey, b)), p)
    marginal = joint.sum(axis=1)
    q = joint @ np.diag(1 / marginal) @ joint.T / marginal[:, None]
    return np.sort(np.linalg.eigvals(q).real)[-2] if grey.size > 1 else np.nan


def slow_features(pairs, n):
    """Every feature as an expectation over pairs."""
    a, b, weight = np.array(pairs, dtype=float).T
    p = weight / weight.sum()
    joint, single = entropy(zip(a, b, strict=True), p), entropy(a, p)
    mean, d, s = np.sum(p * a), np.abs(a - b), a + b
    variance, spread = np.sum(p * (a - mean) ** 2), s - 2 * mean
    cells = {}
    for x, y, w in zip(a, b, p, strict=True):
        cells[x, y] = cells.get((x, y), 0) + w
    values = [
        max(cells.values()),
        mean,
        variance,
        joint,
        np.sum(p * d),
        np.sum(p * (d - np.sum(p * d)) ** 2),
        entropy(d, p),
        np.sum(p * s),
        np.sum(p * (s - np.sum(p * s)) ** 2),
        entropy(s, p),
        sum(x**2 for x in cells.values()),
        np.sum(p * d**2),
        np.sum(p * d),
        np.sum(p / (1 + d)),
        np.sum(p / (1 + d / n)),
        np.sum(p / (1 + d**2)),
        np.sum(p / (1 + (d / n) ** 2)),
        np.sum(p[d > 0] / d[d > 0] ** 2),
        np.sum(p * (a - mean) * (b - mean)) / variance if np.ptp(a) else np.nan,
        np.sum(p * a * b),
        *(np.sum(p * spread**power) for power in (2, 3, 4)),
        (joint - 2 * single) / single if np.ptp(a) else np.nan,
        np.sqrt(1 - np.exp(-2 * max(2 * single - joint, 0))),
        np.sqrt(second_eigenvalue(a, b, p)),
    ]
    return dict(zip(TAGS, values, strict=True))


def slow_mean(levels, name, *, distances=(1,), n=5, weigh=None):
    offsets = directions(distances, in_plane=not name.startswith("3d"))
    numbers = range(levels.shape[2])
    slices = [[k] for k in numbers] if name.startswith("2d") else [numbers]
    if name.endswith("avg"):
        groups = [pairs_of(levels, o, s) for o in offsets for s in slices]
    else:
        weigh = weigh or (lambda _: 1.0)
        groups = [[pair for o in offsets for pair in pairs_of(levels, o, s, weigh(o))] for s in slices]
    rows = [slow_features(pairs, n) for pairs in groups if pairs]
    return {tag: np.nanmean([row[tag] for row in rows]) for tag in TAGS}


@pytest.mark.parametrize("distances", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("name", ALL)
def test_every_aggregation_equals_plain_loops(name, distances):
    levels = region()
    out = features(levels, [name], distances=distances)[name]
    assert tuple(out) == TAGS
    assert out == pytest.approx(slow_mean(levels, name, distances=distances))


@pytest.mark.parametrize("name", [name for name in ALL if name.endswith("comb")])
def test_directions_are_weighed_where_they_are_merged(name):
    levels = region(1)
    weigh = lambda offset: np.exp(-float(np.dot(offset, offset)))  # noqa: E731
    out = features(levels, [name], weigh=weigh)[name]
    assert out == pytest.approx(slow_mean(levels, name, weigh=weigh))


def test_weights_do_not_enter_means():
    levels = region(2)
    names = [name for name in ALL if name.endswith("avg")]
    assert features(levels, names, weigh=lambda o: 1 + abs(o[0])) == features(levels, names)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from(ALL), st.sampled_from([(3, 9), (1, 2, 7), (2, 3, 4, 40)]))
def test_grey_levels_may_have_gaps(seed, name, chosen):
    levels = region(seed, (4, 3, 3), chosen)
    out = features(levels, [name], n=40)[name]
    expected = slow_mean(levels, name, n=40)
    assert {tag: value for tag, value in out.items() if value is not None} == pytest.approx(
        {tag: value for tag, value in expected.items() if not np.isnan(value)}, rel=1e-6, abs=1e-7
    )
    assert {tag for tag, value in out.items() if value is None} == {t for t, v in expected.items() if np.isnan(v)}


@pytest.mark.parametrize("mcc", [True, False])
def test_maximal_correlation_comes_when_asked_for(mcc):
    assert all(("cm_mcc" in values) == mcc for values in features(region(), mcc=mcc).values())


def test_distance_beyond_the_region_gives_no_pair():
    out = features(np.ones((2, 2, 1), dtype=int), distances=(3,))
    assert {value for values in out.values() for value in values.values()} == {None}


@pytest.mark.parametrize("name", ALL)
def test_isolated_voxels_give_no_pair(name):
    levels = np.zeros((5, 5, 5), dtype=int)
    levels[::2, ::2, ::2] = 1 + np.arange(27).reshape(3, 3, 3) % 4
    assert set(features(levels, [name])[name].values()) == {None}


def test_by_hand():
    # along i: 1-2 and 1-3; that is 12, 21, 13, 31, once each
    levels = np.array([[[1], [1]], [[2], [3]]])
    block = prepare_block(levels, reach=1)
    out = glcm_features(
        block,
        n_levels=3,
        offsets=((1, 0, 0),),
        weights=np.ones(1),
        aggregations=["3d_avg"],
        convention="ibsi",
        mcc=True,
    )["3d_avg"]
    expected = {
        "cm_joint_max": 0.25,
        "cm_joint_avg": 7 / 4,
        "cm_joint_entr": 2,
        "cm_contrast": (1 + 4) / 2,
        "cm_diff_entr": 1,
        "cm_sum_avg": 3.5,
        "cm_inv_diff": (1 / 2 + 1 / 3) / 2,
        "cm_inv_diff_mom_norm": (9 / 10 + 9 / 13) / 2,
        "cm_inv_var": (1 + 1 / 4) / 2,
        "cm_auto_corr": (2 + 3) / 2,
        "cm_mcc": 1,  # the partner tells whether a voxel has level 1
    }
    assert {tag: out[tag] for tag in expected} == pytest.approx(expected)


def test_checkerboard():
    board = (np.indices((9, 9, 1)).sum(axis=0) % 2) + 1
    out = features(board, ["2d_avg"], n=2)["2d_avg"]
    # sideways all neighbours differ, along the diagonals none does
    expected = {"cm_contrast": 0.5, "cm_corr": 0, "cm_inv_diff": 0.75, "cm_inv_diff_norm": (2 / 3 + 1) / 2}
    assert {tag: out[tag] for tag in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_one_grey_level_has_no_correlation(convention):
    out = features(np.full((4, 4, 2), 3), n=3, convention=convention)
    for values in out.values():
        assert {tag for tag, value in values.items() if value is None} == SINGLE_LEVEL
        assert str(values["cm_joint_entr"]) == "0.0"
        assert values["cm_energy"] == values["cm_inv_diff"] == 1
        assert values["cm_info_corr2"] == values["cm_joint_var"] == 0


def test_a_flat_slice_counts_in_the_mean_as_the_convention_says():
    levels = np.ones((4, 4, 2), dtype=int)
    levels[:, :, 1] = region(3, (4, 4, 1))[:, :, 0]
    alone = features(levels[:, :, 1:], ["2d_comb"])["2d_comb"]
    ibsi = features(levels, ["2d_comb"])["2d_comb"]
    theirs = features(levels, ["2d_comb"], convention="pyradiomics")["2d_comb"]
    assert {tag: ibsi[tag] for tag in SINGLE_LEVEL} == pytest.approx({tag: alone[tag] for tag in SINGLE_LEVEL})
    assert theirs["cm_corr"] == pytest.approx((alone["cm_corr"] + 1) / 2)
    assert theirs["cm_info_corr1"] == pytest.approx(alone["cm_info_corr1"] / 2)
    assert theirs["cm_mcc"] == pytest.approx(alone["cm_mcc"] / 2)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sets(st.sampled_from([0, 1, 2])), st.permutations([0, 1]))
def test_flips_and_turns_in_the_plane_change_nothing(seed, flips, order):
    levels = region(seed, (5, 4, 3))
    moved = np.flip(levels, axis=tuple(flips)).transpose(*order, 2)
    a, b = features(levels), features(moved)
    for name in ALL:
        assert b[name] == pytest.approx(a[name], rel=1e-6, abs=1e-7)


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_padding_changes_nothing(seed, width):
    levels = region(seed, (5, 4, 3))
    a, b = features(levels), features(np.pad(levels, np.reshape(width, (3, 2))))
    for name in ALL:
        assert b[name] == pytest.approx(a[name], rel=1e-12, abs=1e-12)


def test_many_levels_are_done_one_matrix_at_a_time(monkeypatch):
    levels = region(5)
    weigh = lambda offset: 1.0 + abs(offset[0])  # noqa: E731
    at_once = features(levels, weigh=weigh)
    monkeypatch.setattr(aggregate, "MAX_CELLS", 1)
    in_turns = features(levels, weigh=weigh)
    for name in ALL:
        assert in_turns[name] == pytest.approx(at_once[name], rel=1e-12)
