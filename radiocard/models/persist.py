"""Model files: one zip of ``model.json`` and ``.npy`` arrays. Nothing in it can be executed.

The members are stored, not compressed, so a file cannot unpack to more than itself.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from radiocard.errors import ModelError, UsageError
from radiocard.io.atomic import write_bytes
from radiocard.models.bundle import ModelBundle
from radiocard.models.codecs.arrays import Array
from radiocard.models.decoding import ARRAY_NAME, ArrayEntry, parse_document, restore_bundle
from radiocard.models.encoding import SCHEMA, array_bytes, array_header, document_bytes, document_id, model_document

MAX_FILE = 512 * 1024**2
MAX_JSON = 32 * 1024**2
MAX_DEPTH = 40
MAX_MEMBERS = 5000
MAX_DIGITS = 18
DOCUMENT = "model.json"
FOLDER = "arrays/"
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_DAMAGE = (
    zipfile.BadZipFile, struct.error, NotImplementedError, RuntimeError, EOFError, ValueError, KeyError, OSError,
)  # fmt: skip


def save_model(bundle: ModelBundle, path: str | Path) -> None:
    """Write a model file, whole or not at all; the same bundle gives the same bytes.

    Parameters
    ----------
    bundle : ModelBundle
        What to write.
    path : str or Path
        File.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ModelError
        If the file could not be read back, for example beyond the size cap.
    """
    data = model_bytes(bundle)
    read_model(data)
    write_bytes(data, path)


def load_model(path: str | Path) -> ModelBundle:
    """Read a model file; nothing in it is executed.

    Parameters
    ----------
    path : str or Path
        File written by :func:`save_model`.

    Returns
    -------
    ModelBundle

    Raises
    ------
    UsageError
        If there is no such file.
    ModelError
        If the file is damaged, tampered with, too large, of a newer version, or
        not a model file, such as a pickle (``E_MODEL_UNSAFE``).
    """
    if not Path(path).is_file():
        msg = f"There is no model file {Path(path).name!r}."
        raise UsageError(msg, hint="'radiocard train' makes one.")
    try:
        size = Path(path).stat().st_size
        if size > MAX_FILE:
            msg = f"Model file has {size} bytes, expected at most {MAX_FILE}."
            raise ModelError(msg)
        data = Path(path).read_bytes()
    except OSError as error:
        msg = f"Model file cannot be read: {error.strerror or type(error).__name__}."
        raise ModelError(msg) from None
    return read_model(data)


def model_bytes(bundle: ModelBundle) -> bytes:
    """Return the bytes of a model file."""
    return pack_archive(*model_document(bundle))


def pack_archive(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return a document and its arrays as a zip of stored members; equal parts give equal bytes."""
    members = {DOCUMENT: document_bytes(document)}
    members |= {f"{FOLDER}{name}.npy": array_bytes(arrays[name]) for name in sorted(arrays)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, TIMESTAMP)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def read_model(data: bytes) -> ModelBundle:
    """Rebuild a bundle from the bytes of a model file; see :func:`load_model`."""
    content, members = open_archive(data, schema=SCHEMA)
    document = parse_document(content)
    refuse_changed(content)
    return restore_bundle(document, checked_arrays(document.arrays, members))


