"""Settings of measurements on T1, T2, T2* and ECV maps, and a site's own normal values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from radiocard.errors import SpecError
from radiocard.specs.base import Count, Distinct, Frozen, NotNegative, Positive
from radiocard.specs.safe_yaml import load_yaml
from radiocard.specs.validate import parse_as

MapSequence = Literal["t1_native", "t1_post", "t2", "t2_star", "ecv"]
UnitTag = Literal["ms", "pct"]
Margin = Annotated[float, Field(ge=0, lt=50)]

MAP_UNITS: Mapping[str, UnitTag] = MappingProxyType(
    {"t1_native": "ms", "t1_post": "ms", "t2": "ms", "t2_star": "ms", "ecv": "pct"}
)
MIN_NORMALS: Final = 15
"""Fewer normals make no reference: the 95 % interval of their SD is then wider than 0.73 to 1.58 times the SD."""


class MapSettings(Frozen):
    """What is measured on maps, and where.

    ``sequences`` are measured where the case has them. ``erosion_endo_pct`` and
    ``erosion_epi_pct`` are the shares of the local wall thickness that are left out at the two
    borders of the myocardium, against partial volume with blood, fat and lung. A segment with
    fewer than ``min_pixels_segment`` pixels left has no value. Blood lies more than
    ``blood_erosion_mm`` inside the cavity and needs ``blood_min_voxels``. ``reference`` is the file
    of the site's own normals, null without one.
    """

    sequences: Annotated[tuple[MapSequence, ...], Field(min_length=1), Distinct]
    erosion_endo_pct: Margin
    erosion_epi_pct: Margin
    min_pixels_segment: Count
    blood_erosion_mm: NotNegative
    blood_min_voxels: Count
    reference: str | None


class LocalEntry(Frozen):
    """Mean and standard deviation of one column in a site's normals.

    What is given of ``vendor``, ``scanner`` and ``acquisition`` must be the same in a case that
    is compared; null stands for: all of this site's.
    """

    sequence: MapSequence
    column: str
    field_strength_t: Positive
    vendor: str | None = None
    scanner: str | None = None
    acquisition: str | None = None
    mean: Positive
    sd: Positive
    n: Annotated[int, Field(ge=MIN_NORMALS)]
    unit: UnitTag

    @model_validator(mode="after")
    def _column_of_sequence(self) -> LocalEntry:
        unit = MAP_UNITS[self.sequence]
        if self.unit != unit:
            msg = f"unit: {self.sequence} is given in {unit}, found {self.unit}"
            raise ValueError(msg)
        if sequence_of(self.column) != self.sequence or not self.column.endswith(f"_{unit}"):
            msg = f"column: {self.column!r} is no column of {self.sequence} in {unit}"
            raise ValueError(msg)
        return self

    @property
    def place(self) -> tuple[float, str | None, str | None, str | None]:
        """Field strength [T], vendor, scanner and acquisition."""
        return (self.field_strength_t, self.vendor, self.scanner, self.acquisition)


class LocalReference(Frozen):
    """Normal values of one site, by column, field strength and scanner."""

    schema_: Literal["radiocard/map-reference/1"] = Field(alias="schema")
    site: str
    entries: Annotated[tuple[LocalEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _once(self) -> LocalReference:
        keys = [(e.column, *e.place) for e in self.entries]
        twice = sorted({str(k[0]) for k in keys if keys.count(k) > 1})
        if twice:
            msg = f"entries: the same scanner has more than one entry for {', '.join(twice)}"
            raise ValueError(msg)
        return self


def sequence_of(column: str) -> str | None:
    """Return the map sequence that a column belongs to, None if to none.

    Examples
    --------
    >>> sequence_of("t2_star_septal_ms"), sequence_of("t2_ms"), sequence_of("lvef_pct")
    ('t2_star', 't2', None)
    """
    found = [name for name in MAP_UNITS if column.startswith(f"{name}_")]
    return max(found, key=len, default=None)


def read_local_reference(path: Path) -> LocalReference:
    """Read the file of a site's own normal values.

    Raises
    ------
    SpecError
        If there is no such file, it is unsafe or malformed, or an entry has fewer than 15 normals.
    """
    if not path.is_file():
        msg = f"There is no file of normals {path.name!r}."
        raise SpecError(msg, field="maps.reference", hint="A relative path starts at the folder that you work in.")
    return parse_as(LocalReference, load_yaml(path), path.name)
