"""Changes to grey values with the masks as they are: noise, shuffled voxels, regions filled with noise."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import MaskError, UsageError
from radiocard.image import Image, LabelMap

BoolArray = NDArray[np.bool_]


def add_noise(image: Image, region: BoolArray, *, snr: float, rng: np.random.Generator) -> Image:
    """Add Gaussian noise of a stated signal-to-noise ratio [1]_.

    Parameters
    ----------
    image : Image
    region : ndarray of bool, shape (ni, nj, nk)
        Whose mean is the signal.
    snr : float
        Mean of the region divided by the standard deviation of the noise; above 3, so that the noise
        of a magnitude image is Gaussian.
    rng : Generator

    Returns
    -------
    Image
        Of float.

    Raises
    ------
    UsageError
        If the ratio is below 3.
    MaskError
        If the region is empty.

    References
    ----------
    .. [1] Gudbjartsson and Patz, Magn Reson Med 34 (1995) 910, doi:10.1002/mrm.1910340618
    """
    if not snr >= 3:
        msg = f"The signal-to-noise ratio is {snr:g}, expected at least 3."
        raise UsageError(msg)
    if not region.any():
        msg = "The region of the signal has no voxel."
        raise MaskError(msg)
    sd = abs(float(image.array[region].mean())) / snr
    return replace(image, array=image.array + rng.normal(0.0, sd, image.array.shape))


def shuffle_regions(image: Image, mask: LabelMap, *, rng: np.random.Generator) -> Image:
    """Shuffle the grey values of each region among its voxels: its histogram stays, its texture goes.

    Parameters
    ----------
    image : Image
    mask : LabelMap
        On the grid of the image.
    rng : Generator

    Returns
    -------
    Image
    """
    values = image.array.copy()
    for name in sorted(mask.labels):
        inside = mask.array == mask.labels[name]
        values[inside] = rng.permutation(values[inside])
    return replace(image, array=values)


def fill_regions(image: Image, mask: LabelMap, *, mean: float, sd: float, rng: np.random.Generator) -> Image:
    """Fill every region with white Gaussian noise: what is left of a patient is size and shape.

    Parameters
    ----------
    image : Image
    mask : LabelMap
        On the grid of the image.
    mean, sd : float
        Of the noise, in the unit of the image; the same for all patients.
    rng : Generator

    Returns
    -------
    Image
        Of float.
    """
    inside = np.isin(mask.array, list(mask.labels.values()))
    values = image.array.astype(float)
    values[inside] = rng.normal(mean, sd, int(inside.sum()))
    return replace(image, array=values)


def patient_rng(patient_id: str, *purpose: str) -> np.random.Generator:
    """Return random numbers that depend on a patient's identifier and a purpose, and on nothing else."""
    digest = hashlib.sha256("\0".join((patient_id, *purpose)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
