"""Cine images of a simulated heart: balanced steady-state contrast, partial volume, bias field, Rician noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, maximum_filter1d

from radiocard.simulate.chest import field, soft
from radiocard.simulate.grid import ANGLE_STEPS, Float32, Grid, Window, angle_table
from radiocard.simulate.heart import Float, HeartParameters, PhaseShape, rv_profile, scar_map

_DEGREES = np.arange(ANGLE_STEPS) * 360.0 / ANGLE_STEPS
_EDGE_MM = 0.6
_PLANES = (-0.4, -0.2, 0.0, 0.2, 0.4)


@dataclass(frozen=True)
class Site:
    """One scanner.

    Parameters
    ----------
    name, vendor : str
        Labels of the clinical table.
    field_strength_t : float
        Field strength [T].
    size : int
        Pixels per row.
    pixel_mm, slice_mm, thickness_mm : float
        In-plane spacing, distance between slices, slice thickness [mm].
    gain, noise, bias, sharpness_mm : float
        Grey value of blood, noise relative to blood, strength of the bias field, in-plane blur [mm].
    apex_first : bool
        Whether slices are stored from the apex to the base.
    """

    name: str
    vendor: str
    field_strength_t: float
    size: int
    pixel_mm: float
    slice_mm: float
    thickness_mm: float
    gain: float
    noise: float
    bias: float
    sharpness_mm: float
    apex_first: bool


SITES = (
    Site("A", "Vendor 1", 1.5, 160, 1.37, 8.0, 8.0, 260.0, 0.022, 0.20, 0.75, False),
    Site("B", "Vendor 2", 1.5, 144, 1.56, 10.0, 8.0, 520.0, 0.038, 0.12, 0.95, False),
    Site("C", "Vendor 3", 3.0, 176, 1.25, 9.0, 8.0, 900.0, 0.030, 0.34, 0.70, True),
)


@dataclass(frozen=True)
class Tissue:
    """Signals of one patient relative to blood, drawn independently of the group."""

    myocardium: float
    fat: float
    fat_mm: float
    right_blood: float
    atrium_mm: float


def paint_heart(
    chest: Float32,
    shape: PhaseShape,
    parameters: HeartParameters,
    tissue: Tissue,
    site: Site,
    grid: Grid,
    window: Window,
    rng: np.random.Generator,
) -> Float32:
    """Paint one phase of the heart into its surroundings.

    Five planes within the slice thickness are averaged (through-plane partial volume); edges are
    soft by the in-plane blur of the site.

    Returns
    -------
    ndarray, shape (n_slices, size, size)
        Signal relative to blood, indexed k, i, j.
    """
    around = chest[window.where]
    heart = np.zeros_like(around)
    patches = _patches(len(grid.levels_mm), rng)
    for offset in _PLANES:
        levels = grid.levels_mm + offset * site.thickness_mm
        curves = _curves(shape, levels, tissue)
        curves["muscle"] = _muscle(shape, levels, parameters, tissue, patches)
        for k in range(len(levels)):
            plane = {name: curve[k].astype(np.float32) for name, curve in curves.items()}
            heart[k] += _slice(around[k], plane, tissue, window.radius_mm[k], window.angle[k])
    heart *= (1 + 0.03 * field(rng, heart.shape, 1.0) + 0.03 * field(rng, heart.shape, 4.0)) / len(_PLANES)
    out = chest.copy()
    out[window.where] = heart
    blur = site.sharpness_mm / site.pixel_mm
    return gaussian_filter(out, (0, blur, blur), truncate=3)


def scan(signal: Float32, site: Site, bias: Float32, rng: np.random.Generator) -> NDArray[np.int16]:
    """Turn signal into grey values: gain, bias field, Rician noise, whole numbers.

    Returns
    -------
    ndarray of int16, shape (size, size, n_slices)
        Grey values, indexed i, j, k.
    """
    noise = site.noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    values = site.gain * np.sqrt((signal * bias + noise[0]) ** 2 + noise[1] ** 2)
    return np.ascontiguousarray(np.rint(np.clip(values, 0, 32000)).astype(np.int16).transpose(1, 2, 0))


def bias_field(site: Site, grid: Grid, rng: np.random.Generator) -> Float32:
    """Return a smooth receive field around 1, brightest towards the chest wall, shape (n_slices, size, size)."""
    right, up = grid.in_plane()
    a, b, c = (rng.normal((-1.0, 0.3, 0.0), 0.25) * site.bias / 100).astype(np.float32)
    return np.exp(a * right + b * up + c / 100 * right * up)


def _curves(shape: PhaseShape, levels: Float, tissue: Tissue) -> dict[str, Float]:
    """Return the outlines at the levels, each of shape (n, ANGLE_STEPS) [mm]; atria continue above the valve plane."""
    endo, epi = map(angle_table, shape.rings(np.clip(levels, shape.base_mm + 0.01, None)))
    past = np.clip(shape.base_mm - levels, 0, None)[:, None]
    blend = np.clip(past / 10, 0, 1)
    atrium = (1 - blend) * (epi - 3.0) + blend * tissue.atrium_mm
    endo, epi = np.where(past > 0, atrium, endo), np.where(past > 0, atrium + 2.0, epi)
    reach = shape.rv_reach(np.clip(levels, shape.rv_base_mm, None), _DEGREES)
    beyond = np.clip(shape.rv_base_mm - levels, 0, None)[:, None]
    reach = reach + np.clip(beyond / 20, 0, 1) * (tissue.atrium_mm * rv_profile(_DEGREES) - reach)
    outer = epi + reach
    near = maximum_filter1d(reach, 13, axis=1, mode="wrap") > 0.5
    wall = np.where(near, maximum_filter1d(outer + 3.0 * (reach > 0.5), 13, axis=1, mode="wrap"), epi)
    fat = np.maximum(gaussian_filter1d(wall, 30, axis=1, mode="wrap", truncate=3), wall)
    fat = fat + tissue.fat_mm * (wall > 0) * (0.15 + 0.85 * np.cos(np.deg2rad(_DEGREES - 190) / 2) ** 2)
    return {"endo": endo, "epi": epi, "blood": outer * (reach > 0.5), "wall": wall, "fat": fat}


def _patches(n: int, rng: np.random.Generator) -> Float:
    """Return random transmural patches of unit variance and some 10 degrees, shape (n, ANGLE_STEPS)."""
    smooth = gaussian_filter1d(rng.standard_normal((n, ANGLE_STEPS // 8)), 1.8, mode="wrap")
    return np.repeat(smooth / smooth.std(), 8, axis=1)


def _muscle(shape: PhaseShape, levels: Float, p: HeartParameters, tissue: Tissue, patches: Float) -> Float:
    """Return the myocardial signal over the angle: brighter and patchier where infarcted, patchier where thickened."""
    level = (levels - shape.base_mm) / (shape.tip_mm - shape.base_mm)
    territory, bulge = scar_map(p, level, _DEGREES)
    scar, hyper = p.thinning * territory, np.tanh(p.septal_excess) * bulge
    return tissue.myocardium * (1 + 0.15 * scar + (0.02 + 0.20 * scar + 0.05 * hyper) * patches)


def _slice(chest: Float32, c: dict[str, Float32], tissue: Tissue, radius: Float32, angle: NDArray[np.intp]) -> Float32:
    if not c["fat"].any():
        return chest
    box = np.flatnonzero(radius.ravel() < c["fat"].max() + 1)
    r, a = radius.ravel()[box], angle.ravel()[box]
    v = chest.ravel()[box]
    v += soft(c["fat"][a] - r, _EDGE_MM) * (tissue.fat - v)
    v += soft(c["wall"][a] - r, _EDGE_MM) * (tissue.myocardium - v)
    v += soft(c["blood"][a] - r, _EDGE_MM) * (tissue.right_blood - v)
    v += soft(c["epi"][a] - r, _EDGE_MM) * (c["muscle"][a] - v)
    v += soft(c["endo"][a] - r, _EDGE_MM) * (1 - v)
    out = chest.copy()
    out.ravel()[box] = v
    return out
