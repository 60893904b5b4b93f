"""Outputs that are whole or absent, and a lock that names its holder."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from radiocard.errors import OutputError


def write_bytes(data: bytes, path: str | Path) -> None:
    """Write a file under a temporary name, then rename it; missing folders are made.

    Parameters
    ----------
    data : bytes
        The content.
    path : str or Path
        The file. An existing one is replaced only once the new one is complete; a link
        is replaced, not followed.

    Raises
    ------
    OutputError
        If the disk is full, the folder cannot be written, or the name is a folder.
    """
    write_together({Path(path): data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together: none is replaced until all of them are complete.

    Raises
    ------
    OutputError
        As :func:`write_bytes`.
    """
    staged: dict[Path, Path] = {}
    path = Path()
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = path.parent / f".radiocard-{secrets.token_hex(8)}.tmp"
            with staged[path].open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        for path, temporary in staged.items():
            temporary.replace(path)
    except OSError as error:
        msg = f"{path.name!r} cannot be written: {error.strerror or error}."
        hint = "Check the free space and the permissions of the folder; an older file is unchanged."
        raise OutputError(msg, hint=hint) from error
    finally:
        for temporary in staged.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Write UTF-8 text, line ends as given, as :func:`write_bytes` does."""
    write_bytes(text.encode("utf-8"), path)


def write_json(obj: Any, path: str | Path) -> None:
    """Write an object as JSON, as :func:`write_bytes` does.

    NaN and infinite numbers become null; numpy numbers and arrays become plain ones.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(format_json(obj), path)


def format_json(obj: Any) -> str:
    """Return the text that :func:`write_json` writes."""
    return json.dumps(plain(obj), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def plain(obj: Any) -> Any:
    """Return an object as JSON can hold it: mappings, lists, text, finite numbers, null."""
    if isinstance(obj, Mapping):
        return {str(key): plain(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [plain(value) for value in obj]
    if isinstance(obj, np.ndarray):
        return plain(obj.tolist())
    if isinstance(obj, np.generic):
        return plain(obj.item())
    if isinstance(obj, float) and not math.isfinite(obj):
        return None
    return obj


@contextmanager
def output_lock(path: str | Path) -> Iterator[None]:
    """Hold the only right to write an output, for the length of a ``with`` block.

    The lock file ``.<name>.lock`` stays beside the output; the lock itself ends with the
    process, however that ends.

    Parameters
    ----------
    path : str or Path
        The file or folder to be written.

    Raises
    ------
    OutputError
        ``E_LOCKED``, naming the process that holds it; ``E_WRITE``, if no lock can be made.
    """
    path = Path(path)
    name = path.resolve().name
    holder = path.parent / f".{name}.holder"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.parent / f".{name}.lock", timeout=0)
        lock.acquire()
    except Timeout:
        msg = f"{name!r} is being written by another process ({_holder(holder)})."
        raise OutputError(msg, code="E_LOCKED", hint="Wait for it to end, or choose another output.") from None
    except OSError as error:
        msg = f"No lock can be made beside {name!r}: {error.strerror or error}."
        raise OutputError(msg, hint="Check the permissions of the folder.") from error
    try:
        write_text(str(os.getpid()), holder)
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        return f"process {int(path.read_text(encoding='utf-8'))}"
    except (OSError, ValueError):
        return "its number is not known"
