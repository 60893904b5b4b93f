"""Where the files of a case lie: cheap to hold, to send to another process, and to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radiocard.errors import CaseError, CaseRefusedError, Issue
from radiocard.image import Case, Image, Key, LabelMap
from radiocard.io.nifti import MAX_BYTES, read_image, read_label_map


@dataclass(frozen=True)
class FilePair:
    """Image and mask of one phase.

    Parameters
    ----------
    image, mask : Path
        NIfTI files.
    frame : int or None
        Zero-based frame of a four-dimensional file.
    """

    image: Path
    mask: Path
    frame: int | None = None


@dataclass(frozen=True)
class CaseRef:
    """One patient's files and covariates, unread.

    Parameters
    ----------
    patient_id : str
        Pseudonym; safe as a file name.
    files : mapping of (sequence, phase) to FilePair
        For example ``("cine", "ed")``.
    labels : mapping of str to int
        Region name to label number.
    clinical : mapping of str to object
        Covariates; unknown ones are absent.
    simulated : bool
        Whether the case is simulated.
    issues : tuple of Issue
        What is wrong with the case before any image is read, missing files for example.
    """

    patient_id: str
    files: Mapping[Key, FilePair]
    labels: Mapping[str, int]
    clinical: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False
    issues: tuple[Issue, ...] = ()

    def __post_init__(self) -> None:
        for name in ("files", "labels", "clinical"):
            object.__setattr__(self, name, dict(getattr(self, name)))  # a read-only view cannot be pickled

    def load(self, max_bytes: int = MAX_BYTES) -> Case:
        """Read every image and mask of the case.

        Parameters
        ----------
        max_bytes : int
            Cap on what each file declares and unpacks to.

        Returns
        -------
        Case

        Raises
        ------
        CaseRefusedError
            If a file is missing or not usable; carries the finding of every file.
        """
        if any(issue.severity == "refuse" for issue in self.issues):
            raise CaseRefusedError(self.issues)
        issues = list(self.issues)
        images: dict[Key, Image] = {}
        masks: dict[Key, LabelMap] = {}
        for key, pair in self.files.items():
            case, role, frame = self.patient_id, role_of(key), pair.frame
            with _collected(issues):
                images[key] = read_image(pair.image, case=case, field=f"{role}.image", frame=frame, max_bytes=max_bytes)
            with _collected(issues):
                masks[key] = read_label_map(
                    pair.mask, self.labels, case=case, field=f"{role}.mask", frame=frame, max_bytes=max_bytes
                )
        if any(issue.severity == "refuse" for issue in issues):
            raise CaseRefusedError(issues)
        return Case(self.patient_id, images, masks, dict(self.clinical), self.simulated)


@contextmanager
def _collected(issues: list[Issue]) -> Iterator[None]:
    try:
        yield
    except CaseError as error:
        issues.append(error.issue)


def role_of(key: Key) -> str:
    """Return the name of a (sequence, phase) in messages, for example ``cine_ed``."""
    return "_".join(part for part in key if part)


def missing_files(patient_id: str, files: Mapping[Key, FilePair]) -> tuple[Issue, ...]:
    """Return a refusing issue for each image or mask that does not exist."""
    issues = []
    for key, pair in files.items():
        for role, path in (("image", pair.image), ("mask", pair.mask)):
            if not exists(path):
                message = f"The {role} of {role_of(key)} does not exist."
                hint = "Check the cohort's folder or manifest."
                issues.append(Issue("E_MISSING", message, patient_id, f"{role_of(key)}.{role}", hint))
    return tuple(issues)


def exists(path: Path) -> bool:
    """Whether a file exists; False also for a name that the system cannot hold."""
    try:
        return path.is_file()
    except OSError:
        return False
