"""Local intensity peaks of one region (IBSI 9ST6) [1]_.

A peak is a mean over a sphere of 1 cm^3 around a voxel of the region; the sphere reaches beyond the
region, as far as the image does.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from radiocard.features.intensity import Values
from radiocard.features.region import FloatArray, Region, Spacing
from radiocard.jit.kernel import kernel

RADIUS_MM = 10 * (3 / (4 * math.pi)) ** (1 / 3)


def local_intensity(region: Region) -> Values:
    """Compute the local and the global intensity peak of one region.

    Parameters
    ----------
    region : Region
        At least one voxel in the intensity mask; the context reaches at least :data:`RADIUS_MM`
        beyond the region, or to the edge of the image.

    Returns
    -------
    dict of str to float or None
        ``loc_peak_loc``, around the voxel of the highest grey value (the highest such mean where
        several voxels have it), and ``loc_peak_glob``, the highest mean around any voxel; in
        the unit of the grey values. None where a sphere reaches voxels that are not finite.
    """
    finite = np.isfinite(region.context)
    means = np.zeros(region.mask.shape)
    _average(
        means,
        np.ascontiguousarray(region.intensity_mask).view(np.uint8),
        np.array(region.origin, dtype=np.int64),
        sphere(region.spacing),
        _sums_before(np.where(finite, region.context, 0.0)),
        _sums_before(1.0 - finite),
    )
    means = means[region.intensity_mask]
    inside = region.values[region.intensity_mask]
    peaks = {"loc_peak_loc": means[inside == inside.max()].max(), "loc_peak_glob": means.max()}
    return {tag: float(peak) if np.isfinite(peak) else None for tag, peak in peaks.items()}


def sphere(spacing: Spacing) -> NDArray[np.int64]:
    """List the lines of voxels that make up the sphere.

    Parameters
    ----------
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm].

    Returns
    -------
    ndarray of int, shape (n, 3)
        Offset along ``i`` and ``j`` of each line along ``k``, and its reach to either side
        [voxel]. A voxel belongs to the sphere if its centre does.
    """
    reach_i, reach_j = (int(RADIUS_MM / s) for s in spacing[:2])
    i, j = np.mgrid[-reach_i : reach_i + 1, -reach_j : reach_j + 1].reshape(2, -1)
    left = RADIUS_MM**2 - (i * spacing[0]) ** 2 - (j * spacing[1]) ** 2
    i, j, left = i[left >= 0], j[left >= 0], left[left >= 0]
    return np.stack([i, j, (np.sqrt(left) / spacing[2]).astype(np.int64)], axis=1)


def _sums_before(array: FloatArray) -> FloatArray:
    """Sum what lies before each voxel on its line along k."""
    sums = np.zeros((*array.shape[:2], array.shape[2] + 1))
    np.cumsum(array, axis=2, out=sums[:, :, 1:])
    return sums


@kernel
def _average(
    means: FloatArray,
    mask: NDArray[np.uint8],
    origin: NDArray[np.int64],
    lines: NDArray[np.int64],
    sums: FloatArray,
    missing: FloatArray,
) -> None:
    """Fill in the means around the voxels of the mask; NaN where a value is missing."""
    mi, mj, mk = sums.shape[0], sums.shape[1], sums.shape[2] - 1
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            for k in range(mask.shape[2]):
                if not mask[i, j, k]:
                    continue
                total, count, lost = 0.0, 0, 0.0
                for n in range(len(lines)):
                    ii, jj, reach = i + origin[0] + lines[n, 0], j + origin[1] + lines[n, 1], lines[n, 2]
                    if ii < 0 or jj < 0 or ii >= mi or jj >= mj:
                        continue
                    first, stop = max(0, k + origin[2] - reach), min(mk, k + origin[2] + reach + 1)
                    total += sums[ii, jj, stop] - sums[ii, jj, first]
                    lost += missing[ii, jj, stop] - missing[ii, jj, first]
                    count += stop - first
                means[i, j, k] = total / count if lost == 0 else np.nan
