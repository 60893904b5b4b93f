"""Features of matrices that count something by grey level and size.

Runs by length (GLRLM), zones by size (GLSZM) or distance (GLDZM) and neighbourhoods by number
of alike voxels (NGLDM) share 16 definitions of the IBSI [1]_; the last one, energy, is only
used for neighbourhoods.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

import math

import numpy as np

from radiocard.features.levels import FloatArray
from radiocard.jit.kernel import kernel, part


def size_features(counts: FloatArray, grey: FloatArray, sizes: FloatArray, voxels: FloatArray) -> FloatArray:
    """Compute the features of each of several matrices.

    Parameters
    ----------
    counts : ndarray of float, shape (m, n_grey, n_sizes)
        Counts, or weighted ones.
    grey : ndarray of float, shape (n_grey,)
        Grey level of each row.
    sizes : ndarray of float, shape (n_sizes,)
        Size of each column, more than 0.
    voxels : ndarray of float, shape (m,)
        What the percentage refers to.

    Returns
    -------
    ndarray of float, shape (m, 17)
        Emphasis of small and large sizes, of low and high grey levels, of small sizes with low
        and high and of large sizes with low and high grey levels; non-uniformity of grey levels
        and of sizes, each followed by its normalised form; percentage; variance of grey levels
        and of sizes; entropy [bit]; energy. All NaN for an empty matrix.
    """
    longest = max(grey.size, sizes.size)
    values = np.empty((2, longest))
    values[0, : grey.size], values[1, : sizes.size] = grey, sizes
    out = np.full((len(counts), 17), np.nan)
    _fill_in(np.ascontiguousarray(counts), values, voxels, np.empty((2, longest)), out)
    return out


@kernel
def _fill_in(counts, values, voxels, margins, out):  # type: ignore[no-untyped-def]
    for m in range(len(counts)):
        total = _margins(counts, m, margins)
        if total > 0:
            out[m, 12] = total / voxels[m]
            _cell_features(counts, m, values, total, out)
            _margin_features(margins, values, counts.shape[1], counts.shape[2], total, m, out)


@part
def _margins(counts, m, margins):  # type: ignore[no-untyped-def]
    n, width = counts.shape[1], counts.shape[2]
    total = 0.0
    for s in range(width):
        margins[1, s] = 0.0
    for r in range(n):
        margins[0, r] = 0.0
        for s in range(width):
            x = counts[m, r, s]
            if x != 0.0:
                margins[0, r] += x
                margins[1, s] += x
        total += margins[0, r]
    return total


@part
def _cell_features(counts, m, values, total, out):  # type: ignore[no-untyped-def]
    low_small, high_small, low_large, high_large, entropy, energy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for r in range(counts.shape[1]):
        level = values[0, r] * values[0, r]
        for s in range(counts.shape[2]):
            x = counts[m, r, s] / total
            if x == 0.0:
                continue
            size = values[1, s] * values[1, s]
            low_small += x / (size * level)
            high_small += x * level / size
            low_large += x * size / level
            high_large += x * size * level
            entropy -= x * math.log2(x)
            energy += x * x
    out[m, 4], out[m, 5], out[m, 6], out[m, 7] = low_small, high_small, low_large, high_large
    out[m, 15], out[m, 16] = entropy, energy


@part
def _margin_features(margins, values, n, width, total, m, out):  # type: ignore[no-untyped-def]
    """Grey levels first: columns 2, 3, 8, 9 and 13; then sizes: 0, 1, 10, 11 and 14."""
    for axis in range(2):
        n_values = width if axis == 1 else n
        mean, squares, inverse, uneven, variance = 0.0, 0.0, 0.0, 0.0, 0.0
        for v in range(n_values):
            x, value = margins[axis, v] / total, values[axis, v]
            mean += x * value
            squares += x * value * value
            inverse += x / (value * value)
            uneven += x * margins[axis, v]
        for v in range(n_values):
            variance += margins[axis, v] / total * (values[axis, v] - mean) ** 2
        out[m, 2 - 2 * axis], out[m, 3 - 2 * axis] = inverse, squares
        out[m, 8 + 2 * axis], out[m, 9 + 2 * axis], out[m, 13 + axis] = uneven, uneven / total, variance
