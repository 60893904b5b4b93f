"""A heart as an image classifier sees it: the slices of two phases on one square. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from radiocard.errors import CaseError
from radiocard.image import PHASES, Case, FloatArray, Image
from radiocard.preprocessing.axes import to_canonical
from radiocard.segmentation.grid import Square, heart_centre, image_to_square, square_at
from radiocard.specs.classifier import ClassifierRecipe


@dataclass(frozen=True, eq=False)
class Heart:
    """What a classifier sees of one patient.

    Parameters
    ----------
    channels : ndarray of float32, shape (2 * slices, side, side)
        Normalised; the slices of end-diastole, then those of end-systole.
    square : Square
        Where they lie on the canonical image.
    reference : Image
        End-diastole, on whose grid maps are given.
    """

    channels: NDArray[np.float32]
    square: Square
    reference: Image


def heart_of(case: Case, recipe: ClassifierRecipe, *, margin_px: int = 0) -> Heart:
    """Bring a case's cine at end-diastole and end-systole onto the grid of a classifier; masks are not used.

    Parameters
    ----------
    case : Case
    recipe : ClassifierRecipe
    margin_px : int
        Beyond the classifier's square, on every side.

    Returns
    -------
    Heart

    Raises
    ------
    CaseError
        If one of the two phases is missing (``E_PHASE``).
    GeometryError, IntensityError
        If the two differ in shape, or have voxels that are not finite.
    """
    absent = [phase for phase in PHASES if ("cine", phase) not in case.images]
    if absent:
        msg = f"The case has no cine at {' and '.join(absent)}."
        raise CaseError(msg, code="E_PHASE", case=case.patient_id)
    images = [case.images["cine", phase] for phase in PHASES]
    square = square_at(heart_centre(images), recipe.grid, margin_px=margin_px)
    stacks = [resample_slices(image_to_square(image, square, recipe.grid), recipe.slices) for image in images]
    return Heart(np.concatenate(stacks), square, images[0])


def resample_slices(stack: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Return n slices, evenly from the first to the last of a stack, by linear interpolation.

    Parameters
    ----------
    stack : ndarray of float32, shape (n_slices, height, width)
    n : int

    Returns
    -------
    ndarray of float32, shape (n, height, width)

    Examples
    --------
    >>> resample_slices(np.array([0, 4], dtype=np.float32).reshape(2, 1, 1), 3).ravel().tolist()
    [0.0, 2.0, 4.0]
    """
    at = np.linspace(0, len(stack) - 1, n)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, len(stack) - 1)
    share = (at - below).astype(np.float32)[:, None, None]
    return np.asarray(stack[below] * (1 - share) + stack[above] * share, dtype=np.float32)


def map_to_image(found: FloatArray, heart: Heart) -> NDArray[np.float32]:
    """Bring a map over the slices and pixels of a classifier onto the grid of the reference image.

    Parameters
    ----------
    found : ndarray of float, shape (slices, side, side)
    heart : Heart
        Made without a margin, or with that of the map.

    Returns
    -------
    ndarray of float32, shape of the reference image
        0 beyond the square.
    """
    out = np.zeros(heart.reference.array.shape, dtype=np.float32)
    canonical, (view,) = to_canonical(heart.reference, out)
    shape, lines = canonical.array.shape, heart.square.coordinates(canonical)
    pixels = [
        np.interp(np.arange(n), line, np.arange(line.size), left=-1, right=-1)
        for n, line in zip(shape[:2], lines, strict=True)
    ]
    at = np.meshgrid(*pixels, np.linspace(0, len(found) - 1, shape[2]), indexing="ij")
    volume = map_coordinates(np.moveaxis(np.asarray(found, dtype=np.float32), 0, 2), at, order=1, mode="nearest")
    view[...] = np.where((at[0] >= 0) & (at[1] >= 0), volume, 0)
    return out
