"""Wall thickness and endocardial motion from sub-pixel outlines of each slice.

Thickness at a point of the endocardium is the shortest distance to the epicardium [mm],
in the slice plane. Where the myocardial ring is open there is no thickness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.cardiac.segments import SegmentMap, SliceFrame
from radiocard.image import FloatArray, LabelMap

BoolArray = NDArray[np.bool_]

SMOOTHING_PIXELS = 1.0  # of the coarser axis; removes the staircase of the pixel grid
N_ENDOCARDIUM = 96
EPICARDIUM_STEP = 0.5  # pixels; the error of the shortest distance is below 0.01 pixel
MIN_COSINE = 0.5  # the epicardium lies and faces outwards; the end face of an open ring does not


@dataclass(frozen=True, eq=False)
class WallSamples:
    """Wall thickness along the endocardium of every slice of one phase.

    Parameters
    ----------
    k : ndarray of int, shape (n,)
        Slice index.
    points_mm : ndarray of float, shape (n, 2)
        Endocardial points, equally spaced along the outline: index times spacing [mm].
    thickness_mm : ndarray of float, shape (n,)
        Shortest distance to the epicardium [mm], NaN where there is no myocardium.
    radius_mm : ndarray of float, shape (n,)
        Distance from the centroid of cavity and myocardium of the slice [mm].
    segment : ndarray of int, shape (n,)
        1 to 16.
    """

    k: NDArray[np.int_]
    points_mm: FloatArray
    thickness_mm: FloatArray
    radius_mm: FloatArray
    segment: NDArray[np.int_]


def wall_samples(mask: LabelMap, segments: SegmentMap) -> WallSamples:
    """Measure the wall in every slice that holds segments.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity`` and ``lv_myocardium``; the last axis is the slice axis.
    segments : SegmentMap
        Segments of the same phase.

    Returns
    -------
    WallSamples

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    cavity, wall = mask.mask("lv_cavity"), mask.mask("lv_myocardium")
    spacing = np.asarray(mask.spacing_mm[:2])
    parts = [_slice_samples(cavity[:, :, f.k], wall[:, :, f.k], spacing, segments, f) for f in segments.frames]
    if not parts:
        none = np.empty(0)
        return WallSamples(none.astype(int), np.empty((0, 2)), none, none, none.astype(int))
    k = np.repeat([f.k for f in segments.frames], N_ENDOCARDIUM)
    return WallSamples(k, *(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def outline_mm(region: BoolArray, spacing: FloatArray) -> FloatArray:
    """Return the outer outline of the largest part of a region, with sub-pixel precision.

    The mask is smoothed to remove the staircase of the pixel grid, and the outline scaled to
    keep its area, since smoothing shrinks a small circle.

    Parameters
    ----------
    region : ndarray of bool, shape (ni, nj)
        One region in one slice; not empty.
    spacing : ndarray of float, shape (2,)
        Pixel spacing along the two axes [mm].

    Returns
    -------
    ndarray of float, shape (n, 2)
        Closed counter-clockwise polygon, last point equal to the first: index times spacing [mm].
    """
    first = np.argwhere(region).min(axis=0) - 4
    box = np.pad(region[ndimage.find_objects(region.astype(np.int8))[0]], 4).astype(float)
    smooth = ndimage.gaussian_filter(box, SMOOTHING_PIXELS * spacing.max() / spacing, truncate=4.0)
    raw = max(_polygons(box), key=_area)
    polygon = max(_polygons(smooth), key=_area, default=raw)
    centre = polygon[:-1].mean(axis=0)
    polygon = centre + (polygon - centre) * np.sqrt(_area(raw) / _area(polygon))
    return (polygon + first) * spacing


def thickness_mm(endocardium: FloatArray, epicardium: FloatArray, wall: BoolArray, spacing: FloatArray) -> FloatArray:
    """Return the shortest distance from endocardial points to the epicardium through myocardium.

    Parameters
    ----------
    endocardium, epicardium : ndarray of float, shapes (n, 2) and (m, 2)
        Points along the closed outlines, counter-clockwise [mm]; the epicardium densely sampled.
    wall : ndarray of bool, shape (ni, nj)
        Myocardium of the slice.
    spacing : ndarray of float, shape (2,)
        Pixel spacing [mm].

    Returns
    -------
    ndarray of float, shape (n,)
        Thickness [mm]; NaN where the wall is missing.
    """
    normals = outward_normals(endocardium)
    across = epicardium[None] - endocardium[:, None]
    distance = np.sqrt((across**2).sum(axis=2))
    outwards = (across * normals[:, None]).sum(axis=2) >= MIN_COSINE * distance
    facing = normals @ outward_normals(epicardium).T >= MIN_COSINE
    distance[~(outwards & facing)] = np.inf
    nearest = distance.argmin(axis=1)
    shortest = distance[np.arange(len(distance)), nearest]
    steps = across[np.arange(len(distance)), nearest]
    bordering = [_inside(endocardium + pixels * spacing * normals, wall, spacing) for pixels in (0.75, 1.25)]
    filled = np.logical_or(*bordering)
    for fraction in (0.3, 0.5, 0.7):
        filled &= _inside(endocardium + fraction * steps, wall, spacing)
    return np.where(filled & np.isfinite(shortest), shortest, np.nan)


def outward_normals(points: FloatArray) -> FloatArray:
    """Return unit normals of points along a closed counter-clockwise outline, shape (n, 2)."""
    tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    return np.column_stack([tangent[:, 1], -tangent[:, 0]]) / np.maximum(length, np.finfo(float).tiny)


def _slice_samples(
    cavity: BoolArray, wall: BoolArray, spacing: FloatArray, segments: SegmentMap, frame: SliceFrame
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.int_]]:
    heart = cavity | wall
    outer = outline_mm(heart, spacing)
    inner = outline_mm(cavity, spacing)
    n_outer = max(64, int(_length(outer) / (EPICARDIUM_STEP * spacing.min())))
    endocardium = _resample(inner, N_ENDOCARDIUM, frame)
    thickness = thickness_mm(endocardium, _resample(outer, n_outer, frame), wall, spacing)
    centre = np.argwhere(heart).mean(axis=0) * spacing
    radius = np.linalg.norm(endocardium - centre, axis=1)
    return endocardium, thickness, radius, segments.segment_at(frame, endocardium)


def _polygons(values: FloatArray) -> list[FloatArray]:
    lines = contour_generator(z=values).lines(0.5)
    return [np.asarray(line)[:, ::-1] for line in lines if len(line) > 3]


def _area(polygon: FloatArray) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1])) / 2.0


