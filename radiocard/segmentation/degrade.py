"""Images made worse as scanners and patients make them, to see what a network does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from radiocard.errors import UsageError
from radiocard.image import Image

Plane = NDArray[np.float64]
_MOTION_GROUPS = 9  # odd: the middle one lies around the centre of k-space


def degrade(image: Image, *, family: str, severity: float, random_state: int) -> Image:
    """Make an image worse.

    Parameters
    ----------
    image : Image
        Slice axis last.
    family : str
        One of :data:`FAMILIES`: ``noise`` (Rician), ``blur``, ``bias`` (of the receiver coils), ``motion``
        (lines of k-space from a displaced heart), ``ghosts`` (every other line is weaker), ``coarse``
        (fewer pixels), ``contrast`` (blood and muscle come closer).
    severity : float
        From 0, nothing, to 1, hardly of use.
    random_state : int
        Seed.

    Returns
    -------
    Image
        Same grid, float.

    Raises
    ------
    UsageError
        If the family is not known or the severity is not from 0 to 1.
    """
    if family not in FAMILIES:
        msg = f"The degradation {family!r} is not known; expected one of {', '.join(FAMILIES)}."
        raise UsageError(msg)
    if not 0 <= severity <= 1:
        msg = f"The severity is {severity}, expected 0 to 1."
        raise UsageError(msg)
    if severity == 0:
        return image
    rng = np.random.default_rng(random_state)
    values = np.asarray(image.array, dtype=np.float64)
    scale = float(np.percentile(values, 99)) or 1.0
    change = FAMILIES[family]
    planes = [change(values[:, :, k] / scale, severity, rng) * scale for k in range(values.shape[2])]
    return replace(image, array=np.stack(planes, axis=2))


def _noise(plane: Plane, severity: float, rng: np.random.Generator) -> Plane:
    real, imaginary = rng.normal(0, 0.5 * severity, (2, *plane.shape))
    return np.hypot(plane + real, imaginary)


def _blur(plane: Plane, severity: float, _: np.random.Generator) -> Plane:
    return np.asarray(gaussian_filter(plane, 6 * severity))


def _bias(plane: Plane, severity: float, rng: np.random.Generator) -> Plane:
    i, j = (np.linspace(-1, 1, n) for n in plane.shape)
    a, b, c = rng.normal(0, 1, 3) / np.sqrt(3)
    field = a * i[:, None] + b * j[None, :] + c * i[:, None] * j[None, :]
    return plane * np.exp(4 * severity * field)


def _motion(plane: Plane, severity: float, rng: np.random.Generator) -> Plane:
    """Move the heart between groups of lines; it stays in place for the centre of k-space, where a reader sees it."""
    frequency = [np.fft.fftfreq(size) for size in plane.shape]
    k_space = np.fft.fft2(plane)
    groups = np.array_split(np.fft.fftshift(np.arange(plane.shape[0])), _MOTION_GROUPS)
    shifts = rng.normal(0, 6 * severity, (_MOTION_GROUPS, 2))
    shifts[_MOTION_GROUPS // 2] = 0
    for lines, shift in zip(groups, shifts, strict=True):
        phase = np.exp(-2j * np.pi * (frequency[0][lines, None] * shift[0] + frequency[1][None, :] * shift[1]))
        k_space[lines] *= phase
    return np.abs(np.fft.ifft2(k_space))


def _ghosts(plane: Plane, severity: float, _: np.random.Generator) -> Plane:
    k_space = np.fft.fft2(plane)
    k_space[1::2] *= 1 - 0.9 * severity
    return np.abs(np.fft.ifft2(k_space))


def _coarse(plane: Plane, severity: float, _: np.random.Generator) -> Plane:
    factor = 1 / (1 + 7 * severity)
    small = zoom(plane, factor, order=1)
    back = [n / m for n, m in zip(plane.shape, small.shape, strict=True)]
    return np.asarray(zoom(small, back, order=0))


def _contrast(plane: Plane, severity: float, _: np.random.Generator) -> Plane:
    return np.asarray(np.clip(plane, 0, None) ** (1 - 0.9 * severity))


FAMILIES: Mapping[str, Callable[[Plane, float, np.random.Generator], Plane]] = MappingProxyType(
    {
        "noise": _noise,
        "blur": _blur,
        "bias": _bias,
        "motion": _motion,
        "ghosts": _ghosts,
        "coarse": _coarse,
        "contrast": _contrast,
    }
)
