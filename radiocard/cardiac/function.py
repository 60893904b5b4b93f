"""Volumes, ejection fraction, mass and body surface area."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from radiocard.image import LabelMap
from radiocard.specs import CardiacSettings

Values = dict[str, float | None]


def volume_ml(mask: LabelMap, region: str) -> float:
    """Return the volume of one region: voxel count times slice spacing, gaps included.

    Parameters
    ----------
    mask : LabelMap
        Regions on a grid with spacing in mm.
    region : str
        Name of the region, for example ``lv_cavity``.

    Returns
    -------
    float
        Volume [mL].

    Raises
    ------
    MaskError
        If the region is unknown or empty.

    Examples
    --------
    >>> import numpy as np
    >>> cube = LabelMap(np.ones((10, 10, 4), int), np.diag([1.0, 1.0, 10.0, 1.0]), labels={"lv_cavity": 1})
    >>> volume_ml(cube, "lv_cavity")
    4.0
    """
    return float(mask.mask(region).sum()) * mask.voxel_volume_ml


def body_surface_area_m2(
    height_cm: float | None, weight_kg: float | None, *, formula: Literal["mosteller", "dubois"]
) -> float | None:
    """Return the body surface area, None where height or weight is unknown [1]_ [2]_.

    Parameters
    ----------
    height_cm, weight_kg : float or None
        Body height [cm] and weight [kg].
    formula : {'mosteller', 'dubois'}
        Mosteller: sqrt(height x weight / 3600). Du Bois: 0.007184 height^0.725 weight^0.425.

    Returns
    -------
    float or None
        Body surface area [m2].

    References
    ----------
    .. [1] Mosteller, N Engl J Med 317 (1987) 1098, doi:10.1056/NEJM198710223171717
    .. [2] Du Bois and Du Bois, Arch Intern Med 17 (1916) 863, doi:10.1001/archinte.1916.00080130010002

    Examples
    --------
    >>> body_surface_area_m2(180, 80, formula="mosteller")
    2.0
    """
    height, weight = _positive(height_cm), _positive(weight_kg)
    if height is None or weight is None:
        return None
    if formula == "mosteller":
        return math.sqrt(height * weight / 3600.0)
    return float(0.007184 * height**0.725 * weight**0.425)


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """Return a quotient, None where it is undefined."""
    if numerator is None or denominator is None or denominator == 0:
        return None
    return numerator / denominator


def function_values(ed: LabelMap, es: LabelMap, clinical: Mapping[str, Any], settings: CardiacSettings) -> Values:
    """Return volumes, ejection fractions, mass, indexed values and ratios.

    Parameters
    ----------
    ed, es : LabelMap
        Regions at end-diastole and end-systole.
    clinical : mapping
        ``height_cm`` and ``weight_kg`` where known.
    settings : CardiacSettings
        Body surface area formula and myocardial density [g/mL].

    Returns
    -------
    dict of str to float or None
        Column to value; None where undefined.

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    bsa = body_surface_area_m2(clinical.get("height_cm"), clinical.get("weight_kg"), formula=settings.bsa_formula)
    values: Values = {"bsa_m2": bsa}
    for side in ("lv", "rv"):
        edv, esv = volume_ml(ed, f"{side}_cavity"), volume_ml(es, f"{side}_cavity")
        values |= {f"{side}edv_ml": edv, f"{side}esv_ml": esv, f"{side}sv_ml": edv - esv}
        values[f"{side}ef_pct"] = 100.0 * (edv - esv) / edv
    values["lvm_g"] = volume_ml(ed, "lv_myocardium") * settings.myocardial_density_g_ml
    for column in ("lvedv_ml", "lvesv_ml", "lvsv_ml", "rvedv_ml", "rvesv_ml", "rvsv_ml", "lvm_g"):
        quantity, unit = column.split("_")
        values[f"{quantity}i_{unit}_m2"] = ratio(values[column], bsa)
    values["lv_rv_edv_ratio"] = ratio(values["lvedv_ml"], values["rvedv_ml"])
    values["lv_rv_esv_ratio"] = ratio(values["lvesv_ml"], values["rvesv_ml"])
    values["mass_volume_ratio_g_ml"] = ratio(values["lvm_g"], values["lvedv_ml"])
    values["lv_wall_es_ml"] = volume_ml(es, "lv_myocardium")
    values["lv_wall_cavity_es_ratio"] = ratio(values["lv_wall_es_ml"], values["lvesv_ml"])
    return values


def sphericity(mask: LabelMap) -> float:
    """Return the sphericity index of the left ventricular cavity.

    Cavity volume divided by the volume of a sphere whose diameter is the cavity's length:
    6 V / (pi L^3). 1 for a sphere, smaller for a longer heart.

    Parameters
    ----------
    mask : LabelMap
        Regions; the last axis is the slice axis.

    Returns
    -------
    float
        Sphericity index. L is the extent of the slices that hold cavity, one slice spacing each.

    Raises
    ------
    MaskError
        If the cavity is empty.
    """
    cavity = mask.mask("lv_cavity")
    slices = np.flatnonzero(cavity.any(axis=(0, 1)))
    length_mm = float(slices[-1] - slices[0] + 1) * mask.spacing_mm[2]
    volume_mm3 = 1000.0 * volume_ml(mask, "lv_cavity")
    return 6.0 * volume_mm3 / (math.pi * length_mm**3)


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
