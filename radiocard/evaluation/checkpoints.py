"""Finished parts of a nested cross-validation on disk, so that an interrupted one goes on where it ended."""

from __future__ import annotations

import hashlib
import io
import json
import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.io.atomic import output_lock, write_bytes
from radiocard.models.assemble import installed_versions
from radiocard.models.recipes import Value, candidates
from radiocard.models.table import to_array
from radiocard.specs import ModelRecipe

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

SCHEMA = "radiocard/fold/1"
_HASH_BYTES = 32
_FROM_ONE = 1e-5  # single precision


class CheckpointWarning(UserWarning):
    """A kept part could not be used and is made again."""


@dataclass(frozen=True, eq=False)
class FoldAnswer:
    """What one recipe did in one outer fold.

    Parameters
    ----------
    params : mapping of str to value
        The candidate that the inner folds chose.
    inner_log_loss : float
        Its inner log-loss [nat].
    features : tuple of str
        Columns that reached the classifier.
    probabilities : ndarray of float, shape (n_test, classes)
        For the test rows of the fold.
    """

    params: Mapping[str, Value]
    inner_log_loss: float
    features: tuple[str, ...]
    probabilities: FloatArray


def table_hash(X: pd.DataFrame, y: NDArray[Any], groups: NDArray[Any]) -> str:
    """Hash everything in a table that a fit can depend on, and the versions of what fits.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        The order of the columns does not matter, that of the rows does.
    y, groups : ndarray of str, shape (n,)

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    columns = sorted(map(str, X.columns))
    digest = hashlib.sha256(_text([SCHEMA, installed_versions(), columns, y.tolist(), groups.tolist()]))
    digest.update(to_array(X.loc[:, columns]).data)
    return digest.hexdigest()


def part_key(table: str, recipe: ModelRecipe, *, inner_folds: int, seed: int, train: IntArray, test: IntArray) -> str:
    """Name one recipe in one outer fold by everything that its answer depends on.

    Parameters
    ----------
    table : str
        From :func:`table_hash`.
    recipe : ModelRecipe
    inner_folds, seed : int
        Of the fold.
    train, test : ndarray of int
        Row numbers.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    settings = recipe.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(_text([table, settings, inner_folds, seed, train.tolist(), test.tolist()])).hexdigest()


@dataclass(frozen=True)
class FoldFolder:
    """Kept parts in a folder, one file each: a SHA-256, then npz with arrays and JSON, never pickle.

    Parameters
    ----------
    folder : Path
        Made where missing.
    """

    folder: Path

    def write(self, key: str, answer: FoldAnswer) -> None:
        """Keep one part, whole or not at all.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        facts = {
            "key": key,
            "params": dict(answer.params),
            "inner_log_loss": answer.inner_log_loss,
            "features": list(answer.features),
        }
        buffer = io.BytesIO()
        np.savez(buffer, probabilities=answer.probabilities, facts=np.frombuffer(_text(facts), dtype=np.uint8))
        body = buffer.getvalue()
        write_bytes(hashlib.sha256(body).digest() + body, self._path(key))

    def read(
        self, key: str, recipe: ModelRecipe, *, columns: Sequence[str], shape: tuple[int, int]
    ) -> FoldAnswer | None:
        """Return a part that was kept.

        Parameters
        ----------
        key : str
            From :func:`part_key`.
        recipe : ModelRecipe
        columns : sequence of str
            Of the table.
        shape : (n_test, classes)
            Of the probabilities.

        Returns
        -------
        FoldAnswer or None
            None where there is none; also where the file is damaged, with a
            :class:`CheckpointWarning`.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            answer = _parse(path.read_bytes(), key, recipe)
            if _is_sound(answer, columns=columns, shape=shape):
                return answer
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            pass
        warnings.warn(
            f"A kept fold of {recipe.name!r} ({path.name}) is damaged and is made again.",
            CheckpointWarning,
            stacklevel=2,
        )
        return None

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:40]}.fold"


@contextmanager
def fold_folder(resume: str | Path | None) -> Iterator[FoldFolder | None]:
    """Hold the only right to a folder of kept parts, for the length of a ``with`` block.

    Parameters
    ----------
    resume : str, Path or None
        The folder, made where missing; None gives None.

    Raises
    ------
    OutputError
        ``E_LOCKED``, naming the process that holds it; ``E_WRITE``, if it cannot be made.
    """
    if resume is None:
        yield None
        return
    folder = Path(resume)
    with output_lock(folder / "folds"):
        for left_over in folder.glob(".radiocard-*.tmp"):
            left_over.unlink(missing_ok=True)
        yield FoldFolder(folder)


def _parse(content: bytes, key: str, recipe: ModelRecipe) -> FoldAnswer:
    """Read a kept part; the hash in front is compared before anything else is looked at."""
    digest, body = content[:_HASH_BYTES], content[_HASH_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        msg = "The content does not have its hash."
        raise ValueError(msg)
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        p, facts = file["probabilities"], json.loads(file["facts"].tobytes())
    if facts["key"] != key:
        msg = "The content belongs to another part."
        raise ValueError(msg)
    params = candidates(recipe)[candidates(recipe).index(facts["params"])]
    return FoldAnswer(params, float(facts["inner_log_loss"]), tuple(facts["features"]), p)


def _is_sound(answer: FoldAnswer, *, columns: Sequence[str], shape: tuple[int, int]) -> bool:
    p = answer.probabilities
    if p.dtype != np.float64 or p.shape != shape or not np.isfinite(p).all() or (p < 0).any():
        return False
    sums = bool(np.abs(p.sum(axis=1) - 1).max(initial=0.0) < _FROM_ONE)
    return sums and math.isfinite(answer.inner_log_loss) and set(answer.features) <= set(columns)


def _text(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=True, sort_keys=True, allow_nan=False).encode("ascii")
