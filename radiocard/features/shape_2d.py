"""Shape of one region in the slice plane, at the slice where it is largest.

The definitions are PyRadiomics' two-dimensional shape class: the outline runs halfway between
voxels inside and outside, and voxels that touch at a corner only stay apart.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from radiocard.features.diameters import measure_diameters
from radiocard.features.intensity import Values
from radiocard.features.region import Region, Spacing
from radiocard.features.shape_3d import axis_variances, voxel_moments

# Share of a cell that lies inside, by its number of corners inside (two side by side; two on a
# diagonal are half of that).
_SHARE = (0.0, 1 / 8, 1 / 2, 7 / 8, 1.0)


def largest_slices(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """List the slices in which the region has the most voxels.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region.

    Returns
    -------
    ndarray of int, shape (n,)
        Positions along ``k``, more than one only where slices are equally large.
    """
    counts = mask.sum(axis=(0, 1))
    return np.flatnonzero(counts == counts.max())


def shape_features_2d(region: Region) -> Values:
    """Compute the 10 planar shape features of one region.

    Parameters
    ----------
    region : Region
        At least one voxel; ``k`` is the slice axis. Grey values do not matter.

    Returns
    -------
    dict of str to float or None
        Tag (``morph_2d_area_mesh``) to value at the slice of the largest area; where several
        slices are equally large, the mean over them. Lengths in mm, areas in mm^2. None where
        undefined, for example the axis ratio of one voxel.
    """
    slices = [_slice_features(region.mask[:, :, k : k + 1], region.spacing) for k in largest_slices(region.mask)]
    return {tag: _mean([values[tag] for values in slices]) for tag in slices[0]}


def _slice_features(mask: NDArray[np.bool_], spacing: Spacing) -> Values:
    plane = spacing[:2]
    perimeter, area = _outline(mask[:, :, 0], plane)
    size, _, covariance = voxel_moments(mask, ddof=0)
    minor, major = (float(v) for v in np.sqrt(axis_variances(covariance[:2, :2] * np.outer(plane, plane))))
    sphericity = 2 * math.sqrt(math.pi * area) / perimeter
    return {
        "morph_2d_area_mesh": area,
        "morph_2d_area_approx": size * math.prod(plane),
        "morph_2d_perimeter": perimeter,
        "morph_2d_pa": perimeter / area,
        "morph_2d_sphericity": sphericity,
        "morph_2d_circ_dispr": 1 / sphericity,
        "morph_2d_diam": measure_diameters(mask, spacing).in_plane[2],
        "morph_2d_pca_maj_axis": 4 * major,
        "morph_2d_pca_min_axis": 4 * minor,
        "morph_2d_pca_elongation": minor / major if major > 0 else None,
    }


def _outline(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[float, float]:
    """Perimeter [mm] and enclosed area [mm^2] of the outline of one slice."""
    m = np.pad(mask, 1).astype(np.int64)
    a, b, c, d = m[:-1, :-1], m[1:, :-1], m[:-1, 1:], m[1:, 1:]
    inside = a + b + c + d
    two = inside == 2
    diagonal = int(np.count_nonzero(two & (a == d)))
    along_i = int(np.count_nonzero(two & (a == b)))
    along_j = int(np.count_nonzero(two & (a == c)))
    corner = int(np.count_nonzero((inside == 1) | (inside == 3))) + 2 * diagonal
    cut = math.hypot(*spacing) / 2
    perimeter = corner * cut + along_i * spacing[0] + along_j * spacing[1]
    cells = float(np.bincount(inside.ravel(), minlength=5) @ _SHARE) - diagonal / 4
    return perimeter, cells * math.prod(spacing)


def _mean(values: list[float | None]) -> float | None:
    defined = [v for v in values if v is not None]
    return sum(defined) / len(defined) if defined else None
