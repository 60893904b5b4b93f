"""Gabor filter of IBSI-2 (Q88H): modulus of the response to a complex wave in a Gaussian window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radiocard.preprocessing.filters.rotations import pool
from radiocard.preprocessing.filters.window import Box, Floats, Respond, Shape, window
from radiocard.specs.filters import GaborFilter

_TRUNCATE = 7.0  # standard deviations; what is cut off is below 1e-10 of the peak
_PLANES = ((0, 1), (0, 2), (1, 2))


def gabor_response(respond: Respond, shape: Shape, spacing: Sequence[float], settings: GaborFilter) -> Respond:
    """Return the modulus of the Gabor response, pooled over orientations and averaged over planes.

    Parameters
    ----------
    respond : callable
        The image.
    shape : tuple of int
        Its shape.
    spacing : sequence of float
        Voxel spacing along ``i, j, k`` [mm].
    settings : GaborFilter
        Scale and wavelength [mm], aspect ratio, orientation [degree] from the first axis of a
        plane towards the second.

    Returns
    -------
    callable
    """
    planes = _PLANES if settings.orthogonal_planes else _PLANES[:1]

    def respond_gabor(box: Box) -> Floats:
        return pool((_in_plane(respond, shape, box, axes, spacing, settings) for axes in planes), "average")

    return respond_gabor


def gabor_kernel(
    steps: tuple[float, float], radius: tuple[int, int], theta_deg: float, settings: GaborFilter
) -> NDArray[np.complex128]:
    """Sample a Gabor kernel in one plane.

    Parameters
    ----------
    steps : tuple of float
        Voxel spacing along the two axes [mm].
    radius : tuple of int
        Voxels on either side of the centre.
    theta_deg : float
        Direction of the wave, from the first axis towards the second [degree].
    settings : GaborFilter
        Scale, wavelength, aspect ratio.

    Returns
    -------
    ndarray of complex, shape (2 * radius[0] + 1, 2 * radius[1] + 1)
        1 at the centre.
    """
    x, y = np.meshgrid(*(np.arange(-r, r + 1) * step for r, step in zip(radius, steps, strict=True)), indexing="ij")
    theta = np.deg2rad(theta_deg)
    along, across = x * np.cos(theta) + y * np.sin(theta), y * np.cos(theta) - x * np.sin(theta)
    envelope = np.exp(-(along**2 + settings.gamma**2 * across**2) / (2 * settings.sigma_mm**2))
    return np.asarray(envelope * np.exp(2j * np.pi * along / settings.wavelength_mm))


def _orientations(settings: GaborFilter) -> list[float]:
    """Return the orientations to pool; opposite ones have the same modulus."""
    if not settings.rotation_invariant:
        return [settings.theta_deg]
    n = round(360 / settings.theta_deg)
    return [at * settings.theta_deg for at in range(n // 2 if n % 2 == 0 else n)]


def _in_plane(
    respond: Respond, shape: Shape, box: Box, axes: tuple[int, int], spacing: Sequence[float], settings: GaborFilter
) -> Floats:
    reach = _TRUNCATE * settings.sigma_mm * max(1.0, 1 / settings.gamma)
    steps = spacing[axes[0]], spacing[axes[1]]
    radius = int(np.ceil(reach / steps[0])), int(np.ceil(reach / steps[1]))
    margins = [(0, 0)] * 3
    margins[axes[0]], margins[axes[1]] = (radius[0], radius[0]), (radius[1], radius[1])
    block = np.moveaxis(window(respond, shape, box, margins, settings.boundary), axes, (1, 2))
    size = block.shape[1:]
    spectrum = np.fft.fft2(block)

    def modulus(theta_deg: float) -> Floats:
        kernel = np.fft.fft2(gabor_kernel(steps, radius, theta_deg, settings), s=size)
        full = np.fft.ifft2(spectrum * kernel)
        return np.abs(full[:, 2 * radius[0] :, 2 * radius[1] :])

    pooled = pool((modulus(theta) for theta in _orientations(settings)), settings.pooling)
    return np.ascontiguousarray(np.moveaxis(pooled, (1, 2), axes))
