"""Folders as the ACDC challenge distributes them.

``patientNNN/Info.cfg`` with ``ED``, ``ES`` (frame numbers from 1), ``Group``, ``Height``
[cm] and ``Weight`` [kg]; ``patientNNN_frameNN.nii.gz`` with ``_gt`` masks. Bernard et
al., IEEE TMI 37 (2018), doi:10.1109/TMI.2018.2837502.
"""

from __future__ import annotations

import re
from pathlib import Path

from radiocard.errors import CohortError, Issue
from radiocard.image import LABELS_ACDC, PHASES, Key
from radiocard.io.case_ref import CaseRef, FilePair, exists, missing_files
from radiocard.io.clinical import parse_clinical

_FOLDER = re.compile(r"patient\d+")
_CLINICAL = {"Group": "diagnosis", "Height": "height_cm", "Weight": "weight_kg"}


def acdc_folders(folder: Path) -> list[Path]:
    """Return the patient folders of an ACDC tree, in order; empty if it is none."""
    found = [p for p in folder.iterdir() if _FOLDER.fullmatch(p.name) and p.is_dir()]
    return sorted(found, key=lambda p: (int(p.name[7:]), p.name))


def read_acdc(folder: Path) -> list[CaseRef]:
    """Return the cases of an ACDC folder.

    Parameters
    ----------
    folder : Path
        Holds ``patientNNN`` folders; anything else in it is left alone.

    Returns
    -------
    list of CaseRef
        A case with a damaged ``Info.cfg`` or missing files carries refusing issues.

    Raises
    ------
    CohortError
        If a height or weight is one that nobody can have.
    """
    return [_case(path) for path in acdc_folders(folder)]


def _case(folder: Path) -> CaseRef:
    patient_id = folder.name
    try:
        info = _info(folder / "Info.cfg")
    except (OSError, ValueError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        issue = Issue("E_READ", f"Info.cfg {reason}.", patient_id, "Info.cfg", "It names the frames of ED and ES.")
        return CaseRef(patient_id, {}, LABELS_ACDC, issues=(issue,))
    clinical = {name: parse_clinical(name, info.get(key, ""), case=patient_id) for key, name in _CLINICAL.items()}
    clinical = {name: value for name, value in clinical.items() if value is not None}
    files: dict[Key, FilePair] = {}
    issues: list[Issue] = []
    for phase in PHASES:
        number = info.get(phase.upper(), "")
        if not number.isdecimal():
            message = f"Info.cfg gives {phase.upper()} as {number!r}, expected a frame number."
            issues.append(Issue("E_PHASE", message, patient_id, "Info.cfg"))
            continue
        stem = f"{patient_id}_frame{int(number):02d}"
        files["cine", phase] = FilePair(_either(folder, stem), _either(folder, f"{stem}_gt"))
    issues += missing_files(patient_id, files)
    return CaseRef(patient_id, files, LABELS_ACDC, clinical, issues=tuple(issues))


def _info(path: Path) -> dict[str, str]:
    if path.stat().st_size > 1 << 16:
        msg = "Info.cfg is too long."
        raise CohortError(msg)
    pairs = (line.partition(":") for line in path.read_text(encoding="utf-8-sig").splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}


def _either(folder: Path, stem: str) -> Path:
    plain = folder / f"{stem}.nii"
    return plain if exists(plain) and not exists(folder / f"{stem}.nii.gz") else folder / f"{stem}.nii.gz"
