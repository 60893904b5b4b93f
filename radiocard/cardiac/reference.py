"""Reference intervals and z-scores, only where their conventions hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from radiocard.specs import ReferenceSpec, read_as

Z_95 = 1.96


@dataclass(frozen=True, slots=True)
class ReferenceRange:
    """One measurement beside its reference.

    Parameters
    ----------
    column : str
        Measurement.
    mean, sd : float
        Of healthy adults of the same sex, in the unit of the column.
    low, high : float
        Ends of the interval that holds 95 % of them: mean -/+ 1.96 SD.
    z : float or None
        (value - mean) / SD; None where the value is undefined.
    """

    column: str
    mean: float
    sd: float
    low: float
    high: float
    z: float | None


def read_reference(source: str | Path) -> ReferenceSpec:
    """Read a set of reference values by shipped name (``ukbb_2017``) or path.

    Raises
    ------
    SpecError
        If there is no such file, or it holds another kind of specification.
    """
    return read_as(ReferenceSpec, source, "feature_specs")


def intervals(
    reference: ReferenceSpec,
    values: Mapping[str, float | None],
    *,
    sex: str | None,
    age_y: float | None,
    papillary: Literal["cavity", "myocardium"],
) -> dict[str, ReferenceRange]:
    """Set measurements beside their reference values.

    Parameters
    ----------
    reference : ReferenceSpec
        Published means and standard deviations, and the conventions they hold for.
    values : mapping of str to float or None
        Measurements of one patient.
    sex : {'F', 'M'} or None
        Sex of the patient.
    age_y : float or None
        Age of the patient [years].
    papillary : {'cavity', 'myocardium'}
        Where papillary muscles were counted in these measurements.

    Returns
    -------
    dict of str to ReferenceRange
        Empty where the sex or age is unknown, the age lies outside the reference's, or its
        papillary convention is another: then nothing can be said.

    Examples
    --------
    >>> found = intervals(
    ...     read_reference("ukbb_2017"), {"lvef_pct": 48.0}, sex="M", age_y=60, papillary="cavity"
    ... )
    >>> found["lvef_pct"].z
    -2.0
    """
    if papillary != reference.papillary or age_y is None:
        return {}
    if not reference.age_y[0] <= age_y < reference.age_y[1] + 1:
        return {}
    found = {}
    for item in reference.intervals:
        if item.sex == sex and item.column in values:
            value = values[item.column]
            z = None if value is None else (value - item.mean) / item.sd
            low, high = item.mean - Z_95 * item.sd, item.mean + Z_95 * item.sd
            found[item.column] = ReferenceRange(item.column, item.mean, item.sd, low, high, z)
    return found
