"""How far one column moved: the population stability index, and values outside the training range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

FloatArray = NDArray[np.floating[Any]]

BINS, PER_BIN = 10, 5


def stability_index(training: ArrayLike, incoming: ArrayLike) -> float:
    """Compute the population stability index of counts in the same bins.

    Sum over the bins of (share of incoming - share of training) times the log of their quotient; a count
    of zero is taken as half a patient.

    Parameters
    ----------
    training, incoming : array_like of float, shape (bins,)
        Counts.

    Examples
    --------
    >>> round(stability_index([50, 50], [80, 20]), 4)
    0.4159
    """
    shares = []
    for counts in (training, incoming):
        c = np.asarray(counts, dtype=float)
        c = np.where(c == 0, 0.5, c)
        shares.append(c / c.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def range_p_value(outside: int, *, n_training: int, n_incoming: int) -> float:
    """Return the chance of so many values or more outside the training range, where nothing changed.

    Exact for continuous values: all orders of the pooled values are alike, and k lie outside in
    ``(k + 1) C(n + m - k - 2, n - 2)`` of the ``C(n + m, n)`` orders.

    Parameters
    ----------
    outside : int
        Incoming values below the least or above the greatest training value.
    n_training, n_incoming : int
        Values; at least 2 in training.

    Examples
    --------
    >>> round(range_p_value(1, n_training=2, n_incoming=1), 4)
    0.6667
    """
    n, m = n_training, n_incoming
    k = np.arange(outside, m + 1, dtype=float)
    log_ways = np.log(k + 1) + _log_choose(n + m - k - 2, n - 2) - _log_choose(n + m, n)
    return min(1.0, float(np.exp(log_ways).sum()))


def binned(training: FloatArray, incoming: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count values in bins of training quantiles: at most 10, and about 5 values of the smaller side in each.

    Parameters
    ----------
    training, incoming : ndarray of float, shape (n,)
        Defined values.

    Returns
    -------
    training, incoming : ndarray of float, shape (bins,)
        Counts; one bin where the training values do not vary.
    """
    n_bins = int(np.clip(min(training.size, incoming.size) // PER_BIN, 2, BINS))
    cuts = np.unique(np.quantile(training, np.arange(1, n_bins) / n_bins))
    places = [np.searchsorted(cuts, v, side="left") for v in (training, incoming)]
    counts = [np.bincount(p, minlength=cuts.size + 1).astype(float) for p in places]
    used = (counts[0] + counts[1]) > 0
    return counts[0][used], counts[1][used]


def _log_choose(n: Any, k: Any) -> Any:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
