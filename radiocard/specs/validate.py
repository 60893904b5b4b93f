"""From plain data to a specification, with errors that name the field and the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

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
        text = first["msg"].removeprefix("Value error, ")
        # Where settings contradict each other, the text itself begins with the setting.
        where = ".".join(str(part) for part in first["loc"]) or text.partition(":")[0]
        text = text if text.startswith(f"{where}:") else f"{where}: {text}"
        hint = ""
        if first["type"] == "extra_forbidden":
            hint = nearest(str(first["loc"][-1]), _setting_names(kind, first["loc"][:-1]), what="settings")
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        msg = f"{name}: {text}{more}."
        raise SpecError(msg, field=where, hint=hint) from None


def nearest(word: str, known: Iterable[str], *, what: str) -> str:
    """Return a hint with the known word nearest to another, or with all of them."""
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known {what}: {', '.join(names)}."


def _setting_names(kind: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """List the settings of the part of a specification at a place, as pydantic gives it."""
    parts = [kind]
    for step in place:
        inner = [
            found
            for part in parts
            for name, info in part.model_fields.items()
            if step in {name, info.alias}
            for found in _models(info.annotation)
        ]
        # A step that is no setting is the number of an item, a key, or the tag of one kind of item.
        parts = inner or [part for part in parts if step in _tags(part)] or parts
    return [info.alias or name for part in parts for name, info in part.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _tags(kind: type[BaseModel]) -> set[str]:
    choices = (info.annotation for info in kind.model_fields.values() if get_origin(info.annotation) is Literal)
    return {str(value) for choice in choices for value in get_args(choice)}
