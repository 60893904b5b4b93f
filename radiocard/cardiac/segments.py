"""The 16 short-axis segments of the American Heart Association [1]_.

Levels: the slices that hold a left ventricular cavity with at least half of its outline
against myocardium [2]_ are cut into equal thirds from base to apex. The apical cap
(segment 17) is not in a short-axis cavity slice and is not numbered.

Angles: around the cavity's centroid of each slice, from the septum's middle, which is the
bisector of the two insertions of the right ventricle. Near the apex the right ventricle
touches only part of the septum, mostly its inferior part: a slice in which it covers less
than half of its widest arc takes the angle of the nearest slice in which it covers more.

References
----------
.. [1] Cerqueira et al., Circulation 105 (2002) 539, doi:10.1161/hc0402.102975
.. [2] Schulz-Menger et al., J Cardiovasc Magn Reson 22 (2020) 19, doi:10.1186/s12968-020-00610-6
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.cardiac.orientation import HeartAxes
from radiocard.image import FloatArray, LabelMap

IntArray = NDArray[np.int_]
BoolArray = NDArray[np.bool_]

N_SEGMENTS = 16
MIN_ENCLOSED = 0.5
MIN_ARC_RAD = np.pi / 6
TIE_DECIMALS = 9  # a pixel on a border falls to the same side in every storage order
SEGMENT_NAMES = (
    "basal anterior", "basal anteroseptal", "basal inferoseptal", "basal inferior", "basal inferolateral",
    "basal anterolateral", "mid anterior", "mid anteroseptal", "mid inferoseptal", "mid inferior",
    "mid inferolateral", "mid anterolateral", "apical anterior", "apical septal", "apical inferior", "apical lateral",
)  # fmt: skip
# From -180 to 180 degrees around the septum's middle, anterior positive.
_SIX = np.array([5, 4, 3, 2, 1, 6])
_FOUR = np.array([16, 15, 15, 14, 14, 13, 13, 16])


@dataclass(frozen=True, slots=True)
class SliceFrame:
    """Where the segments of one slice lie.

    Parameters
    ----------
    k : int
        Slice index.
    level : int
        0 basal, 1 mid, 2 apical.
    centre_mm : tuple of float
        Centroid of the cavity in the plane: index times spacing along the first two axes [mm].
    septum_rad : float
        Direction of the septum's middle, from the first axis towards the second [rad].
    inherited : bool
        True when the slice shows no insertions and takes the angle of the nearest slice that does.
    """

    k: int
    level: int
    centre_mm: tuple[float, float]
    septum_rad: float
    inherited: bool


@dataclass(frozen=True, eq=False)
class SegmentMap:
    """Segments of one phase.

    Parameters
    ----------
    array : ndarray of int, shape (ni, nj, nk)
        0 outside, 1 to 16 in the myocardium.
    frames : tuple of SliceFrame
        One per slice that holds segments, from base to apex.
    turn : int
        See :class:`radiocard.cardiac.orientation.HeartAxes`.
    """

    array: IntArray
    frames: tuple[SliceFrame, ...]
    turn: int

    def segment_at(self, frame: SliceFrame, points_mm: FloatArray) -> IntArray:
        """Return the segment of points in one slice.

        Parameters
        ----------
        frame : SliceFrame
            Slice.
        points_mm : ndarray of float, shape (n, 2)
            Index times spacing along the first two axes [mm].

        Returns
        -------
        ndarray of int, shape (n,)
            1 to 16.
        """
        offset = np.asarray(points_mm, dtype=float) - frame.centre_mm
        angle = self.turn * (np.arctan2(offset[:, 1], offset[:, 0]) - frame.septum_rad)
        degrees = np.round(np.rad2deg(angle) + 180.0, TIE_DECIMALS) % 360.0
        if frame.level == 2:
            return _FOUR[np.minimum((degrees // 45.0).astype(int), 7)]
        return 6 * frame.level + _SIX[np.minimum((degrees // 60.0).astype(int), 5)]


def map_segments(mask: LabelMap, axes: HeartAxes, *, levels: Mapping[int, int] | None = None) -> SegmentMap:
    """Divide the myocardium into the segments of the 16-segment model.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium`` and ``rv_cavity``; the last axis is the slice axis.
    axes : HeartAxes
        Directions of this heart in this grid.
    levels : mapping of int to int, optional
        Level of each slice (0 basal, 1 mid, 2 apical), where it is known from how the slices were
        planned; None cuts the stack into equal thirds.

    Returns
    -------
    SegmentMap
        Empty when no slice holds an enclosed cavity.

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    cavity, wall, rv = (mask.mask(r) for r in ("lv_cavity", "lv_myocardium", "rv_cavity"))
    spacing = np.asarray(mask.spacing_mm[:2])
    slices = [k for k in range(cavity.shape[2]) if _enclosed(cavity[:, :, k], wall[:, :, k]) >= MIN_ENCLOSED]
    slices = slices[:: axes.apex_step]
    centres = {k: np.argwhere(cavity[:, :, k]).mean(axis=0) * spacing for k in slices}
    septa = _septa(slices, centres, wall, rv, spacing)
    frames = []
    for k in slices:
        depth = (abs(k - slices[0]) + 0.5) / (abs(slices[-1] - slices[0]) + 1)
        level = int(3 * depth) if levels is None else levels[k]
        angle, inherited = septa[k]
        frames.append(SliceFrame(k, level, (float(centres[k][0]), float(centres[k][1])), angle, inherited))
    result = SegmentMap(np.zeros(cavity.shape, dtype=int), tuple(frames), axes.turn)
    for frame in frames:
        pixels = np.argwhere(wall[:, :, frame.k])
        result.array[pixels[:, 0], pixels[:, 1], frame.k] = result.segment_at(frame, pixels * spacing)
    return result


