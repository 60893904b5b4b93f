"""A table on the columns of a model: missing ones refused, extra ones said, order irrelevant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.errors import CohortError, Issue, ModelError

# Beyond this a value is no measurement, and single precision would overflow.
LARGEST = 1e30


def align(X: pd.DataFrame, columns: Sequence[str]) -> tuple[NDArray[np.float64], list[Issue]]:
    """Put a table on the columns of a model.

    Parameters
    ----------
    X : DataFrame, shape (n_patients, any)
        Columns in any order.
    columns : sequence of str
        What the model needs.

    Returns
    -------
    array : ndarray of float, shape (n_patients, n_columns)
        NaN for undefined.
    issues : list of Issue
        ``W_EXTRA_COLUMNS`` if the table has more columns.

    Raises
    ------
    ModelError
        If columns are missing or stand twice (``E_COLUMNS``).
    CohortError
        If a value is not a number, or infinite (``E_TABLE``).
    """
    missing = [c for c in columns if c not in X.columns]
    if missing:
        more = f" and {len(missing) - 12} more" if len(missing) > 12 else ""
        msg = f"The table lacks {len(missing)} of {len(columns)} columns: {', '.join(missing[:12])}{more}."
        raise ModelError(msg, code="E_COLUMNS", hint="Extract the table with the specification of the model.")
    twice = X.columns[X.columns.duplicated()].intersection(list(columns)).tolist()
    if twice:
        msg = f"Columns stand twice in the table: {', '.join(twice[:12])}."
        raise ModelError(msg, code="E_COLUMNS")
    extra = [str(c) for c in X.columns if c not in set(columns)]
    issues = []
    if extra:
        message = f"The table has {len(extra)} columns that the model does not use: {', '.join(extra[:12])}."
        issues.append(Issue("W_EXTRA_COLUMNS", message))
    return to_array(X.loc[:, list(columns)]), issues


def to_array(X: pd.DataFrame) -> NDArray[np.float64]:
    """Return a table as an array of float.

    Raises
    ------
    CohortError
        If a value is not a number, or infinite (``E_TABLE``).
    """
    try:
        array = np.ascontiguousarray(X.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        bad = [str(c) for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]
        msg = f"Columns hold text where numbers are expected: {', '.join(bad[:12])}."
        raise CohortError(msg, code="E_TABLE") from None
    bad_columns = X.columns[(np.abs(array) > LARGEST).any(axis=0)].tolist()
    if bad_columns:
        msg = f"Columns hold infinite values: {', '.join(map(str, bad_columns[:12]))}."
        raise CohortError(msg, code="E_TABLE", hint="An undefined feature is null.")
    return array
