"""How deep scar reaches through the wall, per segment, and in which layer it lies.

The wall of each slice is crossed by chords from equally spaced points of the endocardium to the
nearest point of the epicardium. The transmurality of a chord is the share of its positions in
myocardium that are scar [1]_. Scar that follows a coronary occlusion starts at the endocardium;
scar that spares it is not ischaemic [2]_.

References
----------
.. [1] Kim et al., N Engl J Med 343 (2000) 1445
.. [2] Mahrholdt et al., Eur Heart J 26 (2005) 1461
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.cardiac.function import Values
from radiocard.cardiac.segments import N_SEGMENTS, SegmentMap, SliceFrame
from radiocard.cardiac.wall import MIN_COSINE, outline_mm, outward_normals, wall_samples
from radiocard.errors import GeometryError
from radiocard.image import FloatArray, LabelMap

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int_]

N_THIRDS = 3
N_POSITIONS = 60  # along a chord: several to a pixel
OVERSHOOT_PIXELS = 0.75  # a chord goes on beyond the smooth outlines, the mask says where the wall ends
CHORDS_PER_SAMPLE = 4  # 96 wall samples a slice make 384 chords: 64 in a basal segment, 1.6 % of it each
N_NEIGHBOURS = 37  # chords of 384 whose directions are averaged: a tenth of the circumference
EDGE_PARTS = 8  # of an edge of the epicardial outline, at most a pixel long
SCARRED_THIRD = 0.5  # share of a third of a chord that must be scar for the third to count as scarred
NON_VIABLE = 0.5  # transmurality above which a segment seldom recovers [1]
PATTERNS = ("transmural", "subendocardial", "midwall", "subepicardial")


@dataclass(frozen=True, eq=False)
class Chords:
    """Straight lines across the wall, in every slice that holds a cavity and myocardium.

    Parameters
    ----------
    k : ndarray of int, shape (n,)
        Slice index.
    segment : ndarray of int, shape (n,)
        1 to 16; 0 where the heart has no segments.
    start_mm, end_mm : ndarray of float, shape (n, 2)
        Endocardial and epicardial end: index times spacing [mm]. NaN where there is no wall.
    """

    k: IntArray
    segment: IntArray
    start_mm: FloatArray
    end_mm: FloatArray


@dataclass(frozen=True, eq=False)
class ChordScar:
    """Scar along chords.

    Parameters
    ----------
    segment : ndarray of int, shape (n,)
        1 to 16; 0 where the heart has no segments.
    share : ndarray of float, shape (n,)
        Share of the chord's positions in myocardium that are scar, 0 to 1; NaN without wall.
    thirds : ndarray of float, shape (n, 3)
        The same in the inner, middle and outer third.
    """

    segment: IntArray
    share: FloatArray
    thirds: FloatArray


def wall_chords(mask: LabelMap, segments: SegmentMap | None) -> Chords:
    """Cross the wall from endocardium to epicardium.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity`` and ``lv_myocardium`` (scar included); the last axis is the slice axis.
    segments : SegmentMap or None
        Segments of the same heart; None where they cannot be told, for want of a right ventricle.

    Returns
    -------
    Chords

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    placed = _unnumbered(mask) if segments is None else segments
    samples = wall_samples(mask, placed)
    heart = mask.mask("lv_cavity") | mask.mask("lv_myocardium")
    spacing = np.asarray(mask.spacing_mm[:2])
    k = np.repeat(samples.k, CHORDS_PER_SAMPLE)
    starts, ends = (np.full((k.size, 2), np.nan) for _ in range(2))
    numbers = np.zeros_like(k)
    for frame in placed.frames:
        here = k == frame.k
        starts[here] = _between(samples.points_mm[samples.k == frame.k])
        ends[here] = _ends(starts[here], outline_mm(heart[:, :, frame.k], spacing))
        if segments is not None:
            numbers[here] = segments.segment_at(frame, starts[here])
    ends[np.repeat(np.isnan(samples.thickness_mm), CHORDS_PER_SAMPLE)] = np.nan
    return Chords(k, numbers, starts, ends)


