"""Grey level thresholds between normal and enhanced myocardium in late gadolinium images.

Each function takes the grey values of a region, in any order, and returns the threshold above
which myocardium is called scar. Otsu's method divides whatever it is given; it therefore returns
None where the grey values do not show two kinds of tissue [1]_, of which one is hyperenhanced.

References
----------
.. [1] Pfister et al., Front Psychol 4 (2013) 700, doi:10.3389/fpsyg.2013.00700
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radiocard.errors import IntensityError, MaskError
from radiocard.image import FloatArray

MIN_VOXELS = 10  # fewer have no standard deviation worth the name
UNIFORM_BIMODALITY = 5.0 / 9.0  # bimodality coefficient of the uniform (and the exponential) distribution [1]


@dataclass(frozen=True, slots=True)
class RemoteTissue:
    """Grey values of normal (remote) myocardium.

    Parameters
    ----------
    mean, sd : float
        Mean and population standard deviation.
    n_voxels : int
        Size of the region.
    """

    mean: float
    sd: float
    n_voxels: int


def remote_tissue(values: FloatArray) -> RemoteTissue:
    """Describe the grey values of a remote region.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Grey values of myocardium that is taken to be normal.

    Returns
    -------
    RemoteTissue

    Raises
    ------
    MaskError
        If the region has fewer than ten voxels (``E_ROI_SIZE``).
    """
    if values.size < MIN_VOXELS:
        msg = f"The remote region has {values.size} voxels, expected at least {MIN_VOXELS}."
        hint = "Draw a larger region of normal myocardium; where each slice has its own threshold, in every slice."
        raise MaskError(msg, code="E_ROI_SIZE", field="remote", hint=hint)
    return RemoteTissue(float(values.mean()), float(values.std()), int(values.size))


def n_sd_threshold(remote: RemoteTissue, *, n_sd: float) -> float:
    """Return the mean of remote myocardium plus a number of its standard deviations [1]_ [2]_.

    Parameters
    ----------
    remote : RemoteTissue
        Normal myocardium.
    n_sd : float
        Number of standard deviations.

    Returns
    -------
    float
        Threshold in grey values of the image.

    References
    ----------
    .. [1] Bondarenko et al., J Cardiovasc Magn Reson 7 (2005) 481
    .. [2] Flett et al., JACC Cardiovasc Imaging 4 (2011) 150, doi:10.1016/j.jcmg.2010.11.015

    Examples
    --------
    >>> n_sd_threshold(RemoteTissue(mean=20.0, sd=4.0, n_voxels=50), n_sd=5.0)
    40.0
    """
    return remote.mean + n_sd * remote.sd


def fwhm_threshold(enhanced: FloatArray) -> float:
    """Return half of the maximum of a hyperenhanced region (full width at half maximum) [1]_.

    The method cannot return "no scar": there is always a maximum. Give it a region that is
    hyperenhanced by another rule, or ask the other rule first.

    Parameters
    ----------
    enhanced : ndarray of float, shape (n,)
        Grey values of the hyperenhanced region, or of the whole myocardium; zero is no signal.

    Returns
    -------
    float
        Threshold in grey values of the image.

    Raises
    ------
    MaskError
        If the region is empty.
    IntensityError
        If its maximum is not positive (``E_NONFINITE``).

    References
    ----------
    .. [1] Amado et al., J Am Coll Cardiol 44 (2004) 2383

    Examples
    --------
    >>> fwhm_threshold(np.array([80.0, 100.0]))
    50.0
    """
    if not enhanced.size:
        msg = "The hyperenhanced region is empty, so it has no maximum."
        raise MaskError(msg, field="hyperenhanced")
    highest = float(enhanced.max())
    if highest <= 0:
        msg = f"The highest grey value is {highest:g}, expected a positive one: half of it means nothing."
        raise IntensityError(msg, field="lge", hint="Use a magnitude image, or n-SD, Otsu or a mixture.")
    return highest / 2.0


def bimodality_coefficient(values: FloatArray) -> float | None:
    """Return Sarle's bimodality coefficient [1]_.

    (skewness^2 + 1) over kurtosis, with the corrections for small samples. 1/3 for a normal,
    5/9 for a uniform and for an exponential distribution, 1 for two values. A skewed
    distribution with one mode can exceed 5/9.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Grey values.

    Returns
    -------
    float or None
        None for fewer than four values or a single grey value.

    References
    ----------
    .. [1] Pfister et al., Front Psychol 4 (2013) 700, doi:10.3389/fpsyg.2013.00700
    """
    n = values.size
    if n < 4 or values.min() == values.max():
        return None
    deviation = values - values.mean()
    second, third, fourth = ((deviation**power).mean() for power in (2, 3, 4))
    skewness = third / second**1.5 * np.sqrt(n * (n - 1.0)) / (n - 2.0)
    excess = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * (fourth / second**2 - 3.0) + 6.0)
    return float((skewness**2 + 1.0) / (excess + 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))))


def otsu_threshold(values: FloatArray, *, hyperenhanced_from: float) -> float | None:
    """Return the threshold of largest between-class variance, if there are two classes [1]_.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Grey values of the myocardium.
    hyperenhanced_from : float
        Grey value above which myocardium is hyperenhanced, for example by n-SD.

    Returns
    -------
    float or None
        Middle between the two neighbouring grey values; None, that is, no scar, where the
        bimodality coefficient does not exceed 5/9, or the mean of the brighter class is not
        hyperenhanced.

    References
    ----------
    .. [1] Otsu, IEEE Trans Syst Man Cybern 9 (1979) 62, doi:10.1109/TSMC.1979.4310076

    Examples
    --------
    >>> values = np.repeat([1.0, 2.0, 8.0, 9.0], 10)
    >>> otsu_threshold(values, hyperenhanced_from=6.0)
    5.0
    >>> otsu_threshold(values, hyperenhanced_from=10.0) is None
    True
    """
    bimodality = bimodality_coefficient(values)
    if bimodality is None or bimodality <= UNIFORM_BIMODALITY:
        return None
    threshold = otsu_split(np.sort(values.astype(float)))
    return threshold if values[values > threshold].mean() > hyperenhanced_from else None


def otsu_split(ordered: FloatArray) -> float:
    """Return Otsu's threshold of ascending values, of which at least two differ, whatever they are.

    Parameters
    ----------
    ordered : ndarray of float, shape (n,)
        Ascending grey values.

    Returns
    -------
    float
        Middle between the two neighbouring grey values.
    """
    n = np.arange(1, ordered.size)
    shifted = ordered - ordered.mean()
    between = np.cumsum(shifted)[:-1] ** 2 / (n * (ordered.size - n))
    between[ordered[1:] == ordered[:-1]] = -1.0
    at = int(between.argmax())
    return float((ordered[at] + ordered[at + 1]) / 2.0)
