"""How a model file knows its training patients without naming them.

A hash of an identifier that can be guessed can be found by guessing: these hashes answer
"was this patient in the training?", they do not make identifiers secret.
"""

from __future__ import annotations

import hashlib


def hash_patient(patient_id: str) -> str:
    """Return the SHA-256 by which a model file knows a patient."""
    return hashlib.sha256(b"radiocard patient\0" + patient_id.encode("utf-8", "surrogatepass")).hexdigest()


def hash_image(digest: str | None) -> str:
    """Return the SHA-256 by which a model file knows an image; empty where there is no digest."""
    if not isinstance(digest, str) or not digest:
        return ""
    return hashlib.sha256(b"radiocard image\0" + digest.encode("utf-8", "surrogatepass")).hexdigest()