def _enclosed(cavity: BoolArray, wall: BoolArray) -> float:
    """Return the share of the cavity's outline (pixel edges) that lies against myocardium."""
    if not cavity.any() or not wall.any():
        return 0.0
    inside, muscle = np.pad(cavity, 1), np.pad(wall, 1)
    edges = against = 0
    for axis in (0, 1):
        for shift in (-1, 1):
            edge = inside & ~np.roll(inside, shift, axis)
            edges += int(edge.sum())
            against += int((edge & np.roll(muscle, shift, axis)).sum())
    return against / edges


def _septa(
    slices: list[int], centres: dict[int, FloatArray], wall: BoolArray, rv: BoolArray, spacing: FloatArray
) -> dict[int, tuple[float, bool]]:
    """Return the direction of the septum's middle per slice, and whether it was inherited."""
    arcs: dict[int, tuple[float, float]] = {}
    for k in slices:
        touching = wall[:, :, k] & ndimage.binary_dilation(rv[:, :, k], np.ones((3, 3)), iterations=2)
        arcs[k] = _arc(np.argwhere(touching) * spacing - centres[k])
    widest = max((width for _, width in arcs.values()), default=0.0)
    seen = {k: middle for k, (middle, width) in arcs.items() if width >= max(MIN_ARC_RAD, widest / 2.0)}
    if not seen:
        offset = sum(((np.argwhere(rv[:, :, k]) * spacing - centres[k]).sum(axis=0) for k in slices), start=np.zeros(2))
        direction = float(np.arctan2(offset[1], offset[0]))
        return dict.fromkeys(slices, (direction, True))
    by_depth = [k for k in slices if k in seen]
    nearest = {k: by_depth[int(np.argmin([abs(s - k) for s in by_depth]))] for k in slices}
    return {k: (seen[nearest[k]], k not in seen) for k in slices}


def _arc(offsets: FloatArray) -> tuple[float, float]:
    """Return bisector and width [rad] of the smallest arc that holds all directions."""
    if len(offsets) < 2:
        return 0.0, 0.0
    angles = np.sort(np.arctan2(offsets[:, 1], offsets[:, 0]))
    gaps = np.diff(np.append(angles, angles[0] + 2.0 * np.pi))
    widest = int(np.argmax(gaps))
    width = 2.0 * np.pi - float(gaps[widest])
    start = float(angles[(widest + 1) % len(angles)])
    return start + width / 2.0, width
