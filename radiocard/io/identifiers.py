"""Patient identifiers: text that is safe as part of a file name, on any system."""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 64
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))})
_FORBIDDEN = '<>:"/\\|?*'


def id_problem(identifier: str) -> str | None:
    """Return why an identifier cannot be used, or None if it can.

    Parameters
    ----------
    identifier : str
        As found in a manifest or folder name.

    Returns
    -------
    str or None
        A clause such as ``"holds '/'"``.

    Examples
    --------
    >>> id_problem("../../x")
    "holds '/'"
    >>> id_problem("007") is None
    True
    """
    if not identifier:
        return "is empty"
    if len(identifier) > MAX_LENGTH:
        return f"has {len(identifier)} characters, expected at most {MAX_LENGTH}"
    for character in identifier:
        if character in _FORBIDDEN:
            return f"holds {character!r}"
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            return f"holds the invisible character U+{ord(character):04X}"
    if identifier[0] in ". " or identifier[-1] in ". ":
        return "begins or ends with a dot or a space"
    if identifier.split(".")[0].strip().casefold() in _RESERVED:
        return "is a name that Windows reserves"
    return None


def shown(identifier: str) -> str:
    """Return an unsafe identifier as short ASCII text, for a message."""
    text = ascii(identifier)
    return text if len(text) <= 40 else f"{text[:36]}...'"


def folded(identifier: str) -> str:
    """Return the form in which two identifiers collide as file names."""
    return unicodedata.normalize("NFC", identifier).casefold()
