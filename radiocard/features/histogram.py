"""Intensity histogram of one discretised region (IBSI ZVCW) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

import numpy as np

from radiocard.features.intensity import Values, moments_and_ranks
from radiocard.preprocessing.discretise import GreyLevels
from radiocard.specs import Convention


def intensity_histogram(grey: GreyLevels, *, convention: Convention) -> Values:
    """Compute the 23 intensity histogram features of one region.

    Parameters
    ----------
    grey : GreyLevels
        Discretised grey values, n >= 1 voxels.
    convention : {'ibsi', 'pyradiomics'}
        ``pyradiomics`` adds 3 to the kurtosis; all else is equal.

    Returns
    -------
    dict of str to float or None
        Tag (``ih_entropy``) to value; entropy in bit, gradients in voxels per grey level, the
        others in grey levels. None where undefined: skewness and kurtosis of one grey level,
        gradients of a histogram with one bin.

    Examples
    --------
    >>> grey = GreyLevels(np.array([1, 1, 2, 2]), 2)
    >>> intensity_histogram(grey, convention="ibsi")["ih_entropy"]
    1.0
    """
    counts = np.bincount(grey.levels, minlength=grey.n_levels + 1)[1:]
    ordered = np.repeat(np.arange(1.0, counts.size + 1), counts)
    out = moments_and_ranks(ordered, convention=convention)
    p = counts[counts > 0] / grey.levels.size
    modes = np.flatnonzero(counts == counts.max()) + 1
    out["mode"] = float(modes[np.argmin(np.abs(modes - (out["mean"] or 0.0)))])
    out["entropy"] = float(-np.sum(p * np.log2(p))) + 0.0
    out["uniformity"] = float(np.sum(p * p))
    out |= dict.fromkeys(("max_grad", "max_grad_g", "min_grad", "min_grad_g"))
    if counts.size > 1:
        gradient = np.empty(counts.size)
        gradient[1:-1] = (counts[2:] - counts[:-2]) / 2
        gradient[0], gradient[-1] = counts[1] - counts[0], counts[-1] - counts[-2]
        out["max_grad"], out["max_grad_g"] = float(gradient.max()), float(np.argmax(gradient) + 1)
        out["min_grad"], out["min_grad_g"] = float(gradient.min()), float(np.argmin(gradient) + 1)
    return {f"ih_{name}": value for name, value in out.items()}
