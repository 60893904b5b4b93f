"""Tables, issue records and reports to files, whole or not at all, and tables back.

Parquet is exact. CSV holds the same numbers to the last bit; a file ``<name>.meta.json``
beside it keeps the types and the provenance.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radiocard.errors import CohortError, Issue, UsageError
from radiocard.io.atomic import (
    format_json,
    output_lock,
    plain,
    write_bytes,
    write_json,
    write_text,
    write_together,
)
from radiocard.io.delimited import format_delimited, is_decimal_comma, is_number, neutralise, read_delimited

__all__ = [
    "output_lock",
    "read_table",
    "write_bytes",
    "write_issues",
    "write_json",
    "write_table",
    "write_text",
]

INDEX = "patient_id"
_KEY = "radiocard"
_SCHEMA = "radiocard/table/1"
_MISSING_NUMBERS = frozenset({"", "NA", "NaN", "nan"})
_SPECIAL_NUMBERS = frozenset({"inf", "-inf"})
_BOOLS: Mapping[str, bool] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table indexed by ``patient_id`` as Parquet or CSV, by the name's ending.

    Parameters
    ----------
    table : DataFrame
        Columns of numbers, text or booleans. ``table.attrs["radiocard"]`` is kept.
    path : str or Path
        Ends in ``.parquet`` or ``.csv``. In CSV, text that a spreadsheet would run as a
        formula gets a leading apostrophe, which :func:`read_table` takes away; empty text
        and None both become an empty cell.

    Raises
    ------
    UsageError
        If the name ends otherwise, or a column holds mixed types.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    kind = _kind(path)
    flat = table.copy()
    flat.attrs = {}
    flat.insert(0, INDEX, [str(value) for value in table.index])
    flat = flat.reset_index(drop=True)
    meta = plain(table.attrs.get(_KEY, {}))
    if kind == ".parquet":
        write_bytes(_parquet(flat, meta), path)
        return
    kinds = {str(name): _column_kind(flat[name]) for name in flat.columns}
    beside = format_json({"schema": _SCHEMA, "columns": kinds, "radiocard": meta})
    write_together({path: _csv(flat, kinds).encode("utf-8"), _meta_path(path): beside.encode("utf-8")})


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table written by :func:`write_table`, or any CSV with a ``patient_id`` column.

    Parameters
    ----------
    path : str or Path
        Ends in ``.parquet`` or ``.csv``. Without its ``.meta.json``, a CSV column is numeric
        if every filled cell is a number (``NA`` and ``nan`` count as empty), else text.

    Returns
    -------
    DataFrame, index ``patient_id``
        Identifiers are text, always: ``007``, ``NA`` and ``1e5`` stay. Rows keep their
        order. ``attrs["radiocard"]`` is what was written, or absent.

    Raises
    ------
    CohortError
        ``E_TABLE``, if it cannot be read or a number has a decimal comma;
        ``E_DUPLICATE_ID``, if an identifier occurs twice.
    UsageError
        If the name ends otherwise.
    """
    path = Path(path)
    kind = _kind(path)
    if not path.is_file():
        msg = f"There is no table {path.name!r}."
        raise CohortError(msg, code="E_TABLE", hint="'radiocard extract' makes one.")
    table, meta = _read_parquet(path) if kind == ".parquet" else _read_csv(path)
    if INDEX not in table.columns:
        msg = f"{path.name} has no column {INDEX!r}."
        raise CohortError(msg, code="E_TABLE", hint="Each row needs the identifier of its patient.")
    table.index = pd.Index(
        ["" if _is_missing(value) else str(value) for value in table.pop(INDEX)], name=INDEX, dtype=object
    )
    _check_ids(table.index, path.name)
    if meta:
        table.attrs[_KEY] = meta
    return table


