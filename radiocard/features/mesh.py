"""The surface of a mask as a triangle mesh: its area and its volume.

Marching cubes [1]_ on a binary mask: a cell has eight voxel centres as corners, and a vertex
lies halfway on each edge between a voxel inside and one outside. What a cell adds to area and
volume depends only on which of its corners are inside, so cells are counted by their pattern
and no vertex list is made.

Under ``ibsi`` the polygons of a cell are derived here: face-diagonal voxels stay apart, so the
mesh is closed, and a bent polygon counts as the mean of its splits of largest area, which are
those of the classical tables, so the values are equal in every storage order. Under
``pyradiomics`` cells are split as PyRadiomics 3 splits them, which follows storage order and
leaves small holes at some face-diagonal voxels.

References
----------
.. [1] Lorensen and Cline, Comput. Graph. 21 (1987), doi:10.1145/37402.37422
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.features.region import FloatArray, Spacing
from radiocard.jit.kernel import kernel
from radiocard.specs import Convention

Triangle = tuple[FloatArray, float]

_CORNERS = np.array(list(product((0, 1), repeat=3)))
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]
_EDGE_NUMBER = {pair: n for n, (a, b) in enumerate(_EDGES) for pair in ((a, b), (b, a))}
_MIDPOINTS = np.array([(_CORNERS[a] + _CORNERS[b]) / 2 for a, b in _EDGES])

# How PyRadiomics 3 splits the cells 1 to 127, three edge numbers (hexadecimal, order of _EDGES)
# per triangle; found from the areas and volumes that it reports for single cells. Corner n of
# _CORNERS is bit n of the cell number. The cell of the complement has the same triangles turned.
_PYRADIOMICS_CELLS = """
102 403 132342 651 506026 651403 536346426 735 210735 745405 152572742 671731 307027267 674641401 672742 289 109089
403289 139349489 651289 508586896 651403289 536346486896 735289 890910735 745405289 159574549489 671731289 307089097967
674641401289 674649489 a84 102a84 a83803 13a1a2a82 651a84 506026a84 651a83803 5363a8386826 735a84 210735a84 7a5a85805
1525727a2a82 671731a84 307027267a84 6717a1a81801 a87827267 2494a9 10a04a1a9 a93923203 1393a9 6512494a9 5060464a6a96
651a93923203 5363a9396 7352494a9 4a0a91a10735 7a5a92a25205 15a57a1a9 6717312494a9 30704a0a9096067 6707a0a90920601 6797a9
9b6 10602b29b0b6 4039b6 13b34b42b29b1b6 9b1b51 50b02b29b 0141949b4b54534 53b34232b29b 6959b3b73935 1563070272979b7
6959b7974940905 1569b2b72742 9b3b73931 3070272979b7 9b1b74b41401 9b2b72742 62b28b 10608b0b6 4838b3b63623203
1363464868b6 2818b5851 50b08b 01253834858b 53834858b 6232838b3b73635 15630708b0b7 507047b86826 15674b48b 2818b7871731
30708b0b7 20174b48b 74b48b 4a6ab6468698 1060464a6ab6298 ab6a63698680603 13a1a6ab6298 9849414ab4b5451 50b04b4ab298
1595b930a08a 53b3ab298 6959858454357ab 0125376b948a 6959858057ab 1562987ab 9838439317ab 3042987ab 9818017ab 2987ab
62464b4ab 1060464a6ab6 ab3b62b23203 13a1a6ab6 2414a1ab1b51 50b04b4ab 01253b3ab 53b3ab 6246454357ab 1563047ab 6252057ab
1567ab 2414317ab 3047ab 2017ab 7ab
"""


class Surface(NamedTuple):
    """Area [mm^2] and enclosed volume [mm^3] of a mesh."""

    area: float
    volume: float


class _Tables(NamedTuple):
    """What each of the 256 kinds of cell adds, for voxels with sides of length 1.

    Parameters
    ----------
    squares : ndarray of float, shape (n, 3)
        Squared components of the normals of triangles, of twice their area, without repeats.
    share : ndarray of float, shape (256, n)
        Sum of the weights of the triangles with each of these normals.
    volume : ndarray of float, shape (256,)
        Signed volume between the triangles and corner 0 of the cell.
    moved : ndarray of float, shape (256, 3)
        What the volume gains when the cell moves by one voxel along each axis.
    """

    squares: FloatArray
    share: FloatArray
    volume: FloatArray
    moved: FloatArray


def measure_surface(mask: NDArray[np.bool_], spacing: Spacing, *, convention: Convention) -> Surface:
    """Measure the mesh of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region, cropped to its bounding box; outside the array nothing belongs to it.
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm].
    convention : {'ibsi', 'pyradiomics'}
        How the polygons of a cell are split, see the module.

    Returns
    -------
    Surface
        Area [mm^2] and volume [mm^3].

    Examples
    --------
    >>> one_voxel = np.ones((1, 1, 1), dtype=bool)
    >>> round(measure_surface(one_voxel, (1.0, 1.0, 1.0), convention="ibsi").volume, 6)
    0.166667
    """
    tables = _tables(convention)
    count, position = np.zeros(256, dtype=np.int64), np.zeros((256, 3), dtype=np.int64)
    _count_cells(pad(mask), count, position)
    x, y, z = spacing
    area = tables.share @ np.sqrt(tables.squares @ np.square([y * z, x * z, x * y]))
    volume = count @ tables.volume + float(np.sum(position * tables.moved))
    return Surface(float(count @ area) / 2, float(volume) * (x * y * z))


def pad(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Put one layer of voxels outside around a mask, as the kernels take it.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region.

    Returns
    -------
    ndarray of uint8, shape (ni + 2, nj + 2, nk + 2)
        1 inside, C-contiguous.
    """
    ni, nj, nk = mask.shape
    padded = np.zeros((ni + 2, nj + 2, nk + 2), dtype=np.uint8)
    padded[1:-1, 1:-1, 1:-1] = mask
    return padded


