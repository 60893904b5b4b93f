"""Intensity histogram of one discretised region (IBSI ZVCW) [1]_.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.features.intensity import Values, moments_and_ranks
from radiocard.preprocessing.discretise import GreyLevels
from radiocard.specs import Convention

_OF_SHARES = frozenset({"ih_entropy", "ih_uniformity"})


def intensity_histogram(grey: GreyLevels, *, convention: Convention, wanted: frozenset[str] | None = None) -> Values:
    """Compute the 23 intensity histogram features of one region.

    Parameters
    ----------
    grey : GreyLevels
        Discretised grey values, n >= 1 voxels.
    convention : {'ibsi', 'pyradiomics'}
        ``pyradiomics`` adds 3 to the kurtosis; all else is equal.
    wanted : frozenset of str, optional
        Tags to compute; where only entropy and uniformity are among them, only they are. All
        without it.

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
    p = counts[counts > 0] / grey.levels.size
    shares: Values = {"ih_entropy": float(-np.sum(p * np.log2(p))) + 0.0, "ih_uniformity": float(np.sum(p * p))}
    if wanted is not None and _only_shares(wanted):
        return shares
    ordered = np.repeat(np.arange(1.0, counts.size + 1), counts)
    out = {f"ih_{name}": value for name, value in moments_and_ranks(ordered, convention=convention).items()}
    modes = np.flatnonzero(counts == counts.max()) + 1
    out["ih_mode"] = float(modes[np.argmin(np.abs(modes - (out["ih_mean"] or 0.0)))])
    return out | shares | _gradients(counts)


@lru_cache(maxsize=8)
def _only_shares(wanted: frozenset[str]) -> bool:
    return {tag for tag in wanted if tag.startswith("ih_")} <= _OF_SHARES


def _gradients(counts: NDArray[np.integer[Any]]) -> Values:
    out: Values = dict.fromkeys(("ih_max_grad", "ih_max_grad_g", "ih_min_grad", "ih_min_grad_g"))
    if counts.size > 1:
        gradient = np.empty(counts.size)
        gradient[1:-1] = (counts[2:] - counts[:-2]) / 2
        gradient[0], gradient[-1] = counts[1] - counts[0], counts[-1] - counts[-2]
        out["ih_max_grad"], out["ih_max_grad_g"] = float(gradient.max()), float(np.argmax(gradient) + 1)
        out["ih_min_grad"], out["ih_min_grad_g"] = float(gradient.min()), float(np.argmin(gradient) + 1)
    return out