def chord_scar(scar: BoolArray, mask: LabelMap, chords: Chords) -> ChordScar:
    """Look scar up along chords.

    Parameters
    ----------
    scar : ndarray of bool, shape (ni, nj, nk)
        Scar, in the grid of the mask.
    mask : LabelMap
        ``lv_myocardium`` (scar included).
    chords : Chords
        Of the same mask.

    Returns
    -------
    ChordScar

    Raises
    ------
    GeometryError
        If scar and mask differ in shape.
    MaskError
        If the myocardium is unknown or empty.
    """
    wall = mask.mask("lv_myocardium")
    if scar.shape != wall.shape:
        msg = f"Scar has shape {scar.shape}, expected that of the mask, {wall.shape}."
        raise GeometryError(msg, field="lv_scar")
    i, j, k = _positions(chords, mask)
    muscle: BoolArray = np.asarray(wall[i, j, k], dtype=bool)
    muscle &= np.isfinite(chords.end_mm[:, :1])
    scarred: BoolArray = np.logical_and(scar[i, j, k], muscle)
    total = muscle.sum(axis=1)
    depth = (np.cumsum(muscle, axis=1) - 0.5) / np.maximum(total, 1)[:, None]
    third = np.where(muscle, np.floor(N_THIRDS * depth), -1)
    layers = [_share((scarred & (third == n)).sum(axis=1), (third == n).sum(axis=1)) for n in range(N_THIRDS)]
    return ChordScar(chords.segment, _share(scarred.sum(axis=1), total), np.stack(layers, axis=1))


def transmurality_values(found: ChordScar) -> Values:
    """Return the transmurality columns per segment.

    Parameters
    ----------
    found : ChordScar
        Scar along chords with segments.

    Returns
    -------
    dict of str to float or None
        ``transmurality_aha_NN_pct``: mean over all chords of the segment.
        ``scar_extent_aha_NN_pct``: share of its chords that hold scar in at least half of a third.
        ``transmurality_scarred_aha_NN_pct``: mean over those chords only, None without any.
        ``transmurality_over_50_n``: segments with a mean above 50 %. None where nothing is known.
    """
    values: Values = {}
    involved: BoolArray = np.logical_or.reduce(_involved(found), axis=1)
    means = []
    for n in range(1, N_SEGMENTS + 1):
        here = (found.segment == n) & ~np.isnan(found.share)
        mean = _mean_pct(found.share[here])
        values[f"transmurality_aha_{n:02d}_pct"] = mean
        values[f"scar_extent_aha_{n:02d}_pct"] = _mean_pct(involved[here].astype(float))
        values[f"transmurality_scarred_aha_{n:02d}_pct"] = _mean_pct(found.share[here & involved])
        means += [] if mean is None else [mean]
    over = float(sum(mean > 100.0 * NON_VIABLE for mean in means))
    return values | {"transmurality_over_50_n": over if means else None}


def pattern_values(found: ChordScar) -> Values:
    """Return in which layers the scar lies.

    A third of a chord counts as scarred when at least half of it is. Scarred chords are divided
    into transmural (all thirds), subendocardial (the inner third, not all), mid-wall (the middle
    third only) and subepicardial (the outer third without the inner).

    Parameters
    ----------
    found : ChordScar
        Scar along chords.

    Returns
    -------
    dict of str to float or None
        ``scar_inner_third_pct``, ``scar_middle_third_pct``, ``scar_outer_third_pct``: share of
        each layer that is scar. ``scar_pattern_<pattern>_pct``: share of the scarred chords, of
        which the four add up to 100. ``scar_ischaemic_pattern_pct`` (transmural or
        subendocardial) and ``scar_nonischaemic_pattern_pct`` (the others). None without scar.
    """
    names = ("inner", "middle", "outer")
    values: Values = {
        f"scar_{name}_third_pct": _mean_pct(found.thirds[~np.isnan(found.thirds[:, i]), i])
        for i, name in enumerate(names)
    }
    involved = _involved(found)
    inner, middle, outer = involved[involved.any(axis=1)].T
    kinds = (inner & middle & outer, inner & ~(middle & outer), middle & ~inner & ~outer, outer & ~inner)
    for pattern, kind in zip(PATTERNS, kinds, strict=True):
        values[f"scar_pattern_{pattern}_pct"] = _mean_pct(kind.astype(float))
    values["scar_ischaemic_pattern_pct"] = _mean_pct(inner.astype(float))
    values["scar_nonischaemic_pattern_pct"] = _mean_pct((~inner).astype(float))
    return values


