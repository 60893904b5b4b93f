"""How sure the networks are of each region, and how far they agree with each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.checks.case import check_grid
from radiocard.errors import GeometryError
from radiocard.image import LABELS_ACDC, REGIONS, Image, LabelMap
from radiocard.segmentation.overlap import dice
from radiocard.segmentation.probabilities import Probabilities

Mask = NDArray[np.bool_]

_IN_PLANE = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])
_TOLERANCE_VOXEL = 1e-3


@dataclass(frozen=True, slots=True)
class RegionConfidence:
    """Confidence of one region of a mask; None where it is not defined.

    Parameters
    ----------
    probability : float or None
        Mean over the region of the largest class probability; None where the region is empty.
    entropy : float or None
        Mean over the region of the entropy of the class probabilities, divided by the largest that four
        classes can have: 0 certain, 1 all classes alike.
    border_entropy : float or None
        The same over voxels of the region that share an in-plane face with a voxel outside it.
    member_dice, least_member_dice : float or None
        Mean and least Dice between the masks of two networks; None with one network, or where none of
        them finds the region.
    volume_spread : float or None
        Largest minus least volume over the networks, divided by their mean.
    """

    probability: float | None
    entropy: float | None
    border_entropy: float | None
    member_dice: float | None
    least_member_dice: float | None
    volume_spread: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data for JSON."""
        return asdict(self)


def region_confidence(probabilities: Probabilities, mask: LabelMap) -> dict[str, RegionConfidence]:
    """Return the confidence of each region of a mask.

    Parameters
    ----------
    probabilities : Probabilities
        What the networks said.
    mask : LabelMap
        The regions to judge, on the same grid: the most probable class, before or after cleaning.

    Returns
    -------
    dict of str to RegionConfidence
        By region.

    Raises
    ------
    GeometryError
        If the mask is on another grid.
    """
    mean = probabilities.mean
    where = Image(mean[0], probabilities.affine)
    for issue in check_grid(where, mask, tolerance_voxel=_TOLERANCE_VOXEL, case="", field="mask"):
        raise GeometryError(issue.message, field="mask", hint=issue.hint)
    largest, entropy = mean.max(axis=0), normalised_entropy(mean)
    members = np.argmax(probabilities.members, axis=1).astype(np.uint8)
    return {region: _one(mask.array == mask.labels[region], region, largest, entropy, members) for region in REGIONS}


def normalised_entropy(probability: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the entropy of class probabilities, from 0 (certain) to 1 (all alike).

    Parameters
    ----------
    probability : ndarray of float, shape (n_classes, ...)
        Summing to 1 over the first axis.

    Returns
    -------
    ndarray of float32, shape (...)

    Examples
    --------
    >>> normalised_entropy(np.array([[1.0, 0.5], [0.0, 0.5]])).tolist()
    [0.0, 1.0]
    """
    p = np.asarray(probability, dtype=np.float32)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.abs((p * logs).sum(axis=0)) / np.float32(np.log(p.shape[0]))


def _one(
    region: Mask, name: str, largest: NDArray[np.float32], entropy: NDArray[np.float32], members: NDArray[np.uint8]
) -> RegionConfidence:
    border = region & ~ndimage.binary_erosion(region, _IN_PLANE)
    pairs, spread = _between_members(members == LABELS_ACDC[name])
    return RegionConfidence(
        probability=_mean(largest, region),
        entropy=_mean(entropy, region),
        border_entropy=_mean(entropy, border),
        member_dice=sum(pairs) / len(pairs) if pairs else None,
        least_member_dice=min(pairs, default=None),
        volume_spread=spread,
    )


def _between_members(regions: Mask) -> tuple[list[float], float | None]:
    sizes = regions.reshape(len(regions), -1).sum(axis=1)
    if len(regions) < 2 or not sizes.any():
        return [], None
    scores = [dice(a, b) for a, b in combinations(regions, 2)]
    return [s for s in scores if s is not None], float(np.ptp(sizes) / sizes.mean())


def _mean(values: NDArray[np.float32], where: Mask) -> float | None:
    return float(values[where].mean(dtype=np.float64)) if where.any() else None
