"""Parts of an image, continued beyond its edges, and one-dimensional convolution on them.

A response is a function of a box: it gives the filtered values there and asks the response
before it for as large a box as it needs. So only what the region needs is computed, and edges
are continued as if the whole image had been filtered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.jit.kernel import kernel
from radiocard.specs.filters import Boundary

Floats = NDArray[np.float64]
Box = tuple[slice, slice, slice]
Shape = tuple[int, int, int]
Respond = Callable[[Box], Floats]
Kernel = tuple[Floats, int]  # values, and the position of its centre among them

_OUTSIDE = -1
_PIECE = 512


def whole(array: NDArray[Any]) -> Respond:
    """Return the response that is the image itself, in double precision."""
    return lambda box: np.asarray(array[box], dtype=np.float64)


def window(respond: Respond, shape: Shape, box: Box, margins: Sequence[tuple[int, int]], boundary: Boundary) -> Floats:
    """Return a box and a margin around it; beyond the image, values follow the boundary rule.

    Parameters
    ----------
    respond : callable
        What gives values inside the image.
    shape : tuple of int
        Shape of the image.
    box : tuple of slice
        Part of the image, with start and stop.
    margins : sequence of (int, int)
        Voxels before and after the box along each axis.
    boundary : {'mirror', 'nearest', 'zero', 'periodic'}
        ``mirror`` reflects at the outer face of the last voxel: d c b a | a b c d | d c b a.

    Returns
    -------
    ndarray of float
        Shape of the box and its margins.
    """
    index = [
        _positions(part.start - before, part.stop + after, n, boundary)
        for part, n, (before, after) in zip(box, shape, margins, strict=True)
    ]
    inside = [at[at != _OUTSIDE] for at in index]
    block = respond(_as_box([(int(at.min()), int(at.max()) + 1) for at in inside]))
    for axis, (at, used) in enumerate(zip(index, inside, strict=True)):
        first = int(used.min())
        if at.size == block.shape[axis] and at[0] == first and np.all(np.diff(at) == 1):
            continue
        block = block.take(np.maximum(at - first, 0), axis=axis)
        if used.size < at.size:
            block[(slice(None),) * axis + (at == _OUTSIDE,)] = 0.0
    return block


def convolved(respond: Respond, shape: Shape, kernels: Sequence[Kernel | None], boundary: Boundary) -> Respond:
    """Return a response convolved with one kernel per axis, or None where an axis is left alone."""
    margins = [(0, 0) if k is None else (k[0].size - 1 - k[1], k[1]) for k in kernels]

    def respond_convolved(box: Box) -> Floats:
        block = window(respond, shape, box, margins, boundary)
        for axis, own in enumerate(kernels):
            if own is not None:
                block = convolve_valid(block, own[0], axis)
        return block

    return respond_convolved


def convolve_valid(block: Floats, taps: Floats, axis: int) -> Floats:
    """Convolve along one axis, where the kernel lies inside the block as a whole.

    Terms are added in the order of the kernel, so that a value does not depend on the size of
    the block.
    """
    shape = list(block.shape)
    shape[axis] -= taps.size - 1
    out = np.empty(shape)
    n_before, n_behind = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    _convolve(np.ascontiguousarray(block).reshape(n_before, -1), taps, n_behind, out.reshape(n_before, -1))
    return out


@kernel
def _convolve(block, taps, apart, out):  # type: ignore[no-untyped-def]
    """Convolve each row, in which neighbours lie ``apart``, in pieces that stay near the processor."""
    last, size = len(taps) - 1, out.shape[1]
    for row in range(len(out)):
        for first in range(0, size, _PIECE):
            piece = out[row, first : min(first + _PIECE, size)]
            for step in range(len(taps)):
                tap, start = taps[step], first + (last - step) * apart
                shifted = block[row, start : start + len(piece)]
                if step == 0:
                    for x in range(len(piece)):
                        piece[x] = shifted[x] * tap
                elif tap != 0.0:
                    for x in range(len(piece)):
                        piece[x] += shifted[x] * tap


def _positions(start: int, stop: int, n: int, boundary: Boundary) -> NDArray[np.intp]:
    at = np.arange(start, stop)
    if boundary == "nearest":
        return np.clip(at, 0, n - 1)
    if boundary == "periodic":
        return at % n
    if boundary == "mirror":
        at = at % (2 * n)
        return np.minimum(at, 2 * n - 1 - at)
    return np.where((at < 0) | (at >= n), _OUTSIDE, at)


def _as_box(ranges: Sequence[tuple[int, int]]) -> Box:
    i, j, k = (slice(start, stop) for start, stop in ranges)
    return i, j, k
