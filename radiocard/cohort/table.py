"""The table: which columns are features, what they mean, which specification made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from radiocard.cardiac.dictionary import CLINICAL
from radiocard.cardiac.map_dictionary import MAP_COLUMNS
from radiocard.cardiac.scar_dictionary import SCAR
from radiocard.cohort.row import COVARIATES, PROVENANCE
from radiocard.errors import CohortError
from radiocard.features.registry import ColumnInfo, describe_texture_column


def describe(column: str) -> ColumnInfo | None:
    """Return the dictionary entry of a feature column; None for any other column."""
    known = CLINICAL.get(column) or MAP_COLUMNS.get(column) or SCAR.get(column)
    return known or describe_texture_column(column)


def feature_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns that are measurements or texture, in the table's order.

    Covariates, labels, identifiers and provenance are never among them.
    """
    return [column for column in table.columns if describe(column) is not None]


def order_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with covariates first, then provenance, then features as computed."""
    features = feature_columns(table)
    others = [c for c in table.columns if c not in {*features, *COVARIATES, *PROVENANCE}]
    return table[[*COVARIATES, *others, *PROVENANCE, *features]].astype(dict.fromkeys(features, float)).copy()


def specification(table: pd.DataFrame) -> Mapping[str, Any]:
    """Return what the table says of its own making.

    Raises
    ------
    CohortError
        If the table does not say (``E_TABLE``).
    """
    made = table.attrs.get("radiocard")
    if not isinstance(made, Mapping) or "spec_hash" not in made or "spec" not in made:
        msg = "The table does not say which specification made it."
        hint = "Use a table written by 'radiocard extract'; a CSV needs its .meta.json beside it."
        raise CohortError(msg, code="E_TABLE", hint=hint)
    return made
