"""Intensity-based statistics of one region (IBSI UHIW) [1]_.

Grey values are sorted once; moments are summed about the median and then about the mean, so that
a small spread on top of a large offset loses no digits.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from math import floor, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.features.region import FloatArray
from radiocard.jit.kernel import kernel
from radiocard.specs import Convention

Values = dict[str, float | None]


def intensity_statistics(
    values: NDArray[Any], *, convention: Convention, shift: float = 0.0, voxel_volume: float | None = None
) -> Values:
    """Compute the intensity statistics of one region.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Grey values of the region, n >= 1, finite.
    convention : {'ibsi', 'pyradiomics'}
        ``pyradiomics`` adds 3 to the kurtosis, and returns the standard deviation and total
        energy as well; all else is equal.
    shift : float
        Added to the grey values for energy, total energy and root mean square (PyRadiomics'
        ``voxelArrayShift``).
    voxel_volume : float, optional
        Volume of one voxel [mm^3], for the total energy, which is left out without it.

    Returns
    -------
    dict of str to float or None
        Tag (``stat_mean``) to value, in the unit of ``values`` or its powers; 18 under ``ibsi``.
        None where the feature is undefined: skewness and kurtosis of one grey value, the
        coefficient of variation at mean 0, the quartile coefficient at quartiles of sum 0.

    Examples
    --------
    >>> intensity_statistics(np.array([1.0, 2.0, 3.0]), convention="ibsi")["stat_mean"]
    2.0
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    found = moments_and_ranks(x, convention=convention)
    variance, mean = found["var"] or 0.0, (found["mean"] or 0.0) + shift
    energy = x.size * (variance + mean * mean)
    found |= {"energy": energy, "rms": sqrt(energy / x.size)}
    if convention == "pyradiomics":
        found["std"] = sqrt(variance)
        if voxel_volume is not None:
            found["total_energy"] = energy * voxel_volume
    return {f"stat_{name}": value for name, value in found.items()}


def moments_and_ranks(x: FloatArray, *, convention: Convention) -> Values:
    """Compute the 16 statistics that intensities and grey levels share.

    Parameters
    ----------
    x : ndarray of float, shape (n,)
        Values in ascending order, n >= 1.
    convention : {'ibsi', 'pyradiomics'}
        See :func:`intensity_statistics`.

    Returns
    -------
    dict of str to float or None
        Name without prefix (``mean``, ``p10``) to value. Percentiles interpolate linearly.
    """
    n, low, high = x.size, float(x[0]), float(x[-1])
    p10, p25, median, p75, p90 = (_percentile(x, q) for q in (10, 25, 50, 75, 90))
    total, from_median = _sums(x, median)[:2]
    mean = median + total / n
    _, from_mean, second, third, fourth = _sums(x, mean)
    robust = x[np.searchsorted(x, p10) : np.searchsorted(x, p90, side="right")]
    variance = second / n
    skew = kurt = None
    if variance > 0:
        skew = third / n / variance**1.5
        kurt = fourth / n / variance**2 - (3.0 if convention == "ibsi" else 0.0)
    return {
        "mean": mean,
        "var": variance,
        "skew": skew,
        "kurt": kurt,
        "median": median,
        "min": low,
        "p10": p10,
        "p90": p90,
        "max": high,
        "iqr": p75 - p25,
        "range": high - low,
        "mad": from_mean / n,
        "rmad": _mean_deviation(robust) if robust.size else None,
        "medad": from_median / n,
        "cov": sqrt(variance) / mean if mean else None,
        "qcod": (p75 - p25) / (p75 + p25) if p75 + p25 else None,
    }


def _percentile(x: FloatArray, q: int) -> float:
    """Interpolate linearly, rounding as numpy does: a robust range includes its ends."""
    position = (x.size - 1) * (q / 100)
    below = floor(position)
    low, high = float(x[below]), float(x[min(below + 1, x.size - 1)])
    share = position - below
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def _mean_deviation(x: FloatArray) -> float:
    start = float(x[x.size // 2])
    mean = start + _sums(x, start)[0] / x.size
    return _sums(x, mean)[1] / x.size


def _sums(x: FloatArray, centre: float) -> list[float]:
    sums = np.zeros(5)
    _deviations(x, centre, sums)
    found: list[float] = sums.tolist()
    return found


@kernel
def _deviations(x: FloatArray, centre: float, sums: FloatArray) -> None:
    """Sum the deviations from a centre, their amounts, squares, third and fourth powers."""
    first, amount, second, third, fourth = 0.0, 0.0, 0.0, 0.0, 0.0
    for value in x:
        deviation = value - centre
        square = deviation * deviation
        first += deviation
        amount += abs(deviation)
        second += square
        third += square * deviation
        fourth += square * square
    sums[0], sums[1], sums[2], sums[3], sums[4] = first, amount, second, third, fourth
