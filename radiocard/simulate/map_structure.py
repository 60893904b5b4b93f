"""Texture of a simulated T1, ECV and T2 map: planted structure within the wall.

Native T1 of the wall is the patient's mean plus three parts, and their sum has mean zero over the myocardium:

grain
    A random field of unit variance, smooth over 2.2 mm, times ``grain_ms``.
gradient
    Falls linearly from the endocardium to the epicardium by ``gradient_ms``.
focal
    A pattern from 0 to 1 times ``focal_ms``; see :func:`focal_pattern`.

ECV rises by 0.04 % and T2 by 0.06 ms per ms of T1; the grain of T2 is a field of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.simulate.chest import field
from radiocard.simulate.heart import Float
from radiocard.simulate.layers import WallPoints
from radiocard.simulate.map_classes import Pattern

GRAIN_MM, PATCH_MM = 2.2, 4.0
ECV_PER_MS, T2_PER_MS = 0.04, 0.06
T2_GRAIN_MS = 1.5


class WallValues(NamedTuple):
    """True values of the wall, without noise; arrays of shape (n_slices, ni, nj)."""

    t1_ms: Float
    ecv_pct: Float
    t2_ms: Float


def wall_values(
    wall: WallPoints,
    inside: NDArray[np.bool_],
    latents: dict[str, float],
    pattern: Pattern,
    *,
    pixel_mm: float,
    rng: np.random.Generator,
) -> WallValues:
    """Return T1, ECV and T2 of every point of the wall.

    Parameters
    ----------
    wall : WallPoints
        Voxel centres, arrays of shape (n_slices, ni, nj).
    inside : ndarray of bool, same shape
        Myocardium, over which the means are those of the patient.
    latents : dict of str to float
        See :class:`radiocard.simulate.map_classes.MapClass`.
    pattern : str
        Where the focal pattern lies.
    pixel_mm : float
        In-plane spacing.
    rng : numpy.random.Generator
        Individual texture.

    Returns
    -------
    WallValues
    """
    shape = inside.shape
    grain = field(rng, shape, GRAIN_MM / pixel_mm).astype(np.float64)
    patches = field(rng, shape, PATCH_MM / pixel_mm).astype(np.float64)
    own = field(rng, shape, GRAIN_MM / pixel_mm).astype(np.float64)
    shift_deg = float(rng.normal(0, 8))
    focal = latents["focal_ms"] * focal_pattern(pattern, wall, patches, shift_deg=shift_deg)
    gradient = latents["gradient_ms"] * (0.5 - np.clip(wall.depth, 0, 1))
    change = _centred(latents["grain_ms"] * grain + gradient + focal, inside)
    ecv = np.clip(latents["ecv_pct"] + ECV_PER_MS * change, 5.0, 95.0)
    t2 = latents["t2_ms"] + T2_PER_MS * _centred(focal, inside) + _centred(T2_GRAIN_MS * own, inside)
    return WallValues(latents["t1_ms"] + change, ecv, t2)


def focal_pattern(pattern: Pattern, wall: WallPoints, patches: Float, *, shift_deg: float) -> Float:
    """Return a focal pattern, 0 to 1, over the wall.

    Parameters
    ----------
    pattern : {'insertion', 'septal-patches', 'subendocardial', 'septal-stripe', 'subepicardial'}
        Right ventricular insertions (normal, hypertensive); patches in the septum and at the insertions
        (hypertrophic cardiomyopathy); the inner third all around, more so at the base (amyloidosis); the middle of
        the septal wall (dilated cardiomyopathy); patches in the outer half of the inferolateral wall (myocarditis).
    wall : WallPoints
        Where.
    patches : ndarray, same shape
        A random field of unit variance, where the pattern is patchy.
    shift_deg : float
        Individual rotation of the pattern.

    Returns
    -------
    ndarray of float
        Of the same shape.

    References
    ----------
    .. [1] Mahrholdt et al., Eur Heart J 26 (2005) 1461: patterns of late enhancement.
    """
    depth = np.clip(wall.depth, 0, 1)
    theta = wall.theta_deg - shift_deg
    insertion = np.maximum(_around(theta, 120.0, 10.0), _around(theta, 240.0, 10.0)) * _band(depth, 0.65, 0.3)
    if pattern == "insertion":
        return insertion
    if pattern == "septal-patches":
        patchy = np.clip(0.5 + 0.8 * patches, 0, 1) * _around(theta, 165.0, 35.0) * _band(depth, 0.5, 0.35)
        return np.maximum(patchy, insertion)
    if pattern == "subendocardial":
        return np.exp(-((depth / 0.35) ** 2)) * np.clip(1.1 - 0.6 * np.asarray(wall.level), 0, 1)
    if pattern == "septal-stripe":
        return _around(theta, 180.0, 35.0) * _band(depth, 0.5, 0.18)
    patchy = np.clip(0.6 + 0.6 * patches, 0, 1)
    return patchy * _around(theta, 310.0, 30.0) / (1 + np.exp(-(depth - 0.55) / 0.08))


def _around(theta_deg: Float, centre: float, width: float) -> Float:
    delta = (theta_deg - centre + 180.0) % 360.0 - 180.0
    return np.exp(-0.5 * (delta / width) ** 2)


def _band(depth: Float, centre: float, width: float) -> Float:
    return np.exp(-0.5 * ((depth - centre) / width) ** 2)


def _centred(values: Float, inside: NDArray[np.bool_]) -> Float:
    return values - values[inside].mean()
