"""YAML that cannot surprise: no tags, no aliases, no duplicate keys, 64 KB at most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from radiocard.errors import SpecError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping of settings.

    Raises
    ------
    SpecError
        If the file is too big, unsafe, malformed, or holds no mapping.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        msg = f"{path.name} has {size} bytes, expected at most {MAX_BYTES}."
        raise SpecError(msg)
    try:
        text = path.read_text(encoding="utf-8-sig")
        _refuse_unsafe(text, path.name)
        yaml = YAML(typ="safe", pure=True)
        yaml.version = (1, 2)
        data = yaml.load(text)
    except SpecError:
        raise
    except UnicodeDecodeError:
        msg = f"{path.name} is not UTF-8 text."
        raise SpecError(msg) from None
    except DuplicateKeyError as error:
        msg = f"{path.name}: {_line(error)}: a key occurs twice."
        raise SpecError(msg) from None
    except MarkedYAMLError as error:
        msg = f"{path.name}: {_line(error)}: {error.problem}."
        raise SpecError(msg) from None
    except (YAMLError, ValueError, RecursionError) as error:
        msg = f"{path.name} is not readable as YAML: {error}."
        raise SpecError(msg) from None
    if not isinstance(data, dict) or not all(isinstance(k, str) for k in data):
        msg = f"{path.name} does not hold a mapping of settings."
        raise SpecError(msg)
    return data


def _refuse_unsafe(text: str, name: str) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            msg = f"{name}: line {line}: settings are nested more than {MAX_DEPTH} deep."
            raise SpecError(msg)
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            msg = f"{name}: line {line}: anchors and aliases are not allowed."
            raise SpecError(msg)
        if getattr(event, "tag", None) and not (isinstance(event, ScalarEvent) and event.style):
            msg = f"{name}: line {line}: tags are not allowed."
            raise SpecError(msg)


def _line(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}" if mark else "unknown line"
