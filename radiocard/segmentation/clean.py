"""From what the networks say to one mask that a heart can have; every change is counted.

Cleaning removes what is detached, fills what is enclosed, and closes small gaps in the wall. It never
invents a region, moves an outline, or repairs a wall that is mostly missing: that is said instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.checks.anatomy import MIN_ENCLOSED, enclosed_fraction
from radiocard.errors import MaskError
from radiocard.image import LABELS_ACDC, REGIONS, LabelMap
from radiocard.segmentation.probabilities import Probabilities

Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

BASAL_MM = 20.0
"""So far from the basal end the wall may be open: the outflow tract leaves the ventricle there."""

_RV, _WALL, _CAVITY = (LABELS_ACDC[region] for region in ("rv_cavity", "lv_myocardium", "lv_cavity"))
_CONNECT_26 = ndimage.generate_binary_structure(3, 3)
_IN_PLANE = ndimage.generate_binary_structure(2, 1)
_MAX_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class RegionChange:
    """What cleaning did to one region.

    Parameters
    ----------
    voxels : int
        Before cleaning.
    removed, added : int
        Voxels that left and that joined the region.
    detached : int
        Parts of it (26 neighbours) that were removed as detached.
    """

    voxels: int
    removed: int
    added: int
    detached: int


@dataclass(frozen=True, eq=False)
class Cleaning:
    """What cleaning changed.

    Parameters
    ----------
    regions : mapping of str to RegionChange
        By region.
    holes : int
        Background voxels that a region enclosed, and that were given to a region.
    wall : int
        Voxels beside the LV cavity that became myocardium, since the wall had a small gap there.
    open_slices : tuple of int
        Slices, from 0, away from the base where more than 30 % of the border of the cavity has no
        myocardium; left as they are.
    """

    regions: Mapping[str, RegionChange]
    holes: int
    wall: int
    open_slices: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        regions = {name: asdict(change) for name, change in self.regions.items()}
        return {"regions": regions, "holes": self.holes, "wall": self.wall, "open_slices": list(self.open_slices)}

    def sentences(self) -> tuple[str, ...]:
        """Return what was changed, and what was found and left, in words; empty if nothing."""
        out = [
            f"{name}: {change.detached} detached part(s), {change.removed} of {change.voxels} voxels removed"
            for name, change in self.regions.items()
            if change.detached
        ]
        if self.holes:
            out.append(f"{self.holes} voxels in holes filled")
        if self.wall:
            out.append(f"{self.wall} voxels of myocardium added where the wall had a gap")
        if self.open_slices:
            numbers = ", ".join(str(k + 1) for k in self.open_slices)
            out.append(f"the wall is open in slice {numbers}; left as it is")
        return tuple(out)


def most_probable(probabilities: Probabilities) -> LabelMap:
    """Return the most probable class of each voxel by the mean over the networks; the first wins a tie.

    Returns
    -------
    LabelMap
        With :data:`radiocard.image.LABELS_ACDC`.
    """
    array = np.argmax(probabilities.mean, axis=0).astype(np.uint8)
    return LabelMap(array, probabilities.affine, labels=LABELS_ACDC)


def clean_mask(mask: LabelMap) -> tuple[LabelMap, Cleaning]:
    """Clean a mask: one part per ventricle, no holes, no small gaps in the wall of the left ventricle.

    The RV, and the LV with cavity and myocardium together, keep their largest part (three-dimensional, 26
    neighbours; the first in storage order wins a tie); the rest becomes background, and so does a part
    of the cavity that has a larger part of it beside it in each of its slices. Background that a region
    encloses in its slice joins the region that most of its border belongs to; in a slice without cavity,
    what the myocardium alone encloses is cavity, or stays as it is at the base, where it may be the
    outflow tract. Then, in slices more than :data:`BASAL_MM` from the base, where at least 70 % of the
    border of the cavity is myocardium, the background or RV voxels that share an in-plane face with the
    cavity become myocardium: a wall one voxel thick. Repeated until nothing changes, so that cleaning a
    clean mask changes nothing.

    Parameters
    ----------
    mask : LabelMap
        With the three regions; other labels are not touched and count as background.

    Returns
    -------
    cleaned : LabelMap
        Same grid and label numbers.
    report : Cleaning
        Counts of changes.

    Raises
    ------
    MaskError
        If the label map does not state a number for each region.
    """
    absent = [region for region in REGIONS if region not in mask.labels]
    if absent:
        msg = f"The mask states no label number for {', '.join(absent)}."
        raise MaskError(msg, code="E_LABELS", field="labels")
    before = _codes(mask)
    box = _box(before > 0)
    after, n_holes, n_wall = before.copy(), 0, 0
    part, basal = after[box], _basal_slices(before[box], mask.spacing_mm[2])
    detached = dict.fromkeys(REGIONS, 0)
    for _ in range(_MAX_ROUNDS):
        for region, n in _keep_largest(part).items():
            detached[region] += n
        holes, wall = _fill_holes(part, basal), _close_wall(part, basal)
        n_holes, n_wall = n_holes + holes, n_wall + wall
        if not holes + wall:
            break
    regions = {r: _change(before, after, LABELS_ACDC[r], detached[r]) for r in REGIONS}
    open_slices = tuple(k + box[2].start for k in _open_slices(part) if not basal[k])
    report = Cleaning(regions, n_holes, n_wall, open_slices)
    return _with_codes(mask, before, after), report


def basal_end(cavity: Mask) -> int:
    """Return which end of a stack is the base: 0 for the first slice, -1 for the last.

    Parameters
    ----------
    cavity : ndarray of bool, shape (ni, nj, nk)
        LV cavity.

    Returns
    -------
    int
        The half of the slices that holds more cavity has the base; the first wins a tie.
    """
    area = cavity.sum(axis=(0, 1))
    used = np.flatnonzero(area)
    if not used.size:
        return 0
    along = area[used[0] : used[-1] + 1]
    half = along.size // 2
    return 0 if along[:half].sum() >= along[along.size - half :].sum() else -1


def _codes(mask: LabelMap) -> Codes:
    out = np.zeros(mask.array.shape, dtype=np.uint8)
    for region in REGIONS:
        out[mask.array == mask.labels[region]] = LABELS_ACDC[region]
    return out


def _with_codes(mask: LabelMap, before: Codes, after: Codes) -> LabelMap:
    numbers = np.array([0, *(mask.labels[region] for region in ("rv_cavity", "lv_myocardium", "lv_cavity"))])
    array = np.where(after != before, numbers[after], mask.array).astype(mask.array.dtype)
    return LabelMap(array, mask.affine, mask.oriented, labels=mask.labels)


def _box(used: Mask) -> tuple[slice, slice, slice]:
    """Return the box of a region with one voxel of room in the plane."""
    found = ndimage.find_objects(used.astype(np.uint8))
    if not found:
        return slice(0, 0), slice(0, 0), slice(0, 0)
    i, j, k = found[0]
    return slice(max(i.start - 1, 0), i.stop + 1), slice(max(j.start - 1, 0), j.stop + 1), k


def _basal_slices(codes: Codes, slice_mm: float) -> Mask:
    """Return which slices may be open: those within BASAL_MM of the basal end of the cavity."""
    cavity = codes == _CAVITY
    out = np.zeros(codes.shape[2], dtype=bool)
    used = np.flatnonzero(cavity.any(axis=(0, 1)))
    if used.size:
        end = used[basal_end(cavity)]
        out[np.abs(np.arange(out.size) - end) * slice_mm < BASAL_MM] = True
    return out


def _keep_largest(codes: Codes) -> dict[str, int]:
    """Remove what is detached; return how many parts of each region went."""
    gone = _smaller_parts(codes == _RV) | _smaller_parts(codes >= _WALL)
    gone |= _specks((codes == _CAVITY) & ~gone)
    parts = {r: int(ndimage.label(gone & (codes == LABELS_ACDC[r]), structure=_CONNECT_26)[1]) for r in REGIONS}
    codes[gone] = 0
    return parts


def _smaller_parts(region: Mask) -> Mask:
    named, n = ndimage.label(region, structure=_CONNECT_26)
    if n < 2:
        return np.zeros(region.shape, dtype=bool)
    largest = int(np.argmax(np.bincount(named.ravel())[1:])) + 1
    return np.asarray((named > 0) & (named != largest))


def _specks(cavity: Mask) -> Mask:
    """Return parts of the cavity that have a larger part beside them in each of their slices."""
    out = np.zeros(cavity.shape, dtype=bool)
    named, n = ndimage.label(cavity, structure=_CONNECT_26)
    if n < 2:
        return out
    size = np.bincount(named.ravel())
    size[0] = 0
    order = np.argsort(-size[1:], kind="stable") + 1
    taken = np.zeros(cavity.shape[2], dtype=bool)
    for number in order:
        part = named == number
        slices = part.any(axis=(0, 1))
        if taken[slices].all():
            out |= part
        taken |= slices
    return out


def _fill_holes(codes: Codes, basal: Mask) -> int:
    """Fill background that LV cavity and myocardium together, or the RV, enclose in a slice."""
    n = 0
    for k in range(codes.shape[2]):
        part = codes[:, :, k]
        for enclosing in (part >= _WALL, part == _RV):
            holes, count = ndimage.label(ndimage.binary_fill_holes(enclosing) & (part == 0), structure=_IN_PLANE)
            for number in range(1, count + 1):
                hole = holes == number
                code = _enclosing_region(part, hole, basal=bool(basal[k]))
                n += int(hole.sum()) if code else 0
                part[hole] = code
    return n


def _enclosing_region(part: Codes, hole: NDArray[np.bool_], *, basal: bool) -> int:
    border = part[ndimage.binary_dilation(hole, _IN_PLANE) & ~hole]
    counts = np.bincount(border, minlength=4)
    if counts[_WALL] == border.size and not (part == _CAVITY).any():
        return 0 if basal else _CAVITY
    return int(np.argmax(counts[1:])) + 1


def _close_wall(codes: Codes, basal: Mask) -> int:
    n = 0
    for k in np.flatnonzero(~basal):
        part = codes[:, :, k]
        gap = ndimage.binary_dilation(part == _CAVITY, _IN_PLANE) & (part < _WALL)
        if gap.any() and _enclosed(part) >= MIN_ENCLOSED:
            part[gap] = _WALL
            n += int(gap.sum())
    return n


def _open_slices(codes: Codes) -> list[int]:
    used = np.flatnonzero((codes == _CAVITY).any(axis=(0, 1)))
    return [int(k) for k in used if _enclosed(codes[:, :, k]) < MIN_ENCLOSED]


def _enclosed(part: Codes) -> float:
    return enclosed_fraction((part == _CAVITY)[:, :, None], (part == _WALL)[:, :, None])


def _change(before: Codes, after: Codes, code: int, detached: int) -> RegionChange:
    a, b = before == code, after == code
    return RegionChange(int(a.sum()), int((a & ~b).sum()), int((b & ~a).sum()), detached)
