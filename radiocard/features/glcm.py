"""Grey level co-occurrence matrices of one region and their features (IBSI LFYI) [1]_.

Counts are made once per direction and slice; the six aggregations of the IBSI are sums and
means of these.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
.. [2] Haralick et al., IEEE Trans. Syst. Man Cybern. 3 (1973), doi:10.1109/TSMC.1973.4309314
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.features.intensity import Values
from radiocard.preprocessing.discretise import Convention
from radiocard.specs import GlcmAggregation

FloatArray = NDArray[np.float64]
Offset = tuple[int, int, int]
_MAX_ELEMENTS = 4_000_000


def glcm_features(
    levels: NDArray[Any],
    *,
    n_levels: int,
    aggregations: Iterable[GlcmAggregation],
    distance: int,
    convention: Convention,
) -> dict[GlcmAggregation, Values]:
    """Compute the 25 co-occurrence features of one region under several aggregations.

    Parameters
    ----------
    levels : ndarray of int, shape (ni, nj, nk)
        Grey levels from 1 inside the region, 0 outside; ``k`` is the slice axis.
    n_levels : int
        Number of grey levels of the discretisation.
    aggregations : iterable of str
        ``2d_avg`` (BTW3): mean over directions and slices. ``2d_comb`` (SUJT): directions
        merged, mean over slices. ``2_5d_avg`` (JJUI): slices merged, mean over directions.
        ``2_5d_comb`` (ZW7Z): all merged. ``3d_avg`` (ITBB): mean over directions in space.
        ``3d_comb`` (IAZD): directions in space merged.
    distance : int
        Chebyshev distance of the two voxels of a pair [voxel].
    convention : {'ibsi', 'pyradiomics'}
        What a matrix with a single grey level adds to a mean: nothing to correlation and
        first information correlation (``ibsi``), or 1 and 0 (``pyradiomics``).

    Returns
    -------
    dict of str to dict of str to float or None
        Aggregation, then tag without aggregation (``cm_joint_entr``), to value; entropies in
        bit. Matrices without a voxel pair are left out of the means. None where no matrix
        defines the feature, as for the correlation of a region with one grey level.

    Examples
    --------
    >>> levels = np.array([[[1], [2]], [[1], [2]]])
    >>> out = glcm_features(levels, n_levels=2, aggregations=["2d_comb"], distance=1, convention="ibsi")
    >>> round(out["2d_comb"]["cm_contrast"], 3)
    0.667
    """
    grey, index = _dense(levels)
    wanted = tuple(aggregations)
    out: dict[GlcmAggregation, Values] = {}
    for flat in (True, False):
        names = [a for a in wanted if a.startswith("3d") != flat]
        if not names:
            continue
        counts = cooccurrence(index, grey.size, directions(distance, in_plane=flat), per_slice=flat)
        for name in names:
            values = matrix_features(_aggregate(counts, name), grey, n_levels=n_levels, convention=convention)
            out[name] = {tag: _mean(v, flat=grey.size == 1 and tag in _NEEDS_CONTRAST) for tag, v in values.items()}
    return {name: out[name] for name in wanted}


_NEEDS_CONTRAST = frozenset({"cm_corr", "cm_info_corr1"})


def directions(distance: int, *, in_plane: bool) -> list[Offset]:
    """List one of each pair of opposite offsets at a Chebyshev distance.

    Parameters
    ----------
    distance : int
        Chebyshev distance [voxel].
    in_plane : bool
        Only offsets within a slice (4 at distance 1), else all in space (13 at distance 1).

    Returns
    -------
    list of (int, int, int)
        Offsets along ``i, j, k``.
    """
    reach = range(-distance, distance + 1)
    deep = (0,) if in_plane else reach
    return [d for d in product(reach, reach, deep) if max(map(abs, d)) == distance and d > (0, 0, 0)]


def cooccurrence(index: NDArray[Any], n: int, offsets: list[Offset], *, per_slice: bool) -> NDArray[np.int64]:
    """Count the voxel pairs of a region by their two grey levels.

    Parameters
    ----------
    index : ndarray of int, shape (ni, nj, nk)
        Grey level index from 1 to n inside the region, 0 outside.
    n : int
        Number of grey levels.
    offsets : list of (int, int, int)
        From the first to the second voxel of a pair.
    per_slice : bool
        Whether to count each slice apart; offsets must then lie in the slice plane.

    Returns
    -------
    ndarray of int, shape (n_offsets, nk or 1, n, n)
        Symmetric counts: each pair is counted in both orders.
    """
    n_slices = index.shape[2] if per_slice else 1
    base = n + 1
    counts = np.empty((len(offsets), n_slices, n, n), dtype=np.int64)
    for m, offset in enumerate(offsets):
        code = _shifted(index, [-d for d in offset]) * base + _shifted(index, offset)
        if per_slice:
            code = code + np.arange(n_slices) * base**2
        pairs = np.bincount(code.ravel(), minlength=n_slices * base**2).reshape(n_slices, base, base)[:, 1:, 1:]
        counts[m] = pairs + pairs.transpose(0, 2, 1)
    return counts


def matrix_features(
    counts: NDArray[Any], grey: NDArray[Any], *, n_levels: int, convention: Convention
) -> dict[str, FloatArray]:
    """Compute the 25 features of each of several co-occurrence matrices.

    Parameters
    ----------
    counts : ndarray, shape (m, n, n)
        Symmetric counts of voxel pairs; matrices without a pair are left out.
    grey : ndarray of int, shape (n,)
        Grey level of each row, ascending.
    n_levels : int
        Number of grey levels of the discretisation, for the normalised inverse differences.
    convention : {'ibsi', 'pyradiomics'}
        See :func:`glcm_features`.

    Returns
    -------
    dict of str to ndarray of float, shape (number of matrices with a pair,)
        Tag without aggregation to the value per matrix; NaN where undefined.
    """
    counts = counts[counts.any(axis=(1, 2))]
    step = max(1, _MAX_ELEMENTS // grey.size**2)
    parts = [_features(counts[m : m + step], grey, n_levels, convention) for m in range(0, max(len(counts), 1), step)]
    return {tag: np.concatenate([part[tag] for part in parts]) for tag in parts[0]}


def _features(counts: NDArray[Any], grey: NDArray[Any], n_levels: int, convention: Convention) -> dict[str, FloatArray]:
    g = grey.astype(np.float64)
    p = counts / counts.sum(axis=(1, 2), keepdims=True)
    marginal = p.sum(axis=2)
    mean = marginal @ g
    centred = g - mean[:, None]
    variance = np.sum(marginal * centred**2, axis=1)
    covariance = np.einsum("mi,mij,mj->m", centred, p, centred)
    entropy = _entropy(p.reshape(len(p), g.size**2))
    sums, p_sum = _projected(p, grey[:, None] + grey[None, :])
    out = {
        "cm_joint_max": p.max(axis=(1, 2)),
        "cm_joint_avg": mean,
        "cm_joint_var": variance,
        "cm_joint_entr": entropy,
        "cm_sum_avg": p_sum @ sums,
        "cm_sum_entr": _entropy(p_sum),
        "cm_energy": np.sum(p * p, axis=(1, 2)),
        "cm_auto_corr": np.einsum("i,mij,j->m", g, p, g),
    }
    spread = sums - 2 * mean[:, None]
    out["cm_sum_var"] = out["cm_clust_tend"] = np.sum(p_sum * spread**2, axis=1)
    out["cm_clust_shade"] = np.sum(p_sum * spread**3, axis=1)
    out["cm_clust_prom"] = np.sum(p_sum * spread**4, axis=1)
    out |= _difference_features(p, grey, n_levels)
    return out | _correlation_features(variance, covariance, entropy, _entropy(marginal), convention)


def _difference_features(p: FloatArray, grey: NDArray[Any], n_levels: int) -> dict[str, FloatArray]:
    k, p_diff = _projected(p, np.abs(grey[:, None] - grey[None, :]))
    mean = p_diff @ k
    return {
        "cm_diff_avg": mean,
        "cm_dissimilarity": mean,
        "cm_diff_var": np.sum(p_diff * (k - mean[:, None]) ** 2, axis=1),
        "cm_diff_entr": _entropy(p_diff),
        "cm_contrast": p_diff @ k**2,
        "cm_inv_diff": p_diff @ (1 / (1 + k)),
        "cm_inv_diff_norm": p_diff @ (1 / (1 + k / n_levels)),
        "cm_inv_diff_mom": p_diff @ (1 / (1 + k**2)),
        "cm_inv_diff_mom_norm": p_diff @ (1 / (1 + (k / n_levels) ** 2)),
        "cm_inv_var": p_diff[:, 1:] @ (1 / k[1:] ** 2),
    }


def _correlation_features(
    variance: FloatArray, covariance: FloatArray, joint: FloatArray, marginal: FloatArray, convention: Convention
) -> dict[str, FloatArray]:
    """For a symmetric matrix HX = HY and HXY1 = HXY2 = 2 HX."""
    fill_corr, fill_info = (1.0, 0.0) if convention == "pyradiomics" else (np.nan, np.nan)
    flat = variance == 0
    divisor = np.where(flat, 1.0, variance)
    mutual = np.maximum(2 * marginal - joint, 0.0)
    return {
        "cm_corr": np.where(flat, fill_corr, covariance / divisor),
        "cm_info_corr1": np.where(flat, fill_info, -mutual / np.where(flat, 1.0, marginal)),
        "cm_info_corr2": np.sqrt(1 - np.exp(-2 * mutual)),
    }


def _dense(levels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Grey levels that occur, and the array with each level replaced by its rank from 1."""
    present = np.bincount(levels.ravel()) > 0
    present[0] = False
    rank = np.where(present, np.cumsum(present), 0)
    return np.flatnonzero(present), rank[levels]


