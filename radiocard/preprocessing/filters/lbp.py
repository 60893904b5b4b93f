"""Local binary patterns in the slice plane [1]_, as PyRadiomics takes them from scikit-image.

References
----------
.. [1] Ojala, Pietikainen and Maenpaa, Multiresolution gray-scale and rotation invariant texture
   classification with local binary patterns, IEEE PAMI 24 (2002), doi:10.1109/TPAMI.2002.1017623
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import SpecError
from radiocard.preprocessing.filters.window import Box, Floats, whole, window
from radiocard.specs.filters import PyradiomicsLbp2D

_DECIMALS = 5  # of the sampling points
_MAX_BITS = 24


def pyradiomics_lbp_2d(array: NDArray[Any], box: Box, settings: PyradiomicsLbp2D) -> Floats:
    """Describe the grey values on a circle around each voxel, slice by slice.

    A sample counts as set if it is not below the centre; between voxels it is interpolated
    linearly, outside the image it is 0.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        The whole image.
    box : tuple of slice
        Part of the image that is wanted.
    settings : PyradiomicsLbp2D
        Radius [voxel], number of samples, method: ``default`` reads the samples as a binary
        number, ``ror`` takes its least rotation, ``uniform`` the number of set samples if the
        circle changes twice at most (else samples + 1), ``var`` the variance of the samples.

    Returns
    -------
    ndarray of float, shape of the box

    Raises
    ------
    SpecError
        If the binary number would have too many digits.
    """
    if settings.method in {"default", "ror"} and settings.samples > _MAX_BITS:
        msg = f"{settings.samples} samples are given for local binary patterns, expected at most {_MAX_BITS}."
        raise SpecError(msg, field="filters.samples")
    reach = int(np.ceil(settings.radius))
    n_i, n_j, n_k = array.shape
    block = window(whole(array), (n_i, n_j, n_k), box, [(reach, reach)] * 2 + [(0, 0)], "zero")
    samples = np.stack(list(_samples(block, box, settings)))
    if settings.method == "var":
        return _variance(samples)
    centre = block[reach : block.shape[0] - reach, reach : block.shape[1] - reach]
    bits = samples >= centre
    if settings.method == "uniform":
        changes = np.count_nonzero(bits != np.roll(bits, 1, axis=0), axis=0)
        return np.where(changes <= 2, np.count_nonzero(bits, axis=0), settings.samples + 1).astype(np.float64)
    return _number(bits, least=settings.method == "ror")


def _samples(block: Floats, box: Box, settings: PyradiomicsLbp2D) -> Iterator[Floats]:
    """Yield the grey values at each point of the circle; rows are ``j``, columns ``i``."""
    reach = int(np.ceil(settings.radius))
    angle = 2 * np.pi * np.arange(settings.samples) / settings.samples
    down = np.round(-settings.radius * np.sin(angle), _DECIMALS)
    right = np.round(settings.radius * np.cos(angle), _DECIMALS)
    for dj, di in zip(down, right, strict=True):
        (low_i, high_i, part_i), (low_j, high_j, part_j) = (
            _between(box[axis], step, reach) for axis, step in ((0, di), (1, dj))
        )
        part_i, part_j = part_i[:, None, None], part_j[None, :, None]
        upper = (1 - part_i) * block[np.ix_(low_i, low_j)] + part_i * block[np.ix_(high_i, low_j)]
        lower = (1 - part_i) * block[np.ix_(low_i, high_j)] + part_i * block[np.ix_(high_i, high_j)]
        yield (1 - part_j) * upper + part_j * lower


def _between(part: slice, step: float, reach: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    at = np.arange(part.start, part.stop) + step
    low, high = np.floor(at), np.ceil(at)
    first = part.start - reach
    return (low - first).astype(np.intp), (high - first).astype(np.intp), at - low


def _variance(samples: Floats) -> Floats:
    n = samples.shape[0]
    return np.asarray(((samples**2).sum(axis=0) - samples.sum(axis=0) ** 2 / n) / n)


def _number(bits: NDArray[np.bool_], *, least: bool) -> Floats:
    n = bits.shape[0]
    weights = 1 << np.arange(n, dtype=np.int64)
    value = np.tensordot(weights, bits.astype(np.int64), axes=1)
    best = value
    for _ in range(n - 1 if least else 0):
        value = (value >> 1) | ((value & 1) << (n - 1))
        best = np.minimum(best, value)
    return best.astype(np.float64)
