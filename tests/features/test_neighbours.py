import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiocard.features import neighbours as module
from radiocard.features.levels import directions, prepare_block
from radiocard.features.neighbours import DEPENDENCE_TAGS, DIFFERENCE_TAGS, neighbour_features

POOLINGS = ("2d", "2_5d", "3d")


def region(seed=0, shape=(6, 5, 4), levels=(1, 2, 3, 7), density=0.7):
    rng = np.random.default_rng(seed)
    return rng.choice(levels, size=shape) * (rng.random(shape) < density)


def features(levels, poolings=POOLINGS, *, distances=(1,), coarseness=0, convention="ibsi"):
    block = prepare_block(levels, reach=max(distances))
    out = {}
    for in_plane in (True, False):
        chosen = [name for name in poolings if (name == "3d") != in_plane]
        if chosen:
            offsets = directions(distances, in_plane=in_plane)
            out |= neighbour_features(
                block, offsets=offsets, poolings=chosen, coarseness=coarseness, convention=convention
            )
    return out


def around(levels, place, distances, *, in_plane):
    """Grey levels of the neighbours of a voxel within the region."""
    found = []
    for other in np.argwhere(levels):
        apart = np.abs(other - place)
        if apart.max() in distances and (not in_plane or apart[2] == 0):
            found.append(levels[tuple(other)])
    return found


def slow_differences(rows, *, all_voxels=False):
    """Features of (grey level, neighbours), by the sums of the definition."""
    rows = rows if all_voxels and any(near for _, near in rows) else [row for row in rows if row[1]]
    if not rows:
        return [None] * 5
    grey = sorted({g for g, _ in rows})
    n = {g: sum(1 for h, _ in rows if h == g) for g in grey}
    s = {g: sum(abs(g - np.mean(near)) for h, near in rows if h == g and near) for g in grey}
    total, difference = len(rows), sum(s.values())
    p = {g: n[g] / total for g in grey}
    weighted = sum(p[g] * s[g] for g in grey)
    pairs = [(a, b) for a in grey for b in grey]
    busy = sum(abs(a * n[a] - b * n[b]) for a, b in pairs) / total
    spread = sum(p[a] * p[b] * (a - b) ** 2 for a, b in pairs)
    return [
        1 / weighted if weighted > 0 else None,
        spread / (len(grey) * (len(grey) - 1)) * difference / total if len(grey) > 1 else None,
        weighted / busy if busy > 0 else None,
        sum(abs(a - b) * (p[a] * s[a] + p[b] * s[b]) / (p[a] + p[b]) for a, b in pairs) / total,
        sum((p[a] + p[b]) * (a - b) ** 2 for a, b in pairs) / difference if difference > 0 else None,
    ]


def slow_mean(rows):
    """A slice without a pair does not count; where others define a feature, a flat one has the manual's value."""
    columns = list(zip(*[row for row in rows if any(x is not None for x in row)], strict=True)) or [()] * 5
    out = []
    for column, fill in zip(columns, (1e6, 0, 0, None, 0), strict=True):
        defined = any(x is not None for x in column)
        out.append(np.mean([fill if x is None else x for x in column]) if defined else None)
    return out


def test_a_flat_slice_adds_the_value_of_the_manual_to_a_mean():
    levels = region(density=1.0)
    alone = features(levels, ["2d"])["ngtdm", "2d"]
    levels = np.concatenate([levels, np.full((6, 5, 1), 3)], axis=2)  # 4 slices, and a flat one
    out = features(levels, ["2d"])["ngtdm", "2d"]
    for tag in ("ngt_contrast", "ngt_busyness", "ngt_strength", "ngt_complexity"):
        assert out[tag] == pytest.approx(alone[tag] * 4 / 5)
    assert out["ngt_coarseness"] == pytest.approx((alone["ngt_coarseness"] * 4 + 1e6) / 5)


def groups_of(levels, pooling, distances):
    places = np.argwhere(levels)
    rows = [(levels[tuple(p)], around(levels, p, distances, in_plane=pooling != "3d"), p[2]) for p in places]
    if pooling != "2d":
        return [[row[:2] for row in rows]]
    return [[row[:2] for row in rows if row[2] == k] for k in sorted({row[2] for row in rows})]


def approx(values):
    return [None if value is None else pytest.approx(value) for value in values]


@pytest.mark.parametrize("distances", [(1,), (1, 2), (2,)])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_differences_equal_plain_loops(pooling, distances):
    levels = region()
    out = features(levels, distances=distances)["ngtdm", pooling]
    assert tuple(out) == DIFFERENCE_TAGS
    assert list(out.values()) == approx(slow_mean(map(slow_differences, groups_of(levels, pooling, distances))))


