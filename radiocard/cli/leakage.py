"""Command that audits a table for leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import JobsOption, JsonOption
from radiocard.cli.console import OK, PARTIAL, counted, note, progress, require_suffix, say, say_json
from radiocard.cli.models import TableArgument


def check_leakage(
    table: TableArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="audit.json")] = None,
    target: Annotated[str, typer.Option(help="Column that holds the diagnosis.")] = "diagnosis",
    task: Annotated[str, typer.Option(help="The question, as for 'radiocard train'.")] = "cine",
    models: Annotated[str | None, typer.Option(help="Recipes, separated by commas; else those of the task.")] = None,
    pool: Annotated[str | None, typer.Option(help="Columns to learn from; else those of the task.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Column with a split drawn elsewhere; else 'fold' or 'split'.")
    ] = None,
    plan: Annotated[str, typer.Option(help="Folds and seed: a shipped name or a YAML file.")] = "evaluation",
    permutations: Annotated[int, typer.Option(help="Sets of permuted labels.", min=2)] = 20,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Look for leaks before a score is believed.

    \b
    radiocard check-leakage table.parquet -o audit.json
    radiocard check-leakage table.parquet --pool all --models svm,logistic
    radiocard check-leakage others.csv --target label --split fold

    Permuted labels through the whole pipeline, columns chosen outside the folds, the same patient
    twice, columns that are the label. Exit code 3 means that something must be fixed.
    """
    from radiocard.io.store import read_table, write_json
    from radiocard.study import leakage as study

    if output is not None:
        require_suffix(output, ".json")
    recipes = [name.strip() for name in models.split(",") if name.strip()] if models else None
    rows = read_table(table)
    with progress("Label sets", permutations + 1) as step:
        audit = study.check_leakage(
            rows,
            target=target,
            task=task,
            models=recipes,
            pool=pool,
            split=split,
            plan=plan,
            permutations=permutations,
            jobs=jobs,
            progress=step,
        )
    if output is not None:
        write_json(audit.to_dict(), output)
        note(f"Written: {output}")
    if as_json:
        say_json(audit.to_dict())
    else:
        for line in audit.lines():
            say(line)
    raise typer.Exit(PARTIAL if audit.must_fix else OK)


def lock(
    table: Annotated[Path, typer.Argument(help="Table of the test set.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="test.lock.json, beside the table.")],
) -> None:
    """Lock a test set: its patients are refused by train and evaluate until the lock is opened.

    \b
    radiocard lock test.parquet -o test.lock.json
    radiocard evaluate heart.model test.parquet --locked test.lock.json --reason "final test" -o evidence
    """
    from radiocard.evaluation.lock import make_lock
    from radiocard.io.store import read_table

    made = make_lock(read_table(table), output)
    say(f"{output}: {counted(len(made.patients), 'patient')} locked. Keep the file under version control.")
