"""From plain data to a specification, with errors that name the field and the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from radiocard.errors import SpecError
from radiocard.specs.base import Frozen

T = TypeVar("T", bound=Frozen)


def parse_as(kind: type[T], data: Mapping[str, Any], name: str) -> T:
    """Validate plain data as a specification; errors name the field and the nearest known one.

    Raises
    ------
    SpecError
        If a setting is unknown, missing or out of range.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"])
        hint = ""
        if first["type"] == "extra_forbidden":
            hint = nearest(str(first["loc"][-1]), _setting_names(kind), what="settings")
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        msg = f"{name}: {where}: {first['msg']}{more}."
        raise SpecError(msg, field=where, hint=hint) from None


def nearest(word: str, known: Iterable[str], *, what: str) -> str:
    """Return a hint with the known word nearest to another, or with all of them."""
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known {what}: {', '.join(names)}."


def _setting_names(kind: type[BaseModel]) -> Iterator[str]:
    for name, info in kind.model_fields.items():
        yield info.alias or name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _setting_names(info.annotation)
