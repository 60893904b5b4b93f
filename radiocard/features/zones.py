"""Zones of one grey level in one region: size (IBSI 9SAK) and distance to the border (VMDZ) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.features.aggregate import MAX_CELLS, mean_values
from radiocard.features.intensity import Values
from radiocard.features.levels import Block, FloatArray, Offsets, directions, prepare_block
from radiocard.features.size_matrix import size_features
from radiocard.jit.kernel import kernel

Pooling = Literal["2d", "2_5d", "3d"]
SIZE_TAGS: Final = (
    *("szm_sze", "szm_lze", "szm_lgze", "szm_hgze", "szm_szlge", "szm_szhge", "szm_lzlge", "szm_lzhge"),
    *("szm_glnu", "szm_glnu_norm", "szm_zsnu", "szm_zsnu_norm", "szm_z_perc"),
    *("szm_gl_var", "szm_zs_var", "szm_zs_entr"),
)
DISTANCE_TAGS: Final = (
    *("dzm_sde", "dzm_lde", "dzm_lgze", "dzm_hgze", "dzm_sdlge", "dzm_sdhge", "dzm_ldlge", "dzm_ldhge"),
    *("dzm_glnu", "dzm_glnu_norm", "dzm_zdnu", "dzm_zdnu_norm", "dzm_z_perc"),
    *("dzm_gl_var", "dzm_zd_var", "dzm_zd_entr"),
)


Int32Array = NDArray[np.int32]


class Zones(NamedTuple):
    """Connected voxels of one grey level.

    Parameters
    ----------
    ranks, sizes, distances, slices : ndarray of int32, shape (n_zones,)
        Place of the grey level from 1, number of voxels, distance of the nearest voxel to the
        border of the region (no meaning without distances), and the slice of the first voxel.
    """

    ranks: Int32Array
    sizes: Int32Array
    distances: Int32Array
    slices: Int32Array


def zone_features(
    block: Block, *, poolings: Sequence[Pooling], sizes: bool, distance_mask: NDArray[np.bool_] | None
) -> dict[tuple[Literal["glszm", "gldzm"], Pooling], Values]:
    """Compute the 16 size zone and the 16 distance zone features of one region.

    Parameters
    ----------
    block : Block
        The region, with a reach of 1 or more.
    poolings : sequence of str
        ``2d``: mean over slices. ``2_5d``: zones of all slices in one matrix. In both, zones lie
        in one slice, and voxels that share an edge or a corner there belong together. ``3d``:
        zones in space, joined by faces, edges and corners.
    sizes : bool
        Whether size zone features are wanted.
    distance_mask : ndarray of bool, shape of the levels, optional
        The ROI morphological mask, if distance zone features are wanted. Distances are counted
        in steps from voxel to voxel across edges (2D, 2.5D) or faces (3D); 1 at the border.

    Returns
    -------
    dict of (str, str) to dict of str to float or None
        ``glszm`` or ``gldzm``, and the pooling, to values by tag.
    """
    out: dict[tuple[Literal["glszm", "gldzm"], Pooling], Values] = {}
    for in_plane in (True, False):
        names = [name for name in poolings if (name == "3d") != in_plane]
        if not names:
            continue
        distances = None if distance_mask is None else border_distances(distance_mask, block, in_plane=in_plane)
        zones = find_zones(block, in_plane=in_plane, distances=distances)
        for name in names:
            if sizes:
                out["glszm", name] = _features(zones, zones.sizes, block, name, SIZE_TAGS)
            if distances is not None:
                out["gldzm", name] = _features(zones, zones.distances, block, name, DISTANCE_TAGS)
    return out


def find_zones(block: Block, *, in_plane: bool, distances: NDArray[np.int32] | None = None) -> Zones:
    """Find the zones of one region.

    Parameters
    ----------
    block : Block
        The region.
    in_plane : bool
        Whether zones end at their slice (8 neighbours), else 26 neighbours.
    distances : ndarray of int32, shape of ``block.ranks``, optional
        Distance of each voxel to the border.

    Returns
    -------
    Zones
        In the order of their first voxels.
    """
    steps = block.steps(directions((1,), in_plane=in_plane))
    parent = np.empty(block.ranks.size, dtype=np.int32)
    _join(block.positions, steps, *block.alike(steps), parent)
    found = np.empty((4, block.positions.size), dtype=np.int32)
    given = block.ranks if distances is None else distances
    n = np.zeros(1, dtype=np.int64)
    _describe(block.ranks, block.positions, block.slices, given, parent, found, n)
    return Zones(*found[:, : n[0]])


def border_distances(mask: NDArray[np.bool_], block: Block, *, in_plane: bool) -> NDArray[np.int32]:
    """Count the steps from each voxel of a mask to the nearest voxel outside of it.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The ROI morphological mask; outside the box is outside of it.
    block : Block
        Gives the layout of the result; its own voxels are taken as part of the mask.
    in_plane : bool
        Steps along ``i`` and ``j`` only.

    Returns
    -------
    ndarray of int32, shape of ``block.ranks``
        1 at the border; 0 outside.
    """
    reach = block.strides[1] - block.shape[2]
    drawn = prepare_block(mask, reach=reach)
    positions = drawn.positions
    if not drawn.ranks[block.positions].all():
        positions = np.union1d(positions, block.positions)
    axes: Offsets = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    distances = np.zeros_like(drawn.ranks)
    _steps_to_border(positions, block.steps(axes[:2] if in_plane else axes), distances)
    return distances


def _features(zones: Zones, values: Int32Array, block: Block, pooling: Pooling, tags: Sequence[str]) -> Values:
    parts = []
    for counts, sizes, voxels in _matrices(zones, values, block, per_slice=pooling == "2d"):
        parts.append(size_features(counts, block.grey, sizes, voxels))
    return mean_values(parts, tags, fills={})


def _matrices(
    zones: Zones, values: Int32Array, block: Block, *, per_slice: bool
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """One matrix for all slices, or one for each; in turns where they would need much memory."""
    n = block.grey.size
    found = np.bincount(values) > 0
    sizes, columns = np.flatnonzero(found), (np.cumsum(found) - 1)[values]
    cells = (zones.ranks - 1).astype(np.int64) * sizes.size + columns
    shape = (1, n, sizes.size)
    if not per_slice:
        yield _filled(cells, shape), sizes.astype(np.float64), np.array([float(block.positions.size)])
        return
    n_slices = block.shape[2]
    voxels = np.bincount(block.slices, minlength=n_slices).astype(np.float64)
    at_once = max(1, MAX_CELLS // (n * sizes.size))
    for first in range(0, n_slices, at_once):
        last = min(first + at_once, n_slices)
        here = (zones.slices >= first) & (zones.slices < last)
        moved = cells[here] + (zones.slices[here] - first) * (n * sizes.size)
        yield _filled(moved, (last - first, *shape[1:])), sizes.astype(np.float64), voxels[first:last]


def _filled(cells: NDArray[np.integer], shape: tuple[int, int, int]) -> FloatArray:
    size = shape[0] * shape[1] * shape[2]
    return np.bincount(cells, minlength=size).reshape(shape).astype(np.float64)


@kernel
def _join(positions, steps, voxels, counts, parent):  # type: ignore[no-untyped-def]
    """Union-find with halved paths over the pairs of alike voxels; the first voxel of a zone becomes its root."""
    for v in range(len(positions)):
        parent[positions[v]] = positions[v]
    for m in range(len(steps)):
        for n in range(counts[m]):
            p = np.uint64(positions[np.uint64(voxels[m, n])])
            q = np.uint64(p - steps[m])
            a, b = np.uint64(parent[p]), np.uint64(parent[q])
            if a == b:
                continue
            while parent[a] != a:
                parent[a] = parent[np.uint64(parent[a])]
                a = np.uint64(parent[a])
            while parent[b] != b:
                parent[b] = parent[np.uint64(parent[b])]
                b = np.uint64(parent[b])
            root = min(a, b)
            parent[a] = parent[b] = parent[p] = parent[q] = root
        if counts[m] > len(positions) // 8:  # zones are large: from now on every voxel knows its root
            for v in range(len(positions)):
                parent[positions[v]] = parent[parent[positions[v]]]


@kernel
def _describe(ranks, positions, slices, distances, parent, found, n_zones):  # type: ignore[no-untyped-def]
    """Put the number of its zone in place of each parent, and count the zones."""
    n = 0
    for v in range(len(positions)):
        p = positions[v]
        if parent[p] == p:
            zone = n
            found[0, zone], found[1, zone], found[2, zone], found[3, zone] = ranks[p], 0, distances[p], slices[v]
            n += 1
        else:
            zone = parent[parent[p]]
        found[1, zone] += 1
        if distances[p] < found[2, zone]:
            found[2, zone] = distances[p]
        parent[p] = zone
    n_zones[0] = n


@kernel
def _steps_to_border(positions, steps, distances):  # type: ignore[no-untyped-def]
    """City block distance by one pass forwards and one backwards."""
    for v in range(len(positions)):
        p = positions[v]
        least = distances[p - steps[0]]
        for m in range(1, len(steps)):
            if distances[p - steps[m]] < least:
                least = distances[p - steps[m]]
        distances[p] = least + 1
    for v in range(len(positions) - 1, -1, -1):
        p = positions[v]
        for m in range(len(steps)):
            if distances[p + steps[m]] + 1 < distances[p]:
                distances[p] = distances[p + steps[m]] + 1
