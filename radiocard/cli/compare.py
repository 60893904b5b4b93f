"""Compare any models' class probabilities on the same patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import JsonOption
from radiocard.cli.console import note, say, say_json


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV with patient_id and prob_<class>, predictions.json, out_of_fold.json.", show_default=False
        ),
    ],
    truth: Annotated[Path, typer.Option(help="Table with patient_id and the diagnosis (.parquet or .csv).")],
    target: Annotated[str, typer.Option(help="Column that holds the diagnosis.")] = "diagnosis",
    reference: Annotated[str | None, typer.Option(help="Model to compare with; else the first.")] = None,
    positive: Annotated[
        str | None, typer.Option(help="Class named beforehand for the DeLong test against the rest.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Largest accepted loss of accuracy, stated beforehand: 0.05 is 5 points.")
    ] = None,
    cost: Annotated[Path | None, typer.Option(help="CSV with model and any of seconds, mb, wh per case.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the page, JSON and CSV.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models on the same patients: ours, a deep network's, anybody's.

    \b
    radiocard compare ours.csv deep.csv --truth table.parquet
    radiocard compare evidence/out_of_fold.json deep.csv --truth table.parquet --reference selected -o comparison
    radiocard compare ours.csv deep.csv --truth truth.csv --margin 0.05 --cost costs.csv

    A model is named after its file. Other patients, other classes, probabilities that do not
    sum to 1, and patients that a model has seen in training are refused.
    """
    from radiocard.io.store import output_lock
    from radiocard.study import compare as study
    from radiocard.study.compare_text import lines

    found = study.compare(
        files, truth=truth, target=target, reference=reference, positive=positive, margin=margin, costs=cost
    )
    paths = []
    if output is not None:
        with output_lock(output / "comparison.md"):
            paths = study.write_comparison(found, output)
    if as_json:
        say_json(found.to_dict())
        return
    for line in lines(found):
        say(line)
    if paths:
        note(f"Written: {paths[0]}")
