"""What every feature family is given: one region, cropped to its bounding box."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Spacing = tuple[float, float, float]


class Region(NamedTuple):
    """One region with its grey values.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region as drawn (IBSI: ROI morphological mask); ``k`` is the slice axis.
    intensity_mask : ndarray of bool, shape (ni, nj, nk)
        Its voxels that re-segmentation left (IBSI: ROI intensity mask).
    places : ndarray of int64, shape (n_voxels,)
        Where these are in the flattened array, ascending.
    raw : ndarray of float, shape (ni, nj, nk)
        Grey values before normalisation.
    values : ndarray of float, shape (ni, nj, nk)
        Grey values after normalisation and filter; single precision where PyRadiomics has it.
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm].
    context : ndarray of float, shape (mi, mj, mk)
        Grey values after normalisation with a margin around the bounding box, as far as the
        image reaches.
    origin : tuple of int
        Position of the bounding box in ``context``.
    """

    mask: NDArray[np.bool_]
    intensity_mask: NDArray[np.bool_]
    places: NDArray[np.intp]
    raw: FloatArray
    values: NDArray[np.floating[Any]]
    spacing: Spacing
    context: NDArray[np.floating[Any]]
    origin: tuple[int, int, int]
