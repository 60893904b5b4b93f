"""A bundle as one JSON document and named arrays; equal bundles give equal documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from radiocard.errors import UsageError
from radiocard.models.codecs.arrays import Array
from radiocard.models.codecs.registry import CODECS
from radiocard.models.fitted import FittedModel

if TYPE_CHECKING:
    from radiocard.models.bundle import ModelBundle

SCHEMA = "radiocard/model/1"
MAGIC = b"\x93NUMPY\x01\x00"
HEADER_BLOCK = 64


def model_document(bundle: ModelBundle) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the document and the arrays of a bundle.

    Parameters
    ----------
    bundle : ModelBundle
        What to write.

    Returns
    -------
    document : dict
        Plain data; ``model_id`` is the SHA-256 of the rest, array hashes included.
    arrays : dict of str to ndarray
        Little-endian, C order.

    Raises
    ------
    UsageError
        If specification or evaluation hold something that JSON cannot.
    """
    arrays: dict[str, Array] = {
        "table.values": bundle.values.astype("<f8"),
        "table.labels": bundle.labels.astype("<i8"),
        "table.groups": bundle.groups.astype("<i8"),
    }
    for name, p in bundle.out_of_fold.items():
        arrays[f"out_of_fold.{name}"] = p.astype("<f8")
    for model in bundle.models:
        arrays |= _model_arrays(model)
    document = {
        "schema": SCHEMA,
        "answers": bundle.answers,
        "classes": list(bundle.classes),
        "columns": list(bundle.columns),
        "target": bundle.target,
        "pool": bundle.pool,
        "feature_spec": dict(bundle.feature_spec),
        "feature_spec_hash": bundle.feature_spec_hash,
        "patients": list(bundle.patient_hashes),
        "images": list(bundle.image_hashes),
        "out_of_fold": list(bundle.out_of_fold),
        "evaluation": dict(bundle.evaluation),
        "simulated": bundle.simulated,
        "seed": bundle.seed,
        "versions": dict(bundle.versions),
        "models": [_model_entry(m) for m in bundle.models],
        "arrays": {name: array_entry(arrays[name]) for name in sorted(arrays)},
    }
    return document | {"model_id": document_id(document)}, arrays


def document_id(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document without its ``model_id``."""
    return hashlib.sha256(document_bytes({k: v for k, v in document.items() if k != "model_id"})).hexdigest()


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as UTF-8 JSON with sorted keys.

    Raises
    ------
    UsageError
        If it holds something that JSON cannot, such as NaN.
    """
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode("ascii")
    except (TypeError, ValueError) as error:
        msg = f"Specification or evaluation is not plain data: {error}."
        raise UsageError(msg, hint="An undefined number is None.") from None


def array_bytes(array: Array) -> bytes:
    """Return an array as an ``.npy`` file of version 1.0."""
    return array_header(array.dtype.str, array.shape) + np.ascontiguousarray(array).tobytes()


def array_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the header of an ``.npy`` file; one text for one type and shape.

    Examples
    --------
    >>> len(array_header("<f8", (3,)))
    128
    """
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}"
    pad = -(len(MAGIC) + 2 + len(text) + 1) % HEADER_BLOCK
    body = f"{text}{' ' * pad}\n".encode("ascii")
    return MAGIC + len(body).to_bytes(2, "little") + body


def array_entry(array: Array) -> dict[str, Any]:
    """Return type, shape and hash of an array."""
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest}


def _model_entry(model: FittedModel) -> dict[str, Any]:
    return {
        "recipe": model.recipe.model_dump(mode="json", by_alias=True),
        "params": dict(model.params),
        "inner_log_loss": model.inner_log_loss,
        "random_state": model.random_state,
    }


def _model_arrays(model: FittedModel) -> dict[str, Array]:
    return {
        f"{model.name}.{step_name}.{name}": array
        for step_name, step in model.estimator.steps
        for name, array in CODECS[type(step)].arrays(step).items()
    }
