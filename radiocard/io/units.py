"""Units that a map may be stated in, and their factors to ms or %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from radiocard.errors import UsageError
from radiocard.image import Image
from radiocard.specs.maps import MAP_UNITS

TO_MS: Mapping[str, float] = MappingProxyType({"ms": 1.0, "s": 1000.0, "0.1ms": 0.1})
TO_PCT: Mapping[str, float] = MappingProxyType({"pct": 1.0, "fraction": 100.0})


def convert_units(image: Image, *, from_unit: str, sequence: str) -> Image:
    """Convert a map to ms or %.

    Parameters
    ----------
    image : Image
        Map in ``from_unit``.
    from_unit : {'ms', 's', '0.1ms', 'pct', 'fraction'}
        Unit that the user states.
    sequence : str
        ``t1_native``, ``t1_post``, ``t2``, ``t2_star`` or ``ecv``.

    Returns
    -------
    Image
        The same map in float64, so that no integer type can wrap.

    Raises
    ------
    UsageError
        If the sequence has no unit, or the unit is not one of its units.

    Examples
    --------
    >>> convert_units(Image(np.full((1, 1, 1), 1.2), np.eye(4)), from_unit="s", sequence="t1_native").array.item()
    1200.0
    """
    factor = unit_factor(from_unit, sequence)
    return replace(image, array=np.asarray(image.array, dtype=np.float64) * factor)


def unit_factor(unit: str, sequence: str) -> float:
    """Return the factor that takes values of a sequence from a unit to ms or %.

    Raises
    ------
    UsageError
        If the sequence has no unit, or the unit is not one of its units.
    """
    if sequence not in MAP_UNITS:
        msg = f"The sequence {sequence!r} is no map with a unit, expected one of {', '.join(MAP_UNITS)}."
        raise UsageError(msg)
    known = units_of(sequence)
    if unit not in known:
        msg = f"The unit {unit!r} is none of {sequence}, expected one of {', '.join(known)}."
        raise UsageError(msg)
    return known[unit]


def units_of(sequence: str) -> Mapping[str, float]:
    """Return the units that a sequence may be stated in, and the factor of each to ms or %."""
    return TO_MS if MAP_UNITS[sequence] == "ms" else TO_PCT
