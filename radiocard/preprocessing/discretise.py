"""Grey level discretisation under both conventions (IBSI 4R0B).

Under ``ibsi`` a fixed bin size starts at the region's minimum (or at the lower bound of the
re-segmentation range). Under ``pyradiomics`` bin edges are multiples of the width from zero,
and a fixed bin number takes the edges of ``numpy.histogram``, as PyRadiomics 3 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import IntensityError, UsageError
from radiocard.preprocessing.normalise import require_finite
from radiocard.specs import Discretisation

Convention = Literal["ibsi", "pyradiomics"]


@dataclass(frozen=True, slots=True)
class GreyLevels:
    """Discretised grey values of one region.

    Parameters
    ----------
    levels : ndarray of int, shape (n,)
        Grey level of each voxel, from 1.
    n_levels : int
        Number of grey levels: the bin number, or the highest level of a fixed bin size.
    """

    levels: NDArray[np.int64]
    n_levels: int


def discretise(
    values: NDArray[Any], settings: Discretisation, *, convention: Convention, lower: float | None = None
) -> GreyLevels:
    """Discretise the grey values of one region.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Grey values of the region, n >= 1.
    settings : Discretisation
        Method, bin number or bin width, and the cap on the number of bins.
    convention : {'ibsi', 'pyradiomics'}
        Whose rule places the bin edges.
    lower : float, optional
        Lower bound of the re-segmentation range: under ``ibsi`` the first bin of a fixed bin
        size starts there instead of at the minimum.

    Returns
    -------
    GreyLevels
        A region with one grey value has one level (``ibsi``), or the middle one of a fixed
        bin number (``pyradiomics``).

    Raises
    ------
    UsageError
        If there is no value.
    IntensityError
        If a value is not finite (``E_NONFINITE``), or if more bins than the cap are needed
        (``E_BINS``).

    Examples
    --------
    >>> fbn = Discretisation(method="fbn", bins=4, max_bins=64)
    >>> discretise(np.array([0.0, 1.0, 2.0, 4.0]), fbn, convention="ibsi").levels.tolist()
    [1, 2, 3, 4]
    >>> fbs = Discretisation(method="fbs", width=2.0, max_bins=64)
    >>> discretise(np.array([1.0, 2.0, 3.0]), fbs, convention="ibsi").levels.tolist()
    [1, 1, 2]
    >>> discretise(np.array([1.0, 2.0, 3.0]), fbs, convention="pyradiomics").levels.tolist()
    [1, 2, 2]
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        msg = "There is no grey value to discretise."
        raise UsageError(msg)
    require_finite(x, where="the region")
    _refuse_too_many_bins(x, settings, lower)
    if settings.method == "fbn":
        bins = int(settings.bins or 0)
        levels = _fbn_pyradiomics(x, bins) if convention == "pyradiomics" else _fbn(x, bins)
        return GreyLevels(levels, bins if np.ptp(x) > 0 else int(levels.max()))
    width = float(settings.width or 0.0)
    levels = _fbs_pyradiomics(x, width) if convention == "pyradiomics" else _fbs(x, width, lower)
    return GreyLevels(levels, int(levels.max()))


def _refuse_too_many_bins(x: NDArray[np.float64], settings: Discretisation, lower: float | None) -> None:
    low, high = float(x.min()), float(x.max())
    if lower is not None:
        low = min(low, lower)
    needed = float(settings.bins or 0) if settings.method == "fbn" else (high - low) / float(settings.width or 1) + 1
    if needed > settings.max_bins:
        msg = (
            f"Discretisation needs {needed:.0f} bins for grey values from {low:g} to {high:g}, "
            f"expected at most {settings.max_bins}."
        )
        hint = "Check for an extreme voxel, and that the bin width suits the unit of this image."
        raise IntensityError(msg, code="E_BINS", hint=hint)


def _fbn(x: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    low, high = x.min(), x.max()
    if high == low:
        return np.ones(x.shape, dtype=np.int64)
    levels = np.floor(bins * (x - low) / (high - low)).astype(np.int64) + 1
    return np.minimum(levels, bins)


def _fbs(x: NDArray[np.float64], width: float, lower: float | None) -> NDArray[np.int64]:
    start = float(x.min()) if lower is None else lower
    if float(x.min()) < start:
        msg = f"The lowest grey value {x.min():g} lies below the re-segmentation bound {start:g}."
        raise UsageError(msg)
    return np.floor((x - start) / width).astype(np.int64) + 1


def _fbn_pyradiomics(x: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    edges = np.histogram_bin_edges(x, bins)
    edges[-1] += 1
    return np.digitize(x, edges).astype(np.int64)


def _fbs_pyradiomics(x: NDArray[np.float64], width: float) -> NDArray[np.int64]:
    low = x.min() - (x.min() % width)
    edges = np.arange(low, x.max() + 2 * width, width)
    return np.digitize(x, edges).astype(np.int64)
