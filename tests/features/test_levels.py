from itertools import product

import numpy as np
import pytest

from radiocard.features.levels import directions, prepare_block


def region(seed=0, shape=(6, 5, 4), density=0.6):
    rng = np.random.default_rng(seed)
    return rng.choice([2, 5, 6, 11], size=shape) * (rng.random(shape) < density)


@pytest.mark.parametrize("lowest", [1, 2, 5])
@pytest.mark.parametrize("gap", [None, 7])
def test_grey_levels_are_those_that_occur(lowest, gap):
    levels = np.random.default_rng(0).integers(lowest, 11, (7, 6, 5))
    levels[levels == gap] = lowest
    levels[0] = 0
    block = prepare_block(levels, reach=1)
    assert block.grey.tolist() == np.unique(levels[levels > 0]).tolist()
    assert block.grey[block.ranks[block.positions] - 1].tolist() == levels[levels > 0].tolist()
    assert block.levels[block.positions].tolist() == levels[levels > 0].tolist()


def test_voxels_are_listed_in_storage_order():
    levels = region()
    block = prepare_block(levels, reach=2)
    assert np.all(np.diff(block.positions) > 0)
    assert block.places().tolist() == np.argwhere(levels).tolist()
    assert block.slices.tolist() == np.argwhere(levels)[:, 2].tolist()


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_every_neighbour_within_reach_is_found_and_nothing_else(reach):
    levels = region()
    block = prepare_block(levels, reach=reach)
    padded = np.pad(levels, reach)
    for offset in product(range(-reach, reach + 1), repeat=3):
        (step,) = block.steps((offset,))
        expected = [padded[tuple(np.add(place, offset) + reach)] for place in np.argwhere(levels)]
        assert block.levels[block.positions + step].tolist() == expected


def test_memory_order_and_type_of_the_input_do_not_matter():
    levels = region()
    reference = prepare_block(levels, reach=1)
    for other in (np.asfortranarray(levels), levels.astype(np.uint8), levels[::1, ::-1][:, ::-1]):
        block = prepare_block(other, reach=1)
        assert all(np.array_equal(a, b) for a, b in zip(block, reference, strict=True))


def test_one_slice_holds_its_voxels_only():
    levels = region()
    part = prepare_block(levels, reach=1).one_slice(2)
    assert part.places().tolist() == [place for place in np.argwhere(levels).tolist() if place[2] == 2]
    assert set(part.slices.tolist()) == {0}


def test_empty_region():
    block = prepare_block(np.zeros((3, 2, 1), dtype=int), reach=1)
    assert block.positions.size == block.grey.size == 0


@pytest.mark.parametrize(
    ("distances", "in_plane", "n"),
    [((1,), True, 4), ((1,), False, 13), ((2,), True, 8), ((2,), False, 49), ((1, 2), False, 62)],
)
def test_directions_are_half_of_the_neighbours(distances, in_plane, n):
    found = directions(distances, in_plane=in_plane)
    both = {*found, *(tuple(-x for x in d) for d in found)}
    reach = range(-2, 3)
    every = {d for d in product(reach, reach, (0,) if in_plane else reach) if max(map(abs, d)) in distances}
    assert both == every
    assert len(found) == len(both) / 2 == n


@pytest.mark.parametrize("in_plane", [True, False])
def test_voxels_alike_are_those_whose_neighbour_before_has_their_level(in_plane):
    levels = np.random.default_rng(3).integers(0, 4, (5, 6, 4))
    block = prepare_block(levels, reach=1)
    offsets = directions((1,), in_plane=in_plane)
    voxels, counts = block.alike(block.steps(offsets))
    places = [tuple(place) for place in np.argwhere(levels)]
    for offset, found, count in zip(offsets, voxels, counts, strict=True):
        before = [tuple(a - b for a, b in zip(place, offset, strict=True)) for place in places]
        expected = [
            n
            for n, (place, other) in enumerate(zip(places, before, strict=True))
            if all(0 <= c < size for c, size in zip(other, levels.shape, strict=True))
            and levels[other] == levels[place]
        ]
        assert found[:count].tolist() == expected
    single = block.one_slice(2)
    assert single.alike(single.steps(offsets)).counts.sum() < counts.sum()  # found anew for its own voxels
