"""Raw image series of a slice whose relaxation times are known: MOLLI signal, motion, Rician noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from radiocard.errors import GeometryError, UsageError
from radiocard.simulate.bloch import molli_signal
from radiocard.simulate.schemes import MolliProtocol

Float = NDArray[np.float64]


def simulate_molli_series(
    t1_map_ms: ArrayLike,
    t2_map_ms: ArrayLike,
    pd_map: ArrayLike,
    *,
    protocol: MolliProtocol,
    heart_rate_bpm: float,
    seed: int,
    off_resonance_hz: ArrayLike = 0.0,
    noise: float = 0.0,
    shifts_pixels: ArrayLike | None = None,
) -> tuple[Float, Float]:
    """Simulate the images of a MOLLI series.

    Parameters
    ----------
    t1_map_ms, t2_map_ms : array_like of float, shape (ni, nj)
        Relaxation times [ms]; not read where there is no proton density.
    pd_map : array_like of float, shape (ni, nj)
        Proton density, 0 or more; scales the signal.
    protocol : MolliProtocol
        Scheme, inversion and readout.
    heart_rate_bpm : float
        Regular heart rate [1/min].
    seed : int
        Of the noise.
    off_resonance_hz : array_like of float, shape (ni, nj) or a number
        Off-resonance [Hz].
    noise : float
        Standard deviation of the Rician noise [unit of ``pd_map``].
    shifts_pixels : array_like of float, shape (n, 2), optional
        In-plane displacement of each image, in the order of the inversion times: content moves towards
        higher indices by so many pixels.

    Returns
    -------
    times_ms : ndarray of float, shape (n,)
        Inversion times, rising [ms].
    images : ndarray of float, shape (ni, nj, n)
        Magnitude images.

    Raises
    ------
    GeometryError
        If the maps differ in shape, or there is not one shift per image.
    UsageError
        If proton density or noise is negative, or as :func:`radiocard.simulate.bloch.molli_signal`.
    """
    t1, t2, pd = (np.asarray(m, dtype=float) for m in (t1_map_ms, t2_map_ms, pd_map))
    if t1.ndim != 2 or not t1.shape == t2.shape == pd.shape:
        msg = f"Maps have shapes {t1.shape}, {t2.shape} and {pd.shape}, expected one shape (ni, nj)."
        raise GeometryError(msg)
    if (pd < 0).any():
        msg = f"Proton density is as low as {pd.min()}, expected 0 or more."
        raise UsageError(msg, field="pd_map")
    there = pd > 0
    off = np.broadcast_to(np.asarray(off_resonance_hz, dtype=float), t1.shape)
    times, signal = molli_signal(
        t1[there], t2[there], protocol=protocol, heart_rate_bpm=heart_rate_bpm, off_resonance_hz=off[there]
    )
    images = np.zeros((*t1.shape, times.size))
    images[there] = pd[there, None] * signal
    if shifts_pixels is not None:
        images = shift_images(images, shifts_pixels)
    return times, add_rician_noise(images, noise, rng=np.random.default_rng(seed))


def shift_images(images: Float, shifts_pixels: ArrayLike) -> Float:
    """Move each image of a series within its plane, by linear interpolation.

    Parameters
    ----------
    images : ndarray of float, shape (ni, nj, n)
        Series.
    shifts_pixels : array_like of float, shape (n, 2)
        How far content moves along the first and second axis [pixel].

    Returns
    -------
    ndarray of float, shape (ni, nj, n)
        What comes in from outside repeats the border.

    Raises
    ------
    GeometryError
        If there is not one shift per image.
    """
    shifts = np.asarray(shifts_pixels, dtype=float)
    if shifts.shape != (images.shape[-1], 2):
        msg = f"Shifts have shape {shifts.shape}, expected ({images.shape[-1]}, 2)."
        raise GeometryError(msg, field="shifts_pixels")
    moved = [
        ndimage.shift(images[:, :, n], shift, order=1, mode="nearest", prefilter=False)
        for n, shift in enumerate(shifts)
    ]
    return np.stack(moved, axis=-1)


def add_rician_noise(images: Float, sigma: float, *, rng: np.random.Generator) -> Float:
    """Add Gaussian noise to real and imaginary part and take the magnitude.

    Parameters
    ----------
    images : ndarray of float
        Magnitudes.
    sigma : float
        Standard deviation of each part [unit of the images].
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray of float
        Of the same shape.

    Raises
    ------
    UsageError
        If ``sigma`` is negative.

    References
    ----------
    .. [1] Gudbjartsson and Patz, Magn Reson Med 34 (1995) 910, doi:10.1002/mrm.1910340618
    """
    if sigma < 0:
        msg = f"Noise is {sigma}, expected 0 or more."
        raise UsageError(msg, field="noise")
    real, imaginary = sigma * rng.standard_normal((2, *images.shape))
    return np.hypot(images + real, imaginary)
