"""CSV text to rows of text and back, with the traps of spreadsheets.

Cells that a spreadsheet would run as a formula are written with a leading apostrophe and
read without it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radiocard.errors import CohortError

MAX_BYTES = 2**29
_TRIGGERS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Delimited:
    """A CSV file as text.

    Parameters
    ----------
    name : str
        File name, for messages.
    header : list of str
        Column names.
    rows : list of list of str
        Cells, as many per row as there are columns.
    lines : list of int
        Line number of each row in the file.
    """

    name: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def records(self) -> list[dict[str, str]]:
        """Return the rows as mappings from column to cell."""
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]


def read_delimited(path: Path, *, code: str = "E_COHORT") -> Delimited:
    """Read a CSV file: UTF-8 with or without BOM, any line ends; comma, semicolon or tab.

    Parameters
    ----------
    path : Path
        The file.
    code : str
        Code of the errors: ``E_COHORT`` or ``E_TABLE``.

    Returns
    -------
    Delimited
        Every cell as text; nothing is converted, so that ``007`` and ``NA`` stay.

    Raises
    ------
    CohortError
        If the file is not UTF-8 text, or not one table with unique column names.
    """
    text = _text(path, code)
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] | None = None
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            cells = [restore(cell) for cell in cells]
            if header is None:
                header = [cell.strip() for cell in cells]
                continue
            _check_width(cells, header, reader.line_num, path.name, separator, code)
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        msg = f"{path.name}: line {reader.line_num}: {error}."
        raise CohortError(msg, code=code, hint="Check the quotes of that line.") from None
    if header is None:
        msg = f"{path.name} is empty."
        raise CohortError(msg, code=code)
    return _named(Delimited(path.name, header, rows, lines), code)


def format_delimited(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of text as CSV with commas, unix line ends, and quotes where needed."""
    return "".join(",".join(_quoted(cell) for cell in row) + "\n" for row in (header, *rows))


def neutralise(text: str) -> str:
    """Return a text cell that no spreadsheet takes for a formula; :func:`restore` undoes it.

    Examples
    --------
    >>> neutralise("=1+1")
    "'=1+1"
    >>> neutralise("DCM")
    'DCM'
    """
    return f"'{text}" if text.startswith((*_TRIGGERS, "'")) else text


def restore(text: str) -> str:
    """Undo :func:`neutralise`; any other text is returned as it is."""
    return text[1:] if text.startswith("'") and text[1:].startswith((*_TRIGGERS, "'")) else text


def is_number(text: str) -> bool:
    """Whether text is a plain decimal number: ``1``, ``-2.5``, ``1e-5``."""
    return _NUMBER.fullmatch(text) is not None


def is_decimal_comma(text: str) -> bool:
    """Whether text is a number written with a decimal comma: ``1,84``."""
    return _DECIMAL_COMMA.fullmatch(text) is not None


def _quoted(cell: str) -> str:
    """Quote a cell where needed; the csv module leaves a lone carriage return bare."""
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if any(c in cell for c in ',"\r\n') else cell


def _text(path: Path, code: str) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            msg = f"{path.name} has {size} bytes, expected at most {MAX_BYTES}."
            raise CohortError(msg, code=code)
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror or type(error).__name__}."
        raise CohortError(msg, code=code) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = f"{path.name} is not UTF-8 text."
        raise CohortError(msg, code=code, hint="Save it as 'CSV UTF-8'.") from None
    if "\0" in text:
        msg = f"{path.name} is not a text file: it holds zero bytes."
        raise CohortError(msg, code=code, hint="Save it as 'CSV UTF-8'.")
    return text


def _separator(text: str) -> str:
    lines = (line for line in io.StringIO(text) if line.strip())
    first = next(lines, "")
    return max((",", ";", "\t"), key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))


def _check_width(cells: list[str], header: list[str], line: int, name: str, separator: str, code: str) -> None:
    if len(cells) == len(header):
        return
    msg = f"{name}: line {line} has {len(cells)} cells, expected {len(header)} as in the first line."
    hint = "Quote cells that hold a comma, and write decimals with a point (1.84)." if separator == "," else ""
    raise CohortError(msg, code=code, hint=hint)


def _named(table: Delimited, code: str) -> Delimited:
    """Drop unnamed columns that are empty or a leading row number; refuse others, and doubles."""
    keep = list(range(len(table.header)))
    for index, name in enumerate(table.header):
        if name:
            continue
        if index > 0 and any(row[index].strip() for row in table.rows):
            msg = f"{table.name}: column {index + 1} has no name."
            raise CohortError(msg, code=code)
        keep.remove(index)
    header = [table.header[i] for i in keep]
    double = sorted({name for name in header if header.count(name) > 1}) if len(set(header)) < len(header) else []
    if double:
        msg = f"{table.name}: column {double[0]!r} occurs more than once."
        raise CohortError(msg, code=code)
    return Delimited(table.name, header, [[row[i] for i in keep] for row in table.rows], table.lines)


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell: numbers in full, nothing for None, text that cannot be a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, int | float) else neutralise(str(value))