@pytest.mark.parametrize("coarseness", [0, 1, 1.5, 4])
@pytest.mark.parametrize("distances", [(1,), (1, 2)])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_dependences_equal_plain_loops(pooling, distances, coarseness, slow_size_features):
    levels = region(1)
    out = features(levels, distances=distances, coarseness=coarseness)["ngldm", pooling]
    assert tuple(out) == DEPENDENCE_TAGS
    rows = []
    for group in groups_of(levels, pooling, distances):
        items = [(g, 1 + sum(abs(int(g) - int(h)) <= coarseness for h in near), 1) for g, near in group]
        rows.append(slow_size_features(items, voxels=len(items)))
    assert list(out.values()) == pytest.approx(np.mean(rows, axis=0).tolist())


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.3, 0.8]), st.sampled_from(POOLINGS), st.booleans())
def test_voxels_without_neighbours_count_as_the_convention_says(seed, density, pooling, theirs):
    levels = region(seed, (5, 4, 2), (1, 2, 4), density)
    levels[0, 0, 0] = 2
    out = features(levels, [pooling], convention="pyradiomics" if theirs else "ibsi")["ngtdm", pooling]
    rows = [slow_differences(group, all_voxels=theirs) for group in groups_of(levels, pooling, (1,))]
    assert list(out.values()) == approx(slow_mean(rows))


def test_by_hand():
    # 1 2 2: the means of the neighbours are 2, 1.5 and 2
    out = features(np.array([1, 2, 2]).reshape(3, 1, 1), ["3d"])
    difference = out["ngtdm", "3d"]
    # s_1 = 1, s_2 = 0.5; p_1 = 1/3, p_2 = 2/3
    assert difference["ngt_coarseness"] == pytest.approx(1 / (1 / 3 + 1 / 3))
    assert difference["ngt_contrast"] == pytest.approx(2 * (2 / 9) / 2 * (1.5 / 3))
    assert difference["ngt_busyness"] == pytest.approx((2 / 3) / (2 * abs(1 / 3 - 4 / 3)))
    assert difference["ngt_complexity"] == pytest.approx(2 * (1 / 3 + 1 / 3) / 3)
    assert difference["ngt_strength"] == pytest.approx(2 / 1.5)
    assert out["ngldm", "3d"]["ngl_hde"] == pytest.approx((1 + 4 + 4) / 3)
    assert out["ngldm", "3d"]["ngl_dc_perc"] == 1


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_one_grey_level_has_no_difference(convention):
    for (family, _), values in features(np.full((4, 3, 2), 5), convention=convention).items():
        undefined = {tag for tag, value in values.items() if value is None}
        assert undefined == (set(DIFFERENCE_TAGS) - {"ngt_complexity"} if family == "ngtdm" else set())
        if family == "ngtdm":
            assert values["ngt_complexity"] == 0


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_isolated_voxels_have_no_difference_but_depend_on_themselves(convention):
    levels = np.zeros((5, 5, 5), dtype=int)
    levels[::2, ::2, ::2] = 1 + np.arange(27).reshape(3, 3, 3) % 4
    for (family, _), values in features(levels, convention=convention).items():
        if family == "ngtdm":
            assert set(values.values()) == {None}
        else:
            assert values["ngl_lde"] == values["ngl_hde"] == 1


def test_equal_products_leave_busyness_undefined():
    levels = np.array([1, 1, 2]).reshape(3, 1, 1)  # 1 x 2 voxels = 2 x 1 voxel
    out = features(levels, ["3d"])["ngtdm", "3d"]
    assert {tag for tag, value in out.items() if value is None} == {"ngt_busyness"}


def test_slices_are_done_in_turns_where_they_need_much_memory(monkeypatch):
    levels = region(3)
    at_once = features(levels)
    monkeypatch.setattr(module, "MAX_CELLS", 1)
    for key, values in features(levels).items():
        assert values == pytest.approx(at_once[key], rel=1e-12)


def test_the_largest_neighbourhood_of_the_highest_level_does_not_overflow():
    cube = np.full((31, 31, 31), 65536)
    found = features(cube, ("3d",), distances=tuple(range(1, 16)))
    assert found["ngtdm", "3d"]["ngt_coarseness"] is None  # every voxel is the mean of its neighbours
    sizes = [[min(n, 15) + min(30 - n, 15) + 1 for n in range(31)]] * 3
    alike = np.multiply.outer(np.multiply.outer(*sizes[:2]), sizes[2])
    assert found["ngldm", "3d"]["ngl_hde"] == pytest.approx((alike.astype(float) ** 2).mean(), rel=1e-12)
