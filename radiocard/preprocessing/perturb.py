"""Small changes to masks: contours moved by less than a pixel, base, grid.

A mask is moved by the signed distance [mm] to a sub-pixel outline in the slice plane, so that half a
millimetre on a 1.5 mm grid moves the area by its perimeter times half a millimetre, not by whole pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from radiocard.errors import MaskError, UsageError
from radiocard.image import REGIONS, FloatArray, Image, LabelMap

BoolArray = NDArray[np.bool_]

MAX_MOVE_MM: Final = 3.0
SMOOTHING_PIXELS: Final = 1.0  # removes the staircase of the pixel grid
BISECTIONS: Final = 20
STEPS: Final = 8  # points along each piece of an outline; pieces are at most one pixel's diagonal long
FINE: Final = 5  # pixels are divided by this to measure the area within a moved outline
CAVITY, WHOLE, RIGHT = "cavity", "whole", "right"


def contour_distances_mm(mask: LabelMap) -> dict[str, FloatArray]:
    """Return the signed distance of every pixel to the outlines of its slice, negative inside.

    The outline of a slice is a level line of the smoothed region, at the level that keeps the
    region's area.

    Parameters
    ----------
    mask : LabelMap
        Regions; the last axis is the slice axis.

    Returns
    -------
    dict of str to ndarray of float, shape (ni, nj, nk)
        ``cavity`` (endocardium of the left ventricle), ``whole`` (its epicardium: cavity and
        myocardium), ``right`` (right ventricular cavity), as far as drawn: distance [mm], infinite
        beyond ``MAX_MOVE_MM`` on either side, and in slices without the region.

    Examples
    --------
    >>> import numpy as np
    >>> i, j = np.mgrid[:41, :41]
    >>> disc = LabelMap((np.hypot(i - 20, j - 20) < 10)[..., None].astype(int), np.eye(4), labels={"lv_cavity": 1})
    >>> bool(abs(contour_distances_mm(disc)["cavity"][20, 32, 0] - 2) < 0.1)
    True
    """
    spacing = np.asarray(mask.spacing_mm[:2])
    out = {}
    for name, region in outlined_regions(mask).items():
        distance = np.full(region.shape, np.inf)
        for k in np.flatnonzero(region.any(axis=(0, 1))):
            distance[:, :, k] = _slice_distance(region[:, :, k], spacing)
        out[name] = distance
    return out


def move_contours(
    mask: LabelMap,
    *,
    endo_mm: float = 0.0,
    epi_mm: float = 0.0,
    rv_mm: float = 0.0,
    distances: Mapping[str, FloatArray] | None = None,
) -> LabelMap:
    """Move the contours outwards (above 0) or inwards by a distance, in the slice plane.

    The left ventricle takes from the right where they meet, and the endocardium stays within the
    epicardium.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium``, ``rv_cavity``, as far as drawn.
    endo_mm, epi_mm, rv_mm : float
        Displacement of the left endocardium, the epicardium and the right ventricle's outline [mm];
        a contour that is not moved keeps its pixels.
    distances : mapping, optional
        What :func:`contour_distances_mm` gave for this mask, to move it several times.

    Returns
    -------
    LabelMap
        Same grid and label numbers.

    Raises
    ------
    UsageError
        If a displacement exceeds ``MAX_MOVE_MM``.
    """
    moves = {CAVITY: endo_mm, WHOLE: epi_mm, RIGHT: rv_mm}
    if any(not abs(d) <= MAX_MOVE_MM for d in moves.values()):
        told = ", ".join(f"{d:g}" for d in moves.values())
        msg = f"Contours are to be moved by {told} mm, expected at most {MAX_MOVE_MM:g} mm."
        raise UsageError(msg)
    outlines = outlined_regions(mask)
    used = contour_distances_mm(mask) if distances is None else distances
    moved = {name: _moved(old, used[name], moves[name]) if moves[name] else old for name, old in outlines.items()}
    return composed_mask(mask, moved)


def drop_basal_slice(mask: LabelMap) -> LabelMap:
    """Empty the most basal slice of the left ventricle, and what lies beyond it.

    Raises
    ------
    MaskError
        If the left ventricle is in fewer than two slices.
    """
    k, step = _base(mask)
    labels = mask.array.copy()
    labels[:, :, k if step > 0 else 0 : None if step > 0 else k + 1] = 0
    return replace(mask, array=labels)


def add_basal_slice(mask: LabelMap) -> LabelMap | None:
    """Draw the most basal contours of the left ventricle once more, one slice beyond.

    Returns
    -------
    LabelMap or None
        None where the stack ends there. A right ventricle that is drawn there already stays.

    Raises
    ------
    MaskError
        If the left ventricle is in fewer than two slices.
    """
    k, step = _base(mask)
    if not 0 <= k + step < mask.array.shape[2]:
        return None
    labels = mask.array.copy()
    source, there = labels[:, :, k], labels[:, :, k + step]
    left = np.isin(source, [mask.labels[name] for name in ("lv_cavity", "lv_myocardium") if name in mask.labels])
    right = mask.labels.get("rv_cavity")
    copied = left if right is None or (there == right).any() else source > 0
    labels[:, :, k + step] = np.where(copied, source, there)
    return replace(mask, array=labels)


def shift_grid(image: Image, mask: LabelMap, *, pixels: float, hollow: bool = False) -> tuple[Image, LabelMap]:
    """Sample image and mask again on a grid that is moved along both axes of the slice.

    Grey values are interpolated linearly; regions are sampled from the distance to their outlines.

    Parameters
    ----------
    image : Image
    mask : LabelMap
        On the grid of the image.
    pixels : float
        How far, within one pixel.
    hollow : bool
        Whether voxels that are not above 0 hold no value, as on a map; what is interpolated from one is 0.

    Returns
    -------
    image : Image
        Of float.
    mask : LabelMap

    Raises
    ------
    UsageError
        If the grid is moved by more than one pixel.
    """
    if not abs(pixels) <= 1:
        msg = f"The grid is to be moved by {pixels:g} pixels, expected at most 1."
        raise UsageError(msg)
    affine = np.array(image.affine, dtype=float)
    affine[:3, 3] += affine[:3, :2].sum(axis=1) * pixels
    values = _sampled(image.array.astype(float), pixels)
    if hollow:
        values[_sampled((image.array <= 0).astype(float), pixels) > 0] = 0
    far = 2 * MAX_MOVE_MM
    found = contour_distances_mm(mask)
    moved = {name: _sampled(np.clip(d, -far, far), pixels) < 0 for name, d in found.items()}
    return replace(image, array=values, affine=affine), replace(composed_mask(mask, moved), affine=affine)


def _base(mask: LabelMap) -> tuple[int, int]:
    """Return the most basal slice of the left ventricle, and the step that leads away from the apex."""
    name = "lv_cavity" if "lv_cavity" in mask.labels else "lv_myocardium"
    area = mask.mask(name).sum(axis=(0, 1))
    left = [mask.labels[n] for n in ("lv_cavity", "lv_myocardium") if n in mask.labels]
    slices = np.flatnonzero(np.isin(mask.array, left).any(axis=(0, 1)))
    if slices.size < 2:
        msg = f"The left ventricle is in {slices.size} slice, expected at least 2 to tell its base."
        raise MaskError(msg)
    profile = area[slices[0] : slices[-1] + 1]
    half = profile.size // 2
    step = 1 if profile[-half:].sum() > profile[:half].sum() else -1
    return (int(slices[-1]), 1) if step > 0 else (int(slices[0]), -1)


def outlined_regions(mask: LabelMap) -> dict[str, BoolArray]:
    """Return what lies within each drawn outline: ``cavity``, ``whole`` (cavity and myocardium), ``right``."""
    drawn = {name: mask.array == mask.labels[name] for name in REGIONS if name in mask.labels}
    out: dict[str, BoolArray] = {}
    if "lv_cavity" in drawn:
        out[CAVITY] = drawn["lv_cavity"]
    if "lv_myocardium" in drawn:
        out[WHOLE] = drawn["lv_myocardium"] | drawn.get("lv_cavity", False)
    if "rv_cavity" in drawn:
        out[RIGHT] = drawn["rv_cavity"]
    return out


def composed_mask(mask: LabelMap, moved: Mapping[str, BoolArray]) -> LabelMap:
    """Write outlines as labels; what lies within the epicardium is left ventricle."""
    labels = mask.array.copy()
    numbers = mask.labels
    labels[np.isin(labels, [numbers[name] for name in REGIONS if name in numbers])] = 0
    if RIGHT in moved:
        labels[moved[RIGHT]] = numbers["rv_cavity"]
    if WHOLE in moved:
        labels[moved[WHOLE]] = numbers["lv_myocardium"]
    if CAVITY in moved:
        labels[moved[CAVITY] & moved.get(WHOLE, np.True_)] = numbers["lv_cavity"]
    return replace(mask, array=labels)


def _moved(region: BoolArray, distance: FloatArray, move_mm: float) -> BoolArray:
    """Take the pixels nearest to the inside, as many per slice as the moved outline has area for.

    Along straight parts of a mask all pixels have the same distance to its outline, so that the
    distance alone would move none of them, or all.
    """
    out, far = np.zeros_like(region), 2 * MAX_MOVE_MM
    for k in np.flatnonzero(region.any(axis=(0, 1))):
        near = distance[:, :, k] < np.inf
        box = ndimage.find_objects(near.astype(np.int8))[0]
        fine = ndimage.zoom(np.clip(distance[:, :, k][box], -far, far), FINE, order=1, grid_mode=True, mode="nearest")
        n = round(float(region[:, :, k].sum()) * float((fine < move_mm).sum()) / float((fine < 0).sum()))
        flat = distance[:, :, k].ravel()
        chosen = np.argsort(flat, kind="stable")[:n]
        out[:, :, k].flat[chosen] = True
    return out


def _sampled(array: FloatArray, pixels: float) -> FloatArray:
    out: FloatArray = ndimage.shift(array, (-pixels, -pixels, 0.0), order=1, mode="nearest")
    return out


def _slice_distance(region: BoolArray, spacing: FloatArray) -> FloatArray:
    """Return signed distances within one slice, shape (ni, nj) [mm]; infinite far outside."""
    pad = np.ceil(MAX_MOVE_MM / spacing).astype(int) + 2
    margin = [(int(p), int(p)) for p in pad]
    padded = np.pad(region, margin)
    box = ndimage.find_objects(padded.astype(np.int8))[0]
    wide = tuple(slice(b.start - p, b.stop + p) for b, p in zip(box, pad.tolist(), strict=True))
    inside = padded[wide]
    smooth = ndimage.gaussian_filter(inside.astype(float), SMOOTHING_PIXELS * spacing.max() / spacing)
    level = _level_of_equal_area(smooth, float(inside.sum()))
    i, j = np.indices(inside.shape)
    distance = _to_polygons(np.stack([i, j], axis=-1).reshape(-1, 2) * spacing, _polygons(smooth, level), spacing)
    signed = np.where(smooth > level, -1.0, 1.0) * distance.reshape(inside.shape)
    out = np.full(padded.shape, np.inf)
    out[wide] = signed
    return out[pad[0] : pad[0] + region.shape[0], pad[1] : pad[1] + region.shape[1]]


def _level_of_equal_area(smooth: FloatArray, area: float) -> float:
    low, high = 0.0, float(smooth.max())
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _area(_polygons(smooth, middle)) > area else (low, middle)
    return (low + high) / 2


def _polygons(smooth: FloatArray, level: float) -> list[FloatArray]:
    """Return closed level lines in pixels, shape (n, 2) each; holes run the other way round."""
    lines: Any = contour_generator(z=smooth.T).lines(level)
    return [np.asarray(line, dtype=float) for line in lines]


def _area(polygons: list[FloatArray]) -> float:
    each = [p[:-1, 0] @ p[1:, 1] - p[1:, 0] @ p[:-1, 1] for p in polygons]
    return abs(float(sum(each))) / 2


def _to_polygons(points: FloatArray, polygons: list[FloatArray], spacing: FloatArray) -> FloatArray:
    """Return the shortest distance from points to closed lines, shape (n,) [mm]; infinite when far."""
    parts = np.linspace(0.0, 1.0, STEPS, endpoint=False)[:, None, None]
    dense = [((1 - parts) * p[:-1] + parts * p[1:]).reshape(-1, 2) for p in polygons]
    found: FloatArray = cKDTree(np.concatenate(dense) * spacing).query(points, distance_upper_bound=MAX_MOVE_MM)[0]
    return found
