"""A folder or manifest to cases: the layout is recognised and said, never guessed around."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radiocard.errors import CaseError, CohortError, Issue, UsageError
from radiocard.image import Case
from radiocard.io.acdc import acdc_folders, read_acdc
from radiocard.io.atomic import write_text
from radiocard.io.case_ref import CaseRef, FilePair, role_of
from radiocard.io.clinical import KNOWN
from radiocard.io.delimited import cell_text, format_delimited, neutralise
from radiocard.io.identifiers import id_problem, shown
from radiocard.io.labels import convention_sentence, format_labels
from radiocard.io.manifest import read_manifest
from radiocard.io.mnms import is_mnms_table, mnms_tables, read_mnms
from radiocard.io.nifti import write_image

__all__ = ["CaseRef", "Cohort", "FilePair", "Layout", "read_cohort", "write_manifest", "write_manifest_cohort"]

Layout = Literal["acdc", "mnms", "manifest"]
MANIFEST = "manifest.csv"
_EXPECTED = (
    "Expected patientNNN folders (ACDC), a CSV with 'External code' beside patient folders (M&Ms), or a manifest CSV."
)


@dataclass(frozen=True)
class Cohort:
    """The cases of a folder or manifest, unread.

    Parameters
    ----------
    cases : tuple of CaseRef
        In the order of the folder or manifest. What is wrong with one of them stands in
        its own ``issues``, and is raised when it is loaded.
    layout : {'acdc', 'mnms', 'manifest'}
        How the source was recognised.
    label_convention : str
        What the mask's numbers mean, as a sentence.
    issues : tuple of Issue
        Findings about the cohort as a whole.
    """

    cases: tuple[CaseRef, ...]
    layout: Layout
    label_convention: str
    issues: tuple[Issue, ...] = ()

    def case(self, patient_id: str) -> CaseRef:
        """Return one case.

        Raises
        ------
        UsageError
            If there is no such patient; names the nearest.
        """
        for ref in self.cases:
            if ref.patient_id == patient_id:
                return ref
        known = [ref.patient_id for ref in self.cases]
        close = difflib.get_close_matches(patient_id, known, n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]!r}?" if close else f"For example {known[0]!r}." if known else ""
        msg = f"The cohort has no patient {shown(patient_id)}."
        raise UsageError(msg, hint=hint)


def read_cohort(path: str | Path) -> Cohort:
    """Recognise a cohort and list its cases; no image is read.

    Parameters
    ----------
    path : str or Path
        A folder in ACDC or M&Ms layout, a manifest CSV, or a folder with ``manifest.csv``.

    Returns
    -------
    Cohort

    Raises
    ------
    CohortError
        If it is none of these, or more than one, or its table is not usable.

    See Also
    --------
    Cohort.case : one case by its identifier.
    """
    path = Path(path)
    try:
        return _recognise(path)
    except OSError as error:
        msg = f"The cohort {path.name!r} cannot be read: {error.strerror or type(error).__name__}."
        raise CohortError(msg, hint="Check the permissions of the folder.") from error


def write_manifest_cohort(cases: Iterable[Case], folder: str | Path) -> Path:
    """Write cases as NIfTI files and a manifest that :func:`read_cohort` reads back.

    Parameters
    ----------
    cases : iterable of Case
        Written one by one; none needs to be kept.
    folder : str or Path
        Gets ``images/``, ``masks/`` and ``manifest.csv``.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    CaseError
        ``E_PATH``, if an identifier is not safe as a file name.
    UsageError
        If the masks of one case differ in their label numbers.
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows += _write_case(case, folder)
    write_manifest(rows, folder / MANIFEST)
    return folder / MANIFEST


