"""Scars whose mass and depth are known: blocks in the coordinates of the wall.

The wall is described by level (0 valve plane, 1 end of the cavity), angle (0 degree lateral, 90 anterior,
180 septal, 270 inferior) and depth (0 endocardium, 1 epicardium). Mass and transmurality of a block follow
from integrals over the phantom's own surfaces; nothing here reads a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.simulate.grid import LABEL_MYOCARDIUM, Grid, Window, angle_table
from radiocard.simulate.heart import Float, PhaseShape
from radiocard.simulate.layers import DEGREES, WallPart, WallPoints, wall_points
from radiocard.simulate.truth import DENSITY_G_ML

ScarPattern = Literal["none", "subendocardial", "mid_wall", "subepicardial"]
BoolArray = NDArray[np.bool_]

_NO_REFLOW_DEPTH = (0.20, 0.75)  # of the depth of the scar: a rim of scar is left all around


@dataclass(frozen=True)
class ScarParameters:
    """A scar.

    Parameters
    ----------
    pattern : {'none', 'subendocardial', 'mid_wall', 'subepicardial'}
        Where in the wall it lies: from the endocardium outwards, around the middle, from the epicardium inwards.
    centre_deg, width_deg : float
        Its middle and its extent around the axis [degree]; 120 is the territory of the left anterior
        descending artery, 240 of the right coronary, 350 of the circumflex.
    from_level, to_level : float
        Extent along the axis, 0 at the valve plane and 1 at the end of the cavity.
    transmurality : float
        Share of the wall's thickness that is scar, above 0 and up to 1.
    no_reflow : float
        Extent of the core without contrast agent, as a share of the scar's angle and length; 0 for none.

    Raises
    ------
    UsageError
        If a value is outside its range.
    """

    pattern: ScarPattern
    centre_deg: float = 120.0
    width_deg: float = 80.0
    from_level: float = 0.25
    to_level: float = 0.80
    transmurality: float = 0.60
    no_reflow: float = 0.0

    def __post_init__(self) -> None:
        _require(0 < self.width_deg <= 360, f"Scar width is {self.width_deg} degree, expected above 0 and up to 360.")
        levels = f"Scar levels are {self.from_level} to {self.to_level}"
        _require(0 <= self.from_level < self.to_level <= 1, f"{levels}, expected to rise within 0 to 1.")
        _require(0 < self.transmurality <= 1, f"Transmurality is {self.transmurality}, expected above 0 and up to 1.")
        _require(0 <= self.no_reflow < 1, f"No-reflow share is {self.no_reflow}, expected 0 or more and below 1.")

    @property
    def depths(self) -> tuple[float, float]:
        """Inner and outer end of the scar within the wall, 0 to 1."""
        if self.pattern == "subendocardial":
            return 0.0, self.transmurality
        if self.pattern == "mid_wall":
            return (1 - self.transmurality) / 2, (1 + self.transmurality) / 2
        return 1 - self.transmurality, 1.0


def scar_truth(shape: PhaseShape, scar: ScarParameters) -> dict[str, float]:
    """Integrate a scar over the surfaces of a heart; see :class:`SimulatedLge` for the names.

    Parameters
    ----------
    shape : PhaseShape
        End-diastolic surfaces.
    scar : ScarParameters
        The scar.

    Returns
    -------
    dict of str to float
        Masses [g] and shares [%].
    """
    n = 1500
    step = (shape.apex_mm - shape.base_mm) / n
    z: Float = shape.base_mm + (np.arange(n, dtype=np.float64) + 0.5) * step
    endo, epi = map(angle_table, shape.rings(z))
    cell_ml = step * 2 * np.pi / DEGREES.size / 2000
    level = z[:, None] / shape.tip_mm * np.ones_like(endo)
    lo, hi = scar.depths
    extent = _extent(scar, level, DEGREES, 1.0)
    core = _extent(scar, level, DEGREES, scar.no_reflow) & (scar.no_reflow > 0)
    core_lo, core_hi = (lo + part * (hi - lo) for part in _NO_REFLOW_DEPTH)
    wall = (epi**2 - endo**2) * cell_ml
    scarred = extent * _ring(endo, epi, lo, hi) * cell_ml
    dark = core * _ring(endo, epi, core_lo, core_hi) * cell_ml
    out = {"lvm_lge_g": DENSITY_G_ML * float(wall.sum())}
    for name, part in (("scar", scarred), ("no_reflow", dark)):
        out[f"{name}_mass_g"] = DENSITY_G_ML * float(part.sum())
        out[f"{name}_pct"] = 100 * float(part.sum() / wall.sum())
    segment = aha_segment(level, np.broadcast_to(DEGREES, level.shape))
    for number in range(1, 17):
        here = segment == number
        out[f"scar_aha_{number:02d}_pct"] = 100 * float(scarred[here].sum() / wall[here].sum())
        out[f"transmurality_aha_{number:02d}_pct"] = 100 * (hi - lo) * float(extent[here].mean())
    return out


def aha_segment(level: Float, theta_deg: Float) -> NDArray[np.int_]:
    """Return the AHA segment, 1 to 16, at levels (0 valve plane, 1 end of the cavity) and angles; 0 beyond the cavity.

    Thirds of the cavity's length; sectors from the right ventricular insertions at 120 and 240 degree.

    References
    ----------
    .. [1] Cerqueira et al., Circulation 105 (2002) 539, doi:10.1161/hc0402.102975
    """
    six = 1 + ((theta_deg - 60.0) // 60.0).astype(int) % 6
    four = 13 + ((theta_deg - 45.0) // 90.0).astype(int) % 4
    third = np.floor(3 * level).astype(int)
    return np.select([(third < 0) | (third > 2), third == 2], [0, four], six + 6 * third)


def wall_parts(scar: ScarParameters, length_mm: float, *, border_mm: float) -> dict[str, WallPart]:
    """Return the enhancement of a scar and the place of its core as functions of the wall.

    Parameters
    ----------
    scar : ScarParameters
        The scar.
    length_mm : float
        Length of the cavity.
    border_mm : float
        Over which enhancement falls from 1 to 0; it is a half at the true edge.

    Returns
    -------
    dict of str to callable
        ``scar`` and ``no_reflow``, each from 0 to 1; absent where there is none.
    """
    if scar.pattern == "none":
        return {}
    lo, hi = scar.depths
    core = (lo + _NO_REFLOW_DEPTH[0] * (hi - lo), lo + _NO_REFLOW_DEPTH[1] * (hi - lo))
    width = max(border_mm, 1e-6)

    def enhanced(w: WallPoints) -> Float:
        return np.clip(0.5 - _distance_mm(scar, w, length_mm, 1.0, (lo, hi)) / width, 0, 1)

    def dark(w: WallPoints) -> Float:
        return np.asarray(_distance_mm(scar, w, length_mm, scar.no_reflow, core) < 0, dtype=float)

    return {"scar": enhanced, "no_reflow": dark} if scar.no_reflow > 0 else {"scar": enhanced}


def scar_voxels(
    shape: PhaseShape, grid: Grid, window: Window, scar: ScarParameters, labels: NDArray[np.uint8]
) -> tuple[BoolArray, BoolArray]:
    """Return the voxels whose centre lies in the scar and in its core.

    Parameters
    ----------
    shape : PhaseShape
        End-diastolic surfaces.
    grid, window : Grid, Window
        The stack, and its part around the heart.
    scar : ScarParameters
        The scar.
    labels : ndarray of uint8, shape (ni, nj, nk)
        See :func:`radiocard.simulate.grid.label_slices`.

    Returns
    -------
    tuple of ndarray of bool, shape (ni, nj, nk)
        Scar, its core included, and the core; both within the myocardium.
    """
    wall = wall_points(shape, grid, window)
    lo, hi = scar.depths
    out = []
    for share, first, last in ((1.0, 0.0, 1.0), (scar.no_reflow, *_NO_REFLOW_DEPTH)):
        inner, outer = (lo + part * (hi - lo) for part in (first, last))
        there = _extent(scar, wall.level, wall.theta_deg, share) & (share > 0)
        part = np.zeros((len(grid.levels_mm), grid.size, grid.size), dtype=bool)
        part[window.where] = there & (wall.depth >= inner) & (wall.depth <= outer)
        out.append(np.ascontiguousarray(part.transpose(1, 2, 0)) & (labels == LABEL_MYOCARDIUM))
    return out[0], out[1]


def _ring(endo: Float, epi: Float, lo: float, hi: float) -> Float:
    wall = epi - endo
    return (endo + hi * wall) ** 2 - (endo + lo * wall) ** 2


def _delta(theta_deg: Float, centre: float) -> Float:
    return np.abs((theta_deg - centre + 180.0) % 360.0 - 180.0)


def _extent(scar: ScarParameters, level: Float | float, theta_deg: Float, share: float) -> BoolArray:
    """Return where a block with a share of the scar's angle and length lies."""
    if scar.pattern == "none":
        return np.zeros(np.broadcast(level, theta_deg).shape, dtype=bool)
    middle, half = (scar.from_level + scar.to_level) / 2, (scar.to_level - scar.from_level) / 2
    around = _delta(theta_deg, scar.centre_deg) <= share * scar.width_deg / 2
    return np.asarray(around & (np.abs(level - middle) <= share * half))


def _distance_mm(
    scar: ScarParameters, w: WallPoints, length_mm: float, share: float, depths: tuple[float, float]
) -> Float:
    """Return the distance outside a block, negative inside [mm]; an end of the wall is no edge."""
    middle, half = (scar.from_level + scar.to_level) / 2, share * (scar.to_level - scar.from_level) / 2
    radius = np.maximum(w.radius_mm, 1.0)
    around = np.deg2rad(_delta(w.theta_deg, scar.centre_deg) - share * scar.width_deg / 2) * radius
    if share * scar.width_deg >= 360:
        around = np.full_like(radius, -np.inf)
    along = (abs(float(w.level) - middle) - half) * length_mm
    below = (depths[0] - w.depth) * w.wall_mm if depths[0] > 0 else np.full_like(radius, -np.inf)
    above = (w.depth - depths[1]) * w.wall_mm if depths[1] < 1 else np.full_like(radius, -np.inf)
    return np.maximum.reduce([around, np.full_like(radius, along), below, above])


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
