"""Commands on cohorts: validate, extract, info."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radiocard.cli.console import (
    NOTHING,
    OK,
    PARTIAL,
    compile_first,
    counted,
    note,
    progress,
    require_suffix,
    say,
    say_issues,
    say_json,
)

if TYPE_CHECKING:
    from radiocard.io.cohort import Cohort

CohortArgument = Annotated[
    Path, typer.Argument(help="Folder in ACDC or M&Ms layout, or a manifest CSV.", show_default=False)
]
SpecOption = Annotated[str, typer.Option(help="Feature specification: a shipped name or a YAML file.")]
JobsOption = Annotated[int, typer.Option(min=1, help="Worker processes; results do not depend on it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


def say_layout(cohort: Cohort) -> None:
    """Say how a cohort was recognised."""
    note(f"{counted(len(cohort.cases), 'case')}, {cohort.layout} layout. {cohort.label_convention}".rstrip())


def validate(
    cohort: CohortArgument, spec: SpecOption = "cine_sax", jobs: JobsOption = 1, as_json: JsonOption = False
) -> None:
    """Check whether every case is what it claims to be.

    \b
    radiocard validate ACDC/training
    radiocard validate manifest.csv --json
    """
    from radiocard.study import extract as study

    found = study.as_cohort(cohort)
    say_layout(found)
    with progress("Checking", len(found.cases)) as step:
        result = study.validate(found, spec=spec, jobs=jobs, progress=step)
    if as_json:
        counts = {"n_cases": result.n_cases, "n_usable": result.n_usable, "layout": result.layout}
        say_json(counts | {"issues": [issue.to_dict() for issue in result.issues]})
    else:
        say(f"{result.n_usable} of {result.n_cases} cases are usable, {result.n_refused} refused.")
        say_issues(result.issues)
    raise typer.Exit(NOTHING if not result.n_usable else PARTIAL if result.n_refused else OK)


def extract(
    cohort: CohortArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write: .parquet or .csv.")],
    spec: SpecOption = "cine_sax",
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure the heart and describe its texture: one row per patient.

    \b
    radiocard extract ACDC/training -o table.parquet
    radiocard extract manifest.csv -o table.csv --spec cine_sax --jobs 4

    Findings are written beside the table, as JSON lines.
    """
    from radiocard.errors import Issue, NothingUsableError
    from radiocard.io.store import output_lock, write_issues, write_table
    from radiocard.study import extract as study

    require_suffix(output, ".parquet", ".csv")
    found = study.as_cohort(cohort)
    say_layout(found)
    compile_first()
    findings = output.with_name(f"{output.stem}.issues.jsonl")
    with output_lock(output):
        try:
            with progress("Extracting", len(found.cases)) as step:
                table = study.extract(found, spec=spec, jobs=jobs, progress=step)
        except NothingUsableError as error:
            write_issues(error.issues, findings)
            raise
        issues = [Issue(**record) for record in table.attrs["radiocard"]["issues"]]
        write_table(table, output)
        write_issues(issues, findings)
    n_refused = len(found.cases) - len(table)
    if as_json:
        say_json({"table": str(output), "rows": len(table), "columns": table.shape[1], "refused": n_refused})
    else:
        say(f"{output}: {counted(len(table), 'patient')}, {table.shape[1]} columns, {n_refused} refused.")
        say_issues(issues)
        say(f"Findings in full: {findings}")
    raise typer.Exit(PARTIAL if n_refused else OK)


def info(
    path: Annotated[Path | None, typer.Argument(help="A model, a table or a cohort.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed, or what a file holds.

    \b
    radiocard info
    radiocard info heart.model
    radiocard info table.parquet --json
    """
    from radiocard.study.info import about_installation, about_path

    facts = about_installation() if path is None else about_path(path)
    if as_json:
        say_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        say(f"{name.replace('_', ' '):<{width}}  {text}")
