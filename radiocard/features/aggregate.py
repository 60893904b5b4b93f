"""What matrices with a direction share: weights, the aggregation methods of the IBSI, and means.

Counts are made once per direction and slice; every aggregation method is a sum or a mean of
these. Where there are so many grey levels that this would need too much memory, each matrix is
counted on its own instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.features.intensity import Values
from radiocard.features.levels import Block, FloatArray, IntArray, Offsets
from radiocard.specs.features import Aggregation

Weighting = Literal["none", "manhattan", "euclidean", "infinity"]
MAX_CELLS = 2_000_000


class Counts(NamedTuple):
    """Matrices per direction and slice.

    Parameters
    ----------
    cells : ndarray of int32, shape (n_directions, n_slices or 1, n_rows, n_columns)
        Counts.
    kept : ndarray of bool, shape (n_directions, n_slices or 1), optional
        Which of them enter means and sums; all without it.
    """

    cells: NDArray[np.int32]
    kept: NDArray[np.bool_] | None = None


Counter = Callable[[Block, IntArray, int], Counts]


def lengths(offsets: Offsets, *, norm: Weighting, spacing: Sequence[float]) -> FloatArray:
    """Compute the length of each offset.

    Parameters
    ----------
    offsets : tuple of (int, int, int)
        Along ``i, j, k`` [voxel].
    norm : {'none', 'manhattan', 'euclidean', 'infinity'}
        With ``none`` all have the length 1.
    spacing : sequence of float
        Length of a step along each axis.

    Returns
    -------
    ndarray of float, shape (n,)
        In the unit of ``spacing``.
    """
    if norm == "none":
        return np.ones(len(offsets))
    order = {"manhattan": 1, "euclidean": 2, "infinity": np.inf}[norm]
    return np.linalg.norm(np.array(offsets, dtype=np.float64).reshape(-1, 3) * spacing, ord=order, axis=1)


def matrices(
    count: Counter,
    block: Block,
    steps: IntArray,
    *,
    aggregations: Sequence[Aggregation],
    weights: FloatArray,
    cells: int,
) -> Iterator[tuple[Aggregation, FloatArray]]:
    """Make the matrices that each aggregation method averages over.

    Parameters
    ----------
    count : callable
        Takes a block, steps and the number of slices to keep apart (1 for none).
    block : Block
        The region.
    steps : ndarray of int64, shape (n_directions,)
        From a voxel to its neighbour.
    aggregations : sequence of str
        Either all 3D or none.
    weights : ndarray of float, shape (n_directions,)
        Of the directions in a sum over them.
    cells : int
        Size of one matrix.

    Yields
    ------
    str
        Aggregation method; it can come more than once.
    ndarray of float, shape (m, n_rows, n_columns)
        Some of its matrices.
    """
    n_slices = 1 if aggregations[0].startswith("3d") else block.shape[2]
    if steps.size * n_slices * cells <= MAX_CELLS:
        found = count(block, steps, n_slices)
        for name in aggregations:
            yield name, _aggregated(found, name, weights)
        return
    for name in aggregations:
        numbers = np.unique(block.slices).tolist() if name.startswith("2d") else [None]
        for part in (block if k is None else block.one_slice(k) for k in numbers):
            single = ((m, _aggregated(count(part, steps[m : m + 1], 1), "3d_avg", weights)) for m in range(steps.size))
            if name.endswith("avg"):
                yield from ((name, matrix) for _, matrix in single)
            else:
                total = np.zeros((1, 1, 1))
                for m, matrix in single:
                    total = _sum(total, weights[m] * matrix)
                yield name, total


def mean_values(parts: Sequence[FloatArray], tags: Sequence[str], *, fills: Mapping[str, float]) -> Values:
    """Average features over matrices.

    Parameters
    ----------
    parts : sequence of ndarray of float, shape (m, n_tags), at least one
        Features of each matrix; NaN where undefined, all NaN where the matrix is empty.
    tags : sequence of str
        Names of the first columns.
    fills : mapping of str to float
        What a matrix adds to a mean if it does not define a feature that others do; nothing
        without an entry.

    Returns
    -------
    dict of str to float or None
        None where no matrix defines the feature.
    """
    table = (parts[0] if len(parts) == 1 else np.concatenate(parts))[:, : len(tags)]
    means = (table.sum(axis=0) / max(len(table), 1)).tolist()
    if len(table) and not any(map(math.isnan, means)):
        return dict(zip(tags, means, strict=True))
    defined = ~np.isnan(table)
    there = defined.any(axis=1)
    table, defined = table[there], defined[there]
    return {tag: _mean(table[:, n], defined[:, n], fills.get(tag)) for n, tag in enumerate(tags)}


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """Add two matrices, of which one may have fewer rows or columns than the other."""
    out = np.zeros(np.maximum(a.shape, b.shape))
    for matrix in (a, b):
        out[:, : matrix.shape[1], : matrix.shape[2]] += matrix
    return out


def _mean(values: FloatArray, defined: NDArray[np.bool_], fill: float | None) -> float | None:
    if not defined.any():
        return None
    used = values[defined] if fill is None else np.where(defined, values, fill)
    return float(used.sum()) / used.size


def _aggregated(counts: Counts, name: Aggregation, weights: FloatArray) -> FloatArray:
    """Sum over slices (2.5D) or directions (``comb``), or both, or neither."""
    cells, kept = counts
    if name.startswith("2_5d"):
        cells = cells.sum(axis=1, keepdims=True)
        kept = None if kept is None else np.asarray(kept.any(axis=1, keepdims=True))
    if kept is not None and not kept.all():
        cells = cells * kept[:, :, None, None]
    if name.endswith("avg"):
        return cells.reshape(-1, *cells.shape[2:]).astype(np.float64)
    return np.tensordot(weights, cells, axes=1)
