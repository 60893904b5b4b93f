"""PyRadiomics' Laplacian of Gaussian: ITK's recursive filter, of a part of the image only.

ITK's fourth-order recursion [1]_ continues the image by its edge value, so it equals a
convolution with a symmetric kernel of known shape. That kernel is applied as a small band
matrix per axis, and results are rounded to single precision where ITK keeps them so.

References
----------
.. [1] Farneback and Westin, Improving Deriche-style recursive Gaussian filters, J. Math.
   Imaging Vis. 26 (2006), doi:10.1007/s10851-006-8464-z
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import GeometryError
from radiocard.jit.kernel import kernel
from radiocard.preprocessing.filters.window import Box, Floats
from radiocard.specs.filters import PyradiomicsLog

_REACH = 16.0  # standard deviations; what lies beyond changes no more than the last bit of a float32
_ENDLESS = 30.0  # standard deviations; nothing is left beyond in double precision
_AT_LEAST = 4  # voxels along each axis, as ITK demands
_ROWS = 20  # about how many voxels of the box one matrix gives
_SMOOTH, _SECOND = 0, 1
# Amplitudes of cosine and sine of two damped waves, and their frequency and decay, after [1]_
_AMPLITUDES = (((1.3530, 1.8151), (-0.3531, 0.0902)), ((-1.3563, 5.2318), (0.3446, -2.2355)))
_WAVES = ((0.6681, -1.3932), (2.0787, -1.3732))


class _Band(NamedTuple):
    """Some voxels of the box along one axis, the voxels that they depend on, and how."""

    rows: slice
    used: slice
    matrices: Floats  # shape (2, rows, used): smoothing, second derivative


def pyradiomics_log(
    array: NDArray[Any], spacing: Sequence[float], box: Box, settings: PyradiomicsLog
) -> Iterator[NDArray[np.float32]]:
    """Yield the Laplacian of Gaussian of each scale, normalised by its square.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        The whole image.
    spacing : sequence of float
        Voxel spacing along ``i, j, k`` [mm].
    box : tuple of slice
        Part of the image that is wanted.
    settings : PyradiomicsLog
        Scales [mm].

    Yields
    ------
    ndarray of float32, shape of the box
        In single precision, as ITK returns it.

    Raises
    ------
    GeometryError
        If the image is too small along an axis; PyRadiomics leaves the scale out.
    """
    for sigma in settings.sigma_mm:
        _refuse_small(array.shape, spacing, sigma)
        axes = list(zip(array.shape, box, spacing, strict=True))
        used = tuple(_within(n, at, _reach(sigma, step)) for n, at, step in axes)
        block = np.ascontiguousarray(array[used].transpose(0, 2, 1), dtype=np.float64)
        bands = [_bands(n, at, sigma, step, first.start) for (n, at, step), first in zip(axes, used, strict=True)]
        total = np.zeros(1)
        for axis, step in enumerate(spacing):
            total = _single(total + _second_derivative(block, bands, axis) / step**2)
        yield np.ascontiguousarray(total.transpose(0, 2, 1), dtype=np.float32)


def _second_derivative(block: Floats, bands: Sequence[Sequence[_Band]], axis: int) -> Floats:
    """Return the second derivative along an axis, smoothed along the others; the block is (i, k, j)."""
    out = _apply(block, bands[axis], axis, _SECOND)
    for other in range(3):
        if other != axis:
            out = _apply(out, bands[other], other, _SMOOTH)
    return out


def _apply(block: Floats, bands: Sequence[_Band], axis: int, which: int) -> Floats:
    ni, nk, nj = block.shape
    size = bands[-1].rows.stop
    if axis == 0:
        out = np.empty((size, nk, nj))
        for rows, used, matrices in bands:
            np.matmul(matrices[which], block.reshape(ni, -1)[used], out=out.reshape(size, -1)[rows])
    elif axis == 1:
        out = np.empty((ni, nk, size))
        for rows, used, matrices in bands:
            np.matmul(block.reshape(-1, nj)[:, used], matrices[which].T, out=out.reshape(-1, size)[:, rows])
    else:
        out = np.empty((ni, size, nj))
        for rows, used, matrices in bands:
            np.matmul(matrices[which], block[:, used], out=out[:, rows])
    return _single(out)


def _single(values: Floats) -> Floats:
    """Round to single precision; sums go on in double."""
    _round(values.reshape(-1))
    return values


@kernel
def _round(values):  # type: ignore[no-untyped-def]
    for n in range(len(values)):
        values[n] = np.float64(np.float32(values[n]))


def _within(n: int, at: slice, reach: int) -> slice:
    return slice(max(at.start - reach, 0), min(at.stop + reach, n))


def _reach(sigma: float, step: float) -> int:
    return int(np.ceil(_REACH * sigma / step))


def _bands(n: int, at: slice, sigma: float, step: float, origin: int) -> list[_Band]:
    """Cut the box into bands; positions are counted from the origin."""
    out = []
    size = at.stop - at.start
    n_bands = max(1, round(size / _ROWS))
    for band in range(n_bands):
        rows = slice(at.start + band * size // n_bands, at.start + (band + 1) * size // n_bands)
        used = _within(n, rows, _reach(sigma, step))
        edges = rows.start if used.start == 0 else None, n - rows.stop if used.stop == n else None
        margins = rows.start - used.start, used.stop - rows.stop
        matrices = _matrices(sigma, step, rows.stop - rows.start, margins, edges)
        inside = slice(rows.start - at.start, rows.stop - at.start)
        out.append(_Band(inside, slice(used.start - origin, used.stop - origin), matrices))
    return out


@lru_cache(maxsize=64)
def _kernels(sigma: float, step: float) -> Floats:
    """Return the right halves of smoothing and second derivative for a scale and a spacing [mm].

    The first sums to 1; the second to 0, with a second moment of 2, times sigma squared. What
    lies beyond the reach is added to the last value.
    """
    scale = sigma / step
    x = np.arange(np.ceil(_ENDLESS * scale) + 1) / scale
    smooth, second = (
        np.sum(
            [
                (a * np.cos(w * x) + b * np.sin(w * x)) * np.exp(decay * x)
                for (a, b), (w, decay) in zip(amplitudes, _WAVES, strict=True)
            ],
            axis=0,
        )
        for amplitudes in _AMPLITUDES
    )
    smooth = smooth / (2 * smooth.sum() - smooth[0])
    second = second - (2 * second.sum() - second[0]) * smooth
    both = np.stack([smooth, second * (step**2 / (x**2 * second).sum())])
    last = _reach(sigma, step)
    return np.column_stack([both[:, :last], both[:, last:].sum(axis=1)])


@lru_cache(maxsize=256)
def _matrices(
    sigma: float, step: float, size: int, margins: tuple[int, int], edges: tuple[int | None, int | None]
) -> Floats:
    """Return the matrices that give ``size`` voxels from them and their margins.

    Where a margin ends at an edge of the image, ``edges`` has the number of voxels that lie
    between, and the voxel at the edge stands for all beyond. Away from edges bands of one
    size have the same matrices.
    """
    halves = _kernels(sigma, step)
    far = halves.shape[1]
    padded = np.column_stack([halves, np.zeros(2)])
    at = np.arange(size)
    matrices = padded[:, np.minimum(np.abs(at[:, None] - np.arange(-margins[0], size + margins[1])), far)]
    beyond = padded[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # sum of all that is farther than each distance
    beyond = np.column_stack([beyond, np.zeros(2)])
    if edges[0] is not None:
        matrices[:, :, 0] += beyond[:, np.minimum(at + edges[0], far)]
    if edges[1] is not None:
        matrices[:, :, -1] += beyond[:, np.minimum(size - 1 - at + edges[1], far)]
    matrices.flags.writeable = False  # it is shared
    return matrices


def _refuse_small(shape: Sequence[int], spacing: Sequence[float], sigma: float) -> None:
    for n, step, name in zip(shape, spacing, "ijk", strict=True):
        least = max(_AT_LEAST, int(np.ceil(sigma / step)) + 1)
        if n < least:
            msg = f"The image has {n} voxels along {name}, expected at least {least} for LoG of {sigma:g} mm."
            raise GeometryError(msg, field="filters.sigma_mm", hint="Leave this scale out for so small an image.")
