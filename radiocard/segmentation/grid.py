"""From images to what a network sees, and back: in-plane grid, heart-centred square, grey values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from radiocard.errors import GeometryError, IntensityError
from radiocard.image import FloatArray, Image, LabelMap
from radiocard.preprocessing.axes import canonical_axes, to_canonical
from radiocard.segmentation.probabilities import CLASSES
from radiocard.specs.segmentation import NetworkGrid

Point = tuple[float, float]
_SMOOTH_MM = 6.0
_REACH_MM = 60.0  # the heart of a short-axis stack lies near the middle of the image


@dataclass(frozen=True)
class Square:
    """A square of pixels on the slices of an image.

    Parameters
    ----------
    centre : tuple of float
        Its centre in voxels of the canonical image, along ``i, j``.
    spacing_mm : float
        Distance of its pixel centres [mm].
    size_px : int
        Its side.
    """

    centre: Point
    spacing_mm: float
    size_px: int

    def coordinates(self, image: Image) -> tuple[FloatArray, FloatArray]:
        """Return the positions of its rows and columns, in voxels of the canonical image."""
        steps = (np.arange(self.size_px) - (self.size_px - 1) / 2) * self.spacing_mm
        spacing = image.spacing_mm
        return self.centre[0] + steps / spacing[0], self.centre[1] + steps / spacing[1]


def heart_centre(frames: Sequence[Image]) -> Point:
    """Find the heart without a mask: what moves between the frames, near the middle.

    Parameters
    ----------
    frames : sequence of Image
        The stack at one or more moments of the heartbeat, on one grid.

    Returns
    -------
    tuple of float
        Along ``i, j`` of the canonical image [voxel]; its middle where there is but one frame or
        nothing moves.

    Raises
    ------
    GeometryError
        If the frames differ in shape.
    """
    shapes = {frame.array.shape for frame in frames}
    if len(shapes) != 1:
        msg = f"The frames have the shapes {sorted(shapes)}, expected one shape."
        raise GeometryError(msg, hint="Give the frames of one series.")
    stacks = [to_canonical(frame)[0] for frame in frames]
    first = stacks[0]
    middle = np.array([(n - 1) / 2 for n in first.array.shape[:2]])
    if len(stacks) == 1:
        return float(middle[0]), float(middle[1])
    spacing = np.array(first.spacing_mm[:2])
    change = np.std([np.asarray(s.array, dtype=np.float32) for s in stacks], axis=0).mean(axis=2)
    change = gaussian_filter(change, _SMOOTH_MM / spacing)
    axes = [(np.arange(n) - m) * mm for n, m, mm in zip(change.shape, middle, spacing, strict=True)]
    near = np.exp(-0.5 * (axes[0][:, None] ** 2 + axes[1][None, :] ** 2) / _REACH_MM**2)
    weight = np.clip(change - np.percentile(change, 75), 0, None) ** 2 * near
    total = float(weight.sum())
    if total <= 0:
        return float(middle[0]), float(middle[1])
    return (
        float((weight.sum(axis=1) * np.arange(change.shape[0])).sum() / total),
        float((weight.sum(axis=0) * np.arange(change.shape[1])).sum() / total),
    )


def mask_centre(mask: NDArray[np.generic]) -> Point | None:
    """Return the mean in-plane position of the voxels of a canonical mask [voxel]; None if there are none."""
    i, j, _ = np.nonzero(mask)
    return (float(i.mean()), float(j.mean())) if i.size else None


def square_at(centre: Point, grid: NetworkGrid, *, margin_px: int = 0) -> Square:
    """Return the square that a network sees, with a margin on every side."""
    return Square(centre, grid.spacing_mm, grid.size_px + 2 * margin_px)


def image_to_square(image: Image, square: Square, grid: NetworkGrid) -> NDArray[np.float32]:
    """Bring the slices of an image onto a square, by linear interpolation, and normalise them.

    Parameters
    ----------
    image : Image
        In any storage order.
    square : Square
    grid : NetworkGrid
        Its percentiles, taken over the middle of the square that the network sees.

    Returns
    -------
    ndarray of float32, shape (n_slices, size_px, size_px)
        Beyond the image, its nearest voxels.

    Raises
    ------
    IntensityError
        ``E_NONFINITE``, if a voxel is NaN or infinite.
    """
    canonical, _ = to_canonical(image)
    values = np.asarray(canonical.array, dtype=np.float32)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        msg = f"{bad} voxels are NaN or infinite, expected finite grey values."
        raise IntensityError(msg, code="E_NONFINITE")
    stack = _sample(values, square, canonical, order=1)
    margin = (square.size_px - grid.size_px) // 2
    seen = stack[:, margin : square.size_px - margin, margin : square.size_px - margin]
    low, high = np.percentile(seen, grid.percentiles)
    clipped = np.clip(seen, low, high)
    deviation = float(clipped.std())
    scaled = (np.clip(stack, low, high) - clipped.mean()) / (deviation if deviation > 0 else 1.0)
    return np.asarray(scaled, dtype=np.float32)


def mask_to_square(mask: LabelMap, square: Square) -> NDArray[np.uint8]:
    """Bring a mask onto a square, the most likely class at each pixel by linear interpolation.

    Returns
    -------
    ndarray of uint8, shape (n_slices, size_px, size_px)
        Class numbers in the order of :data:`~radiocard.segmentation.probabilities.CLASSES`.
    """
    canonical, _ = to_canonical(mask)
    shares = [
        _sample((canonical.array == mask.labels[name]).astype(np.float32), square, canonical, order=1, outside=0.0)
        for name in CLASSES[1:]
    ]
    background = 1 - np.sum(shares, axis=0)
    return np.asarray(np.argmax([background, *shares], axis=0), dtype=np.uint8)


def square_to_image(stack: NDArray[np.float32], square: Square, image: Image) -> NDArray[np.float32]:
    """Bring class probabilities back onto the grid of an image; background beyond the square.

    Parameters
    ----------
    stack : ndarray of float32, shape (n_slices, 4, size_px, size_px)
    square : Square
        Where the stack lies.
    image : Image
        Whose grid and storage order the result has.

    Returns
    -------
    ndarray of float32, shape (4, ni, nj, nk)
    """
    canonical, _ = to_canonical(image)
    rows, columns = square.coordinates(canonical)
    ni, nj, nk = canonical.array.shape
    at = np.meshgrid(_index(rows, ni), _index(columns, nj), indexing="ij")
    inside = np.logical_and.reduce([(a >= 0) & (a <= square.size_px - 1) for a in at])
    out = np.zeros((len(CLASSES), ni, nj, nk), dtype=np.float32)
    out[0] = 1.0
    where = np.array([a[inside] for a in at])
    for k in range(nk):
        for c in range(len(CLASSES)):
            out[c, :, :, k][inside] = map_coordinates(stack[k, c], where, order=1)
    return _as_stored(out, image)


def _index(positions: FloatArray, n: int) -> FloatArray:
    """Return where in the square each of n voxels lies."""
    step = positions[1] - positions[0]
    return np.asarray((np.arange(n) - positions[0]) / step)


def _sample(
    values: NDArray[np.float32], square: Square, canonical: Image, *, order: int, outside: float | None = None
) -> NDArray[np.float32]:
    at = np.meshgrid(*square.coordinates(canonical), indexing="ij")
    mode, fill = ("nearest", 0.0) if outside is None else ("constant", outside)
    slices = [
        map_coordinates(values[:, :, k], at, order=order, mode=mode, cval=fill, prefilter=False)
        for k in range(values.shape[2])
    ]
    return np.asarray(slices, dtype=np.float32)


def _as_stored(volume: NDArray[np.float32], image: Image) -> NDArray[np.float32]:
    """Undo :func:`to_canonical` for an array with a leading axis of classes."""
    permutation, flips = canonical_axes(image)
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    turned = volume[(slice(None), *steps)]
    back = np.argsort(permutation)
    return np.ascontiguousarray(turned.transpose(0, *(int(axis) + 1 for axis in back)))
