"""Pools of columns that a model may draw on, declared before any model sees data."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from radiocard.errors import CohortError, UsageError
from radiocard.specs import FeaturePools, read_as


def read_pools() -> FeaturePools:
    """Read the pools that come with radiocard."""
    return read_as(FeaturePools, "pools", "models")


def pool_columns(name: str, columns: Iterable[str], *, pools: FeaturePools | None = None) -> list[str]:
    """Return the columns of a table that belong to a pool.

    A pool lists measurements by name or by beginning, so covariates, labels, identifiers
    and provenance are never in one.

    Parameters
    ----------
    name : str
        ``physiology``, ``texture`` or ``all``.
    columns : iterable of str
        Columns of the table.
    pools : FeaturePools, optional
        The shipped pools when None.

    Returns
    -------
    list of str
        In the order of the pool, then of the table.

    Raises
    ------
    UsageError
        If there is no such pool.
    CohortError
        If the table has none of its columns (``E_COLUMNS``).

    Examples
    --------
    >>> pool_columns("physiology", ["diagnosis", "site", "rvef_pct", "lvef_pct"])
    ['lvef_pct', 'rvef_pct']
    """
    known = (pools or read_pools()).pools
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else ""
        msg = f"There is no pool {name!r}; pools: {', '.join(known)}."
        raise UsageError(msg, hint=hint)
    table = list(columns)
    found: dict[str, None] = {}
    for entry in known[name]:
        found |= dict.fromkeys(c for c in table if _matches(entry, c))
    if not found:
        msg = f"The table has no column of the pool {name!r}."
        raise CohortError(msg, code="E_COLUMNS", hint="Check the specification that the table was made with.")
    return list(found)


def _matches(entry: str, column: str) -> bool:
    return column.startswith(entry[:-1]) if entry.endswith("*") else column == entry
