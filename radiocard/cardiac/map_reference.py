"""A site's own normal values of maps, and z-scores against them.

T1, T2 and ECV depend on field strength, vendor, sequence and its version, so a value is compared
with normals that were scanned and measured in the same way, or with none [1]_. At least 15 normals make a
reference here: the standard deviation of 15 is known to a factor of about 0.73 to 1.58, by the
chi-square distribution. Published advice is to have more, and to report how sure the range is [2]_.

References
----------
.. [1] Messroghli et al., J Cardiovasc Magn Reson 19 (2017) 75, doi:10.1186/s12968-017-0389-8
.. [2] Higgins et al., Reference range determination for imaging biomarkers: myocardial T1,
   J Magn Reson Imaging
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from radiocard.cardiac.map_dictionary import MAP_COLUMNS, MAP_NAMES
from radiocard.cardiac.reference import Z_95, ReferenceRange
from radiocard.errors import SpecError
from radiocard.specs.maps import MAP_UNITS, MIN_NORMALS, LocalEntry, LocalReference, sequence_of

SAME_FIELD_T: Final = 0.1  # 1.5 T is stated as 1.494 by some scanners
PLACE = ("vendor", "scanner", "acquisition")


@dataclass(frozen=True, eq=False)
class LocalComparison:
    """Measurements of one sequence beside the site's normals.

    Parameters
    ----------
    ranges : mapping of str to ReferenceRange
        By column; empty where nothing can be said.
    sentence : str
        Which normals these are, or why there are none, for a report.
    """

    ranges: Mapping[str, ReferenceRange]
    sentence: str


def local_z(
    values: Mapping[str, float | None],
    reference: LocalReference,
    *,
    sequence: str,
    site: str | None,
    field_strength_t: float | None,
    vendor: str | None = None,
    scanner: str | None = None,
    acquisition: str | None = None,
) -> LocalComparison:
    """Compare one sequence with the site's own normals, or say why that cannot be done.

    Parameters
    ----------
    values : mapping of str to float or None
        Measurements of one patient, by column.
    reference : LocalReference
        Normals of one site.
    sequence : str
        ``t1_native``, ``t1_post``, ``t2``, ``t2_star`` or ``ecv``.
    site : str or None
        Where the patient was scanned.
    field_strength_t : float or None
        Field strength [T].
    vendor, scanner, acquisition : str, optional
        Of the patient's map. What an entry of the reference states must be the same here.

    Returns
    -------
    LocalComparison
        Without ranges where site, field strength, or a stated vendor, scanner or acquisition are
        unknown or others.
    """
    name = MAP_NAMES[sequence]
    if site is None or site != reference.site:
        stated = "the case states no site" if site is None else f"this case is of site {site}"
        return _none(name, f"the normals are of site {reference.site} and {stated}")
    if field_strength_t is None:
        return _none(name, "the case states no field strength")
    own = [e for e in reference.entries if e.sequence == sequence]
    at_field = [e for e in own if abs(e.field_strength_t - field_strength_t) < SAME_FIELD_T]
    if not at_field:
        known = ", ".join(f"{t:g} T" for t in sorted({e.field_strength_t for e in own})) or "no field strength"
        return _none(name, f"site {reference.site} has no normals at {field_strength_t:g} T (it has {known})")
    found = {"vendor": vendor, "scanner": scanner, "acquisition": acquisition}
    same = [e for e in at_field if not _differs(e, found)]
    if not same:
        why = "; ".join(sorted({_differs(e, found) for e in at_field}))
        return _none(name, f"no normals of site {reference.site} were scanned in this way: {why}")
    return _compare(values, same, name, reference.site)


def make_reference(table: pd.DataFrame, *, site: str) -> LocalReference:
    """Build a local reference from a table of the site's normals.

    Parameters
    ----------
    table : DataFrame
        One row per normal: map columns, ``field_strength_t``, and ``vendor``, ``scanner`` and
        ``acquisition`` where they are known. Rows that agree in these make one group.
    site : str
        Name of the site, as cases state it.

    Returns
    -------
    LocalReference
        Mean and standard deviation (divisor n - 1) of every map column in ms or % that at least 15
        normals of a group have; gradients across the wall are left out.

    Raises
    ------
    SpecError
        If the table has no field strength or no map, or the global mean of a sequence is known of
        fewer than 15 normals of a group.
    """
    columns = [str(c) for c in table.columns if _comparable(str(c))]
    if not columns:
        msg = "The table of normals has no column of a map."
        raise SpecError(msg, hint=f"Expected columns such as {', '.join(f'{s}_{u}' for s, u in MAP_UNITS.items())}.")
    if "field_strength_t" not in table.columns or table["field_strength_t"].isna().any():
        msg = "The table of normals lacks 'field_strength_t' for some rows, expected it for each."
        raise SpecError(msg, field="field_strength_t")
    keys = ["field_strength_t", *(k for k in PLACE if k in table.columns)]
    entries = [
        entry
        for place, rows in table.groupby(keys, dropna=False, sort=True)
        for entry in _group_entries(rows, dict(zip(keys, place, strict=True)), columns)
    ]
    return LocalReference(schema="radiocard/map-reference/1", site=site, entries=tuple(entries))


def _group_entries(rows: pd.DataFrame, place: Mapping[str, object], columns: list[str]) -> Iterator[LocalEntry]:
    where = {k: None if pd.isna(v) else v for k, v in place.items()}  # type: ignore[call-overload]
    for column in columns:
        known = rows[column].dropna().to_numpy(dtype=float)
        sequence = str(sequence_of(column))
        if known.size < MIN_NORMALS:
            if known.size and column == f"{sequence}_{MAP_UNITS[sequence]}":
                group = ", ".join(f"{k} {v}" for k, v in where.items() if v is not None)
                msg = f"{known.size} normals have {column} ({group}), expected at least {MIN_NORMALS}."
                raise SpecError(msg, field=column, hint="Scan more normals in the same way, or leave this group out.")
            continue
        sd = float(np.std(known, ddof=1))
        if sd > 0:
            data = {"sequence": sequence, "column": column, "unit": MAP_UNITS[sequence], **where}
            yield LocalEntry.model_validate({**data, "mean": float(known.mean()), "sd": sd, "n": int(known.size)})


def _compare(values: Mapping[str, float | None], entries: list[LocalEntry], name: str, site: str) -> LocalComparison:
    ranges: dict[str, ReferenceRange] = {}
    used: list[LocalEntry] = []
    for column in dict.fromkeys(e.column for e in entries):
        candidates = [e for e in entries if e.column == column]
        most = max(_n_stated(e) for e in candidates)
        best = [e for e in candidates if _n_stated(e) == most]
        if len(best) > 1:
            return _none(name, f"more than one group of normals of site {site} fits this case ({column})")
        entry = best[0]
        if column in values:
            value = values[column]
            z = None if value is None else (value - entry.mean) / entry.sd
            margin = Z_95 * entry.sd
            ranges[column] = ReferenceRange(column, entry.mean, entry.sd, entry.mean - margin, entry.mean + margin, z)
            used.append(entry)
    if not used:
        return _none(name, f"the normals of site {site} hold none of the measured columns")
    first = used[0]
    fewest, most = min(e.n for e in used), max(e.n for e in used)
    n = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    stated = [f"{first.field_strength_t:g} T", *(v for v in (first.vendor, first.scanner, first.acquisition) if v)]
    return LocalComparison(ranges, f"{name} is compared with {n} normals of site {site} ({', '.join(stated)}).")


def _none(name: str, why: str) -> LocalComparison:
    return LocalComparison(MappingProxyType({}), f"{name} is not compared with normal values: {why}.")


def _differs(entry: LocalEntry, found: Mapping[str, str | None]) -> str:
    """Say in what a case differs from an entry; empty where it does not."""
    parts = []
    for key in PLACE:
        wanted, value = getattr(entry, key), found[key]
        if wanted is not None and (value is None or _plain(value) != _plain(wanted)):
            parts.append(f"{key} is {'unknown' if value is None else value}, theirs is {wanted}")
    return ", ".join(parts)


def _n_stated(entry: LocalEntry) -> int:
    return sum(getattr(entry, key) is not None for key in PLACE)


def _plain(text: object) -> str:
    return "".join(str(text).split()).casefold()


def _comparable(column: str) -> bool:
    """Tell the columns in ms or % from counts, and from gradients, whose mean is about zero."""
    sequence = sequence_of(column)
    known = column in MAP_COLUMNS and sequence is not None
    return known and "_gradient_" not in column and column.endswith(f"_{MAP_UNITS[str(sequence)]}")
