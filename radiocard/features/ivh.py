"""Intensity-volume histogram of one region (IBSI P88C) [1]_.

The share of the region at or above a grey level, against the level. Levels are whole numbers or
bins; all comparisons are made on numbers of voxels and of levels, so nothing depends on rounding.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import SpecError
from radiocard.features.intensity import Values
from radiocard.specs import IvhSettings


def intensity_volume_histogram(
    values: NDArray[Any], settings: IvhSettings, *, lower: float | None = None, upper: float | None = None
) -> Values:
    """Compute the 7 features of the intensity-volume histogram of one region.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Grey values of the region, n >= 1, finite.
    settings : IvhSettings
        Whether and how grey values are discretised. A fixed bin number divides the range of
        the values; a bin stands for its centre (fixed bin size) or its number.
    lower, upper : float, optional
        Bounds of the re-segmentation range, which no value exceeds: where bins of a fixed size
        begin and end. Without them, and without bins, the range is that of the values, which
        is what the consensus values of the IBSI rest on.

    Returns
    -------
    dict of str to float or None
        Volume fractions at 10 and 90 % of the intensity range (``ivh_v10``), intensities at 10
        and 90 % of the volume (``ivh_i10``, in grey values, or bin numbers), their differences,
        and the area under the curve. None where undefined: fractions of a range of one level,
        an intensity that no more than 10 % reach if more voxels are at the last level.

    Raises
    ------
    SpecError
        If values that are not whole numbers are not to be discretised.

    Examples
    --------
    >>> settings = IvhSettings(method="none")
    >>> intensity_volume_histogram(np.arange(10), settings)["ivh_v90"]
    0.1
    """
    x = np.asarray(values, dtype=np.float64)
    steps, last, first, width = _levels(x, settings, lower, upper)
    steps = np.sort(steps)
    out: Values = {}
    for tenths in (1, 9):
        out[f"ivh_v{tenths}0"] = _share_from(steps, -(-tenths * last // 10)) if last else None
    for tenths in (1, 9):
        beyond = int(steps[steps.size - 1 - tenths * steps.size // 10]) + 1
        out[f"ivh_i{tenths}0"] = first + width * beyond if beyond <= last else None
    out["ivh_diff_v10_v90"] = _difference(out["ivh_v10"], out["ivh_v90"])
    out["ivh_diff_i10_i90"] = _difference(out["ivh_i10"], out["ivh_i90"])
    # The shares of all levels sum to the mean level; one level alone has no area by definition.
    trapezoids = float(steps.mean()) + 0.5 - _share_from(steps, last) / 2
    out["ivh_auc"] = trapezoids / last if steps[0] < steps[-1] else 0.0
    return out


def _levels(
    x: NDArray[np.float64], settings: IvhSettings, lower: float | None, upper: float | None
) -> tuple[NDArray[np.int64], int, float, float]:
    """Return the level of each voxel from 0, the last level, the grey value of level 0 and the step."""
    low, high = float(x.min()), float(x.max())
    if settings.method == "fbn":
        bins = settings.bins or 1
        share = (x - low) / (high - low) if high > low else np.zeros(x.shape)
        return np.minimum(np.floor(bins * share), bins - 1).astype(np.int64), bins - 1, 1.0, 1.0
    if settings.method == "fbs":
        width, start = settings.width or 1.0, low if lower is None else lower
        steps = np.floor((x - start) / width).astype(np.int64)
        last = int(steps.max()) if upper is None else max(ceil((upper - start) / width), 1) - 1
        return np.minimum(steps, last), last, start + width / 2, width
    if np.any(x != np.floor(x)):
        msg = f"Grey values such as {x[x != np.floor(x)][0]:g} are not whole numbers, so each cannot be a level."
        raise SpecError(msg, field="ivh.method", hint="Use method: fbs or fbn for this image.")
    return (x - low).astype(np.int64), int(high - low), low, 1.0


def _share_from(steps: NDArray[np.int64], level: int) -> float:
    return float(steps.size - np.searchsorted(steps, level)) / steps.size


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
