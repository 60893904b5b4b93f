"""Do the labels make anatomical sense: the LV myocardium encloses the LV cavity.

Of the six ways to name three regions, only one has a region enclosed by another, slice by
slice, so a wrong label order shows itself.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import Issue
from radiocard.image import REGIONS, LabelMap

MIN_ENCLOSED = 0.7
"""Least fraction of the in-plane border of the LV cavity that is myocardium.

Closed contours give 0.99 to 1.00; a basal slice open to the outflow tract lowers it a
little. Any wrong naming of the three regions gives less than 0.5: the septum is at most
half of the border of the right ventricle, and the cavity lies on one side of the
myocardium only.
"""


def enclosed_fraction(inner: NDArray[np.bool_], outer: NDArray[np.bool_]) -> float:
    """Return the fraction of a region's in-plane border that is another region.

    Parameters
    ----------
    inner, outer : ndarray of bool, shape (ni, nj, nk)
        Two regions; slices are counted together, so that a few open ones do not decide.

    Returns
    -------
    float
        Voxel faces between ``inner`` and ``outer``, divided by all faces of ``inner`` within
        the slices; 0 where ``inner`` is empty.

    Examples
    --------
    >>> inner = np.zeros((5, 5, 1), bool)
    >>> inner[2, 2] = True
    >>> outer = np.zeros((5, 5, 1), bool)
    >>> outer[1:4, 1:4] = True
    >>> enclosed_fraction(inner, outer & ~inner)
    1.0
    """
    faces = shared = 0
    for axis in (0, 1):
        a = np.moveaxis(np.pad(inner, [(1, 1) if n == axis else (0, 0) for n in range(3)]), axis, 0)
        b = np.moveaxis(np.pad(outer, [(1, 1) if n == axis else (0, 0) for n in range(3)]), axis, 0)
        for here, there, other in ((a[:-1], a[1:], b[1:]), (a[1:], a[:-1], b[:-1])):
            edge = here & ~there
            faces += int(edge.sum())
            shared += int((edge & other).sum())
    return shared / faces if faces else 0.0


def crop_to_labels(array: NDArray[Any]) -> NDArray[Any]:
    """Return the part of a label array, slices kept, that holds every voxel above 0.

    Parameters
    ----------
    array : ndarray of int, shape (ni, nj, nk)
        Label numbers.

    Returns
    -------
    ndarray of int, shape (mi, mj, nk)
        A view; without voxels in the plane if there is no label.
    """
    used = (array != 0).any(axis=2)
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if not len(rows):
        return array[:0, :0]
    return array[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def check_anatomy(mask: LabelMap, *, case: str, field: str) -> list[Issue]:
    """Check that the myocardium encloses the LV cavity; otherwise say which order would fit.

    Parameters
    ----------
    mask : LabelMap
        With LV cavity, LV myocardium and RV cavity; without one of them there is nothing
        to compare, and no finding.
    case, field : str
        For the message.

    Returns
    -------
    list of Issue
        One ``E_LABEL_ANATOMY``, or none.
    """
    if not set(REGIONS) <= set(mask.labels):
        return []
    array = crop_to_labels(mask.array)
    parts = {number: array == number for number in (mask.labels[r] for r in REGIONS)}
    stated = enclosed_fraction(parts[mask.labels["lv_cavity"]], parts[mask.labels["lv_myocardium"]])
    if stated >= MIN_ENCLOSED:
        return []
    enclosed = {pair: enclosed_fraction(parts[pair[0]], parts[pair[1]]) for pair in permutations(parts, 2)}
    best = max(enclosed, key=lambda pair: enclosed[pair])
    message = (
        f"LV myocardium (label {mask.labels['lv_myocardium']}) is only {stated:.0%} of the border of "
        f"the LV cavity (label {mask.labels['lv_cavity']}), expected at least {MIN_ENCLOSED:.0%}."
    )
    hint = "Check the mask slice by slice."
    if enclosed[best] >= MIN_ENCLOSED:
        rest = next(number for number in parts if number not in best)
        order = f"lv_cavity={best[0]};lv_myocardium={best[1]};rv_cavity={rest}"
        hint = f"The labels look like {order}: {best[1]} encloses {best[0]} ({enclosed[best]:.0%})."
    return [Issue("E_LABEL_ANATOMY", message, case, field, hint)]
