"""Intensity-based statistics of one region (IBSI UHIW) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.preprocessing.discretise import Convention

Values = dict[str, float | None]


def intensity_statistics(values: NDArray[Any], *, convention: Convention) -> Values:
    """Compute the 18 intensity statistics of one region.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Grey values of the region, n >= 1, finite.
    convention : {'ibsi', 'pyradiomics'}
        ``pyradiomics`` adds 3 to the kurtosis; all else is equal.

    Returns
    -------
    dict of str to float or None
        Tag (``stat_mean``) to value, in the unit of ``values`` or its powers. None where the
        feature is undefined: skewness and kurtosis of one grey value, the coefficient of
        variation at mean 0, the quartile coefficient at quartiles of sum 0.

    Examples
    --------
    >>> intensity_statistics(np.array([1.0, 2.0, 3.0]), convention="ibsi")["stat_mean"]
    2.0
    """
    x = np.asarray(values, dtype=np.float64)
    out = {f"stat_{name}": value for name, value in moments_and_ranks(x, convention=convention).items()}
    energy = float(np.sum(x * x))
    return out | {"stat_energy": energy, "stat_rms": float(np.sqrt(energy / x.size))}


def moments_and_ranks(x: NDArray[np.float64], *, convention: Convention) -> Values:
    """Compute the 16 statistics that intensities and grey levels share.

    Parameters
    ----------
    x : ndarray of float, shape (n,)
        Values, n >= 1.
    convention : {'ibsi', 'pyradiomics'}
        See :func:`intensity_statistics`.

    Returns
    -------
    dict of str to float or None
        Name without prefix (``mean``, ``p10``) to value. Percentiles interpolate linearly.
    """
    low, high = float(x.min()), float(x.max())
    mean = float(x.mean()) if high > low else low
    deviation = x - mean
    squared = deviation * deviation
    variance = float(squared.mean())
    p10, p25, median, p75, p90 = (float(p) for p in np.percentile(x, [10, 25, 50, 75, 90]))
    robust = x[(x >= p10) & (x <= p90)]
    skew = kurt = None
    if variance > 0:
        skew = float((squared * deviation).mean() / variance**1.5)
        kurt = float((squared * squared).mean() / variance**2) - (3.0 if convention == "ibsi" else 0.0)
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
        "mad": float(np.abs(deviation).mean()),
        "rmad": float(np.abs(robust - robust.mean()).mean()) if robust.size else None,
        "medad": float(np.abs(x - median).mean()),
        "cov": float(np.sqrt(variance)) / mean if mean else None,
        "qcod": (p75 - p25) / (p75 + p25) if p75 + p25 else None,
    }