def open_archive(data: bytes, *, schema: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the document of a model file of one schema, not yet checked, and its other members.

    Raises
    ------
    ModelError
        See :func:`load_model`.
    """
    members = _members(data)
    content = _parse_json(members.pop(DOCUMENT))
    _check_version(content, schema)
    return content, members


def refuse_changed(content: Mapping[str, Any]) -> None:
    """Refuse a document whose hash is not the one that it states.

    Raises
    ------
    ModelError
        If it differs.
    """
    if document_id(content) != content["model_id"]:
        msg = "Model file: model.json was changed after it was written (its hash differs)."
        raise ModelError(msg)


def _members(data: bytes) -> dict[str, bytes]:
    """Return the members of the zip, by name."""
    if len(data) > MAX_FILE:
        msg = f"Model file has {len(data)} bytes, expected at most {MAX_FILE}."
        raise ModelError(msg)
    if not data.startswith(b"PK\x03\x04"):
        kind = "looks like a pickle; nothing of it was executed" if data[:1] == b"\x80" else "is not a zip"
        msg = f"This is not a radiocard model file: it {kind}."
        raise ModelError(msg, hint="Only files written by 'radiocard train' are read.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check_members(infos, len(data))
            return {info.filename: archive.read(info) for info in infos}
    except _DAMAGE as error:
        if isinstance(error, ModelError):
            raise
        msg = f"Model file is damaged: {type(error).__name__}."
        raise ModelError(msg) from None


def _check_members(infos: list[zipfile.ZipInfo], size: int) -> None:
    names = [info.filename for info in infos]
    odd = [n for n in names if n != DOCUMENT and not _is_array(n)]
    if odd or len(set(names)) != len(names) or DOCUMENT not in names or len(names) > MAX_MEMBERS:
        shown = repr(odd[0][:80]) if odd else "missing, doubled or too many"
        msg = f"Model file holds members that do not belong there: {shown}."
        raise ModelError(msg)
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 for info in infos):
        msg = "Model file holds compressed or encrypted members, expected stored ones."
        raise ModelError(msg)
    declared = sum(max(info.file_size, info.compress_size) for info in infos)
    if declared > size:
        msg = f"Model file declares {declared} bytes of content but has {size}."
        raise ModelError(msg)


def _is_array(name: str) -> bool:
    inner = name.removeprefix(FOLDER).removesuffix(".npy")
    return name == f"{FOLDER}{inner}.npy" and re.fullmatch(ARRAY_NAME, inner) is not None


def _parse_json(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_JSON:
        msg = f"Model file: model.json has {len(data)} bytes, expected at most {MAX_JSON}."
        raise ModelError(msg)
    try:
        text = data.decode("ascii")
        _check_nesting(text)
        content = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_number, parse_float=_real, parse_int=_whole
        )
    except (ValueError, RecursionError):
        msg = "Model file: model.json is not well-formed JSON."
        raise ModelError(msg) from None
    if not isinstance(content, dict):
        msg = "Model file: model.json does not hold an object."
        raise ModelError(msg)
    return content


def _check_nesting(text: str) -> None:
    """Refuse deep nesting before a parser walks down it."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            msg = f"deeper than {MAX_DEPTH}"
            raise ValueError(msg)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        msg = "a key occurs twice"
        raise ValueError(msg)
    return out


def _real(text: str) -> float:
    value = float(text)
    return value if np.isfinite(value) else _refuse_number(text)


def _whole(text: str) -> int:
    return int(text) if len(text) <= MAX_DIGITS else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    msg = f"{text[:40]} is not a number of JSON"
    raise ValueError(msg)


def _check_version(content: Mapping[str, Any], expected: str) -> None:
    schema = content.get("schema")
    if schema == expected:
        return
    stem, ours = expected.rsplit("/", 1)
    match = re.fullmatch(re.escape(stem) + r"/(\d{1,6})", schema) if isinstance(schema, str) else None
    if match and int(match[1]) > int(ours):
        msg = f"Model file has version {match[1]}, this radiocard reads version {ours}."
        raise ModelError(msg, hint="Update radiocard, or train the model again.")
    msg = f"This is not a radiocard model file: its schema is {str(schema)[:60]!r}, expected {expected!r}."
    raise ModelError(msg)


def checked_arrays(entries: Mapping[str, ArrayEntry], members: Mapping[str, bytes]) -> dict[str, Array]:
    """Return the arrays of a model file, whose types, shapes and hashes are those of its document.

    Raises
    ------
    ModelError
        Naming the first that is not.
    """
    if {f"{FOLDER}{name}.npy" for name in entries} != set(members):
        msg = "Model file: the arrays of the zip are not those that model.json lists."
        raise ModelError(msg)
    return {name: _array(name, entry, members[f"{FOLDER}{name}.npy"]) for name, entry in entries.items()}


def _array(name: str, entry: ArrayEntry, data: bytes) -> Array:
    shape = tuple(entry.shape)
    header = array_header(entry.dtype, shape)
    dtype = np.dtype(entry.dtype)
    count = int(np.prod([int(s) for s in shape], dtype=object))
    body = memoryview(data)[len(header) :]
    if not data.startswith(header) or len(body) != count * dtype.itemsize:
        msg = f"Model file: array {name!r} does not have the type, shape or size that model.json states."
        raise ModelError(msg)
    if hashlib.sha256(body).hexdigest() != entry.sha256:
        msg = f"Model file: array {name!r} was changed after it was written (its hash differs)."
        raise ModelError(msg)
    return np.frombuffer(body, dtype=dtype).reshape(shape).copy()
