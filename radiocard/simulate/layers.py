"""Which tissue fills a pixel of a short-axis stack, and how much of it: partial volume of the phantom's surfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from radiocard.simulate.chest import soft
from radiocard.simulate.grid import ANGLE_STEPS, Float32, Grid, Window, angle_table
from radiocard.simulate.heart import Float, PhaseShape

DEGREES = np.arange(ANGLE_STEPS) * 360.0 / ANGLE_STEPS
RV_WALL_MM = 3.0
_PLANES = (-0.4, -0.2, 0.0, 0.2, 0.4)


@dataclass(frozen=True, eq=False)
class WallPoints:
    """Points of the wall, in the heart's own coordinates; all arrays of one shape.

    Parameters
    ----------
    level : float or ndarray
        0 at the valve plane, 1 at the end of the cavity.
    theta_deg : ndarray
        0 lateral, 90 anterior, 180 septal, 270 inferior [degree].
    depth : ndarray
        0 at the endocardium, 1 at the epicardium; beyond both ends outside the wall.
    radius_mm, wall_mm : ndarray
        Distance from the axis, and thickness of the wall there [mm].
    """

    level: Float | float
    theta_deg: Float
    depth: Float
    radius_mm: Float
    wall_mm: Float


WallPart = Callable[[WallPoints], Float]


@dataclass(frozen=True)
class Surroundings:
    """Epicardial fat and the position of the image; drawn independently of the group.

    Parameters
    ----------
    fat_mm : float
        Largest thickness of the epicardial fat.
    turn_deg : float
        In-plane rotation of the image.
    centre_mm : ndarray, shape (2,)
        Image centre, right and up of the heart's axis.
    tilt : ndarray, shape (2,)
        Displacement of the axis per mm along it.
    shift_sd_mm : float
        Standard deviation of the breath-hold position between slices.
    rotation : Rotation
        Of the heart in the chest.
    position_mm : ndarray, shape (3,)
        World position of the valve plane's centre.
    """

    fat_mm: float
    turn_deg: float
    centre_mm: Float
    tilt: Float
    shift_sd_mm: float
    rotation: Rotation
    position_mm: Float

    def grid(self, levels_mm: Float, *, size: int, pixel_mm: float, rng: np.random.Generator) -> Grid:
        """Place a stack."""
        jitter = np.clip(rng.normal(0, self.shift_sd_mm, (len(levels_mm), 2)), -1.5, 1.5)
        shift = (levels_mm[:, None] - levels_mm.mean()) * self.tilt + jitter
        return Grid(size, pixel_mm, levels_mm, self.turn_deg, self.centre_mm, shift)

    def affine(self, grid: Grid) -> Float:
        """Return voxel indices to RAS+ [mm], shape (4, 4)."""
        return grid.affine(self.rotation, self.position_mm)


def draw_surroundings(rng: np.random.Generator) -> Surroundings:
    """Draw fat and position."""
    return Surroundings(
        fat_mm=float(rng.uniform(2.5, 6.0)),
        turn_deg=float(rng.normal(-8, 7)),
        centre_mm=np.array([-14.0, 4.0]) + rng.uniform(-6, 6, 2),
        tilt=np.tan(np.deg2rad(np.clip(rng.normal(0, 2.0, 2), -5, 5))),
        shift_sd_mm=0.7,
        rotation=Rotation.from_rotvec(np.deg2rad(np.clip(rng.normal(0, 4.0, 3), -8, 8))),
        position_mm=np.array([-15.0, 10.0, 20.0]) + rng.normal(0, 8, 3),
    )


def tissue_shares(
    shape: PhaseShape,
    grid: Grid,
    window: Window,
    *,
    thickness_mm: float,
    fat_mm: float,
    parts: Mapping[str, WallPart],
) -> dict[str, Float32]:
    """Return how much of each pixel is which tissue.

    Five planes within the slice thickness are averaged; in the plane an edge is a ramp as wide as a
    pixel, which is the exact share of a pixel cut by a straight edge along one of its sides.

    Parameters
    ----------
    shape : PhaseShape
        Surfaces; every slice must lie between the valve plane and the apex.
    grid, window : Grid, Window
        The stack, and its part around the heart.
    thickness_mm : float
        Thickness of a slice.
    fat_mm : float
        Largest thickness of the epicardial fat.
    parts : mapping of str to callable
        Further quantities of the wall, for example the share that is scar: a function of
        :class:`WallPoints`, averaged with the share of myocardium.

    Returns
    -------
    dict of str to ndarray, shape of the window (n_slices, ni, nj)
        ``chest``, ``fat``, ``rv_wall``, ``rv_blood``, ``muscle``, ``blood``, which sum to 1, and the parts.
    """
    names = ("chest", "fat", "rv_wall", "rv_blood", "muscle", "blood", *parts)
    out = {name: np.zeros(window.radius_mm.shape, dtype=np.float32) for name in names}
    for offset in _PLANES:
        levels = grid.levels_mm + offset * thickness_mm
        curves = _outlines(shape, levels, fat_mm)
        for k, level_mm in enumerate(levels):
            plane = {name: curve[k] for name, curve in curves.items()}
            shares, wall = _plane(plane, float(level_mm) / shape.tip_mm, window, k, grid.pixel_mm / 2)
            for name, share in shares.items():
                out[name][k] += share / len(_PLANES)
            for name, part in parts.items():
                out[name][k] += shares["muscle"] * part(wall).astype(np.float32) / len(_PLANES)
    return out


def wall_points(shape: PhaseShape, grid: Grid, window: Window) -> WallPoints:
    """Return where the voxel centres of a window lie in the wall, arrays of shape (n_slices, ni, nj)."""
    endo, epi = map(angle_table, shape.rings(grid.levels_mm))
    k = np.arange(len(grid.levels_mm))[:, None, None]
    thickness = np.maximum(epi - endo, 1e-3)[k, window.angle]
    depth = (window.radius_mm - endo[k, window.angle]) / thickness
    level = np.broadcast_to(grid.levels_mm[:, None, None] / shape.tip_mm, depth.shape)
    return WallPoints(level, DEGREES[window.angle], depth, window.radius_mm.astype(np.float64), thickness)


def _plane(
    c: Mapping[str, Float], level: float, window: Window, k: int, width: float
) -> tuple[dict[str, Float32], WallPoints]:
    r, a = window.radius_mm[k], window.angle[k]
    shares: dict[str, Float32] = {"chest": np.ones_like(r)}
    for name, curve in (("fat", "fat"), ("rv_wall", "wall"), ("rv_blood", "rv"), ("muscle", "epi"), ("blood", "endo")):
        inside = soft(c[curve].astype(np.float32)[a] - r, width)
        shares = {n: s * (1 - inside) for n, s in shares.items()} | {name: inside}
    thickness = np.maximum(c["epi"] - c["endo"], 1e-3)[a]
    depth = (r - c["endo"][a]) / thickness
    return shares, WallPoints(level, DEGREES[a], depth, r.astype(np.float64), thickness)


def _outlines(shape: PhaseShape, levels: Float, fat_mm: float) -> dict[str, Float]:
    """Return the outlines at the levels, each of shape (n, ANGLE_STEPS) [mm]."""
    levels = np.clip(levels, shape.base_mm + 0.01, shape.apex_mm - 0.01)
    endo, epi = map(angle_table, shape.rings(levels))
    reach = shape.rv_reach(levels, DEGREES)
    there = reach > 0.5
    outer = np.where(there, epi + reach, 0.0)
    wall = np.where(there, outer + RV_WALL_MM, 0.0)
    wall = np.where(
        maximum_filter1d(there, 13, axis=1, mode="wrap"), maximum_filter1d(wall, 13, axis=1, mode="wrap"), epi
    )
    fat = np.maximum(gaussian_filter1d(wall, 30, axis=1, mode="wrap", truncate=3), wall)
    fat = fat + fat_mm * (0.15 + 0.85 * np.cos(np.deg2rad(DEGREES - 190) / 2) ** 2)
    return {"endo": endo, "epi": epi, "rv": outer, "wall": wall, "fat": fat}
