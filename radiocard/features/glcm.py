"""Grey level co-occurrence matrices of one region and their features (IBSI LFYI) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
.. [2] Haralick et al., IEEE Trans. Syst. Man Cybern. 3 (1973), doi:10.1109/TSMC.1973.4309314
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from radiocard.features.aggregate import Counts, matrices, mean_values
from radiocard.features.intensity import Values
from radiocard.features.levels import Block, FloatArray, IntArray, Offsets
from radiocard.features.mcc import maximal_correlations
from radiocard.jit.kernel import kernel, part
from radiocard.specs.features import Aggregation, Convention

TAGS: Final = (
    *("cm_joint_max", "cm_joint_avg", "cm_joint_var", "cm_joint_entr", "cm_diff_avg", "cm_diff_var"),
    *("cm_diff_entr", "cm_sum_avg", "cm_sum_var", "cm_sum_entr", "cm_energy", "cm_contrast"),
    *("cm_dissimilarity", "cm_inv_diff", "cm_inv_diff_norm", "cm_inv_diff_mom", "cm_inv_diff_mom_norm"),
    *("cm_inv_var", "cm_corr", "cm_auto_corr", "cm_clust_tend", "cm_clust_shade", "cm_clust_prom"),
    *("cm_info_corr1", "cm_info_corr2", "cm_mcc"),
)
_FILLS: Final[Mapping[Convention, Mapping[str, float]]] = {
    "ibsi": {},
    "pyradiomics": {"cm_corr": 1.0, "cm_info_corr1": 0.0, "cm_mcc": 0.0},
}


def glcm_features(
    block: Block,
    *,
    n_levels: int,
    offsets: Offsets,
    weights: FloatArray,
    aggregations: Sequence[Aggregation],
    convention: Convention,
    mcc: bool,
) -> dict[Aggregation, Values]:
    """Compute the 25 co-occurrence features of one region under several aggregations.

    Parameters
    ----------
    block : Block
        The region.
    n_levels : int
        Number of grey levels of the discretisation.
    offsets : tuple of (int, int, int)
        From the first to the second voxel of a pair, one of each two opposite ones.
    weights : ndarray of float, shape of offsets
        Of the directions where they are merged.
    aggregations : sequence of str
        ``2d_avg`` (BTW3): mean over directions and slices. ``2d_comb`` (SUJT): directions
        merged, mean over slices. ``2_5d_avg`` (JJUI): slices merged, mean over directions.
        ``2_5d_comb`` (ZW7Z): all merged. ``3d_avg`` (ITBB): mean over directions in space.
        ``3d_comb`` (IAZD): directions in space merged. Either all 3D or none.
    convention : {'ibsi', 'pyradiomics'}
        What a matrix with a single grey level adds to a mean of correlation and first
        information correlation: nothing (``ibsi``), or 1 and 0 (``pyradiomics``).
    mcc : bool
        Whether to add the maximal correlation coefficient ``cm_mcc``, see
        :mod:`radiocard.features.mcc`.

    Returns
    -------
    dict of str to dict of str to float or None
        Aggregation, then tag without aggregation (``cm_joint_entr``), to value; entropies in
        bit. Matrices without a voxel pair are left out of the means. None where no matrix
        defines the feature, as for the correlation of a region with one grey level.
    """
    n = block.grey.size
    parts: dict[Aggregation, list[FloatArray]] = {name: [] for name in aggregations}
    steps = block.steps(offsets)
    batches = matrices(_count, block, steps, aggregations=aggregations, weights=weights, cells=(n + 1) ** 2)
    for name, batch in batches:
        p, marginal = np.empty((len(batch), n, n)), np.empty((len(batch), n))
        _symmetric(batch, p, marginal)
        rows = _features_of(p, marginal, block.grey, n_levels)
        if mcc:
            rows[:, -1] = maximal_correlations(p, marginal)
        parts[name].append(rows)
    tags = TAGS if mcc else TAGS[:-1]
    return {name: mean_values(rows, tags, fills=_FILLS[convention]) for name, rows in parts.items()}


def _count(block: Block, steps: IntArray, n_slices: int) -> Counts:
    n = block.grey.size
    counts = np.zeros((steps.size, n_slices, n + 1, n + 1), dtype=np.int32)
    _count_pairs(block.ranks, block.positions, block.slices, steps, n_slices, n, counts.reshape(-1))
    return Counts(counts)


def _features_of(p: FloatArray, marginal: FloatArray, grey: FloatArray, n_levels: int) -> FloatArray:
    """One row of features per matrix, in the order of ``TAGS``; all NaN for an empty matrix."""
    width = int(grey[-1] - grey[0]) + 1
    out = np.full((len(p), len(TAGS)), np.nan)
    sums, differences = np.zeros((len(p), 2 * width - 1)), np.zeros((len(p), width))
    _joint_features(p, marginal, grey, sums, differences, out)
    _projected_features(sums, differences, 2 * grey[0], float(n_levels), out)
    return out


@kernel
def _count_pairs(ranks, positions, slices, steps, n_slices, n, cells):  # type: ignore[no-untyped-def]
    """Count pairs with the background in row and column 0, which nobody reads; two directions at a time."""
    row = n + 1
    size = n_slices * row * row
    apart = row * row if n_slices > 1 else 0
    for m in range(0, len(steps) - 1, 2):
        one, other, here, there = steps[m], steps[m + 1], m * size, (m + 1) * size
        for v in range(len(positions)):
            p = positions[v]
            at = slices[v] * apart + ranks[np.uint64(p)] * row
            cells[np.uint64(here + at + ranks[np.uint64(p + one)])] += np.int32(1)
            cells[np.uint64(there + at + ranks[np.uint64(p + other)])] += np.int32(1)
    if len(steps) % 2:
        last, here = steps[-1], (len(steps) - 1) * size
        for v in range(len(positions)):
            p = positions[v]
            at = slices[v] * apart + ranks[np.uint64(p)] * row
            cells[np.uint64(here + at + ranks[np.uint64(p + last)])] += np.int32(1)


@kernel
def _symmetric(counts, p, marginal):  # type: ignore[no-untyped-def]
    """Probabilities of each pair in both orders, and their sums over rows; zeros without a pair."""
    n = p.shape[1]
    for m in range(len(p)):
        total = 0.0
        for i in range(1, n + 1):
            for j in range(1, n + 1):
                total += counts[m, i, j]
        scale = 2 * total if total > 0 else 1.0
        for i in range(n):
            for j in range(i + 1):
                p[m, i, j] = (counts[m, i + 1, j + 1] + counts[m, j + 1, i + 1]) / scale
                p[m, j, i] = p[m, i, j]
        for i in range(n):
            along = 0.0
            for j in range(n):
                along += p[m, i, j]
            marginal[m, i] = along


@kernel
def _joint_features(p, marginal, grey, sums, differences, out):  # type: ignore[no-untyped-def]
    """Features of the pairs, and the probabilities of their sums and differences."""
    n = len(grey)
    for m in range(len(p)):
        top, entropy, energy, product = 0.0, 0.0, 0.0, 0.0
        mean, variance, own_entropy = 0.0, 0.0, 0.0
        for i in range(n):
            mean += marginal[m, i] * grey[i]
        if mean == 0.0:
            continue
        for i in range(n):
            if marginal[m, i] == 0.0:
                continue
            variance += marginal[m, i] * (grey[i] - mean) ** 2
            own_entropy -= marginal[m, i] * math.log2(marginal[m, i])
            a = int(grey[i] - grey[0])
            for j in range(i + 1):
                x = p[m, i, j]
                if x == 0.0:
                    continue
                b = int(grey[j] - grey[0])
                both = x if i == j else 2 * x
                if x > top:
                    top = x
                entropy -= both * math.log2(x)
                energy += both * x
                product += both * grey[i] * grey[j]
                sums[m, a + b] += both
                differences[m, a - b] += both
        out[m, 0], out[m, 1], out[m, 2], out[m, 3] = top, mean, variance, entropy
        out[m, 10], out[m, 19] = energy, product
        _informations(own_entropy, out, m)


@kernel
def _projected_features(sums, differences, first, n_levels, out):  # type: ignore[no-untyped-def]
    for m in range(len(out)):
        if not np.isnan(out[m, 0]):
            _sum_features(sums, first, out, m)
            _difference_features(differences, n_levels, out, m)
            if out[m, 2] > 0:  # covariance: sums vary by four of it more than differences
                out[m, 18] = (out[m, 8] - out[m, 11]) / (4 * out[m, 2])


@part
def _informations(own_entropy, out, m):  # type: ignore[no-untyped-def]
    """Information correlations; the matrix is symmetric, so HX = HY and HXY1 = HXY2 = 2 HX."""
    mutual = 2 * own_entropy - out[m, 3]
    if mutual < 0.0:
        mutual = 0.0
    if out[m, 2] > 0:
        out[m, 23] = -mutual / own_entropy
    out[m, 24] = math.sqrt(1 - math.exp(-2 * mutual))


@part
def _sum_features(p, first, out, m):  # type: ignore[no-untyped-def]
    average, second, third, fourth, entropy = 0.0, 0.0, 0.0, 0.0, 0.0
    for s in range(p.shape[1]):
        x = p[m, s]
        if x == 0.0:
            continue
        spread = first + s - 2 * out[m, 1]
        squared = x * spread * spread
        average += x * (first + s)
        second += squared
        third += squared * spread
        fourth += squared * spread * spread
        entropy -= x * math.log2(x)
    out[m, 7], out[m, 8], out[m, 9] = average, second, entropy
    out[m, 20], out[m, 21], out[m, 22] = second, third, fourth


@part
def _difference_features(p, n_levels, out, m):  # type: ignore[no-untyped-def]
    mean, contrast, variance, inverse, entropy = 0.0, 0.0, 0.0, 0.0, 0.0
    near, near_norm, near_2, near_2_norm = 0.0, 0.0, 0.0, 0.0
    for d in range(p.shape[1]):
        x = p[m, d]
        if x == 0.0:
            continue
        share = d / n_levels
        mean += x * d
        contrast += x * d * d
        near += x / (1 + d)
        near_norm += x / (1 + share)
        near_2 += x / (1 + d * d)
        near_2_norm += x / (1 + share * share)
        if d > 0:
            inverse += x / (d * d)
        entropy -= x * math.log2(x)
    for d in range(p.shape[1]):
        variance += p[m, d] * (d - mean) ** 2
    out[m, 4], out[m, 5], out[m, 6], out[m, 11], out[m, 12] = mean, variance, entropy, contrast, mean
    out[m, 13], out[m, 14], out[m, 15], out[m, 16], out[m, 17] = near, near_norm, near_2, near_2_norm, inverse
