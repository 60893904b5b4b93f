"""Commands beside an evaluation: audit, odds, phenotypes, rank, and attach, which puts them into its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import JsonOption
from radiocard.cli.console import require_suffix, say, say_json
from radiocard.cli.models import ModelArgument, TableArgument

OutputOption = Annotated[Path, typer.Option("-o", "--output", help="File to write: .json.")]
TargetOption = Annotated[str, typer.Option(help="Column that holds the diagnosis.")]


def audit(
    model: ModelArgument,
    output: OutputOption,
    as_json: JsonOption = False,
) -> None:
    """Find out what the explanations of a model are worth; minutes, since it is trained again many times.

    \b
    radiocard audit heart.model -o audit.json
    """
    from radiocard.io.store import write_json
    from radiocard.models.persist import load_model
    from radiocard.study.audit import audit_explanations

    require_suffix(output, ".json")
    found = audit_explanations(load_model(model))
    write_json(found.to_dict(), output)
    _tell(list(found.sentences), output, found.to_dict() if as_json else None)


def odds(
    table: TableArgument,
    output: OutputOption,
    columns: Annotated[str, typer.Option(help="A few measurements named beforehand, separated by commas.")],
    reference: Annotated[str, typer.Option(help="Class that the others are compared with.")],
    target: TargetOption = "diagnosis",
    as_json: JsonOption = False,
) -> None:
    """Describe how the odds of each diagnosis change with a few measurements.

    \b
    radiocard odds table.parquet -o odds.json --columns lvef_pct,mwt_max_mm --reference NOR
    """
    from radiocard.io.store import read_table, write_json
    from radiocard.study.describe import describe_odds
    from radiocard.study.further import further_of

    require_suffix(output, ".json")
    named = [name.strip() for name in columns.split(",") if name.strip()]
    found = describe_odds(read_table(table), named, reference=reference, target=target)
    write_json(found.to_dict(), output)
    part = further_of(found.to_dict())
    rows = ["  " + "  ".join(row) for row in ([part.table.head, *part.table.rows] if part.table else [])]
    _tell([*part.sentences, *rows], output, found.to_dict() if as_json else None)


def phenotypes(
    table: TableArgument,
    output: OutputOption,
    pool: Annotated[str, typer.Option(help="Pool of measurements.")] = "physiology",
    target: TargetOption = "diagnosis",
    as_json: JsonOption = False,
) -> None:
    """Look for groups of patients without the diagnosis, and name them only where they hold.

    \b
    radiocard phenotypes table.parquet -o phenotypes.json
    """
    from radiocard.io.store import read_table, write_json
    from radiocard.study.describe import describe_phenotypes

    require_suffix(output, ".json")
    found = describe_phenotypes(read_table(table), pool=pool, target=target)
    write_json(found.to_dict(), output)
    _tell([found.sentence], output, found.to_dict() if as_json else None)


def rank(
    scores: Annotated[Path, typer.Argument(help="CSV: one row per site or data set, one column per model.")],
    output: OutputOption,
    rows: Annotated[str, typer.Option(help="What the rows are: 'sites' or 'data sets'.")],
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="For example log-loss.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rank models over independent sites or data sets (Friedman, Nemenyi).

    \b
    radiocard rank accuracy_by_site.csv -o ranking.json --rows sites
    """
    from radiocard.io.store import write_json
    from radiocard.study.describe import rank_models

    require_suffix(output, ".json")
    found = rank_models(scores, rows=rows, higher_is_better=not lower_is_better)
    write_json(found.to_dict(), output)
    _tell([found.sentence], output, found.to_dict() if as_json else None)


def attach(
    report: Annotated[Path, typer.Argument(help="cohort_report.json, written by 'radiocard evaluate'.")],
    evidence: Annotated[list[Path], typer.Argument(help="JSON of other commands.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Page to write: .html; the JSON lies beside it.")],
    as_json: JsonOption = False,
) -> None:
    """Put what other commands found into the report of an evaluation, and into its checklists.

    \b
    radiocard attach out/cohort_report.json texture/increment.json stability.json audit.json -o out/full.html

    Takes the JSON of increment, stability, audit, odds, phenotypes, rank and monitor.
    """
    from radiocard.study.attach import attach_files

    require_suffix(output, ".html")
    paths = attach_files(report, evidence, output)
    if as_json:
        say_json({"files": [str(path) for path in paths]})
        return
    for path in paths:
        say(f"Written: {path}")


def _tell(lines: list[str], output: Path, data: dict[str, object] | None) -> None:
    if data is not None:
        say_json(data)
        return
    for line in lines:
        say(line)
    say(f"In full: {output}")
