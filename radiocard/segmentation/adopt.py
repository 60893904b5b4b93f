"""Pair the images of a cohort with masks that another program made, as a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from radiocard.errors import CaseError, Issue, NothingUsableError
from radiocard.image import STILL, Key, LabelMap
from radiocard.io.case_ref import CaseRef, read_grey, role_of
from radiocard.io.cohort import write_manifest
from radiocard.io.nifti import write_image
from radiocard.segmentation.adapters import MaskSource, read_mask

MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Adopted:
    """What became of the masks.

    Parameters
    ----------
    manifest : Path
        Images and masks of the patients that passed.
    n_patients : int
        How many passed.
    issues : tuple of Issue
        Why the others did not.
    """

    manifest: Path
    n_patients: int
    issues: tuple[Issue, ...]


def adopt_masks(cases: Iterable[CaseRef], source: MaskSource, folder: str | Path) -> Adopted:
    """Check the masks of another program and write them with a manifest that ``radiocard extract`` reads.

    A patient is left out where the mask of any of its images is refused. Images are not copied; the
    masks are written anew with the three regions only, in ACDC's order.

    Parameters
    ----------
    cases : iterable of CaseRef
        The cohort, end-diastole and end-systole; its own masks are not read and need not exist.
    source : MaskSource
        See :mod:`radiocard.segmentation.adapters`.
    folder : str or Path
        Gets ``masks/`` and ``manifest.csv``.

    Returns
    -------
    Adopted

    Raises
    ------
    NothingUsableError
        If no patient passed.
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    rows: list[dict[str, Any]] = []
    issues: list[Issue] = []
    n_patients = 0
    for ref in cases:
        found = [issue for issue in ref.issues if not _missing_mask(issue)]
        masks = {} if any(i.severity == "refuse" for i in found) else _masks(ref, source, found)
        issues += found
        if not masks or any(issue.severity == "refuse" for issue in found):
            continue
        n_patients += 1
        made = {"mask_network": source.program or None}
        rows += [_write(ref, key, mask, folder) | made for key, mask in masks.items()]
    if not rows:
        codes = ", ".join(sorted({issue.code for issue in issues})) or "no image was named"
        msg = f"No patient has masks that can be used: {codes}."
        raise NothingUsableError(msg, issues)
    write_manifest(rows, folder / MANIFEST)
    return Adopted(folder / MANIFEST, n_patients, tuple(issues))


def _missing_mask(issue: Issue) -> bool:
    return issue.code == "E_MISSING" and (issue.field or "").endswith(".mask")


def _masks(ref: CaseRef, source: MaskSource, issues: list[Issue]) -> dict[Key, LabelMap]:
    masks: dict[Key, LabelMap] = {}
    for key, pair in ref.files.items():
        if key == ("cine", STILL):
            message, hint = "The row names a whole cine.", "Write one row for ed and one for es, each with its frame."
            issues.append(Issue("E_PHASE", message, ref.patient_id, "cine", hint))
            continue
        try:
            image = read_grey(pair, case=ref.patient_id, field=f"{role_of(key)}.image")
            masks[key] = read_mask(source, ref, key, image)
        except CaseError as error:
            issues.append(replace(error.issue, case=ref.patient_id))
    return masks


def _write(ref: CaseRef, key: Key, mask: LabelMap, folder: Path) -> dict[str, Any]:
    name = f"masks/{ref.patient_id}_{role_of(key)}.nii.gz"
    write_image(folder / name, mask)
    pair, home = ref.files[key], folder.resolve()
    image = pair.image.resolve()
    row: dict[str, Any] = {
        "patient_id": ref.patient_id,
        "sequence": key[0],
        "phase": key[1],
        "frame": None if pair.frame is None else str(pair.frame),
        "image": image.relative_to(home).as_posix() if image.is_relative_to(home) else os.fspath(image),
        "mask": name,
        "labels": "acdc",
    }
    return {**row, **ref.clinical, "simulated": ref.simulated}
