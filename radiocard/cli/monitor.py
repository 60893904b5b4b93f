"""Command that holds incoming patients against the training cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import JsonOption
from radiocard.cli.console import OK, PARTIAL, note, require_suffix, say, say_json
from radiocard.cli.models import ModelArgument, TableArgument


def monitor(
    model: ModelArgument,
    table: TableArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="monitor.json")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find out whether incoming patients still look like those of training.

    \b
    radiocard monitor heart.model this_month.parquet -o monitor.json

    No diagnosis is needed. Exit code 3 means that something moved.
    """
    from radiocard.io.store import read_table
    from radiocard.models.persist import load_model
    from radiocard.study import monitor as study

    if output is not None:
        require_suffix(output, ".json")
    found = study.monitor(load_model(model), read_table(table))
    if output is not None:
        study.write_monitoring(found, output)
        note(f"Written: {output}")
    if as_json:
        say_json(found.to_dict())
    else:
        for line in found.lines():
            say(line)
    raise typer.Exit(PARTIAL if found.moved else OK)
