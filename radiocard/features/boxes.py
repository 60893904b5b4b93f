"""Boxes of voxels: where regions lie, and how they lie in each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]


def bounding_box(mask: Mask) -> Box:
    """Return the smallest box that holds all voxels of a mask with at least one."""
    order = sorted(range(3), key=lambda axis: -abs(mask.strides[axis]))
    turned = [axis for axis in order if mask.strides[axis] < 0]
    stored = np.flip(mask, tuple(turned)).transpose(order)  # as it lies in memory, which is fast to search
    shadow = np.logical_or.reduce(stored, axis=0)
    occupied = (stored.reshape(stored.shape[0], -1).any(axis=1), shadow.any(axis=1), shadow.any(axis=0))
    sides: dict[int, slice] = {}
    for axis, line in zip(order, occupied, strict=True):
        hits = np.flatnonzero(line[::-1] if axis in turned else line)
        sides[axis] = slice(int(hits[0]), int(hits[-1]) + 1)
    return sides[0], sides[1], sides[2]


def union_box(boxes: list[Box]) -> Box:
    """Return the smallest box that holds several."""
    i, j, k = (slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)) for axis in range(3))
    return i, j, k


def padded_box(box: Box, margin: tuple[int, int, int], shape: tuple[int, ...]) -> Box:
    """Return a box with a margin, as far as the array reaches."""
    i, j, k = (
        slice(max(0, side.start - pad), min(n, side.stop + pad))
        for side, pad, n in zip(box, margin, shape, strict=True)
    )
    return i, j, k


def box_within(box: Box, outer: Box) -> Box:
    """Return where a box lies in another one that holds it."""
    i, j, k = (
        slice(side.start - around.start, side.stop - around.start) for side, around in zip(box, outer, strict=True)
    )
    return i, j, k


def box_start(box: Box) -> tuple[int, int, int]:
    """Return the first voxel of a box."""
    i, j, k = (int(side.start) for side in box)
    return i, j, k
