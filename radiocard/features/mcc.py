"""Maximal correlation coefficient of co-occurrence matrices, as PyRadiomics has it.

The second largest eigenvalue of ``Q = D^-1 P D^-1 P``, where P is a symmetric matrix of
probabilities and D holds its marginal ones, is the square of an eigenvalue of
``D^-1/2 P D^-1/2``. That matrix is symmetric, and its largest eigenvalue is 1 with a known
eigenvector; taking that away leaves the one that is looked for as the largest in magnitude.
"""

from __future__ import annotations

import math

import numpy as np

from radiocard.features.levels import FloatArray
from radiocard.jit.kernel import kernel, part

_FEW_LEVELS = 128
_HALVINGS = 48  # of the interval from 0 to 1


def maximal_correlations(p: FloatArray, marginal: FloatArray) -> FloatArray:
    """Compute the coefficient of each of several matrices.

    Parameters
    ----------
    p : ndarray of float, shape (m, n, n)
        Symmetric probabilities, each matrix summing to 1 or empty.
    marginal : ndarray of float, shape (m, n)
        Their sums over rows.

    Returns
    -------
    ndarray of float, shape (m,)
        From 0 to 1; NaN for a matrix with fewer than two grey levels.
    """
    n = p.shape[1]
    out = np.full(len(p), np.nan)
    if n <= _FEW_LEVELS:
        _with_few_levels(p, np.sqrt(marginal), np.empty((n, n)), np.empty((5, n)), out)
        return out
    for m, own in enumerate(marginal):  # memory for one, and a faster method for large ones
        there = np.flatnonzero(own)
        if there.size > 1:
            root = np.sqrt(own[there])
            rest = p[m][np.ix_(there, there)] / np.outer(root, root) - np.outer(root, root)
            out[m] = min(1.0, float(np.abs(np.linalg.eigvalsh(rest)).max()))
    return out


@kernel
def _with_few_levels(p, roots, rest, work, out):  # type: ignore[no-untyped-def]
    """Rows of ``work``: diagonal, beside it, v, q, and the grey levels that occur."""
    n = p.shape[1]
    for m in range(len(p)):
        size = 0
        for i in range(n):
            if roots[m, i] > 0:
                work[4, size] = i
                size += 1
        for a in range(size):
            i = int(work[4, a])
            for b in range(a + 1):
                j = int(work[4, b])
                root = roots[m, i] * roots[m, j]
                rest[a, b] = p[m, i, j] / root - root
                rest[b, a] = rest[a, b]
        if size > 1:
            _tridiagonal(rest, size, work)
            out[m] = _largest_magnitude(work, size)


@part
def _tridiagonal(a, n, work):  # type: ignore[no-untyped-def]
    """Reduce a symmetric matrix by Householder reflections, from its last row upwards; it is overwritten."""
    for c in range(n - 1, 0, -1):
        work[0, c] = a[c, c]
        before = 0.0
        for r in range(c):
            work[2, r] = a[c, r]
            work[3, r] = 0.0
            if r < c - 1:
                before += a[c, r] * a[c, r]
        x = a[c, c - 1]
        work[1, c - 1] = x
        if before > 0.0:
            length = math.copysign(math.sqrt(before + x * x), x)
            work[1, c - 1] = -length
            work[2, c - 1] += length
            _reflect(a, c, length * work[2, c - 1], work)
    work[0, 0] = a[0, 0]


@part
def _reflect(a, n, half, work):  # type: ignore[no-untyped-def]
    """Subtract ``v q' + q v'``; whole rows are added up, which compilers turn into vector code."""
    for r in range(n):
        factor = work[2, r] / half
        for j in range(n):
            work[3, j] += factor * a[r, j]
    along = 0.0
    for r in range(n):
        along += work[2, r] * work[3, r]
    along /= 2 * half
    for r in range(n):
        work[3, r] -= along * work[2, r]
    for r in range(n):
        v, q = work[2, r], work[3, r]
        for j in range(n):
            a[r, j] -= v * work[3, j] + q * work[2, j]


@part
def _largest_magnitude(work, n):  # type: ignore[no-untyped-def]
    """Bisect from 0 to 1: an eigenvalue lies beyond x or -x if a Sturm sequence has a pivot that is not negative."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        x = 0.5 * (low + high)
        above, below = work[0, 0] - x, -work[0, 0] - x
        for i in range(1, n):
            if above >= 0.0 or below >= 0.0:
                break
            squared = work[1, i - 1] * work[1, i - 1]
            above = work[0, i] - x - squared / above
            below = -work[0, i] - x - squared / below
        if above >= 0.0 or below >= 0.0:
            low = x
        else:
            high = x
    return high
