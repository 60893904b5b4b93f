"""One storage order for one physical image, whatever order a file keeps its axes in."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import GeometryError
from radiocard.image import FloatArray, Image, turned

_THICK = 1.5
_DECIMALS = 3  # directions that agree to this many decimals are a tie
_IDENTITY = (0, 1, 2)
_KEPT = (False, False, False)


def canonical_axes(image: Image) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return which array axes become ``i, j, k``, and which of them are reversed.

    The slice axis comes last: the only one with a single voxel, else the one whose spacing
    exceeds 1.5 times both others, else the one nearest to the superior axis. Of the others,
    ``i`` runs towards the patient's right and ``j`` towards anterior as nearly as they can, and
    ``k`` positively along its nearest world axis. Ties go to the direction whose components
    along x, y, z come last in lexicographic order, so that the answer depends on the physical
    image alone.

    Parameters
    ----------
    image : Image
        Only shape and affine are used.

    Returns
    -------
    permutation : tuple of int
        Array axes in their new order.
    flips : tuple of bool
        Whether each new axis runs against the old one.

    Raises
    ------
    GeometryError
        If the affine has an axis of no length or a value that is not finite (``E_AFFINE``).

    Examples
    --------
    >>> canonical_axes(Image(np.zeros((8, 3, 3)), np.diag([5.0, 1.0, 1.0, 1.0])))
    ((2, 1, 0), (False, False, False))
    """
    require_spacing(image)
    spacing = np.array(image.spacing_mm)
    directions = np.round(np.asarray(image.affine, dtype=float)[:3, :3] / spacing, _DECIMALS).T + 0.0
    k = _slice_axis(image.array.shape, spacing, directions)
    first, second = (axis for axis in _IDENTITY if axis != k)
    options = [
        (a, b, sign_a * directions[a], sign_b * directions[b])
        for a, b in ((first, second), (second, first))
        for sign_a, sign_b in product((1.0, -1.0), repeat=2)
    ]
    i, j, right, anterior = max(options, key=lambda o: (round(o[2][0] + o[3][1], _DECIMALS), *o[2], *o[3]))
    flips = (right @ directions[i] < 0, anterior @ directions[j] < 0, _upward(directions[k]) @ directions[k] < 0)
    return (i, j, k), (bool(flips[0]), bool(flips[1]), bool(flips[2]))


def require_spacing(image: Image) -> None:
    """Refuse an affine without three positive voxel spacings.

    Raises
    ------
    GeometryError
        ``E_AFFINE``, if the affine has an axis of no length or a value that is not finite.
    """
    spacing = np.array(image.spacing_mm)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        msg = f"The affine gives voxel spacings of {spacing.tolist()} mm, expected three positive ones."
        raise GeometryError(msg, code="E_AFFINE", hint="Check the header of this image.")


def to_canonical(image: Image, *arrays: NDArray[Any]) -> tuple[Image, tuple[NDArray[Any], ...]]:
    """Return an image, and arrays on its grid, in the canonical storage order.

    Parameters
    ----------
    image : Image
        An image or label map; its affine follows its array.
    *arrays : ndarray, shape of the image
        For example masks.

    Returns
    -------
    image : Image
        The very same object if nothing changes, else a view of its array with a new affine.
    arrays : tuple of ndarray
        Likewise.

    Raises
    ------
    GeometryError
        If an array has another shape than the image, or the affine is not usable.
    """
    for array in arrays:
        if array.shape != image.array.shape:
            msg = f"An array has shape {array.shape}, expected that of the image, {image.array.shape}."
            raise GeometryError(msg, hint="Check that it was drawn on this series.")
    permutation, flips = canonical_axes(image)
    if permutation == _IDENTITY and flips == _KEPT:
        return image, arrays
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return turned(image, permutation, flips), tuple(array.transpose(permutation)[steps] for array in arrays)


def _slice_axis(shape: tuple[int, ...], spacing: FloatArray, directions: FloatArray) -> int:
    single = [axis for axis in _IDENTITY if shape[axis] == 1]
    if len(single) == 1:
        return single[0]
    thick = int(np.argmax(spacing))
    if spacing[thick] > _THICK * np.delete(spacing, thick).max():
        return thick
    return max(_IDENTITY, key=lambda axis: (abs(directions[axis][2]), *_upward(directions[axis])))


def _upward(direction: FloatArray) -> FloatArray:
    """Return the direction or its opposite: positive along its nearest world axis, superior first."""
    nearest = max((2, 1, 0), key=lambda axis: abs(direction[axis]))
    return direction if direction[nearest] > 0 else -direction
