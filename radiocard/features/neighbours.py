"""A voxel and its neighbourhood: grey tone difference (IBSI IPET) and dependence (REK0) matrices [1]_.

Both come from one sweep over the voxels.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
.. [2] Amadasun and King, IEEE Trans. Syst. Man Cybern. 19 (1989), doi:10.1109/21.44046
.. [3] Sun and Wee, Comput. Vis. Graph. Image Process. 23 (1983), doi:10.1016/0734-189X(83)90032-4
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np

from radiocard.features.aggregate import MAX_CELLS, mean_values
from radiocard.features.intensity import Values
from radiocard.features.levels import Block, FloatArray, IntArray, Offsets, block_rows
from radiocard.features.size_matrix import size_features
from radiocard.features.zones import Pooling
from radiocard.jit.kernel import kernel, part
from radiocard.specs.features import Convention

DIFFERENCE_TAGS: Final = ("ngt_coarseness", "ngt_contrast", "ngt_busyness", "ngt_complexity", "ngt_strength")
DEPENDENCE_TAGS: Final = (
    *("ngl_lde", "ngl_hde", "ngl_lgce", "ngl_hgce", "ngl_ldlge", "ngl_ldhge", "ngl_hdlge", "ngl_hdhge"),
    *("ngl_glnu", "ngl_glnu_norm", "ngl_dcnu", "ngl_dcnu_norm", "ngl_dc_perc"),
    *("ngl_gl_var", "ngl_dc_var", "ngl_dc_entr", "ngl_dc_energy"),
)
# What a slice adds to a mean where the feature divides by 0, by the reference manual of the IBSI.
_FILLS: Final = {"ngt_coarseness": 1e6, "ngt_contrast": 0.0, "ngt_busyness": 0.0, "ngt_strength": 0.0}
_PIECE: Final = 256
_GAP: Final = 16
_BITS: Final = 16  # of the number of alike neighbours; that of all neighbours is above them
_ALIKE: Final = 2**_BITS - 1
_ANY: Final = 2**30  # more than any difference of grey levels
Matrices = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def neighbour_features(
    block: Block, *, offsets: Offsets, poolings: Sequence[Pooling], coarseness: float, convention: Convention
) -> dict[tuple[Literal["ngtdm", "ngldm"], Pooling], Values]:
    """Compute the 5 grey tone difference and the 17 dependence features of one region.

    Parameters
    ----------
    block : Block
        The region.
    offsets : tuple of (int, int, int)
        The neighbourhood, one of each two opposite offsets.
    poolings : sequence of str
        ``2d``: mean over slices. ``2_5d``: one matrix for all slices. ``3d``: one matrix. The
        first two ask for offsets within the slice.
    coarseness : float
        Greatest difference of grey level that counts as dependent.
    convention : {'ibsi', 'pyradiomics'}
        Whether voxels without neighbours enter the frequencies of the difference matrix: no
        (``ibsi``), or if another one has neighbours (``pyradiomics``).

    Returns
    -------
    dict of (str, str) to dict of str to float or None
        ``ngtdm`` or ``ngldm``, and the pooling, to values by tag. Features of
        the difference matrix are None where they divide by 0, as all but complexity do for one
        grey level; in a mean over slices of which others define them, such a slice adds 0
        (coarseness 1e6).
    """
    differences: dict[Pooling, list[FloatArray]] = {name: [] for name in poolings}
    dependences: dict[Pooling, list[FloatArray]] = {name: [] for name in poolings}
    sizes = np.arange(1.0, 2 * len(offsets) + 2)
    for name, (voxels, alone, sums, counts) in _matrices(block, offsets, poolings, coarseness):
        if convention == "pyradiomics":
            voxels += alone * voxels.any(axis=1, keepdims=True)
        rows = np.empty((len(voxels), len(DIFFERENCE_TAGS)))
        _difference_features(voxels, sums, block.grey, rows)
        differences[name].append(rows)
        dependences[name].append(size_features(counts, block.grey, sizes, counts.sum(axis=(1, 2))))
    out: dict[tuple[Literal["ngtdm", "ngldm"], Pooling], Values] = {}
    for name in poolings:
        out["ngtdm", name] = mean_values(differences[name], DIFFERENCE_TAGS, fills=_FILLS)
        out["ngldm", name] = mean_values(dependences[name], DEPENDENCE_TAGS, fills={})
    return out


def _matrices(
    block: Block, offsets: Offsets, poolings: Sequence[Pooling], coarseness: float
) -> Iterator[tuple[Pooling, Matrices]]:
    """Slices are kept apart where a mean over them is wanted, one at a time where that needs much memory."""
    steps = block.steps(offsets)
    alpha = min(math.floor(coarseness), _ANY)
    n_slices = block.shape[2] if "2d" in poolings else 1
    if n_slices * block.grey.size * (2 * len(offsets) + 1) <= MAX_CELLS:
        found = _sweep(block, steps, n_slices, alpha)
        for name in poolings:
            pooled = name != "2d" and n_slices > 1
            yield name, tuple(x.sum(axis=0, keepdims=True) if pooled else x.copy() for x in found)  # type: ignore[misc]
        return
    for name in poolings:
        numbers = np.unique(block.slices).tolist() if name == "2d" else [None]
        for used in (block if k is None else block.one_slice(k) for k in numbers):
            yield name, _sweep(used, steps, 1, alpha)


def _sweep(block: Block, steps: IntArray, n_slices: int, alpha: int) -> Matrices:
    """Voxels with neighbours, those without, summed differences from the mean, and voxels by number of alike ones."""
    shape = (n_slices, block.grey.size)
    voxels, alone, sums = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    counts = np.zeros((*shape, 2 * steps.size + 1))
    rows, work = np.empty_like(block.positions), np.empty((2, _PIECE), dtype=np.int32)
    block_rows(block.ranks, block.positions, block.slices, block.grey.size if n_slices > 1 else 0, rows)
    flat = (voxels.reshape(-1), alone.reshape(-1), sums.reshape(-1), counts.reshape(-1))
    _count_neighbours(block.levels, block.positions, rows, steps, alpha, work, *flat)
    return voxels, alone, sums, counts


@kernel
def _count_neighbours(levels, positions, rows, steps, alpha, work, voxels, alone, sums, counts):  # type: ignore[no-untyped-def]
    """Go through all places between voxels that are near, background too, piece by piece: that is vector code."""
    reach, span = np.int32(alpha), np.uint32(2 * alpha)
    width, n, v = 2 * len(steps) + 1, len(positions), 0
    while v < n:
        start, last = positions[v], v
        while last + 1 < n and positions[last + 1] <= min(positions[last] + _GAP, start + _PIECE - 1):
            last += 1
        size = positions[last] + 1 - start
        total, number = work[0, :size], work[1, :size]
        total[:] = 0
        number[:] = 0
        own = levels[start : start + size]
        for m in range(len(steps)):
            before = levels[start - steps[m] : start - steps[m] + size]
            behind = levels[start + steps[m] : start + steps[m] + size]
            for x in range(size):
                a, b = before[x], behind[x]
                total[x] += np.int32(a + b)
                lowest = np.int32(own[x] - reach)
                number[x] += (
                    np.int32(a > 0) * np.int32(1 << _BITS)
                    + np.int32(b > 0) * np.int32(1 << _BITS)
                    + np.int32((a > 0) & (np.uint32(a - lowest) <= span))
                    + np.int32((b > 0) & (np.uint32(b - lowest) <= span))
                )
        while v <= last:
            at, row = np.uint64(positions[v] - start), np.uint64(rows[v])
            around, alike = np.uint32(number[at]) >> _BITS, np.uint32(number[at]) & _ALIKE
            counts[np.uint64(row * width + alike)] += 1.0
            if around > 0:
                voxels[row] += 1.0
                sums[row] += abs(own[at] - total[at] / around)
            else:
                alone[row] += 1.0
            v += 1


@kernel
def _difference_features(voxels, sums, grey, out):  # type: ignore[no-untyped-def]
    """One row of features per slice, in the order of ``DIFFERENCE_TAGS``; NaN where undefined."""
    n = len(grey)
    for m in range(len(voxels)):
        total, levels, difference, weighted = 0.0, 0, 0.0, 0.0
        for i in range(n):
            total += voxels[m, i]
            levels += voxels[m, i] > 0
            difference += sums[m, i]
            weighted += voxels[m, i] * sums[m, i]
        spread, busy, complexity, strength = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            for j in range(i):
                a, b = voxels[m, i], voxels[m, j]
                if a > 0 and b > 0:
                    apart = grey[i] - grey[j]
                    spread += 2 * a * b * apart * apart
                    busy += 2 * abs(grey[i] * a - grey[j] * b)
                    complexity += 2 * apart * (a * sums[m, i] + b * sums[m, j]) / (a + b)
                    strength += 2 * (a + b) * apart * apart
        out[m, 0] = _ratio(total, weighted)
        out[m, 1] = _ratio(spread * difference, levels * (levels - 1) * total**3)
        out[m, 2] = _ratio(weighted, busy)
        out[m, 3] = _ratio(complexity, total)
        out[m, 4] = _ratio(strength, total * difference)


@part
def _ratio(a, b):  # type: ignore[no-untyped-def]
    return a / b if b > 0 else np.nan
