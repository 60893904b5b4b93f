"""What a mask shows of its own quality: doubt of the networks, repairs, continuity, plausibility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radiocard.cardiac.function import volume_ml
from radiocard.checks.anatomy import enclosed_fraction
from radiocard.checks.physiology import stroke_volume_difference_pct
from radiocard.image import REGION_NAMES, REGIONS, LabelMap
from radiocard.segmentation.clean import BASAL_MM, Cleaning, basal_end
from radiocard.segmentation.confidence import RegionConfidence
from radiocard.specs.base import Interval

Mask = NDArray[np.bool_]
FloatArray = NDArray[np.floating[Any]]
Features = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Feature:
    """One quality feature.

    Parameters
    ----------
    name : str
        Key.
    words : str
        What it is, for people.
    worse : {1, -1}
        1 where a larger value means a worse mask.
    decimals : int
        For messages.
    """

    name: str
    words: str
    worse: Literal[1, -1]
    decimals: int = 2


FEATURES: tuple[Feature, ...] = (
    *(Feature(f"{r}_probability", f"mean probability within the {REGION_NAMES[r]}", -1) for r in REGIONS),
    *(Feature(f"{r}_border_entropy", f"entropy at the border of the {REGION_NAMES[r]} (0 to 1)", 1) for r in REGIONS),
    *(Feature(f"{r}_member_dice", f"least Dice between two networks on the {REGION_NAMES[r]}", -1) for r in REGIONS),
    Feature("least_expected_dice", "least Dice of a region to be expected from the probabilities", -1),
    Feature("mean_expected_dice", "Dice to be expected from the probabilities, mean over the regions", -1),
    Feature("least_view_dice", "least Dice of a region between mirrored views of the image", -1),
    Feature("mean_view_dice", "Dice between mirrored views of the image, mean over the regions", -1),
    Feature("least_member_dice", "least Dice of a region between two networks", -1),
    Feature("volume_spread", "largest range of a volume over the networks, relative to its mean", 1),
    Feature("removed_fraction", "largest part of a region that cleaning removed", 1),
    Feature("added_fraction", "voxels that cleaning added, relative to the mask", 1, 3),
    Feature("detached_parts", "detached parts that cleaning removed", 1, 0),
    Feature("empty_regions", "regions without a voxel", 1, 0),
    Feature("missing_slices", "slices without a region between its ends", 1, 0),
    Feature("enclosed_fraction", "part of the border of the LV cavity that is myocardium", -1),
    Feature(
        "least_enclosed_fraction",
        "part of the border of the LV cavity that is myocardium, in the worst slice away from the base",
        -1,
    ),
    Feature("lv_area_jump", "largest jump in area of the LV between slices, relative to its largest area", 1),
    Feature("rv_area_jump", "largest jump in area of the RV between slices, relative to its largest area", 1),
    Feature("lv_centre_jump_mm", "largest jump of the centre of the LV between slices [mm]", 1, 1),
    Feature("rv_centre_jump_mm", "largest jump of the centre of the RV between slices [mm]", 1, 1),
    Feature("lvef_outside_pct", "distance of the LV ejection fraction from its limits [%]", 1, 1),
    Feature("stroke_volume_difference_pct", "difference between LV and RV stroke volume [%]", 1, 0),
    Feature("wall_volume_change_pct", "change of the myocardial volume from end-diastole to end-systole [%]", 1, 0),
    Feature("phases_swapped", "whether a ventricle is not smaller at end-systole (0 or 1)", 1, 0),
)
NAMES = tuple(feature.name for feature in FEATURES)
JUDGED_NAMES = (
    "least_expected_dice",
    "mean_expected_dice",
    "least_view_dice",
    "mean_view_dice",
    "least_member_dice",
    "least_enclosed_fraction",
)
"""What the quality model looks at, all from 0 to 1: with more it found fewer poor masks of a kind that was left out."""
PAIR_NAMES = ("lvef_outside_pct", "stroke_volume_difference_pct", "wall_volume_change_pct", "phases_swapped")


def quality_features(
    mask: LabelMap,
    cleaning: Cleaning,
    *,
    confidence: Mapping[str, RegionConfidence] | None = None,
    pair: Mapping[str, float | None] | None = None,
) -> Features:
    """Return the quality features of one mask.

    Parameters
    ----------
    mask : LabelMap
        After cleaning.
    cleaning : Cleaning
        What cleaning changed.
    confidence : mapping of str to RegionConfidence, optional
        As :func:`radiocard.segmentation.confidence.region_confidence`; None for a mask without probabilities.
    pair : mapping of str to float or None, optional
        As :func:`pair_features`; None where the other phase is not there.

    Returns
    -------
    dict of str to float or None
        All of :data:`NAMES`; None where a feature is not defined.
    """
    regions = {region: mask.array == mask.labels[region] for region in REGIONS}
    lv, rv, wall = regions["lv_cavity"], regions["rv_cavity"], regions["lv_myocardium"]
    values: Features = dict.fromkeys(NAMES)
    values |= _confidence(confidence) if confidence is not None else {}
    values |= _cleaning(cleaning)
    values["empty_regions"] = float(sum(not region.any() for region in regions.values()))
    values["missing_slices"] = float(sum(_missing_slices(region) for region in regions.values()))
    if lv.any():
        values["enclosed_fraction"] = enclosed_fraction(lv, wall)
        values["least_enclosed_fraction"] = _least_enclosed(lv, wall, mask.spacing_mm[2])
    for side, region in (("lv", lv | wall), ("rv", rv)):
        area, centre = _along_slices(region, mask.spacing_mm)
        values[f"{side}_area_jump"] = _jump(area[:, None]) / float(area.max()) if area.size else None
        values[f"{side}_centre_jump_mm"] = _jump(centre) if area.size else None
    return values | ({name: pair[name] for name in PAIR_NAMES} if pair is not None else {})


def pair_features(ed: LabelMap, es: LabelMap, *, lvef_pct: Interval) -> Features:
    """Return what end-diastole and end-systole show together.

    Parameters
    ----------
    ed, es : LabelMap
        Masks of the two phases, after cleaning.
    lvef_pct : tuple of float, length 2
        Limits of the LV ejection fraction [%].

    Returns
    -------
    dict of str to float or None
        :data:`PAIR_NAMES`; None where a region is empty.
    """
    volumes = {(p, r): _volume(m, r) for p, m in (("ed", ed), ("es", es)) for r in REGIONS}
    if None in volumes.values():
        return dict.fromkeys(PAIR_NAMES)
    v = {key: value for key, value in volumes.items() if value is not None}
    stroke = {side: v["ed", f"{side}_cavity"] - v["es", f"{side}_cavity"] for side in ("lv", "rv")}
    lvef = 100 * stroke["lv"] / v["ed", "lv_cavity"]
    wall = v["ed", "lv_myocardium"], v["es", "lv_myocardium"]
    swapped = min(stroke.values()) <= 0
    return {
        "lvef_outside_pct": max(lvef_pct[0] - lvef, lvef - lvef_pct[1], 0.0),
        "stroke_volume_difference_pct": None if swapped else stroke_volume_difference_pct(stroke["lv"], stroke["rv"]),
        "wall_volume_change_pct": 100 * abs(wall[1] - wall[0]) / (sum(wall) / 2),
        "phases_swapped": float(swapped),
    }


def _confidence(confidence: Mapping[str, RegionConfidence]) -> Features:
    values: Features = {}
    for region in REGIONS:
        found = confidence[region]
        values[f"{region}_probability"] = found.probability
        values[f"{region}_border_entropy"] = found.border_entropy
        values[f"{region}_member_dice"] = found.least_member_dice
    spreads = [c.volume_spread for c in confidence.values() if c.volume_spread is not None]
    values["volume_spread"] = max(spreads, default=None)
    values |= _least_and_mean("expected_dice", [c.expected_dice for c in confidence.values()])
    values |= _least_and_mean("view_dice", [c.view_dice for c in confidence.values()])
    members = _least_and_mean("member_dice", [c.least_member_dice for c in confidence.values()])
    return values | {"least_member_dice": members["least_member_dice"]}


def _least_and_mean(name: str, by_region: Sequence[float | None]) -> Features:
    """Summarise the regions; nothing speaks for one without a value, and it counts as 0."""
    if all(value is None for value in by_region):
        return {f"least_{name}": None, f"mean_{name}": None}
    values = [value or 0.0 for value in by_region]
    return {f"least_{name}": min(values), f"mean_{name}": sum(values) / len(values)}


def _cleaning(cleaning: Cleaning) -> Features:
    changes = list(cleaning.regions.values())
    voxels = sum(c.voxels for c in changes)
    return {
        "removed_fraction": max(c.removed / c.voxels if c.voxels else 0.0 for c in changes),
        "added_fraction": sum(c.added for c in changes) / voxels if voxels else 0.0,
        "detached_parts": float(sum(c.detached for c in changes)),
    }


def _missing_slices(region: Mask) -> int:
    used = np.flatnonzero(region.any(axis=(0, 1)))
    return int(used[-1] - used[0] + 1 - used.size) if used.size else 0


def _least_enclosed(cavity: Mask, wall: Mask, slice_mm: float) -> float | None:
    used = np.flatnonzero(cavity.any(axis=(0, 1)))
    end = used[basal_end(cavity)]
    inner = [k for k in used if abs(k - end) * slice_mm >= BASAL_MM]
    return min((enclosed_fraction(cavity[:, :, k : k + 1], wall[:, :, k : k + 1]) for k in inner), default=None)


def _along_slices(region: Mask, spacing_mm: tuple[float, float, float]) -> tuple[FloatArray, FloatArray]:
    """Return area [pixels] and centre [mm] of each slice from one end of a region to the other."""
    used = np.flatnonzero(region.any(axis=(0, 1)))
    if not used.size:
        return np.zeros(0), np.zeros((0, 2))
    part = region[:, :, used[0] : used[-1] + 1]
    area = part.sum(axis=(0, 1)).astype(float)
    sides = [np.tensordot(np.arange(part.shape[a]), part.sum(axis=1 - a), axes=1) * spacing_mm[a] for a in (0, 1)]
    there = area > 0
    centre = np.stack([s[there] / area[there] for s in sides], axis=1)
    return area, centre


def _jump(values: FloatArray) -> float:
    """Return the largest distance of a slice from the middle between its neighbours; 0 with two slices."""
    if len(values) < 3:
        return 0.0
    return float(np.linalg.norm(values[1:-1] - (values[:-2] + values[2:]) / 2, axis=1).max())


def _volume(mask: LabelMap, region: str) -> float | None:
    return volume_ml(mask, region) if (mask.array == mask.labels[region]).any() else None