def write_issues(issues: Iterable[Issue], path: str | Path) -> None:
    """Write issue records as JSON lines: code, severity, case, field, message, hint.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text("".join(json.dumps(issue.to_dict(), ensure_ascii=False) + "\n" for issue in issues), path)


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        msg = f"{path.name!r} does not end in .parquet or .csv."
        raise UsageError(msg, hint="Parquet is exact and keeps the provenance in one file.")
    return kind


def _meta_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.meta.json")


def _parquet(flat: pd.DataFrame, meta: Any) -> bytes:
    try:
        arrow = pa.Table.from_pandas(flat, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        msg = f"The table cannot be written: {' '.join(str(part) for part in error.args)}."
        raise UsageError(msg, hint="A column holds one kind of value.") from None
    text = json.dumps(meta, ensure_ascii=False, sort_keys=True, allow_nan=False)
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), _KEY.encode(): text.encode("utf-8")})
    buffer = io.BytesIO()
    pq.write_table(arrow, buffer)
    return buffer.getvalue()


def _read_parquet(path: Path) -> tuple[pd.DataFrame, Any]:
    try:
        arrow = pq.ParquetFile(path).read()
        meta = json.loads((arrow.schema.metadata or {}).get(_KEY.encode(), b"{}"))
        table = arrow.to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"{path.name} cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise CohortError(msg, code="E_TABLE") from None
    table.attrs = {}
    return table, meta


def _column_kind(column: pd.Series[Any]) -> str:
    """Return ``float``, ``int``, ``bool`` or ``text``."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "int"
    if pd.api.types.is_float_dtype(column.dtype):
        return "float"
    found = {type(value) for value in column if not _is_missing(value)}
    if found <= {bool, np.bool_} and found:
        return "bool"
    if found and all(issubclass(kind, int | float | np.number) for kind in found):
        return "float"
    return "text"


def _csv(flat: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    columns = [[_cell(value, kinds[str(name)]) for value in flat[name]] for name in flat.columns]
    return format_delimited([neutralise(str(name)) for name in flat.columns], list(zip(*columns, strict=True)))


def _cell(value: Any, kind: str) -> str:
    if _is_missing(value):
        return ""
    if kind == "text":
        return neutralise(str(value))
    if kind == "bool":
        return "true" if value else "false"
    return str(int(value)) if kind == "int" else repr(float(value))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _read_csv(path: Path) -> tuple[pd.DataFrame, Any]:
    raw = read_delimited(path, code="E_TABLE")
    stated, meta = _read_meta(_meta_path(path))
    columns = {}
    for index, name in enumerate(raw.header):
        cells = [row[index] for row in raw.rows]
        kind = "text" if name == INDEX else stated.get(name) or _infer(cells)
        columns[name] = _parse(cells, kind, name, raw.lines, raw.name)
    return pd.DataFrame(columns), meta


def _read_meta(path: Path) -> tuple[dict[str, str], Any]:
    if not path.is_file():
        return {}, {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(kind) for name, kind in data["columns"].items()}, data["radiocard"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        msg = f"{path.name} is not readable."
        raise CohortError(msg, code="E_TABLE", hint="Write the table again, or use Parquet.") from None


def _infer(cells: list[str]) -> str:
    filled = {cell for cell in cells if cell not in _MISSING_NUMBERS}
    if filled and filled <= set(_BOOLS):
        return "bool"
    numbers = all(is_number(cell) or is_decimal_comma(cell) or cell in _SPECIAL_NUMBERS for cell in filled)
    return "float" if numbers else "text"


def _parse(cells: list[str], kind: str, name: str, lines: list[int], file: str) -> pd.Series[Any]:
    if kind == "text":
        return pd.Series([cell or None for cell in cells], dtype=object)
    if kind == "bool":
        values = [_BOOLS.get(cell) for cell in cells]
        return pd.Series(values, dtype=object if None in values else bool)
    for cell, line in zip(cells, lines, strict=True):
        if cell in _MISSING_NUMBERS or cell in _SPECIAL_NUMBERS or is_number(cell):
            continue
        msg = f"{file}: line {line}: {name} is {cell!r}, expected a number."
        hint = f"Write {cell.replace(',', '.')!r}, with a point." if is_decimal_comma(cell) else ""
        raise CohortError(msg, code="E_TABLE", field=name, hint=hint)
    if kind == "int" and all(cell.lstrip("+-").isdigit() for cell in cells):
        return pd.Series([int(cell) for cell in cells], dtype="int64")
    return pd.Series([float("nan") if cell in _MISSING_NUMBERS else float(cell) for cell in cells], dtype=float)


def _check_ids(index: pd.Index[Any], name: str) -> None:
    double = index[index.duplicated()]
    if len(double):
        msg = f"{name}: patient {double[0]!r} occurs more than once ({len(double)} surplus rows)."
        raise CohortError(msg, code="E_DUPLICATE_ID", case=str(double[0]), hint="One row per patient.")
    if (index == "").any():
        msg = f"{name}: a row has no {INDEX}."
        raise CohortError(msg, code="E_TABLE")
