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
    """Return the SHA-256 by which a model file knows each image of a patient, joined by ``-``.

    Parameters
    ----------
    digest : str or None
        Digests of the images, joined by ``-``; nothing gives nothing.
    """
    if not isinstance(digest, str):
        return ""
    parts = (part.encode("utf-8", "surrogatepass") for part in digest.split("-") if part)
    return "-".join(hashlib.sha256(b"radiocard image\0" + part).hexdigest() for part in parts)
