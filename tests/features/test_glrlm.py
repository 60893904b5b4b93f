import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiocard.features import aggregate
from radiocard.features.glrlm import TAGS, glrlm_features
from radiocard.features.levels import directions, prepare_block

ALL = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")


def region(seed=0, shape=(6, 5, 4), levels=(1, 2, 5), density=0.8):
    rng = np.random.default_rng(seed)
    return rng.choice(levels, size=shape) * (rng.random(shape) < density)


def features(levels, names=ALL, *, convention="ibsi", weigh=None):
    block = prepare_block(levels, reach=1)
    out = {}
    for in_plane in (True, False):
        chosen = [name for name in names if name.startswith("3d") != in_plane]
        if chosen:
            offsets = directions((1,), in_plane=in_plane)
            weights = np.array([1.0 if weigh is None else weigh(o) for o in offsets])
            out |= glrlm_features(block, offsets=offsets, weights=weights, aggregations=chosen, convention=convention)
    return out


def runs_of(levels, offset, slices):
    """Grey level and length of each run, by walking from its first voxel."""

    def level(place):
        inside = np.all(np.greater_equal(place, 0)) and np.all(np.less(place, levels.shape))
        return levels[tuple(place)] if inside else 0

    found = []
    for place in np.argwhere(levels):
        grey = level(place)
        if place[2] not in slices or level(place - offset) == grey:
            continue
        length = 1
        while level(place + np.multiply(length, offset)) == grey:
            length += 1
        found.append((grey, length))
    return found


def lines_of(levels, offset, slices):
    """How many voxels each line along an offset meets."""
    axis = np.flatnonzero(offset)[0]
    places = [p - p[axis] * np.array(offset) for p in np.argwhere(levels) if p[2] in slices]
    return np.unique(places, axis=0, return_counts=True)[1] if places else np.zeros(1)


def slow_mean(levels, name, slow_size_features, *, weigh=None, lines=False):
    offsets = directions((1,), in_plane=not name.startswith("3d"))
    numbers = range(levels.shape[2])
    slices = [[k] for k in numbers] if name.startswith("2d") else [numbers]
    weigh = weigh or (lambda _: 1.0)
    rows = []
    for group in slices:
        used = [o for o in offsets if not lines or lines_of(levels, o, group).max() > 1]
        each = [[(grey, length, weigh(o)) for grey, length in runs_of(levels, o, group)] for o in used]
        each = each if name.endswith("avg") else [[item for items in each for item in items]]
        for items in each:
            if items:
                rows.append(slow_size_features(items, voxels=sum(length * w for _, length, w in items)))
    return dict(zip(TAGS, np.mean(rows, axis=0), strict=False)) if rows else dict.fromkeys(TAGS)


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
@pytest.mark.parametrize("name", ALL)
def test_every_aggregation_equals_plain_loops(name, convention, slow_size_features):
    levels = region()
    out = features(levels, [name], convention=convention)[name]
    assert tuple(out) == TAGS
    assert out == pytest.approx(slow_mean(levels, name, slow_size_features))


@pytest.mark.parametrize("name", [name for name in ALL if name.endswith("comb")])
def test_directions_are_weighed_where_they_are_merged(name, slow_size_features):
    levels = region(1)
    weigh = lambda offset: 0.5 + abs(offset[0]) + abs(offset[2])  # noqa: E731
    out = features(levels, [name], weigh=weigh)[name]
    assert out == pytest.approx(slow_mean(levels, name, slow_size_features, weigh=weigh))


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(ALL), st.sampled_from([(4, 3, 2), (5, 5, 1), (1, 6, 1)]))
def test_directions_without_a_line_are_left_out_under_pyradiomics(slow_size_features, seed, name, shape):
    levels = region(seed, shape, density=0.2)
    levels[0, 0, 0] = 2
    out = features(levels, [name], convention="pyradiomics")[name]
    expected = slow_mean(levels, name, slow_size_features, lines=True)
    assert out == {tag: None if value is None else pytest.approx(value) for tag, value in expected.items()}


def test_by_hand():
    # along i: runs 1 1 1 and 2; along j: 1 2, 1, 1; along both diagonals: four of length 1
    levels = np.array([[1, 2], [1, 0], [1, 0]])[:, :, None]
    out = features(levels, ["2d_comb", "2d_avg"])
    assert out["2d_comb"]["rlm_r_perc"] == pytest.approx((2 + 4 + 4 + 4) / 16)
    assert out["2d_comb"]["rlm_lre"] == pytest.approx((9 + 13) / 14)
    assert out["2d_comb"]["rlm_glnu"] == pytest.approx((10**2 + 4**2) / 14)
    assert out["2d_avg"]["rlm_r_perc"] == pytest.approx((0.5 + 1 + 1 + 1) / 4)


def test_a_diagonal_has_one_direction_under_pyradiomics():
    levels = np.diag([1, 1, 2, 2, 3])[:, :, None]
    assert features(levels, ["3d_avg"], convention="pyradiomics")["3d_avg"]["rlm_r_perc"] == pytest.approx(3 / 5)
    assert features(levels, ["3d_avg"])["3d_avg"]["rlm_r_perc"] == pytest.approx((3 / 5 + 12) / 13)


def test_voxels_far_apart_on_a_line_keep_their_direction_under_pyradiomics():
    levels = np.zeros((9, 2, 1), dtype=int)
    levels[0, 0], levels[8, 0] = 1, 2
    out = features(levels, ["3d_avg"], convention="pyradiomics")["3d_avg"]
    assert out["rlm_r_perc"] == 1
    assert out["rlm_rl_entr"] == 1


def test_one_voxel():
    levels = np.ones((1, 1, 1), dtype=int)
    for values in features(levels).values():
        assert values["rlm_sre"] == values["rlm_r_perc"] == 1
    for values in features(levels, convention="pyradiomics").values():
        assert set(values.values()) == {None}


def test_flat_region_has_runs_as_long_as_it_is():
    out = features(np.full((4, 4, 4), 2), ["3d_avg"])["3d_avg"]
    assert out["rlm_gl_var"] == 0
    assert out["rlm_hgre"] == 4
    # 3 axes with 16 runs, 6 diagonals in a plane with 4 x 7, 4 in space with 37 lines through a face
    assert out["rlm_r_perc"] == pytest.approx((3 * 16 + 6 * 28 + 4 * 37) / 13 / 64)


def test_many_levels_are_done_one_matrix_at_a_time(monkeypatch):
    levels = np.where(np.arange(6)[:, None, None] == 2, 5, region(5))  # long runs in some directions only
    weigh = lambda offset: 1.0 + abs(offset[0])  # noqa: E731
    for convention in ("ibsi", "pyradiomics"):
        at_once = features(levels, weigh=weigh, convention=convention)
        with monkeypatch.context() as patch:
            patch.setattr(aggregate, "MAX_CELLS", 1)
            in_turns = features(levels, weigh=weigh, convention=convention)
        for name in ALL:
            assert in_turns[name] == pytest.approx(at_once[name], rel=1e-12)
