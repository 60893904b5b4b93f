"""Largest distances between the vertices of a region's surface mesh.

A vertex lies halfway between a voxel inside and a neighbour outside. In doubled voxel coordinates
vertices are whole numbers, so the convex hulls below are exact. A pair of vertices at the largest
distance is on the convex hull, and therefore on the hull of every plane of vertices that it lies
in; only vertices that are on the hulls of all three of their planes are compared. A plane's hull is
found from the first and last vertex of each of its rows [1]_.

References
----------
.. [1] Andrew, Inf. Process. Lett. 9 (1979), doi:10.1016/0020-0190(79)90072-3
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.features.mesh import pad
from radiocard.features.region import FloatArray, Spacing
from radiocard.jit.kernel import kernel, part

IntArray = NDArray[np.int32]
MarkArray = NDArray[np.uint8]

_NONE = 1 << 30  # lies after every vertex


class Diameters(NamedTuple):
    """Largest distances between mesh vertices.

    Parameters
    ----------
    largest : float
        Of any two [mm].
    in_plane : tuple of float
        Of two in one plane across ``i``, ``j`` and ``k`` [mm].
    hull : ndarray of float, shape (n, 3)
        Vertices, among them all those of the convex hull [mm].
    """

    largest: float
    in_plane: tuple[float, float, float]
    hull: FloatArray


def measure_diameters(mask: NDArray[np.bool_], spacing: Spacing) -> Diameters:
    """Measure the diameters of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region, at least one voxel.
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm].

    Returns
    -------
    Diameters
        Planes of vertices run through the voxel centres and halfway between them.

    Examples
    --------
    >>> measure_diameters(np.ones((3, 1, 1), dtype=bool), (2.0, 1.0, 1.0)).largest
    6.0
    """
    half = np.asarray(spacing, dtype=np.float64) / 2
    i, j, k = (float(h * h) for h in half)
    padded = pad(mask)
    ni, nj, nk = (2 * n for n in padded.shape)
    along_i, along_j = _no_ends(nk, nj), _no_ends(nk, ni)
    _find_ends(padded, along_i, along_j)
    on_i, across_i = _plane_hulls(_turned(along_j), k, j)
    on_j, across_j = _plane_hulls(_turned(along_i), k, i)
    on_k, across_k = _plane_hulls(along_j, i, j)
    hull, n = np.empty((2 * nk * ni, 3), dtype=np.int32), np.zeros(1, dtype=np.int64)
    _common(along_i, along_j, on_i, on_j, on_k, hull, n)
    hull = hull[: n[0]]
    widest = max(across_i, across_j, across_k)
    furthest = np.full(len(hull), widest)
    _largest(hull.astype(np.float64).T.copy(), np.array([i, j, k]), furthest)
    largest = float(furthest.max(initial=widest))
    return Diameters(sqrt(largest), (sqrt(across_i), sqrt(across_j), sqrt(across_k)), hull * half)


def _no_ends(planes: int, rows: int) -> IntArray:
    ends = np.empty((2, planes, rows), dtype=np.int32)
    ends[0], ends[1] = _NONE, -1
    return ends


def _turned(ends: IntArray) -> IntArray:
    return np.ascontiguousarray(ends.transpose(0, 2, 1))


@kernel
def _find_ends(padded: NDArray[np.uint8], along_i: IntArray, along_j: IntArray) -> None:
    """Visit all vertices and note the outermost ones."""
    ni, nj, nk = padded.shape
    for i in range(ni - 1):
        for j in range(nj - 1):
            here, beside, below = padded[i, j], padded[i, j + 1], padded[i + 1, j]
            for k in range(nk - 1):
                after, right, under = here[k] ^ here[k + 1], here[k] ^ beside[k], here[k] ^ below[k]
                if after | right | under:
                    if after:
                        _note(along_i, along_j, 2 * i, 2 * j, 2 * k + 1)
                    if right:
                        _note(along_i, along_j, 2 * i, 2 * j + 1, 2 * k)
                    if under:
                        _note(along_i, along_j, 2 * i + 1, 2 * j, 2 * k)


@part
def _note(along_i: IntArray, along_j: IntArray, i: int, j: int, k: int) -> None:
    along_i[0, k, j] = min(along_i[0, k, j], i)
    along_i[1, k, j] = max(along_i[1, k, j], i)
    along_j[0, k, i] = min(along_j[0, k, i], j)
    along_j[1, k, i] = max(along_j[1, k, i], j)


def _plane_hulls(ends: IntArray, row_square: float, end_square: float) -> tuple[MarkArray, float]:
    marks, best = np.zeros(ends.shape, dtype=np.uint8), np.zeros(1)
    _hulls(ends, row_square, end_square, np.empty((2 * ends.shape[2], 2), dtype=np.int64), marks, best)
    return marks, float(best[0])


@kernel
def _hulls(ends, row_square, end_square, points, marks, largest):  # type: ignore[no-untyped-def]
    """Mark the ends that are on the hull of their plane, and find the largest distance in a plane.

    ``ends`` holds the first and last vertex of each row, for each plane.
    """
    _, planes, rows = ends.shape
    best = 0.0
    for plane in range(planes):
        n = 0
        for side in range(2):
            sign = 1 - 2 * side
            start = n
            for row in range(rows):
                if ends[1, plane, row] < 0:
                    continue
                end = ends[side, plane, row]
                while n - start > 1:
                    da, db = points[n - 1, 0] - points[n - 2, 0], row - points[n - 2, 0]
                    ea, eb = points[n - 1, 1] - points[n - 2, 1], end - points[n - 2, 1]
                    if sign * (ea * db - eb * da) < 0:
                        break
                    n -= 1
                points[n, 0], points[n, 1] = row, end
                n += 1
            for m in range(start, n):
                marks[side, plane, points[m, 0]] = 1
        for a in range(n):
            for b in range(a):
                row, end = points[a, 0] - points[b, 0], points[a, 1] - points[b, 1]
                best = max(best, row * row * row_square + end * end * end_square)
    largest[0] = best


@kernel
def _common(along_i, along_j, on_i, on_j, on_k, points, n_points):  # type: ignore[no-untyped-def]
    """List the vertices that are on the hulls of all three of their planes."""
    _, nk, ni = along_j.shape
    n = 0
    for side in range(2):
        for k in range(nk):
            for i in range(ni):
                if on_k[side, k, i] and on_i[side, i, k]:
                    j = along_j[side, k, i]
                    for end in range(2):
                        if along_i[end, k, j] == i and on_j[end, j, k]:
                            points[n, 0], points[n, 1], points[n, 2] = i, j, k
                            n += 1
    n_points[0] = n


@kernel
def _largest(points: FloatArray, squares: FloatArray, furthest: FloatArray) -> None:
    """Raise the largest squared distance of each point (column) from the points after it."""
    n = points.shape[1]
    for a in range(n):
        for b in range(a):  # each point has its own maximum, so that compilers can make vector code
            i, j, k = points[0, a] - points[0, b], points[1, a] - points[1, b], points[2, a] - points[2, b]
            apart = i * i * squares[0] + j * j * squares[1] + k * k * squares[2]
            furthest[b] = apart if apart > furthest[b] else furthest[b]
