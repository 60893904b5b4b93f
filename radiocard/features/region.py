"""What every feature family is given: one region, cropped to its bounding box."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Region(NamedTuple):
    """One region with its grey values.

    Parameters
    ----------
    mask : ndarray of bool, shape (ni, nj, nk)
        The region; ``k`` is the slice axis.
    raw : ndarray of float, shape (ni, nj, nk)
        Grey values as acquired.
    values : ndarray of float, shape (ni, nj, nk)
        Grey values after normalisation.
    spacing : tuple of float
        Voxel spacing along ``i, j, k`` [mm].
    """

    mask: NDArray[np.bool_]
    raw: NDArray[np.float64]
    values: NDArray[np.float64]
    spacing: tuple[float, float, float]