def write_manifest(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as a manifest that :func:`radiocard.io.manifest.read_manifest` reads back.

    Parameters
    ----------
    rows : sequence of mapping of str to object
        One per patient, sequence and phase: column to value; None is an empty cell.
    path : Path
        The CSV file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    first = ["patient_id", "sequence", "phase", "frame", "image", "mask", "labels", *KNOWN]
    names = {name: None for row in rows for name in row}
    header = [name for name in first if name in names] + [name for name in names if name not in first]
    cells = ([cell_text(row.get(name)) for name in header] for row in rows)
    write_text(format_delimited([neutralise(name) for name in header], cells), path)


def _recognise(path: Path) -> Cohort:
    if path.is_file():
        return _from_table(path)
    if not path.is_dir():
        msg = f"There is no cohort {path.name!r}."
        raise CohortError(msg, hint="Give a folder or a manifest CSV that exists.")
    tables = mnms_tables(path)
    found = [
        *([MANIFEST] if (path / MANIFEST).is_file() else []),
        *(["patient folders in ACDC layout"] if acdc_folders(path) else []),
        *(table.name for table in tables),
    ]
    if len(found) > 1:
        msg = f"The folder {path.name!r} can be read in more than one way: {', '.join(found)}."
        raise CohortError(msg, hint="Name the CSV, or keep one layout per folder.")
    if (path / MANIFEST).is_file():
        return _from_table(path / MANIFEST)
    if tables:
        return _from_table(tables[0])
    if found:
        cases = read_acdc(path)
        return Cohort(tuple(cases), "acdc", convention_sentence([c.labels for c in cases], "the ACDC layout"))
    raise _unrecognised(path)


def _from_table(path: Path) -> Cohort:
    if path.suffix.lower() != ".csv":
        msg = f"{path.name!r} is not a folder and does not end in .csv."
        raise CohortError(msg, hint=_EXPECTED)
    if is_mnms_table(path):
        cases, issues = read_mnms(path)
        _refuse_empty(cases, path)
        return Cohort(tuple(cases), "mnms", _sentence(cases, "the M&Ms layout"), tuple(issues))
    cases, issues = read_manifest(path)
    return Cohort(tuple(cases), "manifest", _sentence(cases, "the manifest"), tuple(issues))


def _sentence(cases: Sequence[CaseRef], source: str) -> str:
    return convention_sentence([ref.labels for ref in cases if ref.labels], source)


def _refuse_empty(cases: Sequence[CaseRef], path: Path) -> None:
    if not cases:
        msg = f"None of the patients in {path.name} has a folder beside it."
        raise CohortError(msg, hint="Put the CSV into the folder that holds the patients' folders, or above it.")


def _unrecognised(path: Path) -> CohortError:
    inside = [p.name for p in sorted(path.iterdir()) if p.is_dir() and (acdc_folders(p) or mnms_tables(p))]
    hint = f"Did you mean its folder {inside[0]!r}?" if inside else _EXPECTED
    msg = f"The folder {path.name!r} is not a cohort in a layout that is known."
    return CohortError(msg, hint=hint)


def _write_case(case: Case, folder: Path) -> list[dict[str, Any]]:
    problem = id_problem(case.patient_id)
    if problem:
        msg = f"The identifier {shown(case.patient_id)} {problem}."
        raise CaseError(msg, code="E_PATH", field="patient_id", hint="Use letters, digits, '-' and '_'.")
    labels = {format_labels(mask.labels) for mask in case.masks.values()}
    if len(labels) > 1:
        msg = f"The masks of one case have different label numbers: {' and '.join(sorted(labels))}."
        raise UsageError(msg, case=case.patient_id, field="labels")
    rows = []
    for key, image in case.images.items():
        name = f"{case.patient_id}_{role_of(key)}.nii.gz"
        write_image(folder / "images" / name, image)
        write_image(folder / "masks" / name, case.masks[key])
        row = {"patient_id": case.patient_id, "sequence": key[0], "phase": key[1]}
        row |= {"image": f"images/{name}", "mask": f"masks/{name}", "labels": next(iter(labels))}
        rows.append({**row, **case.clinical, "simulated": case.simulated})
    return rows