def _unnumbered(mask: LabelMap) -> SegmentMap:
    """Return frames without septum for every slice that holds a cavity and myocardium."""
    cavity, wall = mask.mask("lv_cavity"), mask.mask("lv_myocardium")
    spacing = np.asarray(mask.spacing_mm[:2])
    frames = []
    for k in np.flatnonzero(cavity.any(axis=(0, 1)) & wall.any(axis=(0, 1))).tolist():
        centre = np.argwhere(cavity[:, :, k]).mean(axis=0) * spacing
        frames.append(SliceFrame(k, 0, (float(centre[0]), float(centre[1])), 0.0, True))
    return SegmentMap(np.zeros(cavity.shape, dtype=int), tuple(frames), 1)


def _positions(chords: Chords, mask: LabelMap) -> tuple[IntArray, IntArray, IntArray]:
    """Return the voxels along each chord, from just inside the cavity to just outside the heart."""
    spacing = np.asarray(mask.spacing_mm[:2])
    across = np.nan_to_num(chords.end_mm - chords.start_mm)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    overshoot = across / np.maximum(length, np.finfo(float).tiny) * OVERSHOOT_PIXELS * spacing.max()
    at = ((np.arange(N_POSITIONS) + 0.5) / N_POSITIONS)[:, None]
    points = (chords.start_mm - overshoot)[:, None] + at * (across + 2.0 * overshoot)[:, None]
    index = np.rint(points / spacing).astype(int)
    index = np.clip(index, 0, np.array(mask.array.shape[:2]) - 1)
    k = np.broadcast_to(chords.k[:, None], index.shape[:2])
    return index[..., 0], index[..., 1], k


def _between(points: FloatArray) -> FloatArray:
    """Return points along a closed outline, evenly around each of its given points, in their order."""
    n, parts = len(points), CHORDS_PER_SAMPLE
    at = np.arange(n * parts) / parts + 0.5 / parts - 0.5
    closed = np.concatenate([points, points[:1]])
    return np.column_stack([np.interp(at % n, np.arange(n + 1), closed[:, axis]) for axis in range(2)])


def _ends(points: FloatArray, polygon: FloatArray) -> FloatArray:
    """Return where chords from the endocardium meet the epicardium.

    The nearest point that lies outwards gives the length. The directions are averaged over
    neighbouring chords: the nearest points gather in the dents that the pixel grid leaves in
    the outline, where the wall looks too thin.
    """
    parts = np.arange(EDGE_PARTS)[:, None, None] / EDGE_PARTS
    dense = (polygon[:-1] + parts * np.diff(polygon, axis=0)).reshape(-1, 2)
    across = dense[None] - points[:, None]
    distance = np.sqrt((across**2).sum(axis=2))
    outwards = (across * outward_normals(points)[:, None]).sum(axis=2) >= MIN_COSINE * distance
    distance[~outwards] = np.inf
    nearest = np.arange(len(points)), distance.argmin(axis=1)
    length = distance[nearest][:, None]
    usable = np.isfinite(length) & (length > 0)
    unit = np.divide(across[nearest], length, out=np.zeros_like(points), where=usable)
    smooth = ndimage.uniform_filter1d(unit, N_NEIGHBOURS, axis=0, mode="wrap")
    norm = np.linalg.norm(smooth, axis=1, keepdims=True)
    step = np.divide(length * smooth, norm, out=np.full_like(points, np.nan), where=usable & (norm > 0))
    return np.asarray(points + step)


def _involved(found: ChordScar) -> BoolArray:
    known_scar: BoolArray = np.nan_to_num(found.thirds) >= SCARRED_THIRD
    return known_scar


def _share(part: IntArray, whole: IntArray) -> FloatArray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _mean_pct(shares: FloatArray) -> float | None:
    return float(100.0 * shares.mean()) if shares.size else None
