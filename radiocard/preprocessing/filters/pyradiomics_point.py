"""PyRadiomics' voxel-wise filters and its gradient magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import IntensityError
from radiocard.preprocessing.filters.window import Box, Floats, whole, window
from radiocard.specs.filters import PyradiomicsGradient, PyradiomicsPoint


def pyradiomics_point(array: NDArray[Any], box: Box, settings: PyradiomicsPoint) -> Floats:
    """Square, square root, logarithm or exponential, scaled by the largest magnitude of the image.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        The whole image.
    box : tuple of slice
        Part of the image that is wanted.
    settings : PyradiomicsPoint
        Which of the four.

    Returns
    -------
    ndarray of float, shape of the box
        With m the largest magnitude: x^2 / m; sign(x) sqrt(m |x|); sign(x) m log(|x| + 1) /
        log(m + 1); exp(x log(m) / m).

    Raises
    ------
    IntensityError
        If the image is zero everywhere, or holds NaN or infinity (``E_NONFINITE``).
    """
    top = max(float(array.max()), -float(array.min()))
    if not (np.isfinite(top) and top > 0):
        msg = f"The largest magnitude of the image is {top:g}, expected a positive number, to scale {settings.kind} by."
        raise IntensityError(msg, hint="Check that the image was read with its grey values.")
    x = np.asarray(array[box], dtype=np.float64)
    if settings.kind == "square":
        return np.square(x * (1 / np.sqrt(top)))
    if settings.kind == "squareroot":
        return np.asarray(np.sign(x) * np.sqrt(top * np.abs(x)))
    if settings.kind == "logarithm":
        return np.asarray(np.sign(x) * np.log(np.abs(x) + 1) * (top / np.log(top + 1)))
    return np.exp(np.log(top) / top * x)


def pyradiomics_gradient(
    array: NDArray[Any], spacing: Sequence[float], box: Box, settings: PyradiomicsGradient
) -> NDArray[np.float32]:
    """Magnitude of the gradient by central differences; edge voxels are continued outwards.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        The whole image.
    spacing : sequence of float
        Voxel spacing along ``i, j, k`` [mm].
    box : tuple of slice
        Part of the image that is wanted.
    settings : PyradiomicsGradient
        Whether differences are taken per mm or per voxel.

    Returns
    -------
    ndarray of float32, shape of the box
        In single precision, as ITK returns it.
    """
    n_i, n_j, n_k = array.shape
    block = window(whole(array), (n_i, n_j, n_k), box, [(1, 1)] * 3, "nearest")
    total: Any = 0.0
    for axis, step in enumerate(spacing if settings.use_spacing else (1.0, 1.0, 1.0)):
        inner = [slice(1, -1)] * 3
        ends = []
        for part in (slice(2, None), slice(None, -2)):
            inner[axis] = part
            ends.append(block[tuple(inner)])
        total = total + np.square((ends[0] - ends[1]) / (2 * step))
    return np.sqrt(total).astype(np.float32)
