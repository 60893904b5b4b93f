"""Where the files of a case lie: cheap to hold, to send to another process, and to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from radiocard.errors import CaseError, CaseRefusedError, Issue, ReadError
from radiocard.image import DRAWN_SCAR, LGE, MAPS, SCAR_REGIONS, STILL, Case, Image, Key, LabelMap, stored_like
from radiocard.io.map_files import Unit, read_map
from radiocard.io.nifti import MAX_BYTES, read_image, read_label_map
from radiocard.io.units import convert_units


@dataclass(frozen=True)
class FilePair:
    """Image and mask of one phase.

    Parameters
    ----------
    image : Path
        NIfTI file, or the folder of one DICOM series.
    mask : Path or None
        NIfTI file; None where the heart is not segmented yet.
    frame : int or None
        Zero-based frame of a four-dimensional file, or of a DICOM cine.
    unit : str or None
        Unit that the source states for a map; None where the values must prove ms or %.
    """

    image: Path
    mask: Path | None
    frame: int | None = None
    unit: str | None = None


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
                images[key] = _image(key, pair, case, max_bytes)
            with _collected(issues):
                if pair.mask is None:
                    msg = "The case is not segmented: it names no mask."
                    hint = "'radiocard segment predict' makes masks."
                    raise ReadError(msg, code="E_MISSING", case=case, field=f"{role}.mask", hint=hint)
                masks[key] = read_label_map(
                    pair.mask, self.labels, case=case, field=f"{role}.mask", frame=frame, max_bytes=max_bytes
                )
        if any(issue.severity == "refuse" for issue in issues):
            raise CaseRefusedError(issues)
        masks = {key: stored_like(mask, images[key]) for key, mask in masks.items()}
        for key in [key for key in masks if set(SCAR_REGIONS) & set(masks[key].labels)]:
            masks[key], drawn = _apart(masks[key])
            if key[0] == LGE:
                masks[DRAWN_SCAR, STILL] = drawn
        return Case(self.patient_id, images, masks, dict(self.clinical), self.simulated)


def _apart(mask: LabelMap) -> tuple[LabelMap, LabelMap]:
    """Return the regions with scar counted as myocardium, and the scar as it was drawn."""
    scar = {name: mask.labels[name] for name in SCAR_REGIONS if name in mask.labels}
    rest = {name: number for name, number in mask.labels.items() if name not in scar}
    drawn = np.isin(mask.array, list(scar.values()))
    whole = mask.array
    if "lv_myocardium" in rest:
        whole = np.where(drawn, rest["lv_myocardium"], mask.array).astype(mask.array.dtype)
    kept = np.where(drawn, mask.array, 0).astype(mask.array.dtype)
    return replace(mask, array=whole, labels=rest), replace(mask, array=kept, labels=scar)


def _image(key: Key, pair: FilePair, case: str, max_bytes: int) -> Image:
    """Read one image; a map in the unit that the source states comes in ms or %."""
    sequence = key[0]
    if sequence not in MAPS or pair.frame is not None:
        image = read_grey(pair, case=case, field=f"{role_of(key)}.image", max_bytes=max_bytes)
        return convert_units(image, from_unit=pair.unit, sequence=sequence) if pair.unit else image
    found = read_map(pair.image, sequence=sequence, unit=cast("Unit | None", pair.unit), case=case, max_bytes=max_bytes)
    return convert_units(found.image, from_unit=found.unit, sequence=sequence) if found.unit else found.image


def is_dicom(path: Path) -> bool:
    """Whether a path is read as DICOM: a folder, or a file whose name ends in ``.dcm``."""
    return path.is_dir() or path.suffix.lower() == ".dcm"


def read_grey(pair: FilePair, *, case: str, field: str, max_bytes: int = MAX_BYTES) -> Image:
    """Read the grey values of a pair from its NIfTI file or DICOM series."""
    if not is_dicom(pair.image):
        return read_image(pair.image, case=case, field=field, frame=pair.frame, max_bytes=max_bytes)
    from radiocard.io.dicom_image import read_series  # late: a cohort of NIfTI files needs no DICOM

    return read_series(pair.image, case=case, field=field, frame=pair.frame, max_bytes=max_bytes)


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
            if path is not None and not exists(path, folder=role == "image"):
                message = f"The {role} of {role_of(key)} does not exist."
                hint = "Check the cohort's folder or manifest."
                issues.append(Issue("E_MISSING", message, patient_id, f"{role_of(key)}.{role}", hint))
    return tuple(issues)


def exists(path: Path, *, folder: bool = False) -> bool:
    """Whether a file, or also a folder, exists; False also for a name that the system cannot hold."""
    try:
        return path.is_file() or (folder and path.is_dir())
    except OSError:
        return False
