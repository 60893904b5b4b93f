"""Cohorts as a CSV manifest: one row per patient, sequence and phase."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radiocard.errors import CohortError, Issue
from radiocard.image import PHASES, SEQUENCES, STILL, Key
from radiocard.io.case_ref import CaseRef, FilePair, missing_files, role_of
from radiocard.io.clinical import KNOWN, merge_clinical, near_misses, other_columns, parse_clinical
from radiocard.io.delimited import Delimited, read_delimited
from radiocard.io.identifiers import folded, id_problem, shown
from radiocard.io.labels import parse_labels
from radiocard.io.units import units_of
from radiocard.specs.maps import MAP_UNITS

REQUIRED = ("patient_id", "image", "mask", "labels")
OPTIONAL = ("visit", "sequence", "phase", "frame", "unit")


@dataclass(frozen=True)
class _Row:
    line: int
    patient_id: str
    key: Key
    cells: Mapping[str, str]
    clinical: Mapping[str, Any]


def read_manifest(path: Path, *, masks: bool = True) -> tuple[list[CaseRef], list[Issue]]:
    """Return the cases of a manifest.

    Parameters
    ----------
    path : Path
        CSV with the columns ``patient_id, image, mask, labels``; ``sequence`` (``cine`` where it
        is empty), ``phase`` (``ed`` or ``es`` of a cine, empty otherwise), ``unit`` of a map that is not
        in ms or %, ``frame``, ``visit`` and covariates. Relative paths start at its folder.
    masks : bool
        Whether hearts are segmented. If not, ``mask`` and ``labels`` are not looked at, and an empty
        phase stands for a whole cine in one four-dimensional file.

    Returns
    -------
    cases : list of CaseRef
        In the order in which patients first occur. A case with missing files or an unsafe
        identifier carries refusing issues.
    issues : list of Issue
        Warnings about the manifest as a whole.

    Raises
    ------
    CohortError
        If a column is missing, a patient, sequence and phase occur twice, rows of one
        patient contradict each other, or a cell cannot be understood.
    """
    raw = _known_names(read_delimited(path), REQUIRED if masks else REQUIRED[:2])
    rows = _rows(raw, masks=masks)
    if not rows:
        msg = f"{raw.name} names no case."
        raise CohortError(msg)
    _check_ids(rows, raw.name)
    grouped: dict[str, list[_Row]] = {}
    for row in rows:
        grouped.setdefault(row.patient_id, []).append(row)
    cases = [_case(patient_id, group, path.parent, masks=masks) for patient_id, group in grouped.items()]
    extra = [name for name in raw.header if name not in {*REQUIRED, *OPTIONAL, *KNOWN}]
    return cases, near_misses(extra)


def _known_names(raw: Delimited, required: tuple[str, ...]) -> Delimited:
    known = {*REQUIRED, *OPTIONAL, *KNOWN}
    header = [name.casefold() if name.casefold() in known else name for name in raw.header]
    phase = () if "sequence" in header or required is not REQUIRED else ("phase",)
    for name in (*required, *phase):
        if name in header:
            continue
        close = difflib.get_close_matches(name, header, n=1)
        hint = f"Is it the column {close[0]!r}?" if close else f"A manifest needs: {', '.join((*required, *phase))}."
        msg = f"{raw.name} lacks the column {name!r}."
        raise CohortError(msg, field=name, hint=hint)
    double = [name for name in known if header.count(name) > 1]
    if double:
        msg = f"{raw.name}: column {double[0]!r} occurs more than once."
        raise CohortError(msg, field=double[0])
    return Delimited(raw.name, header, raw.rows, raw.lines)


def _rows(raw: Delimited, *, masks: bool) -> list[_Row]:
    records = raw.records()
    known = [name for name in KNOWN if name in raw.header]
    others = [name for name in raw.header if name not in {*REQUIRED, *OPTIONAL, *KNOWN}]
    typed = other_columns({name: [record[name] for record in records] for name in others})
    rows = []
    for index, (record, line) in enumerate(zip(records, raw.lines, strict=True)):
        cells = {name: record.get(name, "").strip() for name in (*REQUIRED, *OPTIONAL)}
        shown_id = cells["patient_id"] if id_problem(cells["patient_id"]) is None else shown(cells["patient_id"])
        clinical = {name: parse_clinical(name, record[name], case=shown_id) for name in known}
        clinical |= {name: typed[name][index] for name in others}
        if cells["visit"]:
            clinical["visit"] = cells["visit"]
        key = _key(cells, f"{raw.name}: line {line}", whole_cine=not masks)
        rows.append(_Row(line, cells["patient_id"], key, cells, clinical))
    return rows


def _key(cells: Mapping[str, str], where: str, *, whole_cine: bool) -> Key:
    sequence, phase = cells["sequence"].casefold() or "cine", cells["phase"].casefold()
    if sequence not in SEQUENCES:
        msg = f"{where}: sequence is {cells['sequence']!r}, expected {' or '.join(SEQUENCES)}."
        raise CohortError(msg, field="sequence")
    if sequence == "cine" and phase not in PHASES and not (whole_cine and phase == STILL):
        msg = f"{where}: phase is {cells['phase']!r}, expected {' or '.join(PHASES)}."
        raise CohortError(msg, field="phase")
    if sequence != "cine" and phase != STILL:
        msg = f"{where}: phase is {cells['phase']!r}, expected an empty cell: {sequence} is taken once."
        raise CohortError(msg, field="phase")
    if cells["unit"] and sequence not in MAP_UNITS:
        msg = f"{where}: unit is {cells['unit']!r}, expected an empty cell: grey values of {sequence} have no unit."
        raise CohortError(msg, field="unit")
    if cells["unit"] and cells["unit"] not in units_of(sequence):
        msg = f"{where}: unit is {cells['unit']!r}, expected {' or '.join(units_of(sequence))} for {sequence}."
        raise CohortError(msg, field="unit")
    return sequence, phase


def _check_ids(rows: list[_Row], name: str) -> None:
    seen: dict[tuple[str, Key], _Row] = {}
    spelled: dict[str, _Row] = {}
    visits: dict[str, _Row] = {}
    for row in rows:
        case = row.patient_id if id_problem(row.patient_id) is None else None
        other = spelled.setdefault(folded(row.patient_id), row)
        if other.patient_id != row.patient_id:
            msg = f"{name}: lines {other.line} and {row.line}: two identifiers differ only in letter case or accents."
            raise CohortError(msg, code="E_DUPLICATE_ID", case=case)
        first = visits.setdefault(row.patient_id, row)
        if first.cells["visit"] != row.cells["visit"]:
            msg = f"{name}: lines {first.line} and {row.line}: the patient has more than one visit."
            hint = "One row per patient in the table: write one manifest per visit."
            raise CohortError(msg, code="E_DUPLICATE_ID", case=case, field="visit", hint=hint)
        twin = seen.setdefault((row.patient_id, row.key), row)
        if twin is not row:
            msg = f"{name}: lines {twin.line} and {row.line}: {role_of(row.key)} of this patient occurs twice."
            raise CohortError(msg, code="E_DUPLICATE_ID", case=case, hint="One row per patient, sequence and phase.")


def _case(patient_id: str, rows: list[_Row], folder: Path, *, masks: bool) -> CaseRef:
    problem = id_problem(patient_id)
    if problem:
        message = f"The identifier {shown(patient_id)} {problem}."
        hint = "Use letters, digits, '-' and '_'."
        issue = Issue("E_PATH", message, field="patient_id", hint=hint)
        return CaseRef(f"unsafe-id-in-line-{rows[0].line}", {}, {}, issues=(issue,))
    maps = [parse_labels(row.cells["labels"], case=patient_id) if masks else {} for row in rows]
    for row, labels in zip(rows, maps, strict=True):
        if labels != maps[0]:
            msg = (
                f"The rows of one patient disagree: labels is {rows[0].cells['labels']!r} and {row.cells['labels']!r}."
            )
            raise CohortError(msg, case=patient_id, field="labels")
    clinical = merge_clinical((row.clinical for row in rows), case=patient_id)
    files: dict[Key, FilePair] = {}
    issues: list[Issue] = []
    for row in rows:
        image = _resolve(row, "image", folder, issues)
        mask = _resolve(row, "mask", folder, issues) if masks else None
        if image is not None and (mask is not None or not masks):
            files[row.key] = FilePair(image, mask, _frame(row), row.cells["unit"] or None)
    issues += missing_files(patient_id, files)
    simulated = bool(clinical.pop("simulated", False))
    return CaseRef(patient_id, files, maps[0], clinical, simulated, tuple(issues))


def _resolve(row: _Row, role: str, folder: Path, issues: list[Issue]) -> Path | None:
    """Return the path of a cell; a relative one may not leave the manifest's folder."""
    text, field = row.cells[role].replace("\\", "/"), f"{role_of(row.key)}.{role}"
    if not text:
        issues.append(Issue("E_MISSING", f"The manifest names no {role}.", row.patient_id, field))
        return None
    if Path(row.cells[role]).is_absolute():
        return Path(row.cells[role])
    if Path(os.path.normpath(text)).parts[:1] == ("..",):
        message = f"The relative path of the {role} leaves the manifest's folder."
        hint = "Write the absolute path, or put the manifest above its files."
        issues.append(Issue("E_PATH", message, row.patient_id, field, hint))
        return None
    return folder / text


def _frame(row: _Row) -> int | None:
    text = row.cells["frame"]
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        msg = f"frame is {text!r}, expected a whole number from 0."
        raise CohortError(msg, case=row.patient_id, field="frame")
    return int(text)
