"""Attach what other commands found to the report of an evaluation, and fill its checklists further."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from radiocard.errors import ReadError, UsageError
from radiocard.io.store import write_text
from radiocard.report.html import render_cohort
from radiocard.report.schema import CohortReport, to_json
from radiocard.report.schema_checklist import Checklist, ChecklistGroup, ChecklistRow
from radiocard.report.schema_further import Further
from radiocard.specs import read_as
from radiocard.specs.checklists import ChecklistItem, ChecklistSpec
from radiocard.study.further import further_of

MAX_BYTES = 64 * 1024**2
# Fact of a checklist -> what gives it.
FACTS: Mapping[str, str] = {
    "stability": "stability",
    "ladder": "increment",
    "drift": "drift",
}


def attach(report: CohortReport, found: Sequence[Mapping[str, Any]]) -> CohortReport:
    """Add evidence to a report.

    Parameters
    ----------
    report : CohortReport
        Of an evaluation.
    found : sequence of dict
        JSON of ``increment``, ``stability``, ``audit``, ``odds``, ``phenotypes``, ``rank`` or ``monitor``; one of a
        kind replaces what is attached already.

    Returns
    -------
    CohortReport

    Raises
    ------
    UsageError
        If an entry is none of them, one stands twice, or the report lacks the section that it belongs to.
    """
    new = [further_of(data) for data in found]
    keys = [part.key for part in new]
    if len(set(keys)) < len(keys):
        msg = f"The same kind of evidence is given twice: {', '.join(sorted({k for k in keys if keys.count(k) > 1}))}."
        raise UsageError(msg)
    absent = sorted({part.section for part in new if getattr(report, part.section) is None})
    if absent:
        msg = f"The report has no section {absent[0]!r} to attach to."
        raise UsageError(msg)
    kept = [part for part in report.further if part.key not in keys]
    reporting = report.checklists
    if reporting is not None:
        lists = [_filled(checklist, new) for checklist in reporting.checklists]
        reporting = reporting.model_copy(update={"checklists": lists})
    return report.model_copy(update={"further": [*kept, *new], "checklists": reporting})


def attach_files(report: str | Path, files: Sequence[str | Path], output: str | Path) -> list[Path]:
    """Read a report and evidence, and write the fuller report as page and JSON.

    Parameters
    ----------
    report : str or Path
        ``cohort_report.json``.
    files : sequence of str or Path
        JSON files of other commands.
    output : str or Path
        Page to write; its JSON twin lies beside it.

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        If a file is missing, or see :func:`attach`.
    ReadError
        If a file is not what it should be.
    OutputError
        If a file cannot be written.
    """
    try:
        known = CohortReport.model_validate(_read(report))
    except ValidationError as error:
        msg = f"{Path(report).name!r} is not the JSON of a cohort report: {error.errors()[0]['msg']}."
        raise ReadError(msg, hint="'radiocard evaluate' writes cohort_report.json.") from None
    made = attach(known, [_read(path) for path in files])
    page = Path(output)
    paths = [page, page.with_suffix(".json")]
    write_text(render_cohort(made), paths[0])
    write_text(to_json(made), paths[1])
    return paths


def _read(path: str | Path) -> dict[str, Any]:
    path = Path(path)
    if not path.is_file():
        msg = f"There is no file {path.name!r}."
        raise UsageError(msg)
    if path.stat().st_size > MAX_BYTES:
        msg = f"{path.name!r} has {path.stat().st_size} bytes, expected at most {MAX_BYTES}."
        raise ReadError(msg)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        msg = f"{path.name!r} does not hold a JSON object."
        raise ReadError(msg)
    return data


def _filled(checklist: Checklist, new: Sequence[Further]) -> Checklist:
    facts = {name: part.sentences[0] for name, key in FACTS.items() for part in new if part.key == key}
    spec = read_as(ChecklistSpec, checklist.key, "models")
    items = {item.number: item for section in spec.sections for item in section.items}
    groups = [
        ChecklistGroup(title=g.title, rows=[_row(row, items.get(row.number), facts) for row in g.rows])
        for g in checklist.groups
    ]
    status = [row.status for group in groups for row in group.rows if not row.condition]
    counts = {
        "n_answered": status.count("answered"),
        "n_open": status.count("open"),
        "n_not_applicable": status.count("not applicable"),
    }
    return checklist.model_copy(update={"groups": groups} | counts)


def _row(row: ChecklistRow, item: ChecklistItem | None, facts: Mapping[str, str]) -> ChecklistRow:
    named = () if item is None else (*item.answered_by, *item.partly_by)
    said = [facts[name] for name in named if name in facts]
    if item is None or not said or row.status != "open" or all(text in (row.answer or "") for text in said):
        return row
    answer = " ".join([*([row.answer] if row.answer else []), *said])
    known = {name for name in item.answered_by if name in facts or (name not in FACTS and row.answer)}
    whole = bool(known) and known == set(item.answered_by)
    changes = {"status": "answered", "write": None} if whole else {}
    return row.model_copy(update={"answer": answer} | changes)
