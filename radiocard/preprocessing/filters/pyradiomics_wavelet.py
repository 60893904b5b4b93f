"""PyRadiomics' wavelets: stationary, wrapped around, of a part of the image only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.preprocessing.filters.wavelets import wavelet_filters
from radiocard.preprocessing.filters.window import Box, Floats, convolve_valid
from radiocard.specs.filters import PyradiomicsWavelet

_FIRST = 1  # blocks are kept as (k, i, j): long axes last, where numpy is fast


def pyradiomics_wavelet(array: NDArray[Any], box: Box, settings: PyradiomicsWavelet) -> Iterator[Floats]:
    """Yield the subbands in the order of ``settings.names``.

    Axes of odd length are first continued by one voxel from the other side. Each level filters
    the approximation of the level before with the same, undilated kernels.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        The whole image.
    box : tuple of slice
        Part of the image that is wanted.
    settings : PyradiomicsWavelet
        Wavelet, first level, number of levels, dimension.

    Yields
    ------
    ndarray of float, shape of the box

    Raises
    ------
    SpecError
        If PyWavelets knows no such wavelet.
    """
    filters = wavelet_filters(settings.wavelet)
    low, high = filters["L"], filters["H"]
    axes = (0, 1) if settings.dimension == "2d" else (0, 1, 2)
    stages = settings.start_level + settings.level
    block = _gather(array, box, axes, stages, low.size)
    for _ in range(settings.start_level):
        block = _approximation(block, low, axes)
    for level in range(settings.level):
        left = settings.level - 1 - level  # levels that still need a margin
        bands = list(_subbands(block, low, high, axes))
        trim = _trim(left, low.size, axes)
        for band in bands[1:]:
            yield np.ascontiguousarray(band[trim].transpose(1, 2, 0))
        block = bands[0]
    yield np.ascontiguousarray(block.transpose(1, 2, 0))


def _gather(array: NDArray[Any], box: Box, axes: Sequence[int], stages: int, m: int) -> Floats:
    """Return the box with the margin of all stages, taken around the edges, as (k, i, j)."""
    before, after = stages * (m - 1 - m // 2), stages * (m // 2)
    block = array
    for axis, part in enumerate(box):
        n = array.shape[axis]
        start, stop = (part.start - before, part.stop + after) if axis in axes else (part.start, part.stop)
        whole = (slice(None),) * axis
        if start >= 0 and stop <= n:
            block = block[(*whole, slice(start, stop))]
        else:
            block = block[(*whole, np.arange(start, stop) % (n + n % 2) % n)]
    return np.ascontiguousarray(block.transpose(2, 0, 1), dtype=np.float64)


def _subbands(block: Floats, low: Floats, high: Floats, axes: Sequence[int]) -> Iterator[Floats]:
    """Yield all subbands, the approximation first; the last axis varies fastest."""
    if not axes:
        yield block
        return
    for kernel in (low, high):
        yield from _subbands(convolve_valid(block, kernel, (axes[0] + _FIRST) % 3), low, high, axes[1:])


def _approximation(block: Floats, low: Floats, axes: Sequence[int]) -> Floats:
    for axis in axes:
        block = convolve_valid(block, low, (axis + _FIRST) % 3)
    return block


def _trim(stages: int, m: int, axes: Sequence[int]) -> tuple[slice, ...]:
    before, after = stages * (m - 1 - m // 2), stages * (m // 2)
    keep = slice(before, -after or None)
    return tuple(keep if (axis - _FIRST) % 3 in axes else slice(None) for axis in range(3))
