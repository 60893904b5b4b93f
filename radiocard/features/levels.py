"""The grey levels of one region, laid out for the kernels of the texture matrices.

Voxels are kept in one flat array with background around them, so that a neighbour is a number
to add to a position and no kernel needs to ask whether it left the image.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.jit.kernel import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Offset = tuple[int, int, int]
Offsets = tuple[Offset, ...]


class Alike(NamedTuple):
    """Voxels that have the grey level of a neighbour.

    Parameters
    ----------
    voxels : ndarray of int32, shape (n_directions, n)
        Their numbers among the positions of a block, ascending, at the start of each row.
    counts : ndarray of int64, shape (n_directions,)
        How many there are in each direction; nothing is told by the rest of its row.
    """

    voxels: NDArray[np.int32]
    counts: IntArray


class Block(NamedTuple):
    """One region between background.

    Parameters
    ----------
    ranks : ndarray of int32, shape (m,)
        Place of each voxel's grey level among those that occur, from 1; 0 in the background.
    levels : ndarray of int32, shape (m,)
        Grey level of each voxel; 0 in the background.
    positions : ndarray of int32, shape (n_voxels,)
        Where the voxels of the region are, ascending.
    slices : ndarray of int32, shape (n_voxels,)
        Their slices, from 0.
    grey : ndarray of float, shape (n_grey,)
        Grey levels that occur, ascending.
    strides : tuple of int
        How far apart neighbours along ``i, j, k`` are.
    shape : tuple of int
        Shape of the box, without background around it.
    found : dict of tuple of int to Alike
        What :meth:`alike` found before, by steps.
    """

    ranks: NDArray[np.int32]
    levels: NDArray[np.int32]
    positions: NDArray[np.int32]
    slices: NDArray[np.int32]
    grey: FloatArray
    strides: Offset
    shape: tuple[int, int, int]
    found: dict[tuple[int, ...], Alike]

    def steps(self, offsets: Offsets) -> IntArray:
        """Return what to add to a position to reach each offset."""
        i, j, k = self.strides
        return np.array([a * i + b * j + c * k for a, b, c in offsets], dtype=np.int64)

    def one_slice(self, k: int) -> Block:
        """Return the same block, restricted to the voxels of one slice, which becomes number 0."""
        positions = self.positions[self.slices == k]
        return self._replace(positions=positions, slices=np.zeros_like(positions), found={})

    def alike(self, steps: IntArray) -> Alike:
        """Find the voxels whose grey level is that of the voxel one step before, for each step."""
        key = tuple(steps.tolist())
        if key not in self.found:
            voxels, counts = np.empty((len(key), self.positions.size + 1), dtype=np.int32), np.zeros_like(steps)
            _find_alike(self.ranks, self.positions, steps, voxels, counts)
            self.found[key] = Alike(voxels, counts)
        return self.found[key]

    def places(self) -> IntArray:
        """Return the places of the voxels along ``i, j, k``, shape (n_voxels, 3)."""
        reach = self.strides[1] - self.shape[2]
        inside = self.positions.astype(np.int64) - reach * sum(self.strides)
        i, rest = np.divmod(inside, self.strides[0])
        return np.stack([i, *np.divmod(rest, self.strides[1])], axis=1)


def prepare_block(levels: NDArray[Any], *, reach: int) -> Block:
    """Lay out the grey levels of one region.

    Parameters
    ----------
    levels : ndarray of int, shape (ni, nj, nk)
        Grey levels from 1 inside the region, 0 outside; ``k`` is the slice axis.
    reach : int
        Greatest offset along one axis that will be asked for [voxel].

    Returns
    -------
    Block
        Empty arrays where the region has no voxel.

    Examples
    --------
    >>> block = prepare_block(np.array([[[1], [7]]]), reach=1)
    >>> block.grey.tolist(), block.ranks[block.positions].tolist()
    ([1.0, 7.0], [1, 2])
    """
    array = np.ascontiguousarray(levels, dtype=np.int32)
    ni, nj, nk = array.shape
    row, plane = nk + reach, (nj + reach) * (nk + reach)
    front = reach * (plane + row + 1)
    found = np.zeros(2, dtype=np.int64)
    _measure(array.reshape(-1), found)
    n, top = found.tolist()
    dense = np.zeros(ni * plane + 2 * front, dtype=np.int32)
    positions, slices = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    rank = np.zeros(top + 1, dtype=np.int32)
    _place(array, front, plane, row, dense, positions, slices, rank)
    grey = np.flatnonzero(rank)
    ranks = dense
    if grey.size < top:
        ranks = np.zeros_like(dense)
        _rank(dense, positions, np.cumsum(rank, dtype=np.int32), ranks)
    return Block(ranks, dense, positions, slices, grey.astype(np.float64), (plane, row, 1), (ni, nj, nk), {})


@cache
def directions(distances: tuple[int, ...], *, in_plane: bool) -> Offsets:
    """List one of each pair of opposite offsets at given Chebyshev distances.

    Parameters
    ----------
    distances : tuple of int
        Chebyshev distances [voxel].
    in_plane : bool
        Only offsets within a slice (4 at distance 1), else all in space (13 at distance 1).

    Returns
    -------
    tuple of (int, int, int)
        Offsets along ``i, j, k``; the first number that is not 0 is positive.
    """
    reach = range(-max(distances), max(distances) + 1)
    deep = (0,) if in_plane else reach
    return tuple(d for d in product(reach, reach, deep) if max(map(abs, d)) in distances and d > (0, 0, 0))


@kernel
def block_rows(ranks, positions, slices, apart, rows):  # type: ignore[no-untyped-def]
    """Fill in the rank of each voxel from 0, and ``apart`` more for each slice."""
    for v in range(len(positions)):
        rows[v] = slices[v] * apart + ranks[positions[v]] - 1


@kernel
def _find_alike(ranks, positions, steps, voxels, counts):  # type: ignore[no-untyped-def]
    """Write each voxel, and keep it where it is alike: no branch, as that cannot be predicted.

    Two directions at a time; the last one of an odd number is found twice.
    """
    for m in range(0, len(steps), 2):
        other = min(m + 1, len(steps) - 1)
        a, b = np.uint64(0), np.uint64(0)
        step_a, step_b, row_a, row_b = steps[m], steps[other], voxels[m], voxels[other]
        for v in range(len(positions)):
            p = positions[v]
            own = ranks[np.uint64(p)]
            row_a[a] = v
            row_b[b] = v
            a += np.uint64(ranks[np.uint64(p - step_a)] == own)
            b += np.uint64(ranks[np.uint64(p - step_b)] == own)
        counts[m], counts[other] = a, b


@kernel
def _measure(levels, found):  # type: ignore[no-untyped-def]
    """Find the number of voxels and the highest level."""
    n, top = 0, 0
    for v in range(len(levels)):
        n += levels[v] > 0
        if levels[v] > top:
            top = levels[v]
    found[0], found[1] = n, top


@kernel
def _place(levels, front, plane, row, dense, positions, slices, there):  # type: ignore[no-untyped-def]
    """Put background after each row, after each plane and before the first: enough, as rows follow one another."""
    ni, nj, nk = levels.shape
    m = 0
    for i in range(ni):
        for j in range(nj):
            start = front + i * plane + j * row
            for k in range(nk):
                level = levels[i, j, k]
                if level > 0:
                    positions[m] = start + k
                    slices[m] = k
                    dense[start + k] = level
                    there[level] = 1
                    m += 1


@kernel
def _rank(dense, positions, rank, ranks):  # type: ignore[no-untyped-def]
    for v in range(len(positions)):
        ranks[positions[v]] = rank[dense[positions[v]]]
