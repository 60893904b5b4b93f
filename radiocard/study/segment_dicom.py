"""Masks of a network as DICOM segmentations, for the archive that the series came from."""

from __future__ import annotations

from pathlib import Path

from radiocard.errors import CaseError, Issue, MissingExtraError, UsageError
from radiocard.io.case_ref import is_dicom
from radiocard.io.dicom_seg import Algorithm, write_seg
from radiocard.io.unsegmented import CINE
from radiocard.study.segment_predict import Segmentation, mask_path


def write_dicom(result: Segmentation, output: str | Path) -> list[Issue]:
    """Write a DICOM segmentation beside each mask whose image is a DICOM series.

    Parameters
    ----------
    result : Segmentation
    output : str or Path
        The folder that holds ``masks/``.

    Returns
    -------
    list of Issue
        ``W_NO_SEG``, one per patient and phase, where it could not be written: highdicom is not installed, the
        images are in one enhanced file, or lack what a segmentation must refer to.
    """
    algorithm = Algorithm("radiocard network", result.short_id)
    issues: list[Issue] = []
    for case in result.cases:
        files = result.refs[case.patient_id].files
        for phase, found in case.phases.items():
            pair = files.get(("cine", phase)) or files[CINE]
            if not is_dicom(pair.image):
                continue
            frame = pair.frame if found.frame is None else found.frame
            path = Path(output) / mask_path(case.patient_id, phase, ".dcm")
            try:
                write_seg(found.mask, pair.image, path, algorithm=algorithm, case=case.patient_id, frame=frame)
            except (CaseError, MissingExtraError, UsageError) as error:
                why = error.issue
                message = f"Of the mask no DICOM segmentation was written: {why.message}"
                issues.append(Issue("W_NO_SEG", message, case.patient_id, f"cine_{phase}.mask", why.hint))
    return issues
