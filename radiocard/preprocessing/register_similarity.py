"""How alike two slices are, where the best shift lies, and whether it stands out among the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiocard.specs.registration import RegistrationSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_LEVELS = 16  # fewer than the optimiser's bins: a joint histogram of few pixels is biased by its empty cells


@dataclass(frozen=True, eq=False)
class Ruler:
    """Measures how alike another slice is to the fixed one, always at the same resolution.

    Parameters
    ----------
    fixed : ndarray of float, shape (ni, nj)
        Grey levels of the fixed slice, smoothed.
    region : ndarray of bool, shape (ni, nj)
        Pixels that are compared.
    spacing_mm : tuple of float
        Pixel spacing along ``i, j`` [mm].
    settings : RegistrationSettings
        Smoothing and search.
    """

    fixed: Floats
    region: Bools
    spacing_mm: tuple[float, float]
    settings: RegistrationSettings

    @classmethod
    def of(
        cls, fixed: Floats, region: Bools, *, spacing_mm: tuple[float, float], settings: RegistrationSettings
    ) -> Ruler:
        """Prepare the fixed slice."""
        bare = cls(fixed, region, spacing_mm, settings)
        return cls(bare.prepared(fixed, region), region, spacing_mm, settings)

    def prepared(self, image: Floats, where: Bools) -> Floats:
        """Return a slice smoothed, as grey levels over its range in some pixels."""
        smooth = ndimage.gaussian_filter(image, [self.settings.smoothing_mm / s for s in self.spacing_mm])
        low, high = np.percentile(smooth[where], [1, 99])
        width = max(float(high - low), np.finfo(float).tiny)
        return np.asarray(np.clip(np.floor((smooth - low) / width * _LEVELS), 0, _LEVELS - 1))

    def similarity(self, prepared: Floats, where: Bools) -> float:
        """Return how alike a prepared slice is over some pixels: see :func:`entropy_correlation`."""
        pixels = self.region & where
        return entropy_correlation(self.fixed[pixels], prepared[pixels])


def entropy_correlation(a: Floats, b: Floats) -> float:
    """Return the mutual information of grey levels over the mean of both entropies, 0 to 1.

    Parameters
    ----------
    a, b : ndarray of float, shape (n,)
        Grey levels, whole numbers from 0.

    Returns
    -------
    float
        0 if independent, 1 if each follows from the other; 0 if both are constant.

    References
    ----------
    .. [1] Maes et al., IEEE Trans Med Imaging 16 (1997) 187
    """
    joint = np.bincount((a * _LEVELS + b).astype(np.intp), minlength=_LEVELS**2) / a.size
    table = joint.reshape(_LEVELS, _LEVELS)
    alone = _entropy(table.sum(axis=0)) + _entropy(table.sum(axis=1))
    return 2 * (alone - _entropy(joint)) / alone if alone > 0 else 0.0


def _entropy(p: Floats) -> float:
    p = p[p > 0]
    return -float(p @ np.log(p))


@dataclass(frozen=True)
class Peak:
    """The best shift of the search.

    Parameters
    ----------
    shift_mm : tuple of float
        From a pixel of the fixed slice to its match in the moving one, along ``i, j`` [mm].
    distinctness : float
        Excess of its similarity over the median of all shifts, in robust standard deviations.
    runner_up : float
        Excess of the best shift at least three steps away, as a fraction of this excess.
    """

    shift_mm: tuple[float, float]
    distinctness: float
    runner_up: float


def search_shift(ruler: Ruler, moving: Floats, seen: Bools) -> Peak | None:
    """Compare the slices at every shift, whole pixels apart, up to twice the largest that is allowed.

    Parameters
    ----------
    ruler : Ruler
        The fixed slice and its region.
    moving : ndarray of float, shape (ni, nj)
        The moving slice on the fixed grid, prepared.
    seen : ndarray of bool, shape (ni, nj)
        Pixels that the moving image covers.

    Returns
    -------
    Peak or None
        None if no shift leaves enough of the region covered.
    """
    settings = ruler.settings
    steps = [max(1, round(settings.search_step_mm / s)) for s in ruler.spacing_mm]
    reach = [int(2 * settings.max_shift_mm / (s * n)) * n for s, n in zip(ruler.spacing_mm, steps, strict=True)]
    shifts = [np.arange(-r, r + 1, n) for r, n in zip(reach, steps, strict=True)]
    offsets = np.stack(np.meshgrid(*shifts, indexing="ij"), axis=-1).reshape(-1, 2)
    places = np.argwhere(ruler.region)
    values = ruler.fixed[ruler.region]
    found = np.full(len(offsets), np.nan)
    for n, offset in enumerate(offsets):
        i, j = (places + offset).T
        inside = (i >= 0) & (j >= 0) & (i < moving.shape[0]) & (j < moving.shape[1])
        inside[inside] = seen[i[inside], j[inside]]
        if inside.sum() >= settings.min_overlap * len(places):
            found[n] = entropy_correlation(values[inside], moving[i[inside], j[inside]])
    return _peak(offsets * np.array(ruler.spacing_mm), found, 3 * settings.search_step_mm)


def _peak(shifts_mm: Floats, found: Floats, away_mm: float) -> Peak | None:
    if np.isfinite(found).sum() < 3:
        return None
    best = int(np.nanargmax(found))
    excess = found - np.nanmedian(found)
    spread = 1.4826 * float(np.nanmedian(np.abs(excess)))
    far = np.hypot(*(shifts_mm - shifts_mm[best]).T) >= away_mm
    others = excess[far & np.isfinite(excess)]
    top = float(excess[best])
    rival = max(float(others.max()), 0.0) if others.size else 0.0
    i, j = shifts_mm[best].tolist()
    return Peak((i, j), top / spread if spread > 0 else 0.0, rival / top if top > 0 else 1.0)
