"""The unit of a map, and whether its values are such as the quantity can have.

A map holds T1, T2 or T2* in ms or ECV in %. Another unit is declared by the user, or it is
found out here and refused: a map in seconds gives finite numbers everywhere, all of them wrong.

The ranges for the median of the myocardium are meant to tell units apart, not health from
disease. Normal hearts have a native T1 near 1120 ms, T2 52 ms, T2* 24 ms and ECV 27 % at 3 T [1]_, less by
some 10 to 15 % in T1 at 1.5 T; the ranges reach a factor of two or more below and above what illness and
other scanners make of these (ECV ends at 100 %). Seconds and tenths of a millisecond then fall outside, with one
exception: T2* below 20 ms in tenths of a millisecond cannot be told from a long T2* in ms.

References
----------
.. [1] Age and sex corrected normal reference values of T1, T2 T2* and ECV in healthy subjects at 3T
   CMR, J Cardiovasc Magn Reson 19 (2017), doi:10.1186/s12968-017-0371-5
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import Issue
from radiocard.image import Image, LabelMap
from radiocard.io.units import unit_factor, units_of
from radiocard.specs.base import Interval
from radiocard.specs.maps import MAP_UNITS

MEDIANS: Mapping[str, Interval] = MappingProxyType(
    {
        "t1_native": (300.0, 3000.0),
        "t1_post": (100.0, 1500.0),
        "t2": (10.0, 300.0),
        "t2_star": (1.0, 200.0),
        "ecv": (3.0, 100.0),
    }
)
_WORDS: Mapping[str, str] = MappingProxyType(
    {"ms": "ms", "pct": "%", "s": "seconds", "0.1ms": "tenths of a millisecond", "fraction": "a fraction"}
)
MAX_SATURATED_PCT: Final = 1.0
MAX_UNFITTED_PCT: Final = 5.0


def check_units(
    image: Image, mask: LabelMap, *, sequence: str, declared_unit: str | None, case: str, field: str
) -> list[Issue]:
    """Check the unit and the values of a map inside the myocardium; nothing is changed.

    Parameters
    ----------
    image : Image
        Map as read, in the declared unit if one is declared.
    mask : LabelMap
        ``lv_myocardium``, on the grid of the map.
    sequence : str
        ``t1_native``, ``t1_post``, ``t2``, ``t2_star`` or ``ecv``.
    declared_unit : {'ms', 's', '0.1ms', 'pct', 'fraction'} or None
        Unit that the user states; None lets the values prove ms or %.
    case, field : str
        For the messages.

    Returns
    -------
    list of Issue
        Refusing: ``E_UNITS``; ``E_VALUES`` for values below zero, an ECV above 100 % and a map
        without any fitted voxel. Warning: ``W_SATURATED`` above 1 % of voxels at the greatest
        value of the map or of its type, ``W_UNFITTED`` above 5 % of voxels that are zero.

    Raises
    ------
    UsageError
        If the sequence has no unit, or the declared unit is not one of its units.
    MaskError
        If the myocardium is unknown or empty.
    """
    factor = unit_factor(declared_unit or str(MAP_UNITS.get(sequence)), sequence)
    raw = image.array[mask.mask("lv_myocardium")]
    values = raw[np.isfinite(raw)].astype(float) * factor
    issues = list(_impossible(values, sequence, case, field))
    fitted = values[values > 0]
    if fitted.size:
        issues += _median(float(np.median(fitted)), sequence, declared_unit, case, field)
        issues += _saturated(raw, image.array, case, field)
        issues += _unfitted(values, case, field)
    return issues


def _median(median: float, sequence: str, declared: str | None, case: str, field: str) -> Iterator[Issue]:
    low, high = MEDIANS[sequence]
    if low <= median <= high:
        return
    unit = _WORDS[MAP_UNITS[sequence]]
    found = f"The median of {sequence} in the myocardium is {median:.4g} {unit}"
    expected = f"expected {low:g} to {high:g} {unit}"
    if declared is not None:
        message = f"{found} where the declared unit is {declared}, {expected}."
        yield Issue("E_UNITS", message, case, field, "Check the declared unit, and the sequence.")
        return
    guesses = [name for name, factor in units_of(sequence).items() if low <= median * factor <= high]
    if guesses:
        looks = " or ".join(_WORDS[name] for name in guesses)
        hint = f"State it as the unit of this map ({guesses[0]}), which converts; nothing is rescaled unasked."
        yield Issue("E_UNITS", f"{found}, {expected}: it looks like {looks}.", case, field, hint)
        return
    hint = "Check that this is the map and not a weighted image, and how the file's values are scaled."
    yield Issue("E_UNITS", f"{found}, {expected}: no known unit fits.", case, field, hint)


def _impossible(values: NDArray[np.float64], sequence: str, case: str, field: str) -> Iterator[Issue]:
    hint = "Check how the map was fitted and exported; set voxels without a fit to 0."
    negative = int((values < 0).sum())
    if negative:
        message = f"{negative} of {values.size} voxels of {sequence} in the myocardium are below zero."
        yield Issue("E_VALUES", message, case, field, hint)
    above = int((values > 100.0).sum()) if sequence == "ecv" else 0
    if above:
        message = f"{above} of {values.size} voxels of ecv in the myocardium are above 100 %."
        yield Issue("E_VALUES", message, case, field, hint)
    if not (values > 0).any():
        message = f"No voxel of {sequence} in the myocardium holds a fitted value above zero."
        yield Issue("E_VALUES", message, case, field, "Check that image and mask belong together.")


def _saturated(raw: NDArray[Any], whole: NDArray[Any], case: str, field: str) -> Iterator[Issue]:
    greatest = whole[np.isfinite(whole)].max()
    n = int((raw == greatest).sum())
    share = 100.0 * n / raw.size
    if share > MAX_SATURATED_PCT:
        message = (
            f"{n} voxels of the myocardium ({share:.1f} %) lie at the greatest value of the map, {float(greatest):g}."
        )
        yield Issue("W_SATURATED", message, case, field, "Check for an upper limit of the fit or of the file's type.")


def _unfitted(values: NDArray[np.float64], case: str, field: str) -> Iterator[Issue]:
    n = int((values == 0).sum())
    share = 100.0 * n / values.size
    if share > MAX_UNFITTED_PCT:
        message = f"{n} of {values.size} voxels of the myocardium ({share:.1f} %) are zero; they are left out."
        yield Issue("W_UNFITTED", message, case, field, "Check the map for motion and the mask for its border.")
