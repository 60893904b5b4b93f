"""Commands on models: train, evaluate, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import CohortArgument, JobsOption, JsonOption, say_layout
from radiocard.cli.console import (
    OK,
    PARTIAL,
    compile_first,
    note,
    progress,
    require_suffix,
    say,
    say_issues,
    say_json,
    warnings_as_notes,
)

TableArgument = Annotated[Path, typer.Argument(help="Table written by 'radiocard extract'.", show_default=False)]
ModelArgument = Annotated[Path, typer.Argument(help="Model written by 'radiocard train'.", show_default=False)]
EVALUATE = "radiocard evaluate MODEL TABLE -o DIR"
ResumeOption = Annotated[
    Path | None,
    typer.Option(help="Folder that keeps finished folds; the same command goes on from there.", show_default=False),
]
ForceOption = Annotated[
    bool,
    typer.Option("--allow-simulated-model", help="Let a model trained on simulated data answer for real cases."),
]


def train(
    table: TableArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Model file to write.")],
    target: Annotated[str, typer.Option(help="Column that holds the diagnosis.")] = "diagnosis",
    task: Annotated[
        str, typer.Option(help="The question: cine, t1-amyloid, ... (a shipped name or a YAML file).")
    ] = "cine",
    models: Annotated[str | None, typer.Option(help="Recipes, separated by commas; else those of the task.")] = None,
    pool: Annotated[
        str | None, typer.Option(help="Columns to learn from, for example physiology or t1; else that of the task.")
    ] = None,
    plan: Annotated[str, typer.Option(help="Folds, repeats, seed: a shipped name or a YAML file.")] = "evaluation",
    resume: ResumeOption = None,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Train models; inner folds choose which one answers.

    \b
    radiocard train table.parquet -o heart.model
    radiocard train table.parquet -o heart.model --models svm,xgboost --pool all
    radiocard train t1_table.parquet -o amyloid.model --task t1-amyloid
    """
    from radiocard.evaluation.lock import locks_beside, refuse_locked
    from radiocard.io.store import output_lock, read_table
    from radiocard.models.persist import save_model
    from radiocard.study import train as study

    recipes = [name.strip() for name in models.split(",") if name.strip()] if models else None
    rows = read_table(table)
    refuse_locked(rows, locks_beside(table))
    with output_lock(output):
        with warnings_as_notes(), progress("Nested folds", study.n_steps(plan), resumed=resume is not None) as step:
            model = study.train(
                rows,
                target=target,
                task=task,
                models=recipes,
                pool=pool,
                plan=plan,
                jobs=jobs,
                progress=step,
                resume=resume,
            )
        save_model(model, output)
    summary = study.summarise(model)
    if as_json:
        say_json({"model": str(output), **summary})
        return
    say(
        f"{output}: model {model.model_id[:12]}, {summary['n_patients']} patients, answers: {summary['answers_title']}."
    )
    say(f"Out-of-fold accuracy {summary['accuracy_text']}")
    say(f"Next: radiocard evaluate {output} {table} -o evidence")


def evaluate(
    model: ModelArgument,
    table: TableArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write the report to.")],
    locked: Annotated[Path | None, typer.Option(help="Lock of this test set, which is opened and noted.")] = None,
    reason: Annotated[str, typer.Option(help="Why it is opened.")] = "",
    resume: ResumeOption = None,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure honestly how good a model is.

    \b
    radiocard evaluate heart.model table.parquet -o evidence
    radiocard evaluate heart.model other_site.parquet -o evidence_external
    radiocard evaluate heart.model table.parquet -o evidence --resume folds

    A table that holds training patients re-runs the recipe in nested folds; one that holds
    none tests the frozen model; one that holds some of both is refused. Patients that a lock beside the
    table holds are evaluated only with --locked, and every opening is noted.
    """
    from radiocard.evaluation.lock import locks_beside
    from radiocard.io.store import output_lock, read_table
    from radiocard.models.persist import load_model
    from radiocard.study import evaluate as study

    bundle, rows = load_model(model), read_table(table)
    with output_lock(output / "cohort_report.html"):
        steps = study.n_steps(bundle, rows)
        resumed = resume is not None and steps > 1  # an external test has no folds
        with warnings_as_notes(), progress("Evaluating", steps, resumed=resumed) as step:
            result = study.evaluate(
                bundle,
                rows,
                jobs=jobs,
                progress=step,
                command=EVALUATE,
                locked=locked,
                reason=reason,
                locks=locks_beside(table),
                resume=resume,
            )
        paths = study.write_evaluation(result, output)
    if as_json:
        say_json(result.summary | {"files": [str(path) for path in paths]})
        return
    say(result.summary["kind_text"])
    for line in result.summary["lines"]:
        say(f"  {line}")
    say(f"Report: {paths[0]}")


def predict(
    model: ModelArgument,
    cohort: CohortArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="predictions.json or .csv.")] = None,
    jobs: JobsOption = 1,
    allow_simulated_model: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict every case of a cohort: class, probabilities, flags.

    \b
    radiocard predict heart.model new_patients/ -o predictions.json
    radiocard predict heart.model manifest.csv -o predictions.csv
    """
    from radiocard.models.persist import load_model
    from radiocard.study import predict as study
    from radiocard.study.extract import as_cohort

    if output is not None:
        require_suffix(output, ".json", ".csv")
    bundle, found = load_model(model), as_cohort(cohort)
    say_layout(found)
    compile_first()
    with progress("Predicting", len(found.cases)) as step:
        result = study.predict(bundle, found, jobs=jobs, allow_simulated_model=allow_simulated_model, progress=step)
    if output is not None:
        study.write_predictions(result, output)
        note(f"Written: {output}")
    if as_json:
        say_json(result.to_dict())
    else:
        for row in result.rows:
            flags = f"   {' '.join(row.flags)}" if row.flags else ""
            say(f"{row.patient_id:<20} {row.prediction:<12} {row.probabilities[row.prediction]:6.1%}{flags}")
        say_issues([issue for issue in result.issues if issue.severity == "refuse"])
    raise typer.Exit(PARTIAL if len(result.rows) < len(found.cases) else OK)
