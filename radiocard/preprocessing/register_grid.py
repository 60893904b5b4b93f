"""Where the pixels of one stack lie in another, and the values there; no optimiser."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.errors import GeometryError, IntensityError
from radiocard.image import FloatArray, Image

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_GRID_POINT = 1e-6  # nearer to a voxel centre than this [voxel], its value is taken as it is


def require_alike(fixed: Image, moving: Image, *, max_tilt_deg: float) -> None:
    """Refuse images that cannot be compared slice by slice.

    Parameters
    ----------
    fixed, moving : Image
        Both in the same world.
    max_tilt_deg : float
        Largest angle between their slice planes.

    Raises
    ------
    GeometryError
        If an affine is not finite or singular (``E_AFFINE``), or the slice planes are tilted.
    IntensityError
        If a grey value is not finite.
    """
    for name, image in (("fixed", fixed), ("moving", moving)):
        part = np.asarray(image.affine, dtype=float)
        if not np.isfinite(part).all() or abs(np.linalg.det(part[:3, :3])) < 1e-9:
            msg = f"The affine of the {name} image is not finite, or singular."
            raise GeometryError(msg, code="E_AFFINE", hint="Check the header of this image.")
        bad = int(np.count_nonzero(~np.isfinite(np.asarray(image.array, dtype=float))))
        if bad:
            msg = f"The {name} image has {bad} voxels that are NaN or infinite, expected none."
            raise IntensityError(msg, hint="Give pixels without a value a number, for example 0, before registration.")
    normals = [np.cross(a[:3, 0], a[:3, 1]) for a in (fixed.affine, moving.affine)]
    cosine = abs(normals[0] @ normals[1]) / np.prod([np.linalg.norm(n) for n in normals])
    tilt = float(np.rad2deg(np.arccos(min(1.0, cosine))))
    if tilt > max_tilt_deg:
        msg = f"The slice planes of both images are {tilt:.1f} degrees apart, expected at most {max_tilt_deg:g}."
        raise GeometryError(msg, hint="Check that both are short-axis images of the same study.")


def require_grid(image: Image, shape: tuple[int, ...], affine: FloatArray, *, what: str) -> None:
    """Refuse an image that is not on a grid.

    Raises
    ------
    GeometryError
        If its shape or affine (by more than 1e-3 voxel) is another one.
    """
    if image.array.shape != shape:
        msg = f"The shape of {what} is {image.array.shape}, expected {shape}."
        raise GeometryError(msg, hint="Check that it belongs to this image.")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1.0])).reshape(4, -1)
    apart = np.linalg.solve(np.asarray(affine, dtype=float), np.asarray(image.affine, dtype=float) @ corners) - corners
    if not np.abs(apart[:3]).max() <= 1e-3:
        msg = f"The grid of {what} is up to {np.abs(apart[:3]).max():.3g} voxels away, expected at most 0.001."
        raise GeometryError(msg, hint="Check that it was drawn on this series.")


def matches(fixed: Image, moving: Image, k: int, displacement_mm: Floats | None = None) -> Floats:
    """Return where the pixels of a fixed slice lie in the moving image.

    Parameters
    ----------
    fixed, moving : Image
        Both in the same world.
    k : int
        Slice of the fixed image.
    displacement_mm : ndarray of float, shape (ni, nj, 2), optional
        Along the fixed axes ``i, j`` [mm].

    Returns
    -------
    ndarray of float, shape (3, ni, nj)
        Moving voxel indices.
    """
    i, j = np.meshgrid(*(np.arange(n, dtype=float) for n in fixed.array.shape[:2]), indexing="ij")
    if displacement_mm is not None:
        i = i + displacement_mm[..., 0] / fixed.spacing_mm[0]
        j = j + displacement_mm[..., 1] / fixed.spacing_mm[1]
    points = np.stack([i, j, np.full_like(i, k), np.ones_like(i)])
    to_moving = np.linalg.solve(np.asarray(moving.affine, dtype=float), np.asarray(fixed.affine, dtype=float))
    return np.asarray(np.tensordot(to_moving[:3], points, axes=1))


def covered(places: Floats, shape: tuple[int, ...]) -> Bools:
    """Return which places lie within half a voxel of some voxel centre of an image."""
    size = np.array(shape, dtype=float)[:, None, None]
    return np.asarray(((places >= -0.5) & (places <= size - 0.5)).all(axis=0))


def values_at(array: NDArray[np.generic], places: Floats, *, nearest: bool) -> NDArray[np.generic]:
    """Return the values of an image at places between its voxels.

    Slices are far apart and are never blended: the nearest one is taken, and cubic B-splines within it.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        Grey values, or labels.
    places : ndarray of float, shape (3, mi, mj)
        Voxel indices.
    nearest : bool
        Nearest neighbour in the slice as well; for labels.

    Returns
    -------
    ndarray, shape (mi, mj)
        Of the array's type if nearest, else of float; 0 outside the image.
    """
    inside = covered(places, array.shape)
    slices = np.clip(np.rint(places[2]), 0, array.shape[2] - 1).astype(np.intp)
    rounded = [np.clip(np.rint(c), 0, n - 1).astype(np.intp) for c, n in zip(places[:2], array.shape, strict=False)]
    at_centres = np.abs(places[:2] - np.rint(places[:2]))[:, inside].max(initial=0.0) < _GRID_POINT
    if nearest or at_centres:
        picked = array[rounded[0], rounded[1], slices]
        return np.where(inside, picked, np.zeros((), dtype=array.dtype))
    out = np.zeros(places.shape[1:])
    for k in np.unique(slices[inside]):
        here = inside & (slices == k)
        plane = np.asarray(array[:, :, k], dtype=np.float64)
        values = ndimage.map_coordinates(plane, places[:2, here], order=3, mode="nearest")
        out[here] = np.clip(values, plane.min(), plane.max())
    return out
