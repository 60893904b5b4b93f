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
    expected_dice : float or None
        Dice with the true region, if the probabilities are true: as :func:`expected_dice`.
    view_dice : float or None
        Mean Dice between two mirrored views of the same network; 0 where no view shows the
        region, None without such views.
    """

    probability: float | None
    entropy: float | None
    border_entropy: float | None
    member_dice: float | None
    least_member_dice: float | None
    volume_spread: float | None
    expected_dice: float | None
    view_dice: float | None

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
    out = {}
    for region in REGIONS:
        where, code = mask.array == mask.labels[region], LABELS_ACDC[region]
        border = where & ~ndimage.binary_erosion(where, _IN_PLANE)
        pairs, spread = _between_members(members == code)
        out[region] = RegionConfidence(
            probability=_mean(largest, where),
            entropy=_mean(entropy, where),
            border_entropy=_mean(entropy, border),
            member_dice=sum(pairs) / len(pairs) if pairs else None,
            least_member_dice=min(pairs, default=None),
            volume_spread=spread,
            expected_dice=expected_dice(mean[code], where),
            view_dice=_between_views(probabilities.views, code),
        )
    return out


def expected_dice(probability: NDArray[np.floating], region: Mask) -> float | None:
    """Estimate the Dice of a region with the true one from probabilities alone ("soft Dice confidence") [1]_.

    Twice the sum of the probabilities within the region, divided by its voxels plus the sum of all
    probabilities: what the network saw and the region lacks counts as well.

    Parameters
    ----------
    probability : ndarray of float
        That a voxel belongs to the true region.
    region : ndarray of bool, same shape

    Returns
    -------
    float or None
        From 0 to 1, 0 where the region is empty; None where nothing speaks for it either.

    References
    ----------
    .. [1] Borges et al., Soft Dice confidence (2024), doi:10.48550/arXiv.2402.10665

    Examples
    --------
    >>> expected_dice(np.array([0.8, 0.8, 0.4, 0.0]), np.array([True, True, False, False]))
    0.8
    """
    p = np.asarray(probability, dtype=np.float64)
    total = region.sum() + p.sum()
    return float(2 * p[region].sum() / total) if total > 0 else None


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


def _between_members(regions: Mask) -> tuple[list[float], float | None]:
    sizes = regions.reshape(len(regions), -1).sum(axis=1)
    if len(regions) < 2 or not sizes.any():
        return [], None
    scores = [dice(a, b) for a, b in combinations(regions, 2)]
    return [s for s in scores if s is not None], float(np.ptp(sizes) / sizes.mean())


def _between_views(views: NDArray[np.uint8] | None, code: int) -> float | None:
    if views is None:
        return None
    scores = [score for of_network in views for score in _between_members(of_network == code)[0]]
    return sum(scores) / len(scores) if scores else 0.0


def _mean(values: NDArray[np.float32], where: Mask) -> float | None:
    return float(values[where].mean(dtype=np.float64)) if where.any() else None
