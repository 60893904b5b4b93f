"""Intensity normalisation: what makes grey values without a unit comparable between scanners."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import IntensityError, MaskError
from radiocard.specs import Convention, Normalisation


def normalise(
    array: NDArray[Any],
    labelled: NDArray[np.bool_],
    *,
    settings: Normalisation,
    convention: Convention = "ibsi",
) -> NDArray[np.float64]:
    """Normalise the grey values of one image.

    Parameters
    ----------
    array : ndarray, shape (ni, nj, nk)
        Grey values.
    labelled : ndarray of bool, shape (ni, nj, nk)
        Union of all labelled regions.
    settings : Normalisation
        Method, the voxels whose mean and standard deviation are used, the number of standard
        deviations at which values are clipped, and the scale that they are multiplied by.
    convention : {'ibsi', 'pyradiomics'}
        PyRadiomics divides the squares of a whole image by the number of voxels less one.

    Returns
    -------
    ndarray of float, shape (ni, nj, nk)
        ``zscore``: (value - mean) / standard deviation, without a unit; the standard deviation
        divides by the number of voxels, but for PyRadiomics' own normalisation (``within:
        image``). If these voxels have one grey value only, the mean is subtracted and nothing
        is divided. ``none``: the values as they are.

    Raises
    ------
    MaskError
        If ``labelled`` is used and holds no voxel (``E_EMPTY_ROI``).
    IntensityError
        If a voxel that is used is NaN or infinite (``E_NONFINITE``).

    Examples
    --------
    >>> image = np.array([[[1.0, 3.0, 100.0]]])
    >>> labelled = np.array([[[True, True, False]]])
    >>> normalise(image, labelled, settings=Normalisation(method="zscore", within="labelled")).tolist()
    [[[-1.0, 1.0, 98.0]]]
    """
    values = np.asarray(array, dtype=np.float64)
    if settings.method == "none":
        return values
    used = values[labelled] if settings.within == "labelled" else values
    if used.size == 0:
        msg = "No voxel is labelled, so there is nothing to normalise the grey values by."
        raise MaskError(msg, hint="Check the label numbers and that the regions were drawn.")
    require_finite(used, where=f"the voxels used for normalisation ({settings.within})")
    sample = convention == "pyradiomics" and settings.within == "image" and used.size > 1
    sd = float(used.std(ddof=int(sample))) if np.ptp(used) > 0 else 0.0
    out = values - float(used.mean())
    if sd > 0:
        out /= sd
    if settings.outliers_sd is not None:
        np.clip(out, -settings.outliers_sd, settings.outliers_sd, out=out)
    if settings.scale != 1:
        out *= settings.scale
    return out


def require_finite(values: NDArray[Any], *, where: str) -> None:
    """Refuse grey values that are NaN or infinite.

    Parameters
    ----------
    values : ndarray
        Grey values of any shape.
    where : str
        What they belong to, for the message.

    Raises
    ------
    IntensityError
        If any value is NaN or infinite (``E_NONFINITE``), with the count.
    """
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        msg = f"{bad} of {values.size} voxels are NaN or infinite in {where}, expected none."
        raise IntensityError(msg, hint="Check the export and the rescaling of this image.")