@kernel
def _count_cells(padded: NDArray[np.uint8], count: NDArray[np.int64], position: NDArray[np.int64]) -> None:
    """Count the cells of each kind that the surface cuts, and sum their positions."""
    ni, nj, nk = padded.shape
    for i in range(ni - 1):
        for j in range(nj - 1):
            a, b, c, d = padded[i, j], padded[i, j + 1], padded[i + 1, j], padded[i + 1, j + 1]
            before = np.uint64(0)
            for k in range(nk - 1):
                now = a[k + 1] | (b[k + 1] << 2) | (c[k + 1] << 4) | (d[k + 1] << 6)
                number = before | (now << 1)
                before = now
                if number != 0 and number != 255:
                    count[number] += 1
                    position[number, 0] += i
                    position[number, 1] += j
                    position[number, 2] += k


@cache
def _tables(convention: Convention) -> _Tables:
    vertices, weights = cell_triangles(convention)
    a, b, c = vertices[:, :, 0], vertices[:, :, 1], vertices[:, :, 2]
    normals = np.cross(b - a, c - a)
    volume = np.einsum("nt,ntd,ntd->n", weights, a, np.cross(b, c)) / 6
    if convention == "pyradiomics":  # whose axes are k, j, i
        order = _CORNERS[:, ::-1] @ (4, 2, 1)
        turned = [sum((n >> int(bit) & 1) << corner for corner, bit in enumerate(order)) for n in range(256)]
        normals, volume, weights = normals[turned, :, ::-1], volume[turned], weights[turned]
    cells, which = np.nonzero(weights)
    squares, kind = np.unique(normals[cells, which] ** 2, axis=0, return_inverse=True)
    share = np.zeros((256, len(squares)))
    np.add.at(share, (cells, kind.ravel()), weights[cells, which])
    return _Tables(squares, share, volume, np.einsum("nt,ntd->nd", weights, normals) / 6)


@cache
def cell_triangles(convention: Convention) -> tuple[FloatArray, FloatArray]:
    """List the triangles of each of the 256 kinds of cell, turned outwards.

    Parameters
    ----------
    convention : {'ibsi', 'pyradiomics'}
        How polygons are split.

    Returns
    -------
    vertices : ndarray of float, shape (256, n_triangles, 3, 3)
        In units of the spacing, from corner 0 of the cell.
    weights : ndarray of float, shape (256, n_triangles)
        What each triangle counts; 0 where a cell has fewer.
    """
    cells = [_pyradiomics_cell(n) if convention == "pyradiomics" else _ibsi_cell(n) for n in range(256)]
    longest = max(map(len, cells))
    vertices, weights = np.zeros((256, longest, 3, 3)), np.zeros((256, longest))
    for number, cell in enumerate(cells):
        for n, (triangle, weight) in enumerate(cell):
            vertices[number, n], weights[number, n] = triangle, weight
    return vertices, weights


def _pyradiomics_cell(number: int) -> list[Triangle]:
    if number in {0, 255}:
        return []
    text = _PYRADIOMICS_CELLS.split()[min(number, 255 - number) - 1]
    triangles = [_MIDPOINTS[[int(edge, 16) for edge in text[n : n + 3]]] for n in range(0, len(text), 3)]
    return [(t if number < 128 else t[::-1], 1.0) for t in triangles]


def _ibsi_cell(number: int) -> list[Triangle]:
    return [triangle for polygon in _polygons(number) for triangle in _widest_fans(_MIDPOINTS[polygon])]


def _widest_fans(points: FloatArray) -> list[Triangle]:
    """Split a polygon from one vertex so that its area is largest; equal splits share the weight."""
    rings = [np.roll(points, -n, axis=0) for n in range(len(points))]
    fans = [[ring[[0, n, n + 1]] for n in range(1, len(ring) - 1)] for ring in rings]
    areas = [sum(float(np.linalg.norm(np.cross(b - a, c - a))) for a, b, c in fan) for fan in fans]
    widest = [fan for fan, area in zip(fans, areas, strict=True) if area > max(areas) - 1e-9]
    if len(widest) == len(fans):  # a flat polygon: every split gives the same
        widest = widest[:1]
    return [(triangle, 1 / len(widest)) for fan in widest for triangle in fan]


def _polygons(number: int) -> list[list[int]]:
    """Find the rings of edge numbers that separate the corners inside from those outside."""
    follow: dict[int, int] = {}
    for face in _faces():
        inside = [bool(number >> corner & 1) for corner in face]
        for start in range(4):
            if inside[start] and not inside[start - 1]:
                stop = start
                while inside[(stop + 1) % 4]:
                    stop += 1
                enter = _EDGE_NUMBER[face[start - 1], face[start]]
                leave = _EDGE_NUMBER[face[stop % 4], face[(stop + 1) % 4]]
                follow[enter] = leave
    rings = []
    while follow:
        ring = [next(iter(follow))]
        while ring[-1] in follow:
            ring.append(follow.pop(ring[-1]))
        rings.append(ring[:-1])
    return rings


@cache
def _faces() -> list[list[int]]:
    """Corners of each face of a cell, anticlockwise when seen from outside."""
    faces = []
    for axis, side in product(range(3), (0, 1)):
        u, v = np.eye(3, dtype=int)[[(axis + 1) % 3, (axis + 2) % 3]]
        base = np.eye(3, dtype=int)[axis] * side
        square = [base, base + u, base + u + v, base + v]
        ring = [int(p @ (4, 2, 1)) for p in square]
        faces.append(ring if side else ring[::-1])
    return faces