def _shifted(index: NDArray[Any], offset: Sequence[int]) -> NDArray[Any]:
    """Cut the array to the voxels that have a partner at minus the offset."""
    sides = zip(offset, index.shape, strict=True)
    return index[tuple(slice(max(0, d), max(0, min(size, size + d))) for d, size in sides)]


def _aggregate(counts: NDArray[np.int64], aggregation: GlcmAggregation) -> NDArray[np.int64]:
    n = counts.shape[-1]
    if aggregation in {"2d_avg", "3d_avg"}:
        return counts.reshape(-1, n, n)
    if aggregation == "2d_comb":
        return np.asarray(counts.sum(axis=0))
    if aggregation == "2_5d_avg":
        return np.asarray(counts.sum(axis=1))
    return np.asarray(counts.sum(axis=(0, 1))[None])


def _projected(p: FloatArray, key: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Sum each matrix over the cells that share a key; returns the keys 0..max and the sums."""
    width = int(key.max()) + 1
    code = key.ravel() + width * np.arange(len(p))[:, None]
    sums = np.bincount(code.ravel(), weights=p.ravel(), minlength=width * len(p))
    return np.arange(width, dtype=np.float64), sums.reshape(len(p), width).astype(np.float64)


def _entropy(p: FloatArray) -> FloatArray:
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    return -np.sum(p * logs, axis=1) + 0.0


def _mean(values: FloatArray, *, flat: bool) -> float | None:
    defined = values[~np.isnan(values)]
    return None if flat or defined.size == 0 else float(defined.mean())
