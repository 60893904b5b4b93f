"""Cohorts whose hearts are to be segmented: images without masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from radiocard.errors import CaseRefusedError
from radiocard.image import STILL, Image
from radiocard.io.case_ref import CaseRef, FilePair, is_dicom, read_grey, role_of
from radiocard.io.cohort import MANIFEST, Cohort, read_cohort
from radiocard.io.dicom_image import read_cine
from radiocard.io.manifest import read_manifest
from radiocard.io.mnms import is_mnms_table
from radiocard.io.nifti import count_frames, read_image

CINE = ("cine", STILL)
"""Key of a whole cine in one four-dimensional file or one DICOM series."""


def read_unsegmented(path: str | Path) -> Cohort:
    """Recognise a cohort and list its cases for segmentation; masks are not looked at.

    Parameters
    ----------
    path : str or Path
        A folder in ACDC or M&Ms layout; or a manifest CSV, or the folder that holds one, with
        ``patient_id`` and ``image`` and, where the file is one phase of the cine, ``phase``. A row without phase
        is a whole cine in one four-dimensional file, or one DICOM series in a folder.

    Returns
    -------
    Cohort
        Its pairs have no masks.

    Raises
    ------
    CohortError
        If it cannot be read.
    """
    place = Path(path)
    table = place / MANIFEST if (place / MANIFEST).is_file() else place
    if table.is_file() and table.suffix.lower() == ".csv" and not is_mnms_table(table):
        cases, issues = read_manifest(table, masks=False)
        return Cohort(tuple(cases), "manifest", "", tuple(issues))
    found = read_cohort(place)
    return replace(found, cases=tuple(_without_masks(ref) for ref in found.cases), label_convention="")


def load_images(ref: CaseRef) -> dict[str, Image]:
    """Read the cine of a case.

    Parameters
    ----------
    ref : CaseRef
        Of :func:`read_unsegmented`.

    Returns
    -------
    dict of str to Image
        By phase, ``ed`` and ``es``; of a whole cine by frame, ``0``, ``1``, and so on.

    Raises
    ------
    CaseRefusedError
        If a file is missing or the case has findings that refuse it.
    CaseError
        If a file cannot be used.
    """
    if any(issue.severity == "refuse" for issue in ref.issues):
        raise CaseRefusedError(ref.issues)
    if CINE in ref.files:
        pair, field = ref.files[CINE], f"{role_of(CINE)}.image"
        if is_dicom(pair.image):
            return {str(f): image for f, image in enumerate(read_cine(pair.image, case=ref.patient_id, field=field))}
        n = count_frames(pair.image, case=ref.patient_id, field=field)
        return {str(f): read_image(pair.image, case=ref.patient_id, field=field, frame=f) for f in range(n)}
    return {
        key[1]: read_grey(pair, case=ref.patient_id, field=f"{role_of(key)}.image")
        for key, pair in ref.files.items()
        if key[0] == CINE[0]
    }


def _without_masks(ref: CaseRef) -> CaseRef:
    issues = tuple(i for i in ref.issues if not (i.code == "E_MISSING" and str(i.field).endswith(".mask")))
    files = {key: FilePair(pair.image, None, pair.frame, pair.unit) for key, pair in ref.files.items()}
    return replace(ref, files=files, issues=issues)
