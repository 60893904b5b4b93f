"""Spatial autocorrelation of grey values: Moran's I (IBSI N365) and Geary's C (IBSI NPT7) [1]_.

Every pair of voxels counts, weighted by the inverse of its distance. Sums over all pairs are taken
in the frequency domain, on a grid twice as large as the region, so that nothing wraps around: there
the sum over pairs of ``a w b`` is that over frequencies of ``A* W B``.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.features.region import FloatArray, Spacing

ComplexArray = NDArray[np.complex128]


def spatial_autocorrelation(
    values: NDArray[Any], mask: NDArray[np.bool_], spacing: Spacing
) -> tuple[float | None, float | None]:
    """Compute Moran's I and Geary's C of one region.

    Parameters
    ----------
    values : ndarray, shape (ni, nj, nk)
        Grey values.
    mask : ndarray of bool, shape (ni, nj, nk)
        The voxels that count, at least one.
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm].

    Returns
    -------
    moran : float or None
        1 for strong positive autocorrelation, near 0 for none. None for one grey value.
    geary : float or None
        Near 0 for strong positive autocorrelation, 1 for none. None for one grey value.

    Examples
    --------
    >>> pair = np.array([[[1.0]], [[2.0]]])
    >>> moran, geary = spatial_autocorrelation(pair, np.ones(pair.shape, dtype=bool), (1.0, 1.0, 1.0))
    >>> round(moran, 9), round(geary, 9)
    (-1.0, 1.0)
    """
    inside = np.asarray(values[mask], dtype=np.float64)
    if np.ptp(inside) == 0:
        return None, None
    fields = np.zeros((3, *mask.shape))
    fields[0], fields[1][mask] = mask, inside - inside.mean()
    fields[2] = fields[1] ** 2
    total, products, squares = _pair_sums(fields, spacing)
    differences = 2 * (squares - products)
    variance = float(np.sum(fields[2])) / inside.size
    return products / (total * variance), differences * (inside.size - 1) / (2 * total * variance * inside.size)


def _pair_sums(fields: FloatArray, spacing: Spacing) -> tuple[float, float, float]:
    """Sum ``m w m``, ``d w d`` and ``m w s`` over all ordered pairs, for fields m, d and s."""
    fft = import_module("scipy.fft")
    half = [fft.next_fast_len(n, real=True) for n in fields.shape[1:]]
    spectra = fft.rfft(fields, 2 * half[2], axis=3)  # axis by axis, not to transform the empty rows
    spectra = fft.fft(spectra, 2 * half[1], axis=2)
    spectra = fft.fft(spectra, 2 * half[0], axis=1, overwrite_x=True)
    octant = fft.dctn(_inverse_distances(half, spacing), type=1)
    octant[:, :, 1:-1] *= 2  # the other half of the frequencies along k
    i, j = (np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in half[:2])
    weights = octant[np.ix_(i, j)] / (8 * half[0] * half[1] * half[2])
    mask, deviation, squared = spectra

    def pair_sum(a: ComplexArray, b: ComplexArray) -> float:
        return float(np.sum(weights * (a.real * b.real + a.imag * b.imag)))

    return pair_sum(mask, mask), pair_sum(deviation, deviation), pair_sum(mask, squared)


def _inverse_distances(half: list[int], spacing: Spacing) -> FloatArray:
    """Inverse distance from voxel 0, up to half the grid along each axis [1/mm]; 0 for itself."""
    square = reduce(np.add.outer, [np.square(np.arange(n + 1) * s) for n, s in zip(half, spacing, strict=True)])
    square[0, 0, 0] = np.inf
    return np.asarray(1 / np.sqrt(square))
