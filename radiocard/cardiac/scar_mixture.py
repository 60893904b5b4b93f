"""Scar as the brighter of two normal distributions of grey values in late gadolinium images.

Two components fit anything better than one. The threshold is therefore None where the BIC [1]_ does not
show two kinds of tissue, or none of them is hyperenhanced. Measures of bimodality that expect two alike
spreads would miss small scars: they and their border spread wider than remote myocardium. No random
numbers are drawn.

References
----------
.. [1] Kass and Raftery, J Am Stat Assoc 90 (1995) 773, doi:10.1080/01621459.1995.10476572
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radiocard.cardiac.scar_methods import MIN_VOXELS, otsu_split
from radiocard.image import FloatArray

VERY_STRONG_BIC = 10.0  # difference that is very strong evidence [1]
MIN_VARIANCE = 1e-6  # of the total variance; a component must not shrink onto one value
CONVERGED = 1e-8  # change of the mean log-likelihood: of no weight beside a BIC difference of 10
MAX_ITERATIONS = 1000


@dataclass(frozen=True, slots=True)
class Mixture:
    """Two normal distributions fitted to grey values; the first has the lower mean.

    Parameters
    ----------
    weights, means, sds : tuple of float
        One per component.
    bic_gain : float
        BIC of one normal distribution less BIC of two; positive where two describe the values better.
    """

    weights: tuple[float, float]
    means: tuple[float, float]
    sds: tuple[float, float]
    bic_gain: float


def gmm_threshold(values: FloatArray, *, hyperenhanced_from: float) -> float | None:
    """Return where two normal distributions are equally likely, if there are two of them.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Grey values of the myocardium.
    hyperenhanced_from : float
        Grey value above which myocardium is hyperenhanced, for example by n-SD.

    Returns
    -------
    float or None
        Threshold between the two means; None, that is, no scar, where the BIC does not favour
        two components over one by more than 10, or the brighter one's mean is not hyperenhanced, or
        one component is more likely all the way between the means.
    """
    mixture = fit_mixture(values)
    if mixture is None or mixture.bic_gain <= VERY_STRONG_BIC or mixture.means[1] <= hyperenhanced_from:
        return None
    weights, means, sds = (np.array(v) for v in (mixture.weights, mixture.means, mixture.sds))

    def brighter(value: float) -> float:
        scores = np.log(weights / sds) - ((value - means) / sds) ** 2 / 2.0
        return float(scores[1] - scores[0])

    if brighter(mixture.means[0]) >= 0 or brighter(mixture.means[1]) <= 0:
        return None
    from scipy.optimize import brentq  # a third of a second, which only a mixture needs

    return float(brentq(brighter, *mixture.means, xtol=1e-12 * (mixture.means[1] - mixture.means[0])))


def fit_mixture(values: FloatArray) -> Mixture | None:
    """Fit two normal distributions by expectation maximisation.

    It is started twice, from Otsu's classes (two means) and from the inner and the outer half of the
    values (one mean, two spreads); the more likely end counts.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Grey values of the myocardium.

    Returns
    -------
    Mixture or None
        None for fewer than ten voxels or a single grey value.
    """
    x = np.sort(values.astype(float))
    if x.size < MIN_VOXELS or x[0] == x[-1]:
        return None
    floor = MIN_VARIANCE * x.var() + np.diff(np.unique(x)).min() ** 2 / 12.0  # and the width of a grey level
    off_centre = np.abs(x - np.median(x))
    starts = (x > otsu_split(x), off_centre > np.median(off_centre))
    ends = [_maximise(x, start.astype(float), floor) for start in starts if start.any()]
    likelihood, weights, means, sds = max(ends, key=lambda end: end[0])
    one = float(_log_normal(x, np.array(x.mean()), np.array(max(x.var(), floor))).sum())
    gain = 2.0 * (likelihood - one) - 3.0 * float(np.log(x.size))
    low, high = np.argsort(means, kind="stable").tolist()
    return Mixture(
        (float(weights[low]), float(weights[high])),
        (float(means[low]), float(means[high])),
        (float(sds[low]), float(sds[high])),
        gain,
    )


def _maximise(x: FloatArray, second: FloatArray, floor: float) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """Return log-likelihood, weights, means and standard deviations, from first guesses of the second share."""
    share = np.stack([1.0 - second, second])
    before = -np.inf
    for _ in range(MAX_ITERATIONS):
        weights = share.mean(axis=1)
        means = share @ x / share.sum(axis=1)
        variances = np.maximum((share * (x - means[:, None]) ** 2).sum(axis=1) / share.sum(axis=1), floor)
        log_density = np.log(weights)[:, None] + _log_normal(x, means[:, None], variances[:, None])
        log_total = np.logaddexp(log_density[0], log_density[1])
        share = np.exp(log_density - log_total)
        now = float(log_total.mean())
        if now - before < CONVERGED or not share.sum(axis=1).all():
            break
        before = now
    return float(log_total.sum()), weights, means, np.sqrt(variances)


def _log_normal(x: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    return np.asarray(-0.5 * (np.log(2.0 * np.pi * variance) + (x - mean) ** 2 / variance))
