"""The segments of a short stack of map slices, and how deep in the wall a pixel lies.

Levels: maps are mostly planned as one slice (mid-ventricular), two (basal and mid) or three
(basal, mid and apical), so a stack of at most three slices takes its levels from the position of the
slice in the stack; a longer one is cut into thirds as a cine stack is. The apical cap (segment
17) is not numbered: a slice without cavity has no endocardium to measure depth from.

Depth: the distance to the endocardium by the sum of the distances to endocardium and
epicardium, from pixel centre to the sub-pixel outlines in the slice: 0 at the endocardium,
1 at the epicardium.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from radiocard.cardiac.orientation import HeartAxes, OrientationProof, heart_axes
from radiocard.cardiac.segments import TIE_DECIMALS, BoolArray, SegmentMap, SliceFrame, map_segments
from radiocard.cardiac.wall import outline_mm
from radiocard.image import FloatArray, LabelMap
from radiocard.specs.maps import MapSettings

SEPTAL_HALF_ANGLE_DEG: Final = 30.0  # half of the septum's 120 degrees; the insertions lie 30 degrees away
_PLANNED: Mapping[int, tuple[int, ...]] = MappingProxyType({1: (1,), 2: (0, 1), 3: (0, 1, 2)})
_LEVEL_NAMES = ("basal", "mid", "apical")


@dataclass(frozen=True, eq=False)
class MapRegions:
    """Where one map is measured.

    Parameters
    ----------
    segments : SegmentMap
        Segments 1 to 16 of the whole myocardium.
    depth : ndarray of float, shape (ni, nj, nk)
        0 at the endocardium to 1 at the epicardium; NaN outside the segments.
    kept : ndarray of bool, shape (ni, nj, nk)
        Myocardium without the margins that the settings leave out.
    septum : ndarray of bool, shape (ni, nj, nk)
        Kept pixels within 30 degrees of the middle of the septum, in the middle one of the mid slices.
    proof : OrientationProof
        Whether anterior and inferior segments are proven.
    note : str
        Why the levels are what they are, where the stack is too short to tell; else empty.
    """

    segments: SegmentMap
    depth: FloatArray
    kept: BoolArray
    septum: BoolArray
    proof: OrientationProof
    note: str


def map_regions(mask: LabelMap, settings: MapSettings) -> MapRegions:
    """Find segments, depth, the eroded myocardium and the septal region of one map.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium`` and ``rv_cavity``; the last axis is the slice axis.
    settings : MapSettings
        Margins.

    Returns
    -------
    MapRegions

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    axes = heart_axes(mask)
    levels = planned_levels(mask, axes)
    segments = map_segments(mask, axes, levels=levels)
    depth = transmural_depth(mask, segments)
    low, high = settings.erosion_endo_pct / 100.0, 1.0 - settings.erosion_epi_pct / 100.0
    kept = np.asarray((depth >= low) & (depth <= high))
    return MapRegions(segments, depth, kept, _septum(mask, segments, kept), axes.proof, _note(mask, levels))


def planned_levels(mask: LabelMap, axes: HeartAxes) -> dict[int, int] | None:
    """Return the level of each slice of a stack of one to three slices.

    Parameters
    ----------
    mask : LabelMap
        Regions; the last axis is the slice axis.
    axes : HeartAxes
        Directions of this heart in this grid.

    Returns
    -------
    dict of int to int or None
        0 basal, 1 mid, 2 apical by slice index; None for longer stacks.
    """
    n = mask.array.shape[2]
    if n not in _PLANNED:
        return None
    return dict(zip(range(n)[:: axes.apex_step], _PLANNED[n], strict=True))


def transmural_depth(mask: LabelMap, segments: SegmentMap) -> FloatArray:
    """Return how deep in the wall each pixel lies.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity`` and ``lv_myocardium``; the last axis is the slice axis.
    segments : SegmentMap
        Segments of the same mask.

    Returns
    -------
    ndarray of float, shape (ni, nj, nk)
        0 at the endocardium to 1 at the epicardium; NaN outside the segments.

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    cavity, wall = mask.mask("lv_cavity"), mask.mask("lv_myocardium")
    spacing = np.asarray(mask.spacing_mm[:2])
    depth = np.full(wall.shape, np.nan)
    for frame in segments.frames:
        pixels = np.argwhere(wall[:, :, frame.k])
        inner = _distance(pixels * spacing, outline_mm(cavity[:, :, frame.k], spacing))
        outer = _distance(pixels * spacing, outline_mm((cavity | wall)[:, :, frame.k], spacing))
        share = inner / np.maximum(inner + outer, np.finfo(float).tiny)
        depth[pixels[:, 0], pixels[:, 1], frame.k] = np.round(share, TIE_DECIMALS)
    return depth


def _distance(points: FloatArray, polygon: FloatArray) -> FloatArray:
    """Return the distance of points, shape (n, 2), to a closed polygon, shape (m, 2) [mm]."""
    start, edge = polygon[:-1], np.diff(polygon, axis=0)
    offset = points[:, None] - start
    length2 = np.maximum((edge**2).sum(axis=1), np.finfo(float).tiny)
    along = np.clip((offset * edge).sum(axis=2) / length2, 0.0, 1.0)
    away = offset - along[..., None] * edge
    return np.asarray(np.sqrt((away**2).sum(axis=2)).min(axis=1))


def _septum(mask: LabelMap, segments: SegmentMap, kept: BoolArray) -> BoolArray:
    mid = [frame for frame in segments.frames if frame.level == 1]
    septum = np.zeros_like(kept)
    if mid:
        frame = _middle(mid)
        pixels = np.argwhere(kept[:, :, frame.k])
        near = pixels[_near_septum(pixels * np.asarray(mask.spacing_mm[:2]), frame)]
        septum[near[:, 0], near[:, 1], frame.k] = True
    return septum


def _middle(frames: list[SliceFrame]) -> SliceFrame:
    """Return the middle slice; of an even number the more basal one of the two, in every storage order."""
    return frames[(len(frames) - 1) // 2]


def _near_septum(points_mm: FloatArray, frame: SliceFrame) -> BoolArray:
    offset = points_mm - frame.centre_mm
    angle = np.rad2deg(np.arctan2(offset[:, 1], offset[:, 0]) - frame.septum_rad)
    away = np.abs((angle + 180.0) % 360.0 - 180.0)
    return np.asarray(np.round(away, TIE_DECIMALS) <= SEPTAL_HALF_ANGLE_DEG)


def _note(mask: LabelMap, levels: Mapping[int, int] | None) -> str:
    if levels is None:
        return ""
    drawn = np.flatnonzero(mask.mask("lv_myocardium").any(axis=(0, 1))).tolist()
    if len(drawn) == len(_LEVEL_NAMES):
        return ""
    names = " and ".join(_LEVEL_NAMES[level] for level in sorted(levels[k] for k in drawn))
    slices = "one slice" if len(drawn) == 1 else f"{len(drawn)} slices"
    return f"The myocardium is drawn on {slices} of a stack of {len(levels)}, taken as {names} by convention."