def _length(polygon: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(polygon, axis=0), axis=1).sum())


def _resample(polygon: FloatArray, n: int, frame: SliceFrame) -> FloatArray:
    """Return n points equally spaced along a closed polygon, counter-clockwise.

    They start half a step past the septum's middle, so that they are the same physical points
    in every storage order and none lies on the border between two segments.
    """
    x, y = polygon[:, 0], polygon[:, 1]
    if float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) < 0:
        polygon = polygon[::-1]
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(polygon, axis=0), axis=1))])
    at = (_septal_position(polygon, along, frame) + (np.arange(n) + 0.5) * (along[-1] / n)) % along[-1]
    return np.column_stack([np.interp(at, along, polygon[:, 0]), np.interp(at, along, polygon[:, 1])])


def _septal_position(polygon: FloatArray, along: FloatArray, frame: SliceFrame) -> float:
    """Return the length along a polygon at which the ray from the centre to the septum leaves it."""
    septal = np.array([np.cos(frame.septum_rad), np.sin(frame.septum_rad)])
    offset = polygon - frame.centre_mm
    ahead, aside = offset @ septal, offset @ np.array([-septal[1], septal[0]])
    crossing = np.flatnonzero((aside[:-1] < 0) != (aside[1:] < 0))
    share = aside[crossing] / (aside[crossing] - aside[crossing + 1])
    reach = ahead[crossing] + share * (ahead[crossing + 1] - ahead[crossing])
    if not reach.size or reach.max() <= 0:
        return float(along[np.argmax(ahead)])
    last = int(np.argmax(reach))
    start = along[crossing[last]]
    return float(start + share[last] * (along[crossing[last] + 1] - start))


def _inside(points: FloatArray, region: BoolArray, spacing: FloatArray) -> BoolArray:
    index = np.rint(points / spacing).astype(int)
    index = np.clip(index, 0, np.array(region.shape) - 1)
    return np.asarray(region[index[:, 0], index[:, 1]])
