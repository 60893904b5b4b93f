import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from radiocard.features import zones as module
from radiocard.features.levels import prepare_block
from radiocard.features.zones import DISTANCE_TAGS, SIZE_TAGS, border_distances, find_zones, zone_features

POOLINGS = ("2d", "2_5d", "3d")
SQUARE = np.ones((3, 3, 1))
CUBE = np.ones((3, 3, 3))


def region(seed=0, shape=(8, 7, 4), levels=(1, 2, 5), density=0.8):
    rng = np.random.default_rng(seed)
    return rng.choice(levels, size=shape) * (rng.random(shape) < density)


def features(levels, poolings=POOLINGS, mask=None):
    mask = levels > 0 if mask is None else mask
    return zone_features(prepare_block(levels, reach=1), poolings=poolings, sizes=True, distance_mask=mask)


def slow_distances(mask, *, in_plane):
    """City block distance to the nearest voxel outside, by scipy."""
    padded = np.pad(mask, 1)
    slices = [padded[:, :, k] for k in range(padded.shape[2])] if in_plane else [padded]
    found = [ndimage.distance_transform_cdt(s, metric="taxicab") for s in slices]
    return (np.stack(found, axis=2) if in_plane else found[0])[1:-1, 1:-1, 1:-1]


def slow_zones(levels, distances, *, in_plane):
    """Grey level, size, distance and slice of each zone, by labelling the mask of each grey level."""
    found = []
    for grey in np.unique(levels[levels > 0]):
        labels, n = ndimage.label(
            levels == grey, structure=np.pad(SQUARE, ((0, 0), (0, 0), (1, 1))) if in_plane else CUBE
        )
        for number in range(1, n + 1):
            zone = labels == number
            found.append((grey, int(zone.sum()), int(distances[zone].min()), int(np.argwhere(zone)[0, 2])))
    return sorted(found)


def slow_features(levels, pooling, column, tags, slow_size_features, mask=None):
    in_plane = pooling != "3d"
    distances = slow_distances(levels > 0 if mask is None else mask, in_plane=in_plane)
    zones = slow_zones(levels, distances, in_plane=in_plane)
    groups = [[z for z in zones if z[3] == k] for k in range(levels.shape[2])] if pooling == "2d" else [zones]
    rows = []
    for group in groups:
        if group:
            items = [(zone[0], zone[column], 1) for zone in group]
            rows.append(slow_size_features(items, voxels=sum(zone[1] for zone in group)))
    return dict(zip(tags, np.mean(rows, axis=0), strict=False))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_features_equal_labelling_level_by_level(pooling, slow_size_features):
    levels = region()
    out = features(levels)
    assert tuple(out["glszm", pooling]) == SIZE_TAGS
    assert tuple(out["gldzm", pooling]) == DISTANCE_TAGS
    assert out["glszm", pooling] == pytest.approx(slow_features(levels, pooling, 1, SIZE_TAGS, slow_size_features))
    assert out["gldzm", pooling] == pytest.approx(slow_features(levels, pooling, 2, DISTANCE_TAGS, slow_size_features))


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 4)),
    st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    st.booleans(),
)
def test_zones_are_the_connected_components(seed, shape, density, in_plane):
    levels = region(seed, shape, (1, 2), density)
    levels[0, 0, 0] = 2
    block = prepare_block(levels, reach=1)
    distances = border_distances(levels > 0, block, in_plane=in_plane)
    zones = find_zones(block, in_plane=in_plane, distances=distances)
    columns = (block.grey[zones.ranks - 1].astype(int), zones.sizes, zones.distances, zones.slices)
    found = sorted(zip(*(column.tolist() for column in columns), strict=True))
    expected = slow_zones(levels, slow_distances(levels > 0, in_plane=in_plane), in_plane=in_plane)
    assert found == expected


@pytest.mark.parametrize("in_plane", [True, False])
@pytest.mark.parametrize("reach", [1, 3])
def test_distances_are_those_of_scipy(in_plane, reach):
    mask = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(20, 18, 9)), 1.5) > -0.1
    block = prepare_block(mask.astype(int), reach=reach)
    found = border_distances(mask, block, in_plane=in_plane)
    assert found[block.positions].tolist() == slow_distances(mask, in_plane=in_plane)[mask].tolist()
    assert np.count_nonzero(found) == mask.sum()


def test_distance_is_to_the_border_of_the_mask_as_drawn(slow_size_features):
    mask = np.ones((9, 9, 5), dtype=bool)
    levels = np.where(np.random.default_rng(1).random(mask.shape) < 0.7, 3, 0)  # holes left by re-segmentation
    out = features(levels, mask=mask)
    for pooling in POOLINGS:
        expected = slow_features(levels, pooling, 2, DISTANCE_TAGS, slow_size_features, mask=mask)
        assert out["gldzm", pooling] == pytest.approx(expected)


def test_a_voxel_outside_the_mask_counts_as_part_of_it():
    levels = np.ones((3, 3, 1), dtype=int)
    mask = np.zeros((3, 3, 1), dtype=bool)
    assert features(levels, ["2d"], mask)["gldzm", "2d"] == features(levels, ["2d"])["gldzm", "2d"]


def test_by_hand():
    # one zone of 1 around one of 7 in the middle, two steps inside
    levels = np.ones((5, 5, 1), dtype=int)
    levels[2, 2] = 7
    out = features(levels)
    for pooling in POOLINGS:
        sizes, distances = out["glszm", pooling], out["gldzm", pooling]
        assert sizes["szm_lze"] == (24**2 + 1) / 2
        assert sizes["szm_z_perc"] == distances["dzm_z_perc"] == 2 / 25
        assert distances["dzm_lde"] == ((1 + 9) / 2 if pooling != "3d" else 1)
        assert distances["dzm_ldhge"] == ((1 + 9 * 49) / 2 if pooling != "3d" else 25)


def test_one_family_alone():
    block = prepare_block(region(), reach=1)
    both = features(region())
    only_sizes = zone_features(block, poolings=POOLINGS, sizes=True, distance_mask=None)
    only_distances = zone_features(block, poolings=POOLINGS, sizes=False, distance_mask=region() > 0)
    assert only_sizes | only_distances == both
    assert {family for family, _ in only_sizes} == {"glszm"}


def test_a_long_winding_zone_is_one():
    levels = np.full((41, 41, 1), 2)
    levels[1::2] = 1
    levels[1::4, -1] = levels[3::4, 0] = 2  # gaps to and fro join the rows of 2
    out = features(levels, ["3d"])["glszm", "3d"]
    assert out["szm_z_perc"] == pytest.approx((1 + 20) / levels.size)


def test_flat_region_is_one_zone():
    out = features(np.full((20, 20, 20), 4))
    assert out["glszm", "3d"]["szm_lze"] == 8000**2
    assert out["glszm", "2_5d"]["szm_lze"] == 400**2
    assert out["glszm", "3d"]["szm_zs_entr"] == 0
    assert out["gldzm", "3d"]["dzm_sde"] == 1


def test_slices_are_done_in_turns_where_they_need_much_memory(monkeypatch):
    levels = region(3)
    at_once = features(levels)
    monkeypatch.setattr(module, "MAX_CELLS", 1)
    for key, values in features(levels).items():
        assert values == pytest.approx(at_once[key], rel=1e-12)
