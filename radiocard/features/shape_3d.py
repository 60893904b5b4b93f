"""Shape of one region in space (IBSI HCUG) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from radiocard.features.diameters import measure_diameters
from radiocard.features.intensity import Values
from radiocard.features.mesh import Surface, measure_surface
from radiocard.features.region import FloatArray, Region
from radiocard.features.spatial import spatial_autocorrelation
from radiocard.jit.kernel import kernel
from radiocard.specs import Convention

_DIAMETERS = frozenset({"morph_diam", "morph_diam_slice", "morph_diam_column", "morph_diam_row"})
_HULL = frozenset({"morph_vol_dens_conv_hull", "morph_area_dens_conv_hull"})
_SPATIAL = frozenset({"morph_moran_i", "morph_geary_c"})


def shape_features(region: Region, *, convention: Convention, wanted: frozenset[str] | None = None) -> Values:
    """Compute the shape features of one region.

    Parameters
    ----------
    region : Region
        At least one voxel. Geometry is that of its mask, slice gaps counted as tissue; grey
        values are those of its intensity mask, before normalisation as the weights of the centre
        of mass, which have no meaning once a mean has been subtracted, else after it.
    convention : {'ibsi', 'pyradiomics'}
        How mesh cells are split, see :mod:`radiocard.features.mesh`, and whether the covariance
        of the voxel centres is divided by their number less one (``ibsi``) or by their number.
    wanted : frozenset of str, optional
        Tags to compute; without it all 25, of which the densities by convex hull, Moran's I and
        Geary's C take most of the time. What costs nothing is returned in any case.

    Returns
    -------
    dict of str to float or None
        Tag (``morph_volume``) to value; under ``pyradiomics`` also the largest distances in
        planes of constant ``k`` (``morph_diam_slice``), ``j`` (``_column``) and ``i`` (``_row``).
        Lengths in mm, areas in mm^2, volumes in mm^3. None where undefined, for example axis
        ratios of one voxel.

    Notes
    -----
    Densities by oriented bounding box and by minimum volume enclosing ellipsoid are left out: the
    IBSI found no consensus on them.
    """

    def asks_for(tags: frozenset[str]) -> bool:
        return wanted is None or not wanted.isdisjoint(tags)

    mask, spacing = region.mask, np.asarray(region.spacing, dtype=np.float64)
    surface = measure_surface(mask, region.spacing, convention=convention)
    size, centre, covariance = voxel_moments(mask, ddof=1 if convention == "ibsi" else 0)
    variances = axis_variances(covariance * np.outer(spacing, spacing))
    out: Values = {"morph_volume": surface.volume, "morph_vol_approx": size * math.prod(region.spacing)}
    out |= _roundness(surface) | _axes(variances)
    a, b, c = (n * s for n, s in zip(mask.shape, region.spacing, strict=True))
    out |= _density("aabb", surface, volume=a * b * c, area=2 * (a * b + b * c + c * a))
    semi = 2 * np.sqrt(variances)
    out |= _density("aee", surface, volume=4 / 3 * math.pi * math.prod(semi), area=_ellipsoid_area(semi))
    if asks_for(_DIAMETERS | _HULL):
        diameters = measure_diameters(mask, region.spacing)
        out["morph_diam"] = diameters.largest
        if convention == "pyradiomics":
            out |= zip(("morph_diam_row", "morph_diam_column", "morph_diam_slice"), diameters.in_plane, strict=True)
        if asks_for(_HULL):
            out |= _hull_densities(diameters.hull, surface)
    if asks_for(frozenset({"morph_com"})):
        out["morph_com"] = _centre_of_mass_shift(region, centre)
    if asks_for(frozenset({"morph_integ_int"})):
        out["morph_integ_int"] = surface.volume * float(np.mean(region.values[region.intensity_mask]))
    if asks_for(_SPATIAL):
        moran, geary = spatial_autocorrelation(region.values, region.intensity_mask, region.spacing)
        out |= {"morph_moran_i": moran, "morph_geary_c": geary}
    return out


def voxel_moments(mask: NDArray[np.bool_], *, ddof: int) -> tuple[int, FloatArray, FloatArray]:
    """Compute size, centre and covariance of the voxels of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        At least one voxel.
    ddof : {0, 1}
        The sums of squares are divided by ``n - ddof``.

    Returns
    -------
    size : int
        Number of voxels.
    centre : ndarray of float, shape (3,)
        Mean position [voxel].
    covariance : ndarray of float, shape (3, 3)
        Of the positions [voxel^2]; exact but for the last division.
    """
    sums = np.zeros(10, dtype=np.int64)
    _sum_positions(np.ascontiguousarray(mask).view(np.uint8), sums)
    n, i, j, k, ii, jj, kk, ij, ik, jk = sums.tolist()
    first, second = (i, j, k), ((ii, ij, ik), (ij, jj, jk), (ik, jk, kk))
    divisor = n * max(n - ddof, 1)
    covariance = [[(n * second[a][b] - first[a] * first[b]) / divisor for b in range(3)] for a in range(3)]
    return n, np.array(first) / n, np.array(covariance)


def axis_variances(covariance: FloatArray) -> FloatArray:
    """Compute the variances along the principal axes.

    Parameters
    ----------
    covariance : ndarray of float, shape (d, d)
        Of the voxel centres [mm^2].

    Returns
    -------
    ndarray of float, shape (d,)
        Ascending, never negative; below 1e-12 of the largest they are zero [mm^2].
    """
    found = np.linalg.eigvalsh(covariance)
    return np.where(found > 1e-12 * found[-1], found, 0.0)


def _roundness(surface: Surface) -> Values:
    area, volume = surface
    sphericity = (36 * math.pi * volume**2) ** (1 / 3) / area
    return {
        "morph_area_mesh": area,
        "morph_av": area / volume if volume else None,
        "morph_comp_1": volume / (math.sqrt(math.pi) * area**1.5),
        "morph_comp_2": 36 * math.pi * volume**2 / area**3,
        "morph_sph_dispr": 1 / sphericity if volume else None,
        "morph_sphericity": sphericity,
        "morph_asphericity": 1 / sphericity - 1 if volume else None,
    }


def _centre_of_mass_shift(region: Region, centre: FloatArray) -> float | None:
    """None if the grey values sum to zero; negative ones weigh negatively, as the IBSI has it."""
    weights = np.where(region.intensity_mask, region.raw, 0.0)
    plane = weights.sum(axis=2)
    lines = (plane.sum(axis=1), plane.sum(axis=0), weights.sum(axis=(0, 1)))
    total = float(plane.sum())
    if total == 0:
        return None
    offset = [float(line @ (np.arange(len(line)) - c)) / total for line, c in zip(lines, centre, strict=True)]
    return math.hypot(*(o * s for o, s in zip(offset, region.spacing, strict=True)))


def _axes(variances: FloatArray) -> Values:
    least, minor, major = (float(v) for v in np.sqrt(variances))
    return {
        "morph_pca_maj_axis": 4 * major,
        "morph_pca_min_axis": 4 * minor,
        "morph_pca_least_axis": 4 * least,
        "morph_pca_elongation": minor / major if major > 0 else None,
        "morph_pca_flatness": least / major if major > 0 else None,
    }


def _hull_densities(points: FloatArray, surface: Surface) -> Values:
    hull = import_module("scipy.spatial").ConvexHull(points)
    return _density("conv_hull", surface, volume=float(hull.volume), area=float(hull.area))


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


@kernel
def _sum_positions(mask: NDArray[np.uint8], sums: NDArray[np.int64]) -> None:
    """Sum 1, i, j, k, ii, jj, kk, ij, ik and jk over the voxels inside."""
    ni, nj, nk = mask.shape
    for i in range(ni):
        for j in range(nj):
            row = mask[i, j]
            n, first, second = 0, 0, 0
            for k in range(nk):
                n += int(row[k])
            if n == 0:
                continue
            for k in range(nk):
                first += int(row[k]) * k
                second += int(row[k]) * k * k
            sums[0] += n
            sums[1] += n * i
            sums[2] += n * j
            sums[3] += first
            sums[4] += n * i * i
            sums[5] += n * j * j
            sums[6] += second
            sums[7] += n * i * j
            sums[8] += first * i
            sums[9] += first * j
