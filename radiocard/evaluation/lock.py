"""A locked test set: its patients are known by hash, and every look at them leaves an entry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.io.store import output_lock, write_json
from radiocard.models.identity import hash_image, hash_patient

SCHEMA = "radiocard/lock/1"
SUFFIX = ".lock.json"


@dataclass(frozen=True, slots=True)
class Opening:
    """One look at a locked test set.

    Parameters
    ----------
    date : str
        When, UTC, to the second.
    model_id : str
        The model that was scored.
    reason : str
        Why, in words.
    n : int
        Locked patients that were scored.
    hash : str
        SHA-256 over this entry and the one before, so that no entry can be changed or taken out
        of the middle unseen. Taking the last one away is not seen: keep the file under version control.
    """

    date: str
    model_id: str
    reason: str
    n: int
    hash: str

    def text(self) -> str:
        """Write the entry as one sentence."""
        return f"{self.date}: model {self.model_id[:12]}, {self.n} patients, because: {self.reason}"


@dataclass(frozen=True, slots=True)
class LockedSet:
    """Patients that are kept for one last test, and when they were looked at.

    Parameters
    ----------
    created : str
        When, UTC.
    patients, images : tuple of str
        Hashes of the identifiers and of the images, sorted.
    openings : tuple of Opening
        Oldest first.
    """

    created: str
    patients: tuple[str, ...]
    images: tuple[str, ...]
    openings: tuple[Opening, ...] = ()

    def holds(self, table: pd.DataFrame) -> list[str]:
        """Return the patients of a table that are locked, by identifier or by image."""
        ids, images = set(self.patients), set(self.images)
        return [
            str(patient)
            for patient, own in zip(table.index, _image_hashes(table), strict=True)
            if hash_patient(str(patient)) in ids or images & own
        ]

    def record(self) -> list[str]:
        """Write what an evaluation must say about this test set."""
        n = len(self.openings)
        times = "never" if n == 0 else "once" if n == 1 else f"{n} times"
        return [
            f"Locked test set of {len(self.patients)} patients, opened {times}.",
            *(o.text() for o in self.openings),
        ]


def make_lock(table: pd.DataFrame, path: str | Path) -> LockedSet:
    """Lock the patients of a table: write their hashes to a new file.

    Parameters
    ----------
    table : DataFrame, index ``patient_id``
        The test set; with ``image_sha256``, its images are locked as well.
    path : str or Path
        Ends in ``.lock.json``; beside the table.

    Returns
    -------
    LockedSet

    Raises
    ------
    UsageError
        If the name ends otherwise, the file exists, or there is no patient.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        msg = f"{path.name!r} does not end in {SUFFIX}."
        raise UsageError(msg)
    if table.empty:
        msg = "The table holds no patient to lock."
        raise UsageError(msg)
    patients = tuple(sorted(hash_patient(str(p)) for p in table.index))
    images = tuple(sorted(set().union(*_image_hashes(table))))
    lock = LockedSet(_now(), patients, images)
    with output_lock(path):
        if path.exists():
            msg = f"There is already a lock {path.name!r}; its openings would be lost."
            raise UsageError(msg, hint="Choose another name.")
        _write(lock, path)
    return lock


def read_lock(path: str | Path) -> LockedSet:
    """Read a lock and prove its entries.

    Raises
    ------
    CohortError
        If it cannot be read, or an entry was changed (``E_TABLE``).
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError
        openings = tuple(Opening(**entry) for entry in data["openings"])
        lock = LockedSet(str(data["created"]), tuple(data["patients"]), tuple(data["images"]), openings)
    except (OSError, ValueError, KeyError, TypeError):
        msg = f"{path.name} is not a readable lock of a test set."
        raise CohortError(msg, code="E_TABLE") from None
    before = _seal(lock)
    for i, entry in enumerate(openings):
        before = _entry_hash(before, entry)
        if entry.hash != before:
            msg = f"{path.name}: opening {i + 1} of {len(openings)} is not as it was written."
            raise CohortError(msg, code="E_TABLE", hint="The record of the test set was changed: restore it.")
    return lock


def open_lock(path: str | Path, table: pd.DataFrame, *, model_id: str, reason: str) -> int:
    """Note that a model is going to be scored on locked patients.

    Parameters
    ----------
    path : str or Path
        The lock.
    table : DataFrame, index ``patient_id``
        What is going to be scored.
    model_id : str
        The model.
    reason : str
        Why, in words.

    Returns
    -------
    int
        How often the test set has been opened, this time included.

    Raises
    ------
    UsageError
        If no reason is given, or no patient of the table is locked.
    CohortError
        If the lock cannot be read, or an entry was changed.
    """
    path = Path(path)
    if not reason.strip():
        msg = "No reason is given for opening the locked test set."
        raise UsageError(msg, field="reason")
    with output_lock(path):
        lock = read_lock(path)
        n = len(lock.holds(table))
        if n == 0:
            msg = f"No patient of the table belongs to the locked test set {path.name!r}."
            raise UsageError(msg)
        before = lock.openings[-1].hash if lock.openings else _seal(lock)
        entry = Opening(_now(), model_id, reason.strip(), n, "")
        lock = replace(lock, openings=(*lock.openings, replace(entry, hash=_entry_hash(before, entry))))
        _write(lock, path)
    return len(lock.openings)


def locks_beside(table: str | Path) -> list[Path]:
    """Return the locks that lie in the folder of a table."""
    return sorted(Path(table).parent.glob(f"*{SUFFIX}"))


def refuse_locked(table: pd.DataFrame, locks: Iterable[str | Path]) -> None:
    """Refuse a table with patients of a locked test set: to train on it, or to score it without opening.

    Parameters
    ----------
    table : DataFrame, index ``patient_id``
    locks : iterable of str or Path
        Locks that were not opened for this run.

    Raises
    ------
    LeakError
        If a patient is locked (``E_LEAK_PATIENT``).
    """
    for path in locks:
        held = read_lock(path).holds(table)
        if held:
            msg = (
                f"{len(held)} of {len(table)} patients of the table belong to the locked test set "
                f"{Path(path).name!r}, for example {held[0]!r}."
            )
            raise LeakError(msg, hint="Open the lock, with a reason, for the one final scoring; never train on it.")


def _image_hashes(table: pd.DataFrame) -> list[set[str]]:
    if "image_sha256" not in table:
        return [set() for _ in range(len(table))]
    return [set(filter(None, hash_image(d).split("-"))) for d in table["image_sha256"]]


def _seal(lock: LockedSet) -> str:
    """Return the hash that the first entry follows."""
    return _digest([SCHEMA, lock.created, list(lock.patients), list(lock.images)])


def _entry_hash(before: str, entry: Opening) -> str:
    return _digest([before, entry.date, entry.model_id, entry.reason, entry.n])


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode("ascii")).hexdigest()


def _write(lock: LockedSet, path: Path) -> None:
    write_json({"schema": SCHEMA, **asdict(lock)}, path)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
