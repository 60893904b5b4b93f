"""What a heart can change, and what follows from it: volumes, mass, wall thickness, tissue values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from radiocard.specs.maps import MAP_UNITS

Floats = NDArray[np.float64]
Known = Mapping[str, Floats]

SIDES = ("lv", "rv")
LEADS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lv_ed": ("lvedv_ml", "lvedvi_ml_m2"),
        "lv_es": ("lvesv_ml", "lvesvi_ml_m2", "lvef_pct"),
        "rv_ed": ("rvedv_ml", "rvedvi_ml_m2"),
        "rv_es": ("rvesv_ml", "rvesvi_ml_m2", "rvef_pct"),
        "mass": ("lvm_g", "lvmi_g_m2"),
        "wall_ed": ("mwt_mean_ed_mm", "mwt_slice_max_ed_mm", "mwt_max_mm", "mwt_mean_map_mm", "mwt_max_map_mm"),
        "wall_es": ("mwt_mean_es_mm", "mwt_slice_max_es_mm", "mwt_max_es_mm"),
        **{sequence: (f"{sequence}_{unit}",) for sequence, unit in MAP_UNITS.items()},
    }
)
WALL = re.compile(r"m?wt_(?:\w+_)?(?:(?P<phase>ed|es)|max|map)_mm")
THICKENING = re.compile(r"thickening_(?:(?P<sd>sd)|mean|min|aha_\d\d)_pct")


@dataclass(frozen=True, eq=False)
class Levers:
    """The quantities of one patient that can change, and every column that follows.

    Parameters
    ----------
    columns : tuple of str
        Columns of the model.
    row : ndarray of float, shape (columns,)
        The patient.
    sd : ndarray of float, shape (columns,)
        Standard deviations of training.
    leads : dict of str to str
        Lever to the column that it is measured by.
    """

    columns: tuple[str, ...]
    row: Floats
    sd: Floats
    leads: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Levers, in the order of the steps."""
        return tuple(self.leads)

    def apply(self, steps: Floats) -> Floats:
        """Return the patient after changes.

        Parameters
        ----------
        steps : ndarray of float, shape (m, levers)
            In standard deviations of the leading column.

        Returns
        -------
        ndarray of float, shape (m, columns)
            Ejection fraction, stroke volume, ratios and thickening are computed anew.
        """
        out = np.repeat(self.row[None], len(steps), axis=0)
        factor = {name: np.ones(len(steps)) for name in LEADS}
        shift = {name: np.zeros(len(steps)) for name in MAP_UNITS}
        for i, (name, column) in enumerate(self.leads.items()):
            j = self.columns.index(column)
            change = steps[:, i] * self.sd[j]
            if name in MAP_UNITS:
                shift[name] = change
            elif column.endswith("ef_pct"):
                factor[name] = 1 - change / (100 - self.row[j])
            else:
                factor[name] = 1 + change / self.row[j]
        for j, column in enumerate(self.columns):
            out[:, j] = self._column(column, self.row[j], factor, shift)
        return out

    def _column(self, column: str, value: float, factor: Known, shift: Known) -> Floats:
        """Return one column after changes, shape (m,)."""
        map_name = _map_of(column)
        if map_name is not None:
            return value + shift[map_name]
        wall, thickening = WALL.fullmatch(column), THICKENING.fullmatch(column)
        if wall:
            return value * factor["wall_es" if wall["phase"] == "es" else "wall_ed"]
        if thickening:
            grown = factor["wall_es"] / factor["wall_ed"]
            return value * grown if thickening["sd"] else (100 + value) * grown - 100
        if column[:2] in SIDES and column[2:4] in {"ef", "sv"}:
            return self._pump(column, value, factor[f"{column[:2]}_ed"], factor[f"{column[:2]}_es"])
        rule = _PRODUCTS.get(column)
        return np.full_like(factor["mass"], value) if rule is None else value * rule(factor)

    def _pump(self, column: str, value: float, ed: Floats, es: Floats) -> Floats:
        """Return ejection fraction or stroke volume from the share that stays in the ventricle."""
        left = emptied(dict(zip(self.columns, self.row[:, None], strict=True)), column[:2])
        rest = float(left[0]) if left is not None else float("nan")
        if not np.isfinite(rest):
            return np.where((ed == 1) & (es == 1), value, np.nan)
        return 100 * (1 - rest * es / ed) if "ef" in column else value * (ed - rest * es) / (1 - rest)


def _follows(lever: str, over: str | None = None) -> Callable[[Known], Floats]:
    """Return the rule of a column that grows with one lever, and shrinks with another."""
    return lambda factor: factor[lever] if over is None else factor[lever] / factor[over]


