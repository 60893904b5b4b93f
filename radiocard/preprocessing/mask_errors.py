"""Gross errors of masks, as a wrong label table, a wrong grid or a failed segmentation make them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from radiocard.errors import UsageError
from radiocard.image import LabelMap
from radiocard.preprocessing.perturb import composed_mask, outlined_regions


def grow_regions(mask: LabelMap, *, pixels: int) -> LabelMap:
    """Dilate (above 0) or erode all outlines by whole pixels with 8 neighbours, slice by slice.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium``, ``rv_cavity``, as far as drawn. The left ventricle takes from
        the right where they meet.
    pixels : int
        How often; a region may vanish.

    Returns
    -------
    LabelMap
        Same grid and label numbers.

    Examples
    --------
    >>> dot = LabelMap(np.pad([[[1]]], ((2, 2), (2, 2), (0, 0))), np.eye(4), labels={"rv_cavity": 1})
    >>> int(grow_regions(dot, pixels=2).array.sum())
    25
    """
    square = np.ones((3, 3, 1), dtype=bool)
    change = ndimage.binary_dilation if pixels > 0 else ndimage.binary_erosion
    old = outlined_regions(mask)
    moved = {n: change(r, square, iterations=abs(pixels)) for n, r in old.items()} if pixels else old
    return composed_mask(mask, moved)


def shift_mask(mask: LabelMap, *, pixels: int) -> LabelMap:
    """Move the mask along the first axis against its image; what leaves the grid is lost."""
    moved = np.zeros_like(mask.array)
    if pixels >= 0:
        moved[pixels:] = mask.array[: len(moved) - pixels]
    else:
        moved[:pixels] = mask.array[-pixels:]
    return replace(mask, array=moved)


def swap_regions(mask: LabelMap, first: str, second: str) -> LabelMap:
    """Give each of two regions the label number of the other, as a wrong label table does.

    Raises
    ------
    UsageError
        If a region is not in the label map.
    """
    absent = [name for name in (first, second) if name not in mask.labels]
    if absent:
        msg = f"Region {absent[0]!r} is not in this label map, which knows: {', '.join(mask.labels)}."
        raise UsageError(msg)
    swapped = {**mask.labels, first: mask.labels[second], second: mask.labels[first]}
    return replace(mask, labels=swapped)
