"""Command that measures how a model travels between sites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import JsonOption
from radiocard.cli.console import note, progress, say, say_json
from radiocard.cli.models import TableArgument


def transfer(
    table: TableArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder to write to.")] = None,
    target: Annotated[str, typer.Option(help="Column that holds the diagnosis.")] = "diagnosis",
    task: Annotated[str, typer.Option(help="The question, as for 'radiocard train'.")] = "cine",
    recipe: Annotated[str, typer.Option(help="Recipe without a calibration of its own.")] = "logistic",
    pool: Annotated[str | None, typer.Option(help="Columns to learn from; else those of the task.")] = None,
    plan: Annotated[str, typer.Option(help="Folds and seed: a shipped name or a YAML file.")] = "evaluation",
    normal: Annotated[str, typer.Option(help="Label of the healthy.")] = "NOR",
    as_json: JsonOption = False,
) -> None:
    """Measure how well a model travels to another site.

    \b
    radiocard transfer table.parquet -o transfer
    radiocard transfer table.parquet --recipe rf --plan demo

    Each site is left out in turn, with and without harmonisation; each site is trained on alone and
    tested at each other; what differs between the sites is said in words.
    """
    from radiocard.io.store import output_lock, read_table
    from radiocard.study import transfer as study

    rows = read_table(table)
    with progress("Transfer", study.n_steps(rows, normal=normal, target=target)) as step:
        result = study.transfer(
            rows, target=target, task=task, recipe=recipe, pool=pool, plan=plan, normal=normal, progress=step
        )
    if output is not None:
        with output_lock(output / "transfer.md"):
            paths = study.write_transfer(result, output)
        note(f"Written: {', '.join(map(str, paths))}")
    if as_json:
        say_json(result.to_dict())
    else:
        for line in result.lines():
            say(line)