_PRODUCTS: Mapping[str, Callable[[Known], Floats]] = MappingProxyType(
    {
        **{f"{side}edv{end}": _follows(f"{side}_ed") for side in SIDES for end in ("_ml", "i_ml_m2")},
        **{f"{side}esv{end}": _follows(f"{side}_es") for side in SIDES for end in ("_ml", "i_ml_m2")},
        "lvm_g": _follows("mass"),
        "lvmi_g_m2": _follows("mass"),
        "lv_wall_es_ml": _follows("mass"),
        "mass_volume_ratio_g_ml": _follows("mass", "lv_ed"),
        "lv_wall_cavity_es_ratio": _follows("mass", "lv_es"),
        "lv_rv_edv_ratio": _follows("lv_ed", "rv_ed"),
        "lv_rv_esv_ratio": _follows("lv_es", "rv_es"),
    }
)


def make_levers(columns: Sequence[str], row: Floats, sd: Floats) -> Levers:
    """Find the levers of a patient: those whose leading column is known and varies in training."""
    leads = {}
    for name, options in LEADS.items():
        for column in options:
            if column in columns and _usable(row[columns.index(column)], sd[columns.index(column)]):
                leads[name] = column
                break
    return Levers(tuple(columns), row, sd, leads)


def movable(columns: Sequence[str], leads: Sequence[str]) -> set[str]:
    """Return the columns that follow any of the levers."""
    row = np.full(len(columns), 30.0)
    row[[j for j, c in enumerate(columns) if "edv" in c]] = 60.0
    levers = Levers(tuple(columns), row, np.ones(len(columns)), {n: c for n in leads for c in LEADS[n] if c in columns})
    moved = levers.apply(np.eye(len(levers.leads)))
    with np.errstate(invalid="ignore"):
        changed = (np.abs(moved - row) > 1e-9).any(axis=0) | np.isnan(moved).any(axis=0)
    return {c for c, hit in zip(columns, changed, strict=True) if hit}


def emptied(values: Known, side: str) -> Floats | None:
    """Return end-systolic over end-diastolic volume of a side; None where the columns do not tell."""
    if f"{side}ef_pct" in values:
        return np.asarray(1 - values[f"{side}ef_pct"] / 100)
    for end in ("_ml", "i_ml_m2"):
        ed, es, sv = (values.get(f"{side}{part}{end}") for part in ("edv", "esv", "sv"))
        if ed is not None and es is not None:
            return np.asarray(es / ed)
        if ed is not None and sv is not None:
            return np.asarray(1 - sv / ed)
    return None


def consistency(values: Known) -> dict[str, Floats]:
    """Return the quantities that tie measurements of one heart together, where the columns tell.

    A wall of given mass around a larger cavity is thinner: thickness x volume^(2/3) / mass is about
    constant (thin shell). Both ventricles pump about as much. The wall keeps its volume from phase to phase,
    and thickens.

    Parameters
    ----------
    values : mapping of str to ndarray of float, shape (n,)

    Returns
    -------
    dict of str to ndarray of float, shape (n,)
    """
    out: dict[str, Floats] = {}
    wall_ed, wall_es = (next((values[c] for c in LEADS[name] if c in values), None) for name in ("wall_ed", "wall_es"))
    volume = next((values[c] for c in LEADS["lv_ed"] if c in values), None)
    mass = next((values[c] for c in LEADS["mass"] if c in values), None)
    with np.errstate(all="ignore"):
        for side in SIDES:
            left = emptied(values, side)
            if left is not None:
                out[f"{side} emptying"] = left
        if wall_ed is not None and volume is not None and mass is not None:
            out["wall thickness, cavity and mass"] = wall_ed * volume ** (2 / 3) / mass
        if wall_ed is not None and wall_es is not None:
            out["systolic thickening"] = wall_es / wall_ed
        strokes = [_stroke(values, side) for side in SIDES]
        if strokes[0] is not None and strokes[1] is not None:
            out["left and right stroke volume"] = strokes[0] / strokes[1]
        if mass is not None and "lv_wall_es_ml" in values:
            out["wall volume of both phases"] = values["lv_wall_es_ml"] / mass
    return out


def _stroke(values: Known, side: str) -> Floats | None:
    left = emptied(values, side)
    for end in ("_ml", "i_ml_m2"):
        ed = values.get(f"{side}edv{end}")
        if ed is not None and left is not None:
            return np.asarray(ed * (1 - left))
    return None


def _map_of(column: str) -> str | None:
    for sequence, unit in MAP_UNITS.items():
        if re.fullmatch(rf"{sequence}(_(septal|median|segment_max|segment_min|aha_\d\d))?_{unit}", column):
            return sequence
    return None


def _usable(value: float, sd: float) -> bool:
    return bool(np.isfinite(value) and value > 0 and np.isfinite(sd) and sd > 0)
