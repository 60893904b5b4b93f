"""Folders as the M&Ms challenge distributes them.

One CSV with ``External code``, ``ED``, ``ES`` (frames from 0) and covariates; per patient
a folder of that code with ``<code>_sa.nii.gz`` and ``<code>_sa_gt.nii.gz`` (four-dimensional),
or the single frames ``<code>_sa_ED.nii.gz``, ``<code>_sa_ED_gt.nii.gz`` and the same for ES.
Campello et al., IEEE TMI 40 (2021), doi:10.1109/TMI.2021.3090082.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from radiocard.errors import CohortError, Issue
from radiocard.image import LABELS_MNMS, PHASES, Key
from radiocard.io.case_ref import CaseRef, FilePair, exists, missing_files
from radiocard.io.clinical import parse_clinical
from radiocard.io.delimited import Delimited, read_delimited
from radiocard.io.identifiers import folded, id_problem, shown

CODE = "External code"
_DEPTH = 3
_UNLABELLED = "unlabeled"
_CLINICAL = {
    "sex": ("Sex",),
    "age_y": ("Age",),
    "height_cm": ("Height",),
    "weight_kg": ("Weight",),
    "diagnosis": ("Pathology",),
    "vendor": ("VendorName", "Vendor"),
    "site": ("Centre", "Center"),
}


def mnms_tables(folder: Path) -> list[Path]:
    """Return the CSV files of a folder whose first line names ``External code``."""
    return [path for path in sorted(folder.glob("*.csv")) if is_mnms_table(path)]


def is_mnms_table(path: Path) -> bool:
    """Whether the first line of a file names ``External code``."""
    with path.open("rb") as stream:
        return CODE.encode() in stream.readline(4096)


def read_mnms(table: Path) -> tuple[list[CaseRef], list[Issue]]:
    """Return the cases of an M&Ms folder.

    Parameters
    ----------
    table : Path
        The information CSV. Patient folders are looked for beside it and up to three
        folders down (``Training/Labeled/<code>``).

    Returns
    -------
    cases : list of CaseRef
        In the order of the CSV. A case with missing files carries refusing issues.
    issues : list of Issue
        One warning that counts the rows without a folder, and the unlabelled patients;
        neither are part of the cohort.

    Raises
    ------
    CohortError
        If the CSV lacks a column, a code occurs twice, or a covariate cannot be.
    """
    raw = read_delimited(table)
    _check_table(raw)
    folders = _folders(table.parent, {record[CODE].strip() for record in raw.records()})
    cases, absent = [], []
    for record, line in zip(raw.records(), raw.lines, strict=True):
        code = record[CODE].strip()
        problem = id_problem(code)
        if problem:
            issue = Issue("E_PATH", f"{raw.name}: line {line}: the code {shown(code)} {problem}.", field=CODE)
            cases.append(CaseRef(f"unsafe-id-in-line-{line}", {}, LABELS_MNMS, issues=(issue,)))
        elif code not in folders:
            absent.append(code)
        else:
            cases.append(_case(code, folders[code], record))
    return cases, _absent(absent, len(raw.rows))


def _check_table(raw: Delimited) -> None:
    missing = [name for name in (CODE, "ED", "ES") if name not in raw.header]
    if missing:
        msg = f"{raw.name} lacks the column {missing[0]!r}."
        raise CohortError(msg, field=missing[0])
    seen: dict[str, int] = {}
    for record, line in zip(raw.records(), raw.lines, strict=True):
        code = folded(record[CODE].strip())
        if code in seen:
            msg = f"{raw.name}: patient {shown(record[CODE].strip())} occurs in lines {seen[code]} and {line}."
            raise CohortError(msg, code="E_DUPLICATE_ID", field=CODE)
        seen[code] = line


def _folders(root: Path, codes: set[str]) -> dict[str, Path]:
    """Find the patient folders; those under a folder named ``Unlabeled`` have no masks and are left out."""
    found: dict[str, Path] = {}
    level: Iterable[Path] = [root]
    for _ in range(_DEPTH):
        children = [p for folder in level for p in sorted(folder.iterdir()) if p.is_dir() and not p.is_symlink()]
        for path in children:
            if path.name in codes:
                if path.name in found:
                    msg = f"Patient {path.name} has two folders: {found[path.name].parent.name} and {path.parent.name}."
                    raise CohortError(msg, code="E_DUPLICATE_ID", case=path.name)
                found[path.name] = path
        level = [p for p in children if p.name not in codes and p.name.casefold() != _UNLABELLED]
    return found


def _case(code: str, folder: Path, record: Mapping[str, str]) -> CaseRef:
    files: dict[Key, FilePair] = {}
    issues: list[Issue] = []
    for phase in PHASES:
        name = phase.upper()
        single = FilePair(_either(folder, f"{code}_sa_{name}"), _either(folder, f"{code}_sa_{name}_gt"))
        if exists(single.image) or not exists(_either(folder, f"{code}_sa")):
            files["cine", phase] = single
            continue
        frame = _frame(record[name])
        if frame is None:
            message = f"The information file gives {name} as {record[name]!r}, expected a frame number."
            issues.append(Issue("E_PHASE", message, code, name))
            continue
        files["cine", phase] = FilePair(_either(folder, f"{code}_sa"), _either(folder, f"{code}_sa_gt"), frame)
    issues += missing_files(code, files)
    return CaseRef(code, files, LABELS_MNMS, _clinical(code, record), issues=tuple(issues))


def _clinical(code: str, record: Mapping[str, str]) -> dict[str, Any]:
    out = {}
    for name, columns in _CLINICAL.items():
        text = next((record[column] for column in columns if record.get(column, "").strip()), "")
        value = parse_clinical(name, text, case=code)
        if value is not None:
            out[name] = value
    return out


def _frame(text: str) -> int | None:
    text = text.strip().removesuffix(".0")
    return int(text) if text.isdecimal() else None


def _either(folder: Path, stem: str) -> Path:
    plain = folder / f"{stem}.nii"
    return plain if exists(plain) and not exists(folder / f"{stem}.nii.gz") else folder / f"{stem}.nii.gz"


def _absent(codes: list[str], n_rows: int) -> list[Issue]:
    if not codes:
        return []
    some = ", ".join(shown(code).strip("'") for code in codes[:5]) + (", ..." if len(codes) > 5 else "")
    message = f"{len(codes)} of {n_rows} patients in the information file have no folder with masks here: {some}."
    return [Issue("E_MISSING", message, severity="warn", hint="They are not part of the cohort.")]
