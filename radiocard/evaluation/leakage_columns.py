"""Columns that are the label in disguise: constant per class, separating alone, identifiers, dates."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiocard.evaluation.leakage import Finding, Severity, listed

FloatArray = NDArray[np.floating[Any]]

FALSE_ALARMS = 0.01
FEWEST_ORDERED = 10
DATE_NAME = re.compile(r"(^|_)(date|datum|time|timestamp|datetime|day|year)($|_)", re.IGNORECASE)
ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}([T ].*)?$")
FIRST_DAY, LAST_DAY = 19000101, 21001231


def column_findings(
    table: pd.DataFrame, y: ArrayLike, groups: ArrayLike, *, used: Sequence[str], known: Sequence[str] = ()
) -> list[Finding]:
    """Report columns that give the class away without measuring anything.

    What a model may learn from must be fixed or looked at; elsewhere the same column is only noted.

    Parameters
    ----------
    table : DataFrame, shape (n, any)
        Rows with a known class, indexed by patient.
    y, groups : array_like of str, shape (n,)
        Classes; groups. Each group is looked at once, by its first row.
    used : sequence of str
        Columns that models may learn from.
    known : sequence of str
        Columns with a declared role (target, split, covariates, provenance), which are not judged.

    Returns
    -------
    list of Finding
    """
    first = np.sort(np.unique(np.asarray(groups).astype(str), return_index=True)[1])
    rows, labels = table.iloc[first], np.asarray(y).astype(str)[first]
    places = _id_order(rows.index)
    others = [str(c) for c in table.columns if c not in {*used, *known}]
    found: list[Finding] = []
    for column in [*used, *others]:
        found += _judge(rows[column], labels, places, used=column in set(used), n_used=len(used))
    texts = [c for c in others if not pd.api.types.is_numeric_dtype(table[c])]
    if texts:
        message = f"{len(texts)} text columns are in no pool: {listed(texts)}. No model sees them."
        found.append(Finding("note", "columns", message, columns=tuple(texts)))
    return found


def _judge(
    column: pd.Series[Any], y: NDArray[Any], places: NDArray[np.intp] | None, *, used: bool, n_used: int
) -> list[Finding]:
    name = str(column.name)
    grave: Severity = "fix" if used else "note"
    mild: Severity = "look" if used else "note"
    hint = "Leave the column out." if used else "No model sees the column; keep it so."
    if constant_per_class(column, y):
        message = f"{name!r} has one value in each class, and others in other classes: it is the label."
        return [Finding(grave, "columns", message, hint, columns=(name,))]
    missing = missing_by_class(column, y)
    if missing:
        message = f"{name!r} is undefined for every patient of {', '.join(missing)} and for nobody else."
        return [Finding(grave, "columns", message, hint, columns=(name,))]
    if is_date(column):
        return [Finding(grave, "columns", f"{name!r} holds dates.", hint, columns=(name,))]
    if not pd.api.types.is_numeric_dtype(column):
        return []
    order = ordered_by(column, places)
    if order:
        message = f"{name!r} rises or falls with every step of {order}, like an identifier."
        severity = grave if order == "the identifiers" else mild
        return [Finding(severity, "columns", message, hint, columns=(name,))]
    if not used:
        return []
    return _separations(column, y, n_used)


def constant_per_class(column: pd.Series[Any], y: NDArray[Any]) -> bool:
    """Tell whether a column has one value in each class, not everywhere the same.

    Parameters
    ----------
    column : Series, shape (n,)
        Numbers or text; undefined values are left out.
    y : ndarray of str, shape (n,)
        Classes; each needs two defined values, or one value could not be anything but constant.
    """
    known = column.notna().to_numpy()
    parts = [column[known & (y == c)] for c in np.unique(y)]
    return all(len(p) > 1 and p.nunique() == 1 for p in parts) and column.nunique() > 1


def missing_by_class(column: pd.Series[Any], y: NDArray[Any]) -> list[str]:
    """Return the classes in which a column is undefined for everybody, if it is defined for everybody else."""
    share = column.isna().groupby(y).mean()
    if not share.isin([0.0, 1.0]).all() or share.nunique() < 2:
        return []
    return [str(c) for c in share.index[share == 1.0]]


def is_date(column: pd.Series[Any]) -> bool:
    """Tell whether a column holds dates: by type, as ISO text, or as whole numbers yyyymmdd."""
    values = column.dropna()
    if values.empty:
        return False
    if pd.api.types.is_datetime64_any_dtype(values):
        return True
    if not pd.api.types.is_numeric_dtype(values):
        return all(ISO_DATE.match(str(v)) for v in values)
    if pd.api.types.is_bool_dtype(values):
        return False
    if DATE_NAME.search(str(column.name)) and (values % 1 == 0).all() and values.nunique() > 1:
        return True
    if not values.between(FIRST_DAY, LAST_DAY).all() or (values % 1 != 0).any():
        return False
    return bool(pd.to_datetime(values.astype(int).astype(str), format="%Y%m%d", errors="coerce").notna().all())


def ordered_by(column: pd.Series[Any], places: NDArray[np.intp] | None) -> str | None:
    """Return what a column rises or falls with, strictly: the identifiers, the order of the rows, or None.

    A measurement of n patients does so by chance once in n!/2 columns; fewer than 10 are not judged.

    Parameters
    ----------
    column : Series of float, shape (n,)
    places : ndarray of int, shape (n,), or None
        Rows in the order of the identifiers; None where these have no natural order.
    """
    values = column.to_numpy(dtype=float)
    if len(values) < FEWEST_ORDERED or np.isnan(values).any():
        return None
    for name, order in (("the identifiers", places), ("the order of the rows", np.arange(len(values)))):
        steps = np.diff(values[order]) if order is not None else np.zeros(1)
        if (steps > 0).all() or (steps < 0).all():
            return name
    return None


def separation(column: pd.Series[Any], y: NDArray[Any], label: str) -> tuple[float, float] | None:
    """Return the gap between one class and all others along one column, or None where they overlap.

    Parameters
    ----------
    column : Series of float, shape (n,)
        Undefined values are left out.
    y : ndarray of str, shape (n,)
    label : str
        The class that is set apart.

    Returns
    -------
    tuple of float or None
        The two values that bound the gap, the lower one first; the AUC of the column is 0 or 1.
    """
    values = column.to_numpy(dtype=float)
    mine, others = values[(y == label) & ~np.isnan(values)], values[(y != label) & ~np.isnan(values)]
    if not mine.size or not others.size:
        return None
    if mine.min() > others.max():
        return float(others.max()), float(mine.min())
    if mine.max() < others.min():
        return float(mine.max()), float(others.min())
    return None


def _separations(column: pd.Series[Any], y: NDArray[Any], n_used: int) -> list[Finding]:
    found = []
    known = column.notna().to_numpy()
    for label in np.unique(y):
        gap = separation(column, y, label)
        if gap is None:
            continue
        n, mine = int(known.sum()), int((known & (y == label)).sum())
        if n_used * 2 / math.comb(n, mine) > FALSE_ALARMS:  # noise would do so among so many columns
            continue
        message = f"{column.name!r} alone sets {label} apart: AUC 1, nothing between {gap[0]:.4g} and {gap[1]:.4g}."
        hint = "Look whether it measures the heart, was used to give the diagnosis, or follows from it."
        found.append(Finding("look", "columns", message, hint, columns=(str(column.name),)))
    return found


def _id_order(index: pd.Index[Any]) -> NDArray[np.intp] | None:
    """Return rows in the order of the number in their identifiers; None where not each has its own."""
    digits = ["".join(re.findall(r"\d+", str(i))) for i in index]
    if not all(digits) or len(set(map(int, digits))) < len(digits):
        return None
    return np.array(sorted(range(len(digits)), key=lambda k: int(digits[k])), dtype=np.intp)
