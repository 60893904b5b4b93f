"""Geometry of the simulated heart at end-diastole and end-systole, solved for the wanted volumes and mass.

The left ventricle is described in cylinder coordinates about its long axis: ``z`` [mm] from the
end-diastolic valve plane to the apex, ``theta`` [degree] in the usual short-axis view from the apex
(0 lateral, 90 anterior, 180 septal, 270 inferior). The cavity is a truncated ellipsoid, the wall a
shell whose in-plane thickness varies over the wall; the right ventricle is a crescent on the septum
between two insertions 120 degree apart.

From end-diastole to end-systole the valve plane descends, every wall point moves inwards and
thickens by one factor each, reduced in a territory that contracts less. The two factors solve the
wanted end-systolic volume and an unchanged myocardial volume (quadratic equations), so volumes,
ejection fractions and mass are exact up to the numerical integration over the surface grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

EQUATOR = 0.25
RV_HALF_ANGLE = 60.0
MAX_CONTRACTION = 0.70
RV_LENGTH = 0.88

N_CAVITY, N_CAP, N_THETA = 120, 24, 120
THETA = (np.arange(N_THETA) + 0.5) * 360.0 / N_THETA
_DTHETA = 2 * np.pi / N_THETA

TERRITORIES: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        # centre and half-width [degree], from and to [fraction of the cavity length]
        "LAD": (122.0, 52.0, 0.28, 1.3),
        "RCA": (240.0, 48.0, -0.3, 0.78),
        "LCX": (350.0, 48.0, -0.3, 0.80),
    }
)


@dataclass(frozen=True)
class HeartParameters:
    """What a simulated heart is made from.

    Parameters
    ----------
    lvedv_ml, lvef, rvef, sv_ratio, myocardium_ml : float
        Wanted volumes [mL] and fractions; ``sv_ratio`` is right over left stroke volume.
    septal_excess, deficit, thinning : float
        See :class:`radiocard.simulate.classes.ClassModel`.
    territory : {'LAD', 'RCA', 'LCX'}
        Coronary territory that ``deficit`` and ``thinning`` act on.
    territory_shift_deg, territory_scale : float
        Individual position and width of the territory.
    septal_centre_deg : float
        Middle of the septal bulge.
    length_mm : float
        End-diastolic length of the cavity from the valve plane.
    apex_mm : float
        End-diastolic thickness of the apex along the long axis.
    descent : float
        Valve plane descent as a fraction of ``length_mm`` at an ejection fraction of 1.
    """

    lvedv_ml: float
    lvef: float
    rvef: float
    sv_ratio: float
    myocardium_ml: float
    septal_excess: float
    deficit: float
    thinning: float
    territory: str
    territory_shift_deg: float
    territory_scale: float
    septal_centre_deg: float
    length_mm: float
    apex_mm: float
    descent: float


@dataclass(frozen=True, eq=False)
class PhaseShape:
    """Surfaces of one phase.

    Parameters
    ----------
    z_mm : ndarray, shape (N_CAVITY + N_CAP,)
        Cell centres along the axis, cavity part first, then the apical cap.
    dz_mm : ndarray, same shape
        Cell lengths.
    endo_mm, epi_mm : ndarray, shape (N_CAVITY + N_CAP, N_THETA)
        Radii of the inner and outer surface; the inner one is 0 in the cap.
    base_mm, tip_mm, apex_mm : float
        Valve plane, end of the cavity, end of the myocardium.
    rv_base_mm, rv_apex_mm, rv_reach_mm : float
        Ends of the right ventricle, and the largest distance of its free wall from the septum.
    """

    z_mm: Float
    dz_mm: Float
    endo_mm: Float
    epi_mm: Float
    base_mm: float
    tip_mm: float
    apex_mm: float
    rv_base_mm: float
    rv_apex_mm: float
    rv_reach_mm: float

    def rings(self, z_mm: Float) -> tuple[Float, Float]:
        """Return inner and outer radius at some levels, each of shape (n, N_THETA) [mm]; 0 where there is none."""
        z = np.asarray(z_mm, dtype=float)
        epi = _rows(self.epi_mm, np.interp(z, self.z_mm, np.arange(self.z_mm.size)))
        epi[(z < self.base_mm) | (z > self.apex_mm)] = 0.0
        # the ellipsoid is steep at its tip: interpolate the ratio to it, which is smooth
        part = (z - self.base_mm) / (self.tip_mm - self.base_mm)
        ratio = self.endo_mm[:N_CAVITY] / profile(_fractions())[:, None]
        endo = profile(part)[:, None] * _rows(ratio, np.clip(part * N_CAVITY - 0.5, 0, N_CAVITY - 1))
        endo[(part < 0) | (part >= 1)] = 0.0
        return endo, epi

    def rv_reach(self, z_mm: Float, theta_deg: Float = THETA) -> Float:
        """Return how far the right ventricular free wall stands off the septum, shape (n, n_theta) [mm]."""
        part = (np.asarray(z_mm, dtype=float) - self.rv_base_mm) / (self.rv_apex_mm - self.rv_base_mm)
        depth = np.where((part < 0) | (part > 1), 0.0, rv_taper(np.clip(part, 0, 1)))
        return self.rv_reach_mm * depth[:, None] * rv_profile(theta_deg)

    def lv_ml(self) -> float:
        """Integrate the cavity volume [mL]."""
        return _half_square(self.endo_mm, self.dz_mm) / 1000

    def myocardium_ml(self) -> float:
        """Integrate the myocardial volume [mL]."""
        return (_half_square(self.epi_mm, self.dz_mm) - _half_square(self.endo_mm, self.dz_mm)) / 1000

    def rv_ml(self) -> float:
        """Integrate the right ventricular volume [mL]."""
        a, b = _rv_integrals(self)
        return (a * self.rv_reach_mm**2 + b * self.rv_reach_mm) / 1000


def profile(s: Float | float) -> Float:
    """Return the radius of the unit truncated ellipsoid at a fraction ``s`` of its length (0 at and beyond 1)."""
    return np.sqrt(np.clip(1 - ((np.asarray(s) - EQUATOR) / (1 - EQUATOR)) ** 2, 0, None))


def rv_taper(s: Float | float) -> Float:
    """Return the relative depth of the right ventricle from its base (0) to its apex (1)."""
    return np.clip(1 - np.asarray(s) ** 2.2, 0, None) ** 0.75 * (0.92 + 0.16 * np.clip(s, 0, 0.5))


def rv_profile(theta_deg: Float) -> Float:
    """Return the relative depth of the right ventricle over the septum; 0 at and beyond the insertions."""
    u = _delta(theta_deg, 180.0) / RV_HALF_ANGLE
    return np.clip(1 - np.abs(u) ** 3.5, 0, None) ** 0.6 * (1 + 0.10 * u)


def end_diastole(p: HeartParameters) -> PhaseShape:
    """Build the end-diastolic surfaces with the wanted cavity, myocardial and right ventricular volume."""
    s, cap = _fractions(), (np.arange(N_CAP) + 0.5) / N_CAP
    z = np.concatenate([s * p.length_mm, p.length_mm + cap * p.apex_mm])
    dz = np.concatenate([np.full(N_CAVITY, p.length_mm / N_CAVITY), np.full(N_CAP, p.apex_mm / N_CAP)])
    unit = np.concatenate([profile(s), np.zeros(N_CAP)])[:, None] * np.ones(N_THETA)
    endo = unit * np.sqrt(p.lvedv_ml * 1000 / _half_square(unit, dz))
    outer = profile(z / (p.length_mm + p.apex_mm))[:, None] * np.ones(N_THETA)
    regional = _regional(p, z / p.length_mm)
    # epi = endo + (R outer - endo) m: solve the quadratic for R
    slope, start = outer * regional, endo * (1 - regional)
    quad = (_integral(slope**2, dz) / 2, _integral(slope * start, dz), _half_square(start, dz) - _half_square(endo, dz))
    radius = _root(quad[0], quad[1], quad[2] - p.myocardium_ml * 1000)
    epi = start + radius * slope
    length = p.length_mm + p.apex_mm
    rv_ml = p.lvedv_ml * p.lvef * p.sv_ratio / p.rvef
    shape = PhaseShape(z, dz, endo, epi, 0.0, p.length_mm, length, 0.0, RV_LENGTH * length, 0.0)
    return _with_rv(shape, rv_ml)


def end_systole(p: HeartParameters, ed: PhaseShape) -> PhaseShape:
    """Move the end-diastolic surfaces to end-systole; see the module text."""
    base = p.length_mm * p.descent * p.lvef
    cap_mm = p.apex_mm * (1 + 0.5 * p.lvef)
    tip = ed.apex_mm - cap_mm
    s, cap = _fractions(), (np.arange(N_CAP) + 0.5) / N_CAP
    z = np.concatenate([base + s * (tip - base), tip + cap * cap_mm])
    dz = np.concatenate([np.full(N_CAVITY, (tip - base) / N_CAVITY), np.full(N_CAP, cap_mm / N_CAP)])
    level = ed.z_mm / p.length_mm
    esv = p.lvedv_ml * (1 - p.lvef) * 1000
    loss = p.deficit * _territory(p, level) + 0.3 * np.tanh(p.septal_excess) * _bulge(p, level)
    contraction, ability = _contract(ed.endo_mm, dz, loss, esv)
    endo = ed.endo_mm * (1 - contraction)
    # wall = wall_ed (1 + f ability): solve the quadratic for f at unchanged volume
    wall, gain = ed.epi_mm - ed.endo_mm, (ed.epi_mm - ed.endo_mm) * ability
    factor = _root(
        _integral(gain**2, dz) / 2,
        _integral(endo * gain + wall * gain, dz),
        _integral(endo * wall + wall**2 / 2, dz) - p.myocardium_ml * 1000,
    )
    epi = endo + wall + factor * gain
    rv_base = max(base, 1.4 * p.length_mm * p.descent * p.rvef)
    shape = PhaseShape(z, dz, endo, epi, base, tip, ed.apex_mm, rv_base, ed.rv_apex_mm, 0.0)
    return _with_rv(shape, ed.rv_ml() * (1 - p.rvef))


def part_of_systole(p: HeartParameters, ed: PhaseShape, share: float) -> PhaseShape:
    """Move the end-diastolic surfaces until a share of both stroke volumes is ejected."""
    return end_systole(replace(p, lvef=p.lvef * share, rvef=p.rvef * share), ed)


def scar_map(p: HeartParameters, level: Float, theta_deg: Float) -> tuple[Float, Float]:
    """Return territory and septal bulge, each from 0 to 1, at levels (fraction of the length) and angles [degree]."""
    return _territory(p, level, theta_deg), _bulge(p, level, theta_deg)


def _fractions() -> Float:
    return (np.arange(N_CAVITY) + 0.5) / N_CAVITY


def _rows(table: Float, row: Float) -> Float:
    low = row.astype(int)
    high = np.minimum(low + 1, len(table) - 1)
    part = (row - low)[:, None]
    return (1 - part) * table[low] + part * table[high]


def _delta(theta_deg: Float, centre: float) -> Float:
    return (np.asarray(theta_deg) - centre + 180.0) % 360.0 - 180.0


def _step(x: Float, width: float) -> Float:
    return 1 / (1 + np.exp(-np.clip(x / width, -40, 40)))


def _territory(p: HeartParameters, level: Float, theta_deg: Float = THETA) -> Float:
    centre, half, low, high = TERRITORIES[p.territory]
    around = _step(half * p.territory_scale - np.abs(_delta(theta_deg, centre + p.territory_shift_deg)), 8.0)
    along = _step(level - low, 0.05) * _step(high - level, 0.05)
    return _outer(along, around)


def _bulge(p: HeartParameters, level: Float, theta_deg: Float = THETA) -> Float:
    around = np.exp(-0.5 * (_delta(theta_deg, p.septal_centre_deg) / 48.0) ** 2)
    return _outer(_step(0.85 - level, 0.09), around)


def _outer(along: Float, around: Float) -> Float:
    return along[:, None] * around if along.ndim == 1 and around.ndim == 1 else along * around


def _regional(p: HeartParameters, level: Float) -> Float:
    taper = 1 - 0.25 * np.clip(level, 0, 1) ** 2
    shape = (1 + p.septal_excess * _bulge(p, level)) * (1 - p.thinning * _territory(p, level))
    return taper[:, None] * shape


def _contract(endo: Float, dz: Float, loss: Float, esv_mm3: float) -> tuple[Float, Float]:
    """Return contraction and ability maps; the regional loss is eased where it would ask too much of the rest."""
    lift = 1 + 0.15 * np.concatenate([_fractions(), np.ones(N_CAP)])[:, None]
    for easing in 0.85 ** np.arange(12):
        ability = 1 - np.clip(easing * loss, 0, 0.97)
        unit = lift * ability
        a, b = _half_square(endo * unit, dz), _integral(endo**2 * unit, dz) / 2
        rest = b * b - a * (_half_square(endo, dz) - esv_mm3)
        if rest >= 0:
            amount = (b - np.sqrt(rest)) / a
            if amount * unit.max() <= MAX_CONTRACTION:
                break
    return amount * unit, ability


def _with_rv(shape: PhaseShape, rv_ml: float) -> PhaseShape:
    a, b = _rv_integrals(shape)
    reach = _root(a, b, -rv_ml * 1000)
    values = {name: getattr(shape, name) for name in PhaseShape.__dataclass_fields__}
    return PhaseShape(**{**values, "rv_reach_mm": reach})


def _rv_integrals(shape: PhaseShape) -> tuple[float, float]:
    """Return a and b of the volume a reach^2 + b reach [mm3]."""
    n = 160
    part = (np.arange(n) + 0.5) / n
    z = shape.rv_base_mm + part * (shape.rv_apex_mm - shape.rv_base_mm)
    epi = shape.rings(z)[1]
    unit = rv_taper(part)[:, None] * rv_profile(THETA)
    step = np.full(n, (shape.rv_apex_mm - shape.rv_base_mm) / n)
    return _half_square(unit, step), _integral(unit * epi, step)


def _integral(values: Float, dz: Float) -> float:
    return float((values.sum(axis=1) * dz).sum() * _DTHETA)


def _half_square(radius: Float, dz: Float) -> float:
    return _integral(radius**2, dz) / 2


def _root(a: float, b: float, c: float) -> float:
    """Return the larger root of a x^2 + b x + c."""
    return float((-b + np.sqrt(b * b - 4 * a * c)) / (2 * a))
