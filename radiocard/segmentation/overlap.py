"""How far two masks of one heart agree, region by region: Dice, and the distance between surfaces."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.checks.case import check_grid
from radiocard.errors import GeometryError, MaskError
from radiocard.image import REGIONS, LabelMap

Mask = NDArray[np.bool_]

PERCENT = 95.0
_FACES = ndimage.generate_binary_structure(3, 1)
_TOLERANCE_VOXEL = 1e-3


@dataclass(frozen=True, slots=True)
class RegionOverlap:
    """Agreement of one region of two masks.

    Parameters
    ----------
    dice : float or None
        Twice the common volume over the sum of both volumes; None where both are empty.
    hd95_mm : float or None
        95th percentile of the distances between the surfaces [mm]; None where a region is empty.
    volume_ml, reference_ml : float
        Volumes [mL].
    reason : str
        Why a value is None, or Dice 0; empty where the region is in both masks.
    """

    dice: float | None
    hd95_mm: float | None
    volume_ml: float
    reference_ml: float
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def compare_masks(
    predicted: LabelMap, reference: LabelMap, *, case: str, regions: tuple[str, ...] = REGIONS
) -> dict[str, RegionOverlap]:
    """Compare two masks of one volume, region by region, in three dimensions.

    Parameters
    ----------
    predicted, reference : LabelMap
        On one grid; their label numbers may differ.
    case : str
        For error messages.
    regions : tuple of str
        Both masks must state a label number for each.

    Returns
    -------
    dict of str to RegionOverlap
        By region. A region that is in neither mask has neither Dice nor distance; one that is in one of
        them only has a Dice of 0, as its formula gives, and no distance.

    Raises
    ------
    GeometryError
        If the grids differ by more than 1e-3 voxels.
    MaskError
        If a mask states no label number for a region.
    """
    for issue in check_grid(reference, predicted, tolerance_voxel=_TOLERANCE_VOXEL, case=case, field="mask"):
        raise GeometryError(issue.message, case=case, field="mask", hint=issue.hint)
    for name, mask in (("predicted", predicted), ("reference", reference)):
        absent = [region for region in regions if region not in mask.labels]
        if absent:
            msg = f"The {name} mask states no label number for {', '.join(absent)}."
            raise MaskError(msg, code="E_LABELS", case=case, field="labels")
    spacing, ml = reference.spacing_mm, reference.voxel_volume_ml
    out = {}
    for region in regions:
        a, b = (mask.array == mask.labels[region] for mask in (predicted, reference))
        score, distance = dice(a, b), surface_distance_mm(a, b, spacing_mm=spacing)
        out[region] = RegionOverlap(score, distance, float(a.sum()) * ml, float(b.sum()) * ml, _absence(a, b))
    return out


def dice(first: Mask, second: Mask) -> float | None:
    """Return the Dice coefficient of two regions, None where both are empty [1]_.

    References
    ----------
    .. [1] Dice, Ecology 26 (1945) 297, doi:10.2307/1932409

    Examples
    --------
    >>> a = np.array([True, True, False])
    >>> dice(a, np.array([False, True, False]))
    0.6666666666666666
    """
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else None


def surface_distance_mm(
    first: Mask, second: Mask, *, spacing_mm: tuple[float, float, float], percent: float = PERCENT
) -> float | None:
    """Return a percentile of the distances between the surfaces of two regions (HD95) [1]_.

    The surface of a region is made of its voxels that share a face with a voxel outside it; outside
    the volume counts as outside the region. The distance of each surface voxel to the nearest surface
    voxel of the other region is taken between centres, in both directions; the percentile is that of
    all these distances together, linear between ranks.

    Parameters
    ----------
    first, second : ndarray of bool, shape (ni, nj, nk)
        The regions.
    spacing_mm : tuple of float, length 3
        Distance between voxel centres [mm].
    percent : float
        95 for HD95, 100 for the Hausdorff distance.

    Returns
    -------
    float or None
        Distance [mm]; None where a region is empty.

    References
    ----------
    .. [1] Maier-Hein et al., Nat Methods 21 (2024) 195, doi:10.1038/s41592-023-02151-z
    """
    if not first.any() or not second.any():
        return None
    box = ndimage.find_objects((first | second).astype(np.uint8))[0]
    a, b = _surface(first[box]), _surface(second[box])
    to_a, to_b = (ndimage.distance_transform_edt(~s, sampling=spacing_mm) for s in (a, b))
    return float(np.percentile(np.concatenate([to_b[a], to_a[b]]), percent))


def _surface(region: Mask) -> Mask:
    return np.asarray(region & ~ndimage.binary_erosion(region, _FACES))


def _absence(predicted: Mask, reference: Mask) -> str:
    if predicted.any():
        return "" if reference.any() else "absent from the reference mask"
    return "absent from the predicted mask" if reference.any() else "absent from both masks"
