"""Clinical covariates from text: known columns have one spelling, one unit and a range."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from radiocard.errors import CohortError, Issue
from radiocard.io.delimited import is_decimal_comma, is_number

TEXT = ("site", "vendor", "diagnosis")
NUMBERS: Mapping[str, tuple[float, float]] = {
    "age_y": (0, 120),
    "height_cm": (40, 250),
    "weight_kg": (1, 400),
    "field_strength_t": (0.01, 20),
}
KNOWN = ("sex", *NUMBERS, *TEXT, "simulated")
_MISSING = frozenset({"", "na", "n/a", "nan"})
_SEX = {"f": "F", "female": "F", "m": "M", "male": "M"}
_YES_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_METRES = (0.4, 2.5)
_MILLIMETRES = (400.0, 2500.0)
_LEADING_ZERO = re.compile(r"[+-]?0\d")


def parse_clinical(name: str, text: str, *, case: str, code: str = "E_COHORT") -> Any:
    """Return one known covariate; None where the cell is empty or says ``NA``.

    Parameters
    ----------
    name : str
        One of :data:`KNOWN`.
    text : str
        The cell.
    case : str
        Patient identifier, for messages.
    code : str
        Code of the error.

    Returns
    -------
    str, float, bool or None
        ``sex`` as ``F`` or ``M``; numbers in the unit that the name ends with.

    Raises
    ------
    CohortError
        If the spelling is unknown, the number not one, or outside what a person can have.
    """
    text = text.strip()
    if text.casefold() in _MISSING:
        return None
    if name == "sex":
        return _one_of(text, _SEX, "F or M", name, case, code)
    if name == "simulated":
        return _one_of(text, _YES_NO, "true or false", name, case, code)
    return _number(name, text, case, code) if name in NUMBERS else text


def other_columns(columns: Mapping[str, list[str]]) -> dict[str, list[Any]]:
    """Type the columns that radiocard does not know: numbers if every filled cell is one.

    Numbers with leading zeros are codes and stay text.

    Parameters
    ----------
    columns : mapping of str to list of str
        Cells by column.

    Returns
    -------
    dict of str to list
        The same cells as float, text or None.

    Raises
    ------
    CohortError
        If numbers are written with a decimal comma.
    """
    out: dict[str, list[Any]] = {}
    for name, raw in columns.items():
        cells = [cell.strip() for cell in raw]
        filled = [cell for cell in cells if cell.casefold() not in _MISSING]
        commas = [cell for cell in filled if is_decimal_comma(cell)]
        numeric = bool(filled) and all(is_number(cell) or is_decimal_comma(cell) for cell in filled)
        if numeric and commas:
            raise _decimal_comma(name, commas[0], None, "E_COHORT")
        numeric = numeric and not any(_LEADING_ZERO.match(cell) for cell in filled)
        out[name] = [None if c.casefold() in _MISSING else float(c) if numeric else c for c in cells]
    return out


def near_misses(names: Iterable[str]) -> list[Issue]:
    """Return a warning for each kept column whose name is nearly a known one (``height``)."""
    issues = []
    for name in names:
        stems = {known.split("_")[0]: known for known in NUMBERS} | {"gender": "sex", "group": "diagnosis"}
        plain = name.casefold()
        close = difflib.get_close_matches(plain, KNOWN, n=1, cutoff=0.8)
        known = stems.get(plain.split("_")[0]) or (close[0] if close else None)
        if known:
            message = f"Column {name!r} is kept as it is, and not used as {known!r}."
            issues.append(Issue("W_EXTRA_COLUMNS", message, field=name, hint=f"Rename it to {known!r} if it is meant."))
    return issues


def merge_clinical(parts: Iterable[Mapping[str, Any]], *, case: str) -> dict[str, Any]:
    """Join what the rows of one patient say; an empty cell agrees with anything.

    Raises
    ------
    CohortError
        If two rows contradict each other.
    """
    merged: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if value is None:
                continue
            if name in merged and merged[name] != value:
                msg = f"The rows of one patient disagree: {name} is {merged[name]!r} and {value!r}."
                raise CohortError(msg, case=case, field=name, hint="Clinical columns hold one value per patient.")
            merged[name] = value
    return merged


def _one_of(text: str, known: Mapping[str, Any], expected: str, name: str, case: str, code: str) -> Any:
    if text.casefold() not in known:
        msg = f"{name} is {text!r}, expected {expected}."
        raise CohortError(msg, code=code, case=case, field=name, hint="Leave it empty where it is not known.")
    return known[text.casefold()]


def _number(name: str, text: str, case: str, code: str) -> float:
    if is_decimal_comma(text):
        raise _decimal_comma(name, text, case, code)
    if not is_number(text):
        msg = f"{name} is {text!r}, expected a number."
        raise CohortError(msg, code=code, case=case, field=name, hint="Leave it empty where it is not known.")
    value, (low, high) = float(text), NUMBERS[name]
    if low <= value <= high:
        return value
    hint = "Leave it empty where it is not known."
    if name == "height_cm" and _METRES[0] <= value <= _METRES[1]:
        hint = f"It looks like metres: write {value * 100:g}."
    elif name == "height_cm" and _MILLIMETRES[0] <= value <= _MILLIMETRES[1]:
        hint = f"It looks like millimetres: write {value / 10:g}."
    msg = f"{name} is {text}, expected {low:g} to {high:g}."
    raise CohortError(msg, code=code, case=case, field=name, hint=hint)


def _decimal_comma(name: str, text: str, case: str | None, code: str) -> CohortError:
    msg = f"{name} is {text!r}: numbers need a decimal point."
    hint = f"Write {text.replace(',', '.')!r}; in a spreadsheet, set the decimal sign before saving as CSV."
    return CohortError(msg, code=code, case=case, field=name, hint=hint)
