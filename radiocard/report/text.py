"""Text as it is shown: numbers, percentages, and characters that could deceive the reader."""

from __future__ import annotations

import math
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_KEPT = {"\n", "\t", "\u00ad"}
_TENTHS = {"mm", "mL", "mL/m²", "g", "g/m²", "%"}
NBSP = "\u00a0"
MINUS = "\u2212"


def visible(text: str) -> str:
    """Replace control, format and bidirectional characters by their visible code.

    Parameters
    ----------
    text : str
        Any text, for example an identifier from a manifest.

    Returns
    -------
    str
        The same text with each such character written as ``[U+202E]``.

    Examples
    --------
    >>> visible("P1" + chr(0x202E) + "x")
    'P1[U+202E]x'
    """
    return "".join(f"[U+{ord(c):04X}]" if unicodedata.category(c) in _HIDDEN and c not in _KEPT else c for c in text)


def css_string(text: str) -> str:
    r"""Return text as the inside of a CSS string: everything but ASCII letters and digits as an escape.

    Examples
    --------
    >>> css_string('a"</style>')
    'a\\000022\\00003c\\00002fstyle\\00003e'
    """
    return "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):06x}" for c in visible(text))


def number(value: float | None, digits: int | None = None) -> str:
    """Return a number for reading: three figures or so, a true minus sign, a dash when undefined.

    Parameters
    ----------
    value : float or None
        Value; None is undefined.
    digits : int, optional
        Decimals; by size when None.

    Examples
    --------
    >>> number(212.4), number(35.26), number(0.0123), number(None)
    ('212', '35.3', '0.012', '–')
    """
    if value is None:
        return "–"
    if digits is None:
        size = abs(value)
        digits = 0 if size >= 100 or float(value).is_integer() else 1 if size >= 10 else 2 if size >= 0.1 else 3
        if 0 < size < 0.001:
            return f"{value:.1e}".replace("-", MINUS)
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign.

    Examples
    --------
    >>> signed(0.5)
    '+0.50'
    """
    text = number(value, digits)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def percent(share: float | None) -> str:
    """Return a share as a whole percentage; never '0 %' or '100 %' for what is neither.

    Examples
    --------
    >>> percent(0.812).replace(chr(160), " "), percent(0.9991).replace(chr(160), " ")
    ('81 %', '> 99 %')
    """
    if share is None:
        return "–"
    if 0 < share < 0.005:
        return f"<{NBSP}1{NBSP}%"
    if 0.995 <= share < 1:
        return f">{NBSP}99{NBSP}%"
    return f"{math.floor(share * 100 + 0.5)}{NBSP}%"


def quantity(value: float | None, unit: str | None = None) -> str:
    """Return a value with its unit, unbreakable; a tenth is the finest that a contour supports.

    Examples
    --------
    >>> quantity(8.934, "mm").replace(chr(160), " "), quantity(1.534)
    ('8.9 mm', '1.53')
    """
    coarse = unit in _TENTHS and value is not None and 0.1 <= abs(value) < 100
    text = number(value, 1 if coarse else None)
    return f"{text}{NBSP}{unit}" if unit and value is not None else text


def interval(low: float | None, high: float | None) -> str:
    """Return a reference interval in words: '60 to 105', 'from 55', 'up to 12', or ''."""
    if low is not None and high is not None:
        return f"{number(low)}{NBSP}to{NBSP}{number(high)}"
    if low is not None:
        return f"from{NBSP}{number(low)}"
    return f"up{NBSP}to{NBSP}{number(high)}" if high is not None else ""


def p_value(p: float) -> str:
    """Return a p-value for reading.

    Examples
    --------
    >>> p_value(0.00002).replace(chr(160), " "), p_value(0.0432)
    ('< 0.001', '0.043')
    """
    return f"<{NBSP}0.001" if p < 0.001 else f"{p:.3f}"
