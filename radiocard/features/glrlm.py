"""Grey level run length matrices of one region and their features (IBSI TP0I) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radiocard.features.aggregate import Counts, matrices, mean_values
from radiocard.features.intensity import Values
from radiocard.features.levels import Block, FloatArray, IntArray, Offset, Offsets, block_rows
from radiocard.features.size_matrix import size_features
from radiocard.jit.kernel import kernel
from radiocard.specs.features import Aggregation, Convention

TAGS: Final = (
    *("rlm_sre", "rlm_lre", "rlm_lgre", "rlm_hgre", "rlm_srlge", "rlm_srhge", "rlm_lrlge", "rlm_lrhge"),
    *("rlm_glnu", "rlm_glnu_norm", "rlm_rlnu", "rlm_rlnu_norm", "rlm_r_perc"),
    *("rlm_gl_var", "rlm_rl_var", "rlm_rl_entr"),
)
_GLANCE: Final = 64


def glrlm_features(
    block: Block,
    *,
    offsets: Offsets,
    weights: FloatArray,
    aggregations: Sequence[Aggregation],
    convention: Convention,
) -> dict[Aggregation, Values]:
    """Compute the 16 run length features of one region under several aggregations.

    Parameters
    ----------
    block : Block
        The region.
    offsets : tuple of (int, int, int)
        Directions at distance 1, one of each two opposite ones.
    weights : ndarray of float, shape of offsets
        Of the directions where they are merged.
    aggregations : sequence of str
        See :func:`radiocard.features.glcm.glcm_features`.
    convention : {'ibsi', 'pyradiomics'}
        Under ``pyradiomics`` a direction is left out if no line along it meets two voxels of
        the region.

    Returns
    -------
    dict of str to dict of str to float or None
        Aggregation, then tag without aggregation (``rlm_sre``), to value. None where no
        direction is left.
    """
    parts: dict[Aggregation, list[FloatArray]] = {name: [] for name in aggregations}
    steps = block.steps(offsets)
    count = partial(_count, meeting=dict(zip(steps.tolist(), offsets, strict=True)) if convention != "ibsi" else None)
    cells = block.grey.size * max(block.shape)
    for name, batch in matrices(count, block, steps, aggregations=aggregations, weights=weights, cells=cells):
        sizes = np.arange(1.0, batch.shape[2] + 1)
        voxels = (batch.sum(axis=1) * sizes).sum(axis=1)
        parts[name].append(size_features(batch, block.grey, sizes, voxels))
    return {name: mean_values(rows, TAGS, fills={}) for name, rows in parts.items()}


def _count(block: Block, steps: IntArray, n_slices: int, *, meeting: dict[int, Offset] | None) -> Counts:
    n, width = block.grey.size, max(block.shape)
    cells = np.zeros((steps.size, n_slices, n, width), dtype=np.int32)
    rows, so_far = np.empty_like(block.positions), np.zeros(block.ranks.size, dtype=np.int32)
    block_rows(block.ranks, block.positions, block.slices, n if n_slices > 1 else 0, rows)
    cells[..., 0] = np.bincount(rows, minlength=n_slices * n).reshape(n_slices, n)
    longest = np.ones(1, dtype=np.int64)
    _count_runs(
        block.positions, rows, steps, *block.alike(steps), width, cells[0].size, so_far, cells.reshape(-1), longest
    )
    cells = cells[..., : longest[0]]
    cells[..., :-1] -= cells[..., 1:]  # a run of three has voxels with 0, 1 and 2 before them
    if meeting is None:
        return Counts(cells)
    kept = _touching(block, steps, n_slices)
    for m, k in np.argwhere(~kept).tolist() if not kept.all() else ():
        kept[m, k] = _meets_two(block if n_slices == 1 else block.one_slice(k), meeting[int(steps[m])])
    return Counts(cells, kept)


def _touching(block: Block, steps: IntArray, n_slices: int) -> NDArray[np.bool_]:
    """Find the directions (and slices) in which two voxels are seen to be neighbours; some may be missed."""
    few = slice(_GLANCE if n_slices == 1 else None)
    near = block.ranks[block.positions[few, None] + steps] > 0
    if n_slices == 1:
        return near.any(axis=0)[:, None]
    return np.stack([np.bincount(block.slices[touches], minlength=n_slices) > 0 for touches in near.T])


def _meets_two(block: Block, offset: Offset) -> bool:
    """Whether a line along an offset meets two voxels, however far apart."""
    places = block.places()
    axis = next(axis for axis in range(3) if offset[axis])
    lines = places - places[:, axis : axis + 1] * np.array(offset)
    return len(np.unique(lines, axis=0)) < len(lines)


@kernel
def _count_runs(positions, rows, steps, voxels, counts, width, apart, so_far, cells, longest):  # type: ignore[no-untyped-def]
    """Count voxels by how many of their run come before them, and note the greatest length of a run.

    All were counted as first of their run. What ``so_far`` holds of other directions is below the mark.
    """
    most = 0
    for m in range(len(steps)):
        mark = (m + 1) * (width + 1)
        for n in range(counts[m]):
            v = np.uint64(voxels[m, n])
            p = positions[v]
            before = so_far[np.uint64(p - steps[m])] - mark
            length = (before if before > 0 else 0) + 1
            so_far[np.uint64(p)] = mark + length
            if length > most:
                most = length
            cell = np.uint64(m * apart + rows[v] * width)
            cells[cell] -= np.int32(1)
            cells[cell + np.uint64(length)] += np.int32(1)
    longest[0] = most + 1
