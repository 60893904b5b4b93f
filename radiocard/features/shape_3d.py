"""Shape of one region in space (IBSI HCUG) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from radiocard.features.intensity import Values
from radiocard.features.mesh import Spacing, Surface, measure_surface, outer_vertices
from radiocard.preprocessing.discretise import Convention

FloatArray = NDArray[np.float64]


def shape_features(
    mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    raw: NDArray[Any],
    normalised: NDArray[Any],
    convention: Convention,
) -> Values:
    """Compute the 24 shape features of one region.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region, at least one voxel, cropped to its bounding box.
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm]; slice gaps count as tissue.
    raw : ndarray, shape (ni, nj, nk)
        Grey values as acquired; the weights of the centre of mass, which have no meaning once
        a mean has been subtracted.
    normalised : ndarray, shape (ni, nj, nk)
        Grey values after normalisation, for the integrated intensity.
    convention : {'ibsi', 'pyradiomics'}
        How mesh cells are split, see :mod:`radiocard.features.mesh`, and whether the covariance
        of the voxel centres is divided by their number less one (``ibsi``) or by their number.

    Returns
    -------
    dict of str to float or None
        Tag (``morph_volume``) to value. Lengths in mm, areas in mm^2, volumes in mm^3. None
        where undefined, for example axis ratios of one voxel.

    Notes
    -----
    Moran's I and Geary's C are not computed yet, and the densities by oriented bounding box and
    minimum volume enclosing ellipsoid not at all: the IBSI found no consensus on them.
    """
    surface = measure_surface(mask, spacing, convention=convention)
    centres = np.argwhere(mask) * np.asarray(spacing)
    variances = axis_variances(centres, ddof=1 if convention == "ibsi" else 0)
    voxel = math.prod(spacing)
    out: Values = {"morph_volume": surface.volume, "morph_vol_approx": len(centres) * voxel}
    out |= _roundness(surface)
    out["morph_com"] = _centre_of_mass_shift(centres, np.asarray(raw, dtype=np.float64)[mask])
    out |= _axes(variances)
    out |= _hull_features(outer_vertices(mask, spacing), surface)
    sides = np.asarray(mask.shape) * spacing
    out |= _density("aabb", surface, volume=math.prod(sides), area=2 * float(sides @ np.roll(sides, 1)))
    semi = 2 * np.sqrt(variances)
    out |= _density("aee", surface, volume=4 / 3 * math.pi * math.prod(semi), area=_ellipsoid_area(semi))
    out["morph_integ_int"] = surface.volume * float(np.mean(normalised[mask], dtype=np.float64))
    return out


def axis_variances(centres: FloatArray, *, ddof: int) -> FloatArray:
    """Compute the variances along the principal axes.

    Parameters
    ----------
    centres : ndarray of float, shape (n, d)
        Voxel centres [mm].
    ddof : {0, 1}
        The sums of squares are divided by ``n - ddof``.

    Returns
    -------
    ndarray of float, shape (d,)
        Ascending, never negative; below 1e-12 of the largest they are zero [mm^2].
    """
    centred = centres - centres.mean(axis=0)
    found = np.linalg.eigvalsh(centred.T @ centred / max(len(centres) - ddof, 1))
    return np.where(found > 1e-12 * found[-1], found, 0.0)


def _roundness(surface: Surface) -> Values:
    area, volume = surface
    sphericity = (36 * math.pi * volume**2) ** (1 / 3) / area
    return {
        "morph_area_mesh": area,
        "morph_av": area / volume if volume > 0 else None,
        "morph_comp_1": volume / (math.sqrt(math.pi) * area**1.5),
        "morph_comp_2": 36 * math.pi * volume**2 / area**3,
        "morph_sph_dispr": 1 / sphericity if volume > 0 else None,
        "morph_sphericity": sphericity,
        "morph_asphericity": 1 / sphericity - 1 if volume > 0 else None,
    }


def _centre_of_mass_shift(centres: FloatArray, weights: FloatArray) -> float | None:
    """None if the grey values sum to zero; negative ones weigh negatively, as the IBSI has it."""
    total = float(weights.sum())
    if total == 0:
        return None
    return float(np.linalg.norm(weights @ centres / total - centres.mean(axis=0)))


def _axes(variances: FloatArray) -> Values:
    least, minor, major = (float(v) for v in np.sqrt(variances))
    return {
        "morph_pca_maj_axis": 4 * major,
        "morph_pca_min_axis": 4 * minor,
        "morph_pca_least_axis": 4 * least,
        "morph_pca_elongation": minor / major if major > 0 else None,
        "morph_pca_flatness": least / major if major > 0 else None,
    }


def _hull_features(vertices: FloatArray, surface: Surface) -> Values:
    hull = ConvexHull(vertices)
    densities = _density("conv_hull", surface, volume=float(hull.volume), area=float(hull.area))
    return {"morph_diam": float(pdist(vertices[hull.vertices]).max()), **densities}


def _density(name: str, surface: Surface, *, volume: float, area: float) -> Values:
    return {
        f"morph_vol_dens_{name}": surface.volume / volume if volume > 0 else None,
        f"morph_area_dens_{name}": surface.area / area if area > 0 else None,
    }


def _ellipsoid_area(semi: FloatArray) -> float:
    """Area by the series of the IBSI manual (RDD2), to order 20.

    The series is what the consensus values rest on. It is exact for a sphere, and 4 % below
    the true area for an ellipsoid with half axes 5.7, 4.7 and 4.3.
    """
    c, b, a = (float(s) for s in semi)
    if a == 0:
        return 0.0
    alpha2, beta2 = 1 - (b / a) ** 2, 1 - (c / a) ** 2
    middle, product = (alpha2 + beta2) / 2, alpha2 * beta2
    total, before, term = 1.0, 0.0, 1.0
    for order in range(1, 21):  # Bonnet's recursion of the scaled Legendre polynomials
        before, term = term, ((2 * order - 1) * middle * term - (order - 1) * product * before) / order
        total += term / (1 - 4 * order**2)
    return 4 * math.pi * a * b * total
